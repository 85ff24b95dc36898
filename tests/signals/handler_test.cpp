// Goal: `add_signal_handler` and `remove_signal_handler` do what Python's do, and leave other loops
// and the signals of child processes alone.
// Method: signals that the test raises itself; loops that are run by hand, closed and destroyed.

#include "signals/signal_help.h"
#include "support/child.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <sched.h>
#include <sys/wait.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace signal_test;

TEST(add_signal_handler, SIG_11_the_handler_is_an_ordinary_callback_with_its_arguments) {
    run_test([]() -> Coro<> {
        std::string order;
        auto& loop = get_running_loop();
        const auto append = [](std::string& to, const char* what) { to += what; };
        loop.add_signal_handler(SIGUSR1, append, std::ref(order), "signal ");
        ::raise(SIGUSR1);
        order += "raised ";
        co_await settle_signals();
        EXPECT_EQ(order, "raised signal ");
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "raised signal signal ");
        EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
    });
}

TEST(add_signal_handler, SIG_06_a_second_handler_of_the_loop_replaces_the_first) {
    run_test([]() -> Coro<> {
        auto& loop = get_running_loop();
        auto captured = std::make_shared<int>(0);
        int calls = 0;
        loop.add_signal_handler(SIGUSR1, [captured] { ++*captured; });
        loop.add_signal_handler(SIGUSR1, [&] { ++calls; });
        EXPECT_EQ(captured.use_count(), 1);
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(*captured, 0);
        EXPECT_EQ(calls, 1);
        EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
        EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
    });
}

TEST(add_signal_handler, a_signal_that_has_come_before_the_replacement_goes_to_the_new_handler) {
    run_test([]() -> Coro<> {
        auto& loop = get_running_loop();
        std::string order;
        loop.add_signal_handler(SIGUSR1, [&] { order += 'a'; });
        ::raise(SIGUSR1);
        loop.add_signal_handler(SIGUSR1, [&] { order += 'b'; });
        co_await settle_signals();
        EXPECT_EQ(order, "b");
        loop.remove_signal_handler(SIGUSR1);
    });
}

TEST(add_signal_handler, a_handler_may_replace_and_remove_itself) {
    run_test([]() -> Coro<> {
        auto& loop = get_running_loop();
        std::string order;
        loop.add_signal_handler(SIGUSR1, [&] {
            order += 'a';
            loop.add_signal_handler(SIGUSR1, [&] {
                order += 'b';
                EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
                EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
                order += 'c';
            });
        });
        for (int time = 0; time < 3; ++time) ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "abc");
        EXPECT_EQ(present(SIGUSR1).sa_handler, SIG_IGN);
    });
}

TEST(add_signal_handler, SIG_10_a_refusal_names_the_signal_and_changes_nothing) {
    run_test([]() -> Coro<> {
        auto& loop = get_running_loop();
        int calls = 0;
        loop.add_signal_handler(SIGUSR1, [&] { ++calls; });
        const auto add = [&](int signal) {
            return refusal_of([&] { loop.add_signal_handler(signal, [] {}); });
        };
        EXPECT_EQ(add(SIGKILL), "RuntimeError: SIGKILL cannot be caught");
        EXPECT_EQ(add(1000), "invalid_argument: 1000 is not the number of a signal");
        EXPECT_EQ(refusal_of([&] { loop.remove_signal_handler(0); }),
                  "invalid_argument: 0 is not the number of a signal");
        EXPECT_FALSE(loop.remove_signal_handler(SIGKILL));
        EXPECT_FALSE(loop.remove_signal_handler(SIGUSR2));
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(calls, 1);
        loop.remove_signal_handler(SIGUSR1);
    });
}

TEST(add_signal_handler, a_subscription_is_no_handler_to_remove) {
    run_test([]() -> Coro<> {
        const auto subscription = on_signal(SIGUSR1, [] {});
        EXPECT_FALSE(get_running_loop().remove_signal_handler(SIGUSR1));
        EXPECT_TRUE(subscription);
        co_return;
    });
}

// The loop.

TEST(add_signal_handler, before_the_loop_runs_a_signal_waits_for_the_run) {
    const Ignored ignored(SIGUSR1);
    support::TestLoop loop;
    int calls = 0;
    loop->add_signal_handler(SIGUSR1, [&] { ++calls; });
    ::raise(SIGUSR1);
    EXPECT_EQ(calls, 0);
    loop.run_once();
    EXPECT_EQ(calls, 1);
    loop->close();
}

