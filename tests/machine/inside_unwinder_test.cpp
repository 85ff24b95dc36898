// Goal: a signal handler finds out from the stack alone whether the code it has interrupted is
// inside a certain function, at any depth. Method: a function of this file stands for the
// unwinder's; it looks at its own stack, as a handler on top of it would. That programs live
// through signals in the middle of throws, also static ones, is shown by tests/consumer.

#include "machine/inside_unwinder.h"
#include "support/sanitizer.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <thread>

#include <gtest/gtest.h>
#include <pthread.h>

namespace {

using asyncio::internal::code_range_of;
using asyncio::internal::CodeRange;
using asyncio::internal::is_on_stack;
using asyncio::internal::may_be_inside;

/// Not on the stack, where it would be found itself.
CodeRange code;

struct Look {
    const void* end = nullptr;
    bool found = false;
};

[[gnu::noinline, gnu::no_sanitize_address]] void look(Look& look) {
    look.found = is_on_stack({&code, 1}, __builtin_frame_address(0), look.end);
}

/// Calls `look` at the bottom of `depth` calls.
[[gnu::noinline]] void descend(Look& into, int depth) {
    if (depth == 0) {
        look(into);
    } else {
        descend(into, depth - 1);
    }
    asm volatile("");  // not a call in the tail, which would leave nothing on the stack
}

[[gnu::noinline]] void pass(Look& into, int depth) {
    descend(into, depth);
    asm volatile("");
}

/// Found out on another thread, so that this one's stack has no remainder of it.
template <class Function>
CodeRange range_of(Function* function) {
    CodeRange range;
    std::thread([&] { range = code_range_of(reinterpret_cast<const void*>(function)); }).join();
    return range;
}

class inside_unwinder : public testing::Test {
protected:
    static void SetUpTestSuite() {
        std::thread([] { code = code_range_of(reinterpret_cast<const void*>(&pass)); }).join();
    }
};

TEST_F(inside_unwinder, a_function_that_is_running_is_found_at_any_depth) {
    for (const int depth : {0, 1, 50}) {
        Look into{__builtin_frame_address(0)};
        pass(into, depth);
        EXPECT_TRUE(into.found) << depth << " calls below it";
    }
}

TEST_F(inside_unwinder, a_function_that_is_not_running_is_not_found) {
    Look into{__builtin_frame_address(0)};
    descend(into, 3);
    EXPECT_FALSE(into.found);
}

// A signal that arrives in `wait_for_signal`, over a stack full of addresses of `code`.

std::atomic<bool> is_waiting{false};
/// Read without a call, whose frame would have holes of its own.
volatile std::sig_atomic_t is_interrupted = 0;
Look interrupted;

void look_from_handler(int, siginfo_t*, void* context) {
    interrupted.found =
        may_be_inside({&code, 1}, __builtin_frame_address(0), context, interrupted.end);
    is_interrupted = 1;
}

[[gnu::noinline]] void leave_remainders() {
    std::array<std::uintptr_t, 2048> words;
    words.fill(code.begin);
    asm volatile("" : : "r"(words.data()) : "memory");
}

/// Calls nothing while it waits, so the kernel's record lies where the remainders are.
[[gnu::noinline]] void wait_for_signal() {
    leave_remainders();
    is_waiting = true;
    while (is_interrupted == 0) {
    }
}

bool is_found_in_waiting() {
    struct sigaction before{};
    struct sigaction wanted{};
    wanted.sa_sigaction = &look_from_handler;
    wanted.sa_flags = SA_SIGINFO;
    ::sigaction(SIGUSR1, &wanted, &before);
    is_waiting = false;
    is_interrupted = 0;
    interrupted.end = __builtin_frame_address(0);
    std::thread sender([waiting = ::pthread_self()] {
        while (!is_waiting) std::this_thread::yield();
        ::pthread_kill(waiting, SIGUSR1);
    });
    wait_for_signal();
    sender.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    return interrupted.found;
}

constexpr auto skipped_because = "ThreadSanitizer keeps a signal back until the next call";

TEST_F(inside_unwinder, remainders_in_the_record_of_a_signal_are_not_found) {
    if (support::under_thread_sanitizer) GTEST_SKIP() << skipped_because;
    EXPECT_FALSE(is_found_in_waiting());
}

TEST_F(inside_unwinder, the_place_of_the_interruption_is_found) {
    if (support::under_thread_sanitizer) GTEST_SKIP() << skipped_because;
    const CodeRange of_pass = code;
    code = range_of(&wait_for_signal);
    EXPECT_TRUE(is_found_in_waiting());
    code = of_pass;
}

TEST_F(inside_unwinder, the_code_of_a_function_begins_with_it_and_ends_before_the_next) {
    const CodeRange range = range_of(&descend);
    EXPECT_EQ(range.begin, reinterpret_cast<std::uintptr_t>(&descend));
    EXPECT_GT(range.end, range.begin);
    EXPECT_LT(range.end - range.begin, 4096u);
    EXPECT_FALSE(range.contains(range.begin - 1));
    EXPECT_TRUE(range.contains(range.begin));
}

}  // namespace
