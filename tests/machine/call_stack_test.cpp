// Stacks in the words of the source: what is captured, whose frames are kept, and how names read.

#include "machine/call_stack.h"
#include "machine/inside_unwinder.h"

#include <algorithm>
#include <csignal>
#include <source_location>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace {

using asyncio::internal::capture_stack;
using asyncio::internal::code_range_of;
using asyncio::internal::function_at;
using asyncio::internal::knows_lines;
using asyncio::internal::RawStack;
using asyncio::internal::short_function_name;
using asyncio::internal::SourceFrame;
using asyncio::internal::to_string;
using asyncio::internal::user_frames;

/// The stack grows down, so nothing lies above this.
const void* const whole_stack = reinterpret_cast<const void*>(~std::uintptr_t{0});

TEST(short_function_name, drops_return_type_and_parameters) {
    EXPECT_EQ(short_function_name("void f(int, std::string)"), "f");
    EXPECT_EQ(short_function_name("main"), "main");
    EXPECT_EQ(short_function_name("house::Door::open(int) const"), "house::Door::open");
}

TEST(short_function_name, keeps_template_arguments_and_drops_unnamed_namespaces) {
    EXPECT_EQ(short_function_name("asyncio::Coro<int> (anonymous namespace)::read<int>(int)"),
              "read<int>");
    EXPECT_EQ(short_function_name("int f<void (int)>(void (*)(int))"), "f<void (int)>");
}

TEST(short_function_name, names_the_coroutine_and_not_what_the_compiler_made_of_it) {
    EXPECT_EQ(short_function_name("fetch(fetch(int)::_Z5fetchi.Frame*) [clone .actor]"), "fetch");
    EXPECT_EQ(short_function_name("S::method(int) [clone .resume]"), "S::method");
}

TEST(short_function_name, keeps_operators_whose_brackets_and_blanks_are_their_names) {
    EXPECT_EQ(short_function_name("S::operator()(int) const"), "S::operator()");
    EXPECT_EQ(short_function_name("bool operator<(S const&, S const&)"), "operator<");
    EXPECT_EQ(short_function_name("S::operator bool() const"), "S::operator bool");
    EXPECT_EQ(short_function_name("f(int)::{lambda(int)#1}::operator()(int) const"),
              "f::{lambda(int)#1}::operator()");
}

TEST(short_function_name, ends_where_a_broken_name_ends) {
    EXPECT_EQ(short_function_name("f(int"), "f");
    EXPECT_EQ(short_function_name("f<int"), "f<int");
    EXPECT_EQ(short_function_name(""), "");
}

TEST(source_frame, says_what_is_known_of_it) {
    EXPECT_EQ(to_string({"f", "a.cpp", 3}), "a.cpp:3 in f");
    EXPECT_EQ(to_string({"", "a.cpp", 3}), "a.cpp:3");
    EXPECT_EQ(to_string({"f", "", 0}), "f");
    EXPECT_EQ(to_string({"f", "a.cpp", 0}), "a.cpp in f");
    EXPECT_EQ(to_string({}), "an unknown place");
}

/// What the tests below expect of a stack, only libbacktrace can tell.
class CallStack : public testing::Test {
protected:
    void SetUp() override {
        if (!knows_lines()) GTEST_SKIP() << "this build has no libbacktrace";
    }
};

// The captures below are made in functions that are not inlined and do not end in a tail call, so
// that they have frames at every optimisation level.

[[gnu::noinline]] std::uint_least32_t capture_here(RawStack& stack, const void* end) {
    capture_stack(stack, end);
    return std::source_location::current().line() - 1;
}

[[gnu::noinline]] std::uint_least32_t call_capture(RawStack& stack, std::uint_least32_t& inner) {
    inner = capture_here(stack, whole_stack);
    return std::source_location::current().line() - 1;
}

TEST_F(CallStack, names_every_caller_with_file_and_line) {
    RawStack stack;
    std::uint_least32_t inner = 0;
    const std::uint_least32_t outer = call_capture(stack, inner);
    const std::vector<SourceFrame> frames = user_frames(stack.span());
    ASSERT_GE(frames.size(), 2U);
    EXPECT_EQ(frames[0].function, "capture_here");
    EXPECT_EQ(frames[1].function, "call_capture");
    EXPECT_TRUE(frames[0].file.ends_with("call_stack_test.cpp")) << frames[0].file;
    EXPECT_EQ(frames[0].line, int(inner));
    EXPECT_EQ(frames[1].line, int(outer));
}

[[gnu::noinline]] void capture_up_to_the_caller(RawStack& stack, const void* end) {
    capture_here(stack, end);
    asm volatile("");
}