TEST(add_signal_handler, SIG_04_closing_the_loop_removes_everything_and_restores_the_disposition) {
    const Ignored ignored(SIGUSR1);
    auto captured = std::make_shared<int>(0);
    SignalSubscription outlives;
    {
        EventLoop loop;
        loop.add_signal_handler(SIGUSR1, [captured] { ++*captured; });
        loop.call_soon([&] {
            outlives = on_signal(SIGUSR1, [captured] { ++*captured; });
            loop.stop();
        });
        loop.run_forever();
        EXPECT_EQ(captured.use_count(), 3);
        ::raise(SIGUSR1);
        ::raise(SIGUSR1);
        loop.close();
        EXPECT_TRUE(ignored.is_back());
        EXPECT_EQ(captured.use_count(), 1);
        EXPECT_FALSE(outlives);
        ::raise(SIGUSR1);
        EXPECT_EQ(*captured, 0);
        EXPECT_EQ(refusal_of([&] { loop.add_signal_handler(SIGUSR1, [] {}); }),
                  "RuntimeError: the event loop is closed: EventLoop::add_signal_handler() needs "
                  "an open event loop");
        EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
    }
    outlives.remove();
}

TEST(add_signal_handler, SIG_04_a_closed_loop_leaves_the_signal_to_the_loops_that_are_open) {
    const Ignored ignored(SIGUSR1);
    support::TestLoop stays;
    int calls = 0;
    stays->add_signal_handler(SIGUSR1, [&] { ++calls; });
    {
        EventLoop goes;
        goes.add_signal_handler(SIGUSR1, [&] { calls += 100; });
        ::raise(SIGUSR1);
    }
    EXPECT_FALSE(ignored.is_back());
    ::raise(SIGUSR1);
    stays.run_once();
    stays.run_once();
    EXPECT_EQ(calls, 2);
    stays->close();
}

TEST(add_signal_handler, a_capture_that_is_destroyed_by_the_close_may_use_the_loop) {
    struct Uses {
        EventLoop& loop;
        SignalSubscription other;
        ~Uses() {
            EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
            other.remove();
        }
    };
    const Ignored usr1(SIGUSR1);
    const Ignored usr2(SIGUSR2);
    EventLoop loop;
    SignalSubscription own;
    loop.call_soon([&] {
        auto uses = std::make_shared<Uses>(loop, on_signal(SIGUSR2, [] {}));
        loop.add_signal_handler(SIGUSR1, [uses] {});
        // A callback that owns its own subscription.
        auto itself = std::make_shared<SignalSubscription>();
        *itself = on_signal(SIGUSR1, [itself] {});
        loop.stop();
    });
    loop.run_forever();
    loop.close();
}

TEST(add_signal_handler, a_capture_that_subscribes_again_during_the_close_leaves_nothing_behind) {
    struct Again {
        EventLoop& loop;
        ~Again() {
            loop.add_signal_handler(SIGUSR1, [] {});
        }
    };
    const Ignored ignored(SIGUSR1);
    EventLoop loop;
    loop.add_signal_handler(SIGUSR1, [again = std::make_shared<Again>(loop)] {});
    loop.close();
    EXPECT_TRUE(ignored.is_back());
}

TEST(add_signal_handler, a_cleanup_task_may_subscribe_while_the_loop_closes) {
    const Ignored ignored(SIGUSR1);
    const support::LogCapture log(LogLevel::error);
    int calls = 0;
    {
        EventLoop loop;
        const auto task = loop.create_task([](int& count) -> Coro<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            const auto subscription = on_signal(SIGUSR1, [&] { ++count; });
            ::raise(SIGUSR1);
            co_await sleep(1ms);
            if (cancelled) throw CancelledError();
        }(calls));
        loop.call_soon([&] { loop.stop(); });
        loop.run_forever();
    }
    EXPECT_EQ(calls, 1);
}

TEST(add_signal_handler, in_debug_mode_a_wrong_thread_is_refused) {
    run_test([]() -> Coro<> {
        auto& loop = get_running_loop();
        loop.set_debug(true);
        std::string add;
        std::string remove;
        std::thread([&] {
            add = refusal_of([&] { loop.add_signal_handler(SIGUSR1, [] {}); });
            remove = refusal_of([&] { loop.remove_signal_handler(SIGUSR1); });
        }).join();
        EXPECT_TRUE(add.starts_with("RuntimeError: used on a thread other than its loop's"));
        EXPECT_TRUE(remove.starts_with("RuntimeError: used on a thread other than its loop's"));
        loop.set_debug(false);
        co_return;
    });
}

// Threads and processes.

TEST(add_signal_handler, a_signal_from_another_thread_wakes_a_loop_that_waits) {
    run_test([]() -> Coro<> {
        auto& loop = get_running_loop();
        auto called = loop.create_future();
        loop.add_signal_handler(SIGUSR1, [&] { called.set_result(); });
        loop.expect_wakes(1);
        // Handled on the thread that raises it, so not on the loop's.
        std::thread other([] { ::raise(SIGUSR1); });
        co_await called;
        loop.expect_wakes(-1);
        other.join();
        loop.remove_signal_handler(SIGUSR1);
    });
}

