// Goal: what the exceptions say, what they derive from, and what a group of them finds.
// Method: every class once; groups flat and nested.

#include <asyncio/exceptions.h>
#include <asyncio/outcome.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::ExceptionGroup;
using asyncio::KeyboardInterrupt;
using asyncio::OsError;

template <class Error>
std::exception_ptr pointer_to(Error error) {
    return std::make_exception_ptr(std::move(error));
}

// CAN-22: what asks for the end of a task is not an error that a logger may eat.
TEST(exceptions, a_cancellation_passes_a_handler_of_std_exception) {
    static_assert(!std::is_base_of_v<std::exception, CancelledError>);
    static_assert(!std::is_base_of_v<std::exception, KeyboardInterrupt>);
    EXPECT_THROW(
        {
            try {
                throw CancelledError("stop");
            } catch (const std::exception&) {
                FAIL() << "eaten";
            }
        },
        CancelledError);
}

TEST(exceptions, a_cancellation_is_recognised_without_a_throw) {
    EXPECT_TRUE(asyncio::internal::is_cancellation(pointer_to(CancelledError())));
    EXPECT_FALSE(asyncio::internal::is_cancellation(pointer_to(std::runtime_error("x"))));
    EXPECT_FALSE(asyncio::internal::is_cancellation(pointer_to(KeyboardInterrupt())));
    EXPECT_FALSE(asyncio::internal::is_cancellation(pointer_to(1)));
    EXPECT_FALSE(asyncio::internal::is_cancellation(nullptr));
}

TEST(exceptions, each_has_the_parent_its_python_counterpart_suggests) {
    static_assert(std::is_base_of_v<std::runtime_error, asyncio::TimeoutError>);
    static_assert(std::is_base_of_v<std::runtime_error, asyncio::RuntimeError>);
    static_assert(std::is_base_of_v<std::logic_error, asyncio::InvalidStateError>);
    static_assert(std::is_base_of_v<std::runtime_error, asyncio::IncompleteReadError>);
    static_assert(std::is_base_of_v<std::runtime_error, asyncio::LimitOverrunError>);
    static_assert(std::is_base_of_v<std::system_error, OsError>);
    static_assert(!std::is_base_of_v<OsError, asyncio::TimeoutError>);
    static_assert(std::is_base_of_v<std::exception, ExceptionGroup>);
    SUCCEED();
}

TEST(exceptions, a_time_limit_says_what_it_is) {
    EXPECT_STREQ(asyncio::TimeoutError().what(), "the time limit has passed");
    EXPECT_STREQ(asyncio::TimeoutError("too late").what(), "too late");
}

TEST(exceptions, an_incomplete_read_keeps_what_came) {
    const asyncio::IncompleteReadError counted("abc", 10);
    EXPECT_EQ(counted.partial(), "abc");
    EXPECT_EQ(counted.expected(), 10u);
    EXPECT_STREQ(counted.what(), "the stream ended after 3 bytes of 10");
    EXPECT_STREQ(asyncio::IncompleteReadError("abc", 0).what(), "the stream ended after 3 bytes");
}

TEST(exceptions, a_limit_overrun_tells_how_much_holds_no_separator) {
    EXPECT_EQ(asyncio::LimitOverrunError("too long", 7).consumed(), 7u);
}

TEST(exceptions, an_os_error_names_the_operation_and_the_reason) {
    const OsError error(ENOENT, "spawn /bin/nosuch");
    EXPECT_STREQ(error.what(), "spawn /bin/nosuch: No such file or directory");
    EXPECT_EQ(error.error(), ENOENT);
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
}