TEST_F(CallStack, ends_at_the_given_frame) {
    RawStack stack;
    capture_up_to_the_caller(stack, __builtin_frame_address(0));
    const std::vector<SourceFrame> frames = user_frames(stack.span());
    const auto has = [&](std::string_view name) {
        return std::any_of(frames.begin(), frames.end(),
                           [&](const SourceFrame& frame) { return frame.function == name; });
    };
    EXPECT_TRUE(has("capture_up_to_the_caller"));
    EXPECT_FALSE(has("main"));
}

// NOLINTNEXTLINE(misc-no-recursion)
[[gnu::noinline]] void recurse(RawStack& stack, int depth) {
    if (depth == 0) {
        capture_stack(stack, whole_stack);
    } else {
        recurse(stack, depth - 1);
    }
    asm volatile("");
}

TEST_F(CallStack, keeps_the_innermost_frames_of_a_deep_stack) {
    RawStack stack;
    recurse(stack, 500);
    EXPECT_EQ(stack.count, RawStack::capacity);
    const std::vector<SourceFrame> frames = user_frames(stack.span());
    ASSERT_FALSE(frames.empty());
    EXPECT_EQ(frames.front().function, "recurse");
    EXPECT_EQ(frames.back().function, "recurse");
}

RawStack interrupted_stack;

[[gnu::noinline]] std::uint_least32_t interrupt_itself() {
    ::raise(SIGUSR1);
    return std::source_location::current().line() - 1;
}

TEST_F(CallStack, in_a_signal_handler_begins_with_what_was_interrupted) {
    capture_stack(interrupted_stack, whole_stack);
    struct sigaction action{};
    struct sigaction before{};
    action.sa_handler = [](int) { capture_stack(interrupted_stack, whole_stack); };
    ::sigaction(SIGUSR1, &action, &before);
    const std::uint_least32_t line = interrupt_itself();
    ::sigaction(SIGUSR1, &before, nullptr);
    const std::vector<SourceFrame> frames = user_frames(interrupted_stack.span());
    ASSERT_FALSE(frames.empty());
    EXPECT_EQ(frames[0].function, "interrupt_itself");
    EXPECT_EQ(frames[0].line, int(line));
}

TEST_F(CallStack, leaves_out_the_libraries) {
    // `std::sort` calls us back through frames of its own, and is called through ours.
    RawStack stack;
    int numbers[] = {2, 1};
    std::sort(std::begin(numbers), std::end(numbers), [&](int a, int b) {
        capture_here(stack, whole_stack);
        return a < b;
    });
    for (const SourceFrame& frame : user_frames(stack.span())) {
        EXPECT_FALSE(frame.function.starts_with("std::")) << to_string(frame);
        EXPECT_FALSE(frame.file.starts_with("/usr/include")) << to_string(frame);
    }
}

TEST_F(CallStack, knows_a_function_by_its_code) {
    const SourceFrame found = function_at(reinterpret_cast<const void*>(&recurse));
    EXPECT_EQ(found.function, "recurse");
    EXPECT_TRUE(found.file.ends_with("call_stack_test.cpp")) << found.file;
}

/// Clang without optimisation makes instructions for `&&` that belong to no line.
[[gnu::noinline]] int count_while(int limit, int other) {
    int turns = 0;
    while ((turns < limit && turns < other) || turns < 2) ++turns;
    return turns;
}

TEST_F(CallStack, names_the_function_at_each_of_its_instructions) {
    EXPECT_EQ(count_while(5, 7), 5);
    const auto code = reinterpret_cast<std::uintptr_t>(&count_while);
    const auto caller = reinterpret_cast<std::uintptr_t>(&interrupt_itself);
    const std::size_t size = code_range_of(reinterpret_cast<const void*>(&count_while)).end - code;
    std::size_t offset = 0;
    for (; offset < size; ++offset) {
        const std::uintptr_t stack[] = {code + offset, caller};
        if (function_at(reinterpret_cast<const void*>(stack[0])).function != "count_while") break;
        const std::vector<SourceFrame> frames = user_frames(stack);
        ASSERT_GE(frames.size(), 2U) << "at the offset " << offset;
        EXPECT_EQ(frames[0].function, "count_while") << "at the offset " << offset;
    }
    EXPECT_GT(offset, 16U) << "nearly nothing was looked at";
}

TEST_F(CallStack, of_nowhere_is_empty) {
    EXPECT_TRUE(user_frames({}).empty());
    const std::uintptr_t nowhere[] = {1, 16};
    EXPECT_TRUE(user_frames(nowhere).empty());
    EXPECT_EQ(to_string(function_at(nullptr)), "an unknown place");
}

}  // namespace
