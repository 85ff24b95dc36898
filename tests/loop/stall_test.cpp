// Debug mode names the step that blocks the loop, for how long, and where in the source it was.
//
// The steps here block in earnest, for blocking is what is tested: until the watcher has looked at
// them, which is a matter of milliseconds. What the library logs is collected, and the lines are
// compared with those of this file.
//
// On a busy machine any step may take long, the watcher may look late, and a second time at a step
// that is about to end. So that the line is known all the same, the thread does what the library
// cannot know of: it blocks the signal by which the watcher looks, and lets it in only where it
// means to be found. A look that comes elsewhere waits for that, or comes to nothing.

#include <asyncio.h>

#include "loop/stall_help.h"
#include "machine/call_stack.h"
#include "machine/stall_watch.h"
#include "support/sanitizer.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <mutex>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace stall_test;
using asyncio::Coro;
using asyncio::Duration;
using asyncio::internal::RawStack;
using asyncio::internal::StallWatch;

/// The reports that name this line first, before its callers. There may be others: on a busy
/// machine any step may take longer than the limit.
std::vector<std::string> reports_at(Line line) {
    std::vector<std::string> found;
    for (const std::string& report : logged) {
        const std::string innermost = report.substr(0, report.find(" ← "));
        if (says(innermost, "it was at ") && says(innermost + " ", place(line) + " ")) {
            found.push_back(report);
        }
    }
    return found;
}

/// The reports of steps that have ended and that name this function, wherever in it the step was.
std::vector<std::string> reports_in(const std::string& function) {
    std::vector<std::string> found;
    for (const std::string& report : logged) {
        if (!says(report, "still runs") && says(report + " ", " in " + function + " "))
            found.push_back(report);
    }
    return found;
}

bool same(const RawStack& a, const RawStack& b) { return std::ranges::equal(a.span(), b.span()); }

/// The watcher's next look at this thread, and what has to be known to wait for it: the signal is
/// let in by `ppoll` alone, which does it and blocks in one.
class NextLook {
public:
    NextLook() : before_(seen()) {
        ::pthread_sigmask(SIG_SETMASK, nullptr, &open);
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGURG);
        // What has arrived already was meant for an earlier place, perhaps for an earlier step.
        const timespec at_once{};
        ::sigtimedwait(&signals, nullptr, &at_once);
        sigdelset(&open, SIGURG);
    }

    /// Also true while the step could still end within its limit, and then would not be reported.
    bool is_awaited() const {
        const Duration waited = asyncio::Clock::now() - start_;
        return (same(seen(), before_) || waited <= limit) && waited < 60s;
    }

    sigset_t open;
    static constexpr timespec patience{.tv_sec = 0, .tv_nsec = 1'000'000};

private:
    static const RawStack& seen() { return StallWatch::of_this_thread()->stack(); }

    const RawStack before_;
    const asyncio::TimePoint start_ = asyncio::Clock::now();
};

/// Blocks until the watcher has found this very place, at least for longer than the limit. Returns
/// the line at which it did.
[[gnu::noinline]] Line block() {
    const NextLook look;
    while (look.is_awaited()) {
        ::ppoll(nullptr, 0, &look.patience, &look.open);
    }
    return std::source_location::current().line() - 2;
}

[[gnu::noinline]] Line block_again() {
    const NextLook look;
    while (look.is_awaited()) {
        ::ppoll(nullptr, 0, &look.patience, &look.open);
    }
    return std::source_location::current().line() - 2;
}

Coro<> slow_task(Line& line) {
    line = block();
    co_return;
}

TEST_F(Stall, a_step_is_reported_with_its_task_its_time_and_its_line) {
    Line line = 0;
    run_watched([&]() -> Coro<> {
        auto task = asyncio::create_task(slow_task(line), {.name = "the slow one"});
        co_await task;
    });
    ASSERT_EQ(reports_at(line).size(), 1U) << all_reports();
    const std::string report = reports_at(line)[0];
    EXPECT_TRUE(says(report, "the slow one"));
    EXPECT_TRUE(says(report, "blocked the loop for "));
    EXPECT_TRUE(says(report, " s (limit 0.005 s); it was at "));
    EXPECT_TRUE(says(report, " in block ← "));
}