TEST(exceptions, describe_has_words_for_everything_that_can_be_thrown) {
    struct Unknown {};
    EXPECT_EQ(asyncio::describe(nullptr), "no error");
    EXPECT_EQ(asyncio::describe(pointer_to(std::runtime_error("text"))), "text");
    EXPECT_EQ(asyncio::describe(pointer_to(CancelledError())), "cancelled");
    EXPECT_EQ(asyncio::describe(pointer_to(CancelledError("why"))), "cancelled: why");
    EXPECT_EQ(asyncio::describe(pointer_to(KeyboardInterrupt())), "keyboard interrupt");
    EXPECT_EQ(asyncio::describe(pointer_to(42)), "int");
    EXPECT_NE(asyncio::describe(pointer_to(Unknown())).find("Unknown"), std::string::npos);
}

TEST(exception_group, says_how_many_and_what) {
    const ExceptionGroup one("failed", {pointer_to(std::runtime_error("a"))});
    EXPECT_STREQ(one.what(), "failed (1 error): a");
    EXPECT_EQ(one.message(), "failed");
    const ExceptionGroup two(
        "failed", {pointer_to(std::runtime_error("a")), pointer_to(std::logic_error("b"))});
    EXPECT_STREQ(two.what(), "failed (2 errors): a; b");
    EXPECT_EQ(two.exceptions().size(), 2u);
}

ExceptionGroup nested_group() {
    const ExceptionGroup inner(
        "inner", {pointer_to(std::logic_error("b")), pointer_to(std::runtime_error("c"))});
    return ExceptionGroup("outer", {pointer_to(std::runtime_error("a")), pointer_to(inner),
                                    pointer_to(std::out_of_range("d"))});
}

TEST(exception_group, flattens_what_is_nested_in_order) {
    const std::vector<std::exception_ptr> leaves = nested_group().flatten();
    ASSERT_EQ(leaves.size(), 4u);
    const char* expected[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; ++i) EXPECT_EQ(asyncio::describe(leaves[i]), expected[i]);
}

TEST(exception_group, for_each_finds_every_error_of_a_type_and_of_the_types_derived_from_it) {
    std::string found;
    const auto visit = [&](const std::exception& error) { found += error.what(); };
    EXPECT_EQ(nested_group().for_each<std::runtime_error>(visit), 2u);
    EXPECT_EQ(found, "ac");
    found.clear();
    EXPECT_EQ(nested_group().for_each<std::logic_error>(visit), 2u);
    EXPECT_EQ(found, "bd");
    EXPECT_EQ(nested_group().for_each<asyncio::TimeoutError>(visit), 0u);
}

TEST(exception_group, splits_into_what_is_of_a_type_and_the_rest_and_keeps_the_nesting) {
    const ExceptionGroup::Split split = nested_group().split<std::logic_error>();
    ASSERT_TRUE(split.match && split.rest);
    EXPECT_STREQ(split.match->what(), "outer (2 errors): inner (1 error): b; d");
    EXPECT_STREQ(split.rest->what(), "outer (2 errors): a; inner (1 error): c");
    EXPECT_FALSE(nested_group().split<asyncio::TimeoutError>().match);
    EXPECT_FALSE(nested_group().split<std::exception>().rest);
}

TEST(exception_group, what_a_visitor_throws_leaves_for_each) {
    EXPECT_THROW(nested_group().for_each<std::runtime_error>([](const std::runtime_error&) {
        throw std::domain_error("from the visitor");
    }),
                 std::domain_error);
}

TEST(exception_group, of_nothing_or_of_a_null_pointer_is_refused) {
    EXPECT_THROW(ExceptionGroup("none", {}), std::invalid_argument);
    EXPECT_THROW(ExceptionGroup("null", {std::exception_ptr()}), std::invalid_argument);
    EXPECT_THROW(ExceptionGroup("both", {pointer_to(std::runtime_error("a")), nullptr}),
                 std::invalid_argument);
}

TEST(exception_group, may_hold_things_that_are_no_std_exception) {
    const ExceptionGroup group("mixed", {pointer_to(1), pointer_to(CancelledError("x"))});
    EXPECT_STREQ(group.what(), "mixed (2 errors): int; cancelled: x");
    EXPECT_EQ(group.for_each<int>([](int number) { EXPECT_EQ(number, 1); }), 1u);
}

}  // namespace