TEST(add_signal_handler, SIG_12_loops_in_several_threads_all_get_the_signal) {
    const Ignored ignored(SIGUSR1);
    std::atomic<int> ready = 0;
    std::atomic<int> called = 0;
    const auto work = [&] {
        EventLoop loop;
        loop.add_signal_handler(SIGUSR1, [&] {
            ++called;
            loop.stop();
        });
        loop.expect_wakes(1);
        ++ready;
        loop.run_forever();
        loop.expect_wakes(-1);
    };
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread) threads.emplace_back(work);
    while (ready < 3) ::sched_yield();
    ::kill(::getpid(), SIGUSR1);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(called, 3);
}

TEST(add_signal_handler, loops_close_in_threads_while_the_signal_comes) {
    const Ignored ignored(SIGUSR1);
    std::atomic<bool> over = false;
    std::thread sender([&] {
        for (; !over; ::sched_yield()) ::raise(SIGUSR1);
    });
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 2; ++thread) {
        threads.emplace_back([] {
            for (int round = 0; round < 20; ++round) {
                EventLoop loop;
                int calls = 0;
                loop.add_signal_handler(SIGUSR1, [&] { ++calls; });
                loop.stop();
                loop.run_forever();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    over = true;
    sender.join();
}

volatile std::sig_atomic_t child_signals = 0;
void count_child_signal(int) { child_signals = child_signals + 1; }

TEST(add_signal_handler, SIG_05_the_signals_of_child_processes_stay_as_they_are) {
    run_test([]() -> Coro<> {
        struct sigaction own{};
        own.sa_handler = &count_child_signal;
        own.sa_flags = SA_RESTART | SA_NOCLDSTOP;
        struct sigaction before{};
        ::sigaction(SIGCHLD, &own, &before);
        child_signals = 0;
        auto& loop = get_running_loop();
        loop.add_signal_handler(SIGUSR1, [] {});
        Process process = co_await create_subprocess_exec("true");
        EXPECT_EQ(co_await process.wait(), 0);
        EXPECT_EQ(present(SIGCHLD).sa_handler, &count_child_signal);
        EXPECT_EQ(present(SIGCHLD).sa_flags & SA_NOCLDSTOP, SA_NOCLDSTOP);
        loop.remove_signal_handler(SIGUSR1);
        EXPECT_EQ(present(SIGCHLD).sa_handler, &count_child_signal);
        EXPECT_EQ(child_signals, 1);
        ::sigaction(SIGCHLD, &before, nullptr);
    });
}

TEST(add_signal_handler, SIG_05_a_subscriber_of_the_end_of_children_takes_no_status_away) {
    const auto before = present(SIGCHLD);
    support::run_test([]() -> Coro<> {
        auto seen = get_running_loop().create_future();
        const auto subscription = on_signal(SIGCHLD, [&] {
            if (!seen.done()) seen.set_result();
        });
        Process process = co_await create_subprocess_shell("exit 3");
        EXPECT_EQ(co_await process.wait(), 3);
        co_await seen;
    });
    EXPECT_EQ(present(SIGCHLD).sa_handler, before.sa_handler);
}

TEST(add_signal_handler, SIG_07_a_signal_in_a_forked_child_does_not_wake_the_loop_of_the_parent) {
    support::TestLoop loop;
    int calls = 0;
    const Ignored ignored(SIGUSR1);
    loop->add_signal_handler(SIGUSR1, [&] { ++calls; });
    // Forked on a thread, as a library may do.
    std::thread([&] {
        EXPECT_SCENE([&] {
            loop.probe().before_waking = [] { ::_exit(3); };
            ::raise(SIGUSR1);
            ::kill(::getpid(), SIGUSR1);
            return support::check(ignored.is_back());
        });
    }).join();
    loop.run_once();
    EXPECT_EQ(calls, 0);
    ::raise(SIGUSR1);
    loop.run_once();
    EXPECT_EQ(calls, 1);
    loop->close();
}

TEST(add_signal_handler, SIG_07_a_child_forked_on_a_thread_has_handlers_of_its_own) {
    const Ignored ignored(SIGUSR1);
    support::TestLoop loop;
    int calls = 0;
    loop->add_signal_handler(SIGUSR1, [&] { ++calls; });
    std::thread([&] {
        EXPECT_SCENE([&] {
            EventLoop own;
            int own_calls = 0;
            own.add_signal_handler(SIGUSR1, [&] {
                ++own_calls;
                own.stop();
            });
            own.call_soon([] { ::raise(SIGUSR1); });
            own.run_forever();
            own.close();
            return support::check(own_calls == 1 && calls == 0 && ignored.is_back());
        });
    }).join();
    loop->close();
}

}  // namespace
