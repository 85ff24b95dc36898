// Goal: UniqueFunction calls what it was given, moves without copying, destroys it once.

#include <asyncio/internal/base/unique_function.h>

#include "support/tracked.h"

#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::internal::UniqueFunction;
using support::Tracked;

TEST(unique_function, an_empty_one_is_false) {
    UniqueFunction<void()> function;
    EXPECT_FALSE(function);
    function = [] {};
    EXPECT_TRUE(function);
    function = {};
    EXPECT_FALSE(function);
}

TEST(unique_function, passes_arguments_and_result) {
    UniqueFunction<std::string(std::string, int)> repeat = [](std::string text, int times) {
        std::string result;
        while (times-- > 0) result += text;
        return result;
    };
    EXPECT_EQ(repeat("ab", 3), "ababab");
}

TEST(unique_function, holds_what_cannot_be_copied_and_changes_it_between_calls) {
    UniqueFunction<int()> count = [next = std::make_unique<int>(0)] { return ++*next; };
    UniqueFunction<int()> moved = std::move(count);
    EXPECT_FALSE(count);
    EXPECT_EQ(moved(), 1);
    EXPECT_EQ(moved(), 2);
}

TEST(unique_function, passes_references_and_move_only_arguments_through) {
    int target = 0;
    UniqueFunction<void(int&, std::unique_ptr<int>)> assign =
        [](int& to, std::unique_ptr<int> from) { to = *from; };
    assign(target, std::make_unique<int>(5));
    EXPECT_EQ(target, 5);
}

TEST(unique_function, destroys_what_it_holds_once) {
    {
        UniqueFunction<int()> function = [tracked = Tracked(3)] { return tracked.number(); };
        EXPECT_EQ(Tracked::alive(), 1);
        UniqueFunction<int()> moved = std::move(function);
        EXPECT_EQ(Tracked::alive(), 1);
        EXPECT_EQ(moved(), 3);
        moved = [] { return 0; };
        EXPECT_EQ(Tracked::alive(), 0);
    }
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(unique_function, lets_exceptions_pass_and_can_be_called_again) {
    UniqueFunction<int(bool)> function = [](bool fail) {
        if (fail) throw std::runtime_error("failed");
        return 1;
    };
    EXPECT_THROW(function(true), std::runtime_error);
    EXPECT_EQ(function(false), 1);
}

}  // namespace