TEST_F(Stall, the_time_in_the_report_is_that_of_the_step) {
    using Seconds = std::chrono::duration<double>;
    constexpr double rounded_off = 0.0005;
    Line line = 0;
    Seconds blocked{};
    const asyncio::TimePoint before_all = asyncio::Clock::now();
    run_watched([&]() -> Coro<> {
        const asyncio::TimePoint start = asyncio::Clock::now();
        line = block();
        blocked = asyncio::Clock::now() - start;
        co_return;
    });
    const Seconds all = asyncio::Clock::now() - before_all;
    ASSERT_EQ(reports_at(line).size(), 1U) << all_reports();
    const std::string report = reports_at(line)[0];
    const std::string_view words = "blocked the loop for ";
    const double said = std::stod(report.substr(report.find(words) + words.size()));
    EXPECT_GE(said, blocked.count() - rounded_off);
    EXPECT_LE(said, all.count() + rounded_off);
}

[[gnu::noinline]] Line call_block(Line& inner) {
    inner = block();
    return std::source_location::current().line() - 1;
}

Coro<> stuck_coroutine(Line& inner, Line& outer) {
    outer = call_block(inner);
    co_return;
}

TEST_F(Stall, the_callers_are_named_up_to_the_step_and_no_further) {
    Line inner = 0;
    Line outer = 0;
    run_watched([&] { return stuck_coroutine(inner, outer); });
    ASSERT_EQ(reports_at(inner).size(), 1U) << all_reports();
    const std::string report = reports_at(inner)[0];
    EXPECT_TRUE(says(report, " ← "));
    EXPECT_TRUE(says(report, place(outer) + " in call_block"));
    EXPECT_TRUE(says(report, "stuck_coroutine"));
    // What called the loop is not part of the step.
    EXPECT_FALSE(says(report, "testing::"));
}

TEST_F(Stall, a_callback_is_reported_too) {
    Line line = 0;
    run_watched([&]() -> Coro<> {
        asyncio::get_running_loop().call_soon([&] { line = block(); });
        co_await asyncio::sleep(0s);
        co_await asyncio::sleep(0s);
    });
    ASSERT_EQ(reports_at(line).size(), 1U) << all_reports();
    EXPECT_TRUE(says(reports_at(line)[0], "callback"));
}

TEST_F(Stall, the_step_is_found_after_the_task_has_waited) {
    Line line = 0;
    run_watched([&]() -> Coro<> {
        const auto child = [&]() -> Coro<> {
            co_await asyncio::sleep(1ms);
            line = block();
        };
        co_await child();
    });
    EXPECT_EQ(reports_at(line).size(), 1U) << all_reports();
}

TEST_F(Stall, a_step_is_reported_where_it_was_looked_at_last) {
    Line first = 0;
    Line second = 0;
    run_watched([&]() -> Coro<> {
        first = block();
        second = block_again();
        co_return;
    });
    ASSERT_NE(first, second);
    EXPECT_EQ(reports_at(first).size(), 0U) << all_reports();
    EXPECT_EQ(reports_at(second).size(), 1U) << all_reports();
}

[[gnu::noinline]] void compute_until_seen() {
    const SignalMask seen_here(SIG_UNBLOCK);
    const auto is_seen = [] { return StallWatch::of_this_thread()->stack().count > 0; };
    const asyncio::TimePoint start = asyncio::Clock::now();
    Duration computed{};
    while ((!is_seen() || computed <= limit) && computed < 60s) {
        computed = asyncio::Clock::now() - start;
    }
}

TEST_F(Stall, computing_is_found_as_blocking_is) {
    run_watched([&]() -> Coro<> {
        compute_until_seen();
        co_return;
    });
    EXPECT_EQ(reports_in("compute_until_seen").size(), 1U) << all_reports();
}

TEST_F(Stall, every_slow_step_is_found_also_after_the_watcher_has_slept) {
    constexpr int rounds = 10;
    run_watched([&]() -> Coro<> {
        for (int round = 0; round < rounds; ++round) {
            block();
            co_await asyncio::sleep(round % 2 == 0 ? 0ms : 4ms);
        }
    });
    EXPECT_EQ(reports_in("block").size(), std::size_t{rounds}) << all_reports();
}

TEST_F(Stall, real_time_counts_where_the_loop_has_another) {
    Line line = 0;
    Duration moved{};
    run_watched([&]() -> Coro<> {
        asyncio::EventLoop& loop = asyncio::get_running_loop();
        const asyncio::TimePoint start = loop.time();
        line = block();
        moved = loop.time() - start;
        co_return;
    });
    EXPECT_EQ(reports_at(line).size(), 1U) << all_reports();
    const char* backend = std::getenv("ASYNCIO_BACKEND");
    if (backend != nullptr && std::strcmp(backend, "simulated") == 0) {
        EXPECT_EQ(moved, Duration::zero());
    }
}

