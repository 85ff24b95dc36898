// Goal: an Outcome holds a value of any kind, an error or a cancellation, and never half of one.
// Method: one case per kind of type; types that throw while they are copied or moved.

#include <asyncio/exceptions.h>
#include <asyncio/outcome.h>

#include "support/tracked.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

// With the address sanitizer and optimisation g++ 12 loses sight of the state that says which
// member of the union lives, and warns of reading the other one.
#if defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace {

using asyncio::CancelledError;
using asyncio::Outcome;
using support::Fragile;
using support::MoveOnly;
using support::Tracked;

std::exception_ptr error_of(const char* text) {
    return std::make_exception_ptr(std::runtime_error(text));
}

TEST(outcome, a_new_one_is_empty) {
    Outcome<int> outcome;
    EXPECT_TRUE(outcome.empty());
    EXPECT_FALSE(outcome.has_value());
    EXPECT_FALSE(outcome.failed());
    EXPECT_EQ(outcome.error(), nullptr);
}

TEST(outcome, gives_back_the_value) {
    Outcome<std::string> outcome;
    outcome.emplace("value");
    EXPECT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome.value(), "value");
    EXPECT_EQ(std::move(outcome).value(), "value");
}

TEST(outcome, throws_the_error_it_holds) {
    const auto outcome = Outcome<int>::failure(error_of("broken"));
    EXPECT_TRUE(outcome.failed());
    EXPECT_FALSE(outcome.cancelled());
    EXPECT_THROW(outcome.value(), std::runtime_error);
    EXPECT_NE(outcome.error(), nullptr);
}

TEST(outcome, knows_a_cancellation_from_an_error) {
    const auto outcome = Outcome<int>::failure(std::make_exception_ptr(CancelledError("enough")));
    EXPECT_TRUE(outcome.failed());
    EXPECT_TRUE(outcome.cancelled());
    try {
        outcome.value();
        FAIL();
    } catch (const CancelledError& cancelled) {
        EXPECT_EQ(cancelled.message(), "enough");
    }
}

TEST(outcome, of_nothing_is_a_success_or_an_error) {
    Outcome<void> outcome;
    EXPECT_TRUE(outcome.empty());
    outcome.emplace();
    EXPECT_TRUE(outcome.has_value());
    EXPECT_NO_THROW(outcome.value());
    outcome.fail(error_of("broken"));
    EXPECT_THROW(outcome.value(), std::runtime_error);
}

TEST(outcome, of_a_reference_refers_to_the_same_object) {
    int target = 1;
    Outcome<int&> outcome;
    outcome.emplace(target);
    outcome.value() = 2;
    EXPECT_EQ(target, 2);
    static_assert(std::is_same_v<decltype(std::move(outcome).value()), int&>);
    EXPECT_EQ(&std::move(outcome).value(), &target);
}

TEST(outcome, of_a_reference_to_a_base_accepts_the_derived) {
    struct Base {};
    struct Derived : Base {
    } derived;
    Outcome<Base&> outcome;
    outcome.emplace(derived);
    EXPECT_EQ(&outcome.value(), &derived);
}

TEST(outcome, of_a_constant_reference_keeps_the_constant) {
    const std::string text = "text";
    Outcome<const std::string&> outcome;
    outcome.emplace(text);
    EXPECT_EQ(&outcome.value(), &text);
}

TEST(outcome, moves_what_cannot_be_copied) {
    static_assert(!std::is_copy_constructible_v<Outcome<MoveOnly>>);
    static_assert(!std::is_copy_assignable_v<Outcome<MoveOnly>>);
    Outcome<MoveOnly> outcome;
    outcome.emplace(7);
    Outcome<MoveOnly> other = std::move(outcome);
    EXPECT_TRUE(outcome.empty());
    EXPECT_EQ(std::move(other).value().number, 7);
}

TEST(outcome, copies_value_and_error) {
    Outcome<std::string> value;
    value.emplace("text");
    Outcome<std::string> copy = value;
    EXPECT_EQ(copy.value(), value.value());
    const auto error = Outcome<std::string>::failure(error_of("broken"));
    copy = error;
    EXPECT_EQ(copy.error(), error.error());
    copy = value;
    EXPECT_EQ(copy.value(), "text");
    copy = Outcome<std::string>();
    EXPECT_TRUE(copy.empty());
}

TEST(outcome, survives_assignment_to_itself) {
    Outcome<std::string> outcome;
    outcome.emplace("a text that is too long to live inside the string");
    auto& same = outcome;
    outcome = same;
    EXPECT_EQ(outcome.value(), "a text that is too long to live inside the string");
    outcome = std::move(same);
    EXPECT_EQ(outcome.value(), "a text that is too long to live inside the string");
}

TEST(outcome, destroys_each_value_once) {
    {
        Outcome<Tracked> outcome;
        outcome.emplace(1);
        outcome.emplace(2);
        EXPECT_EQ(Tracked::alive(), 1);
        Outcome<Tracked> copy = outcome;
        EXPECT_EQ(Tracked::alive(), 2);
        copy = std::move(outcome);
        EXPECT_EQ(Tracked::alive(), 1);
        EXPECT_EQ(copy.value().number(), 2);
        copy.fail(error_of("broken"));
        EXPECT_EQ(Tracked::alive(), 0);
        outcome.emplace(3);
    }
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(outcome, is_empty_after_a_value_failed_to_move_in) {
    Outcome<Fragile> source;
    source.emplace(1, 0, 0);
    Outcome<Fragile> target;
    target.emplace(2, 0, 5);
    EXPECT_THROW(target = std::move(source), std::runtime_error);
    EXPECT_TRUE(target.empty());
    EXPECT_TRUE(source.has_value());
    EXPECT_THROW(target = source, std::runtime_error);
    EXPECT_TRUE(target.empty());
}

TEST(outcome, is_empty_after_a_value_failed_to_be_made) {
    struct Thrower {
        Thrower() { throw std::runtime_error("no"); }
    };
    Outcome<Thrower> outcome;
    EXPECT_THROW(outcome.emplace(), std::runtime_error);
    EXPECT_TRUE(outcome.empty());
    outcome.fail(error_of("broken"));
    EXPECT_TRUE(outcome.failed());
}

TEST(outcome, may_hold_an_exception_as_its_value) {
    Outcome<std::exception_ptr> outcome;
    outcome.emplace(std::make_exception_ptr(CancelledError()));
    EXPECT_TRUE(outcome.has_value());
    EXPECT_FALSE(outcome.cancelled());
    EXPECT_EQ(outcome.error(), nullptr);
}

TEST(outcome, holds_what_can_neither_be_made_from_nothing_nor_compared) {
    struct Stubborn {
        explicit Stubborn(int) {}
        Stubborn(Stubborn&&) = default;
        bool operator==(const Stubborn&) const = delete;
    };
    Outcome<Stubborn> outcome;
    outcome.emplace(1);
    EXPECT_TRUE(outcome.has_value());
}

}  // namespace
