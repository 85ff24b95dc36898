// Goal: a signal that is being handled on another thread when its guard ends is handled to the end
// first, so that what the handler uses can be taken away then. A signal leaves no trace in the code
// that it interrupts.
// Method: a handler that is held up on purpose, on a thread that sends the signal to itself.

#include "base/interrupt.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <time.h>

namespace {

using asyncio::internal::InterruptGuard;
using asyncio::internal::QuitGuard;

/// A program that a shell starts in the background ignores the signals of the terminal.
class signal_guard : public testing::Test {
protected:
    void SetUp() override {
        ::signal(SIGINT, SIG_DFL);
        ::signal(SIGQUIT, SIG_DFL);
    }
};

struct Handled {
    std::atomic<bool> begun{false};
    std::atomic<bool> ended{false};

    /// As long as a thread may be held up that has lost the processor.
    static void slowly(void* argument, int) noexcept {
        auto& self = *static_cast<Handled*>(argument);
        self.begun = true;
        const timespec delay{.tv_sec = 0, .tv_nsec = 50'000'000};
        ::nanosleep(&delay, nullptr);
        self.ended = true;
    }
};

TEST_F(signal_guard, the_end_waits_for_a_handler_on_another_thread) {
    for (int round = 0; round < 3; ++round) {
        Handled quit;
        {
            QuitGuard guard(true, &Handled::slowly, &quit);
            std::thread other([] { ::raise(SIGQUIT); });
            while (!quit.begun) ::sched_yield();
            other.detach();
            guard.end();
            EXPECT_TRUE(quit.ended);
            EXPECT_EQ(guard.count(), 1);
        }
    }
}

TEST_F(signal_guard, the_end_of_the_one_for_ctrl_c_waits_as_well) {
    Handled handled;
    {
        InterruptGuard guard(&Handled::slowly, &handled);
        std::thread other([] { ::raise(SIGINT); });
        while (!handled.begun) ::sched_yield();
        other.detach();
        guard.end();
        EXPECT_TRUE(handled.ended);
        EXPECT_EQ(guard.count(), 1);
    }
    struct sigaction now{};
    ::sigaction(SIGINT, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
}

TEST_F(signal_guard, every_request_for_the_tree_is_handled_and_errno_stays) {
    std::atomic<int> count = 0;
    const QuitGuard guard(
        true,
        [](void* argument, int) noexcept {
            ++*static_cast<std::atomic<int>*>(argument);
            errno = ENOMEM;
        },
        &count);
    errno = EAGAIN;
    for (int round = 0; round < 3; ++round) ::raise(SIGQUIT);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(count, 3);
    EXPECT_EQ(guard.count(), 3);
}

TEST_F(signal_guard, each_of_several_is_called_and_none_over_a_handler_of_the_programs_own) {
    Handled first;
    Handled second;
    {
        const QuitGuard outer(true, &Handled::slowly, &first);
        const QuitGuard inner(true, &Handled::slowly, &second);
        ::raise(SIGQUIT);
        EXPECT_EQ(inner.count(), 1);
        EXPECT_EQ(outer.count(), 1);
    }
    EXPECT_TRUE(first.ended);
    EXPECT_TRUE(second.ended);
    Handled third;
    static volatile std::sig_atomic_t own = 0;
    ::signal(SIGQUIT, [](int) { own = own + 1; });
    {
        const QuitGuard guard(true, &Handled::slowly, &third);
        ::raise(SIGQUIT);
    }
    ::signal(SIGQUIT, SIG_DFL);
    EXPECT_EQ(own, 1);
    EXPECT_FALSE(third.begun);
}

}  // namespace