TEST_F(Stall, quick_steps_are_not_reported) {
    const auto thousand_steps = []() -> Coro<> {
        for (int step = 0; step < 1000; ++step) co_await asyncio::sleep(0s);
    };
    asyncio::Runner runner({.debug = true});
    runner.get_loop().slow_callback_duration = 60s;
    runner.run(thousand_steps());
    runner.close();
    EXPECT_TRUE(logged.empty()) << all_reports();
}

TEST_F(Stall, without_debug_mode_nothing_is_watched) {
    const auto slow_step = []() -> Coro<> {
        asyncio::get_running_loop().slow_callback_duration = limit;
        co_await asyncio::sleep(0s);
        std::this_thread::sleep_for(4 * limit);
    };
    asyncio::run(slow_step(), {.debug = false});
    EXPECT_TRUE(logged.empty()) << all_reports();
}

TEST_F(Stall, debug_mode_counts_as_it_was_when_the_step_began) {
    Line first = 0;
    Line second = 0;
    run_watched([&]() -> Coro<> {
        asyncio::EventLoop& loop = asyncio::get_running_loop();
        loop.set_debug(false);
        loop.slow_callback_duration = limit + 2ms;  // of the next step, by which it can be told
        first = block();
        co_await asyncio::sleep(0s);
        loop.set_debug(true);
        loop.slow_callback_duration = limit;
        std::this_thread::sleep_for(4 * limit);
        co_await asyncio::sleep(0s);
        second = block_again();
    });
    EXPECT_EQ(reports_at(first).size(), 1U) << all_reports();
    EXPECT_EQ(reports_at(second).size(), 1U) << all_reports();
    EXPECT_EQ(all_reports().find("(limit 0.007 s)"), std::string::npos) << all_reports();
}

/// The first look may come just before a system call; of these, one comes in it.
constexpr int enough_looks = 4;

std::atomic<int> looks = 0;
void (*handle_look)(int, siginfo_t*, void*) = nullptr;

/// Has the library's handler count its calls. All else about the signal is as the library wants it.
void count_looks() {
    struct sigaction action{};
    ::sigaction(SIGURG, nullptr, &action);
    handle_look = action.sa_sigaction;
    action.sa_sigaction = [](int signal, siginfo_t* about, void* context) {
        handle_look(signal, about, context);
        ++looks;
    };
    ::sigaction(SIGURG, &action, nullptr);
    looks = 0;
}

void stop_counting_looks() {
    struct sigaction action{};
    ::sigaction(SIGURG, nullptr, &action);
    action.sa_sigaction = handle_look;
    ::sigaction(SIGURG, &action, nullptr);
}

TEST_F(Stall, a_system_call_of_the_step_is_not_disturbed) {
    if (support::under_thread_sanitizer)
        GTEST_SKIP() << "ThreadSanitizer keeps a signal back until the call has ended";
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ssize_t got = 0;
    int error = 0;
    run_watched([&]() -> Coro<> {
        count_looks();
        std::thread writer([&] {
            const asyncio::TimePoint give_up = asyncio::Clock::now() + 60s;
            while (looks < enough_looks && asyncio::Clock::now() < give_up) {
                std::this_thread::sleep_for(limit);
            }
            EXPECT_EQ(::write(ends[1], "x", 1), 1);
        });
        {
            const SignalMask seen_here(SIG_UNBLOCK);
            char byte = 0;
            errno = 0;
            got = ::read(ends[0], &byte, 1);
            error = errno;
        }
        writer.join();
        co_return;
    });
    stop_counting_looks();
    ::close(ends[0]);
    ::close(ends[1]);
    EXPECT_EQ(got, 1);
    EXPECT_EQ(error, 0);
    EXPECT_GE(looks, enough_looks);
}

TEST_F(Stall, two_loops_are_watched_at_a_time) {
    Line first = 0;
    Line second = 0;
    std::thread other([&] {
        run_watched([&]() -> Coro<> {
            first = block();
            co_return;
        });
    });
    run_watched([&]() -> Coro<> {
        second = block_again();
        co_return;
    });
    other.join();
    EXPECT_EQ(reports_at(first).size(), 1U) << all_reports();
    EXPECT_EQ(reports_at(second).size(), 1U) << all_reports();
}

TEST_F(Stall, threads_may_end_while_the_watcher_looks) {
    for (int round = 0; round < 20; ++round) {
        std::thread([] {
            const SignalMask seen_here(SIG_UNBLOCK);
            StallWatch& watch = *StallWatch::of_this_thread();
            watch.begin(1ns, __builtin_frame_address(0),
                        [](std::span<char>) noexcept { return std::size_t{0}; });
            std::this_thread::sleep_for(900us);
            EXPECT_GE(watch.end(), 900us);
        }).join();
    }
}

TEST_F(Stall, limits_that_cannot_be_kept_are_harmless) {
    const auto with_odd_limits = []() -> Coro<> {
        asyncio::EventLoop& loop = asyncio::get_running_loop();
        std::this_thread::sleep_for(2ms);
        loop.slow_callback_duration = -1s;
        co_await asyncio::sleep(0s);
        loop.slow_callback_duration = Duration::max();
    };
    asyncio::Runner runner({.debug = true});
    runner.get_loop().slow_callback_duration = Duration::max();
    runner.run(with_odd_limits());
    runner.close();
    ASSERT_EQ(logged.size(), 1U) << all_reports();
    EXPECT_TRUE(says(logged[0], "limit -1.000 s"));
}

/// In a process of its own: the handler is the process's.
class StallDeathTest : public Stall {
protected:
    void SetUp() override {
        Stall::SetUp();
        GTEST_FLAG_SET(death_test_style, "threadsafe");
    }
};

volatile std::sig_atomic_t own_handler_calls = 0;

void run_with_own_handler() {
    struct sigaction action{};
    action.sa_handler = [](int) { own_handler_calls = own_handler_calls + 1; };
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGURG, &action, nullptr);
    run_watched([]() -> Coro<> {
        const SignalMask seen_here(SIG_UNBLOCK);
        std::this_thread::sleep_for(10 * limit);
        ::raise(SIGURG);
        co_return;
    });
    const bool told = !logged.empty() && own_handler_calls > 0 &&
                      all_reports().find("it was at") == std::string::npos;
    std::fprintf(stderr, "%s: %s", told ? "right" : "wrong", all_reports().c_str());
    std::_Exit(told ? 0 : 1);
}

TEST_F(StallDeathTest, a_program_that_uses_the_signal_keeps_it) {
    EXPECT_EXIT(run_with_own_handler(), testing::ExitedWithCode(0), "right: reported was:");
}

void run_before_and_after_fork() {
    Line line = 0;
    run_watched([&] { return slow_task(line); });
    const pid_t child = ::fork();
    if (child == 0) {
        logged.clear();
        run_watched([&] { return slow_task(line); });
        std::fprintf(stderr, "in the child %s", all_reports().c_str());
        std::_Exit(reports_at(line).size() == 1 ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    std::_Exit(status == 0 ? 0 : 1);
}

void run_without_room_for_a_thread() {
    // No thread can have a stack as large as all memory there is room for.
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    std::size_t usual = 0;
    ::pthread_attr_getstacksize(&attributes, &usual);
    ::pthread_attr_setstacksize(&attributes, std::size_t{1} << 47);
    ::pthread_setattr_default_np(&attributes);
    const SignalMask none_blocked(SIG_UNBLOCK);
    asyncio::run([]() -> Coro<> { co_await asyncio::sleep(1ms); }(), {.debug = true});
    sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    const bool is_deaf =
        ::sigismember(&blocked, SIGINT) == 1 || ::sigismember(&blocked, SIGTERM) == 1;
    // With room again, the next run is watched.
    ::pthread_attr_setstacksize(&attributes, usual);
    ::pthread_setattr_default_np(&attributes);
    Line line = 0;
    run_watched([&] { return slow_task(line); });
    std::fprintf(stderr, "%s, %s\n", is_deaf ? "deaf" : "not deaf", all_reports().c_str());
    std::_Exit(!is_deaf && reports_at(line).size() == 1 ? 0 : 1);
}

TEST_F(StallDeathTest, without_a_thread_for_the_watcher_signals_arrive_and_a_later_run_is_watched) {
    EXPECT_EXIT(run_without_room_for_a_thread(), testing::ExitedWithCode(0), "not deaf");
}

TEST_F(StallDeathTest, a_forked_child_has_a_watcher_of_its_own) {
    if (support::under_thread_sanitizer)
        GTEST_SKIP() << "ThreadSanitizer starts no thread after a fork with threads";
    EXPECT_EXIT(run_before_and_after_fork(), testing::ExitedWithCode(0), "in the child reported");
}

}  // namespace
