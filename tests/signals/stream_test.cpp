// Goal: a stream gives every signal of its set once, in order, to the task that has waited longest;
// no cancellation loses one.
// Method: signals that the test raises itself; cancellations in every iteration around a signal.

#include "signals/signal_help.h"
#include "support/how.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace signal_test;
using support::how;

Coro<int> next_of(const SignalStream& stream) { co_return co_await stream.next(); }

TEST(signal_stream, a_task_waits_for_the_next_signal_of_the_set) {
    run_test([]() -> Coro<> {
        const SignalStream signals({SIGUSR1, SIGUSR2});
        get_running_loop().call_later(1ms, [] { ::raise(SIGUSR2); });
        const int first = co_await signals.next();
        EXPECT_EQ(first, SIGUSR2);
        get_running_loop().call_later(1ms, [] { ::raise(SIGUSR1); });
        const int second = co_await signals.next();
        EXPECT_EQ(second, SIGUSR1);
    });
}

TEST(signal_stream, SIG_09_signals_between_two_calls_are_counted_and_kept_in_order) {
    run_test([]() -> Coro<> {
        const SignalStream signals({SIGUSR1, SIGUSR2, SIGHUP});
        for (const int signal : {SIGHUP, SIGUSR1, SIGHUP, SIGUSR2}) ::raise(signal);
        EXPECT_EQ(signals.pending(), 0U) << "the loop has not delivered them yet";
        co_await settle_signals();
        EXPECT_EQ(signals.pending(), 4U);
        std::vector<int> order;
        for (int time = 0; time < 4; ++time) order.push_back(co_await signals.next());
        EXPECT_EQ(order, (std::vector<int>{SIGHUP, SIGUSR1, SIGUSR2, SIGHUP}));
        EXPECT_EQ(signals.pending(), 0U);
    });
}

TEST(signal_stream, the_kernel_merges_a_signal_that_is_pending_already) {
    run_test([]() -> Coro<> {
        const SignalStream signals(SIGUSR1);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
        for (int time = 0; time < 3; ++time) ::raise(SIGUSR1);
        ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
        co_await settle_signals();
        EXPECT_EQ(signals.pending(), 1U);
    });
}

TEST(signal_stream, a_signal_of_another_number_is_not_its_business) {
    run_test([]() -> Coro<> {
        const SignalStream signals({SIGUSR1});
        ::raise(SIGUSR2);
        ::raise(SIGUSR1);
        const int signal = co_await signals.next();
        EXPECT_EQ(signal, SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(signals.pending(), 0U);
    });
}

TEST(signal_stream, several_tasks_get_one_signal_each_the_longest_wait_first) {
    run_test([]() -> Coro<> {
        const SignalStream signals({SIGUSR1, SIGUSR2});
        auto first = create_task(next_of(signals));
        auto second = create_task(next_of(signals));
        auto third = create_task(next_of(signals));
        co_await sleep(0s);
        ::raise(SIGUSR1);
        ::raise(SIGUSR2);
        co_await settle_signals();
        EXPECT_TRUE(first.done() && first.result() == SIGUSR1);
        EXPECT_TRUE(second.done() && second.result() == SIGUSR2);
        EXPECT_FALSE(third.done());
        third.cancel();
        EXPECT_EQ(co_await how(third), "cancelled");
    });
}

TEST(signal_stream, two_streams_and_a_callback_all_get_the_signal) {
    run_test([]() -> Coro<> {
        const SignalStream one({SIGUSR1});
        const SignalStream two({SIGUSR1, SIGUSR2});
        int calls = 0;
        const auto subscription = on_signal(SIGUSR1, [&] { ++calls; });
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(one.pending(), 1U);
        EXPECT_EQ(two.pending(), 1U);
        EXPECT_EQ(calls, 1);
    });
}

// Cancellation.

TEST(signal_stream, SIG_09_a_cancelled_wait_leaves_the_stream_usable) {
    run_test([]() -> Coro<> {
        const SignalStream signals({SIGUSR1});
        auto waits = create_task(next_of(signals));
        co_await sleep(0s);
        waits.cancel();
        EXPECT_EQ(co_await how(waits), "cancelled");
        ::raise(SIGUSR1);
        const int signal = co_await signals.next();
        EXPECT_EQ(signal, SIGUSR1);
    });
}

TEST(signal_stream, SIG_09_a_cancellation_in_any_iteration_around_a_signal_does_not_lose_it) {
    for (int moment = 0; moment < 8; ++moment) {
        run_test([=]() -> Coro<> {
            const SignalStream signals({SIGUSR1});
            auto waits = create_task(next_of(signals));
            co_await sleep(0s);
            ::raise(SIGUSR1);
            for (int turn = 0; turn < moment; ++turn) co_await sleep(0s);
            waits.cancel();
            const std::string end = co_await how(waits);
            co_await settle_signals();
            const std::size_t returned = end == "value" ? 1 : 0;
            EXPECT_EQ(returned + signals.pending(), 1U) << moment << ": " << end;
        });
    }
}

TEST(signal_stream, SIG_09_a_request_that_comes_after_the_signal_was_handed_over_stays_pending) {
    run_test([]() -> Coro<> {
        const SignalStream signals({SIGUSR1});
        int signal = 0;
        std::string after;
        const auto wait_twice = [&]() -> Coro<> {
            signal = co_await signals.next();
            after = co_await how(sleep(1h));
        };
        TaskRef task;
        const auto cancels = on_signal(SIGUSR1, [&] { task.cancel(); });
        auto waits = create_task(wait_twice());
        task = TaskRef(waits);
        co_await sleep(0s);
        ::raise(SIGUSR1);
        co_await how(waits);
        EXPECT_EQ(signal, SIGUSR1);
        EXPECT_EQ(after, "cancelled");
    });
}

TEST(signal_stream, SIG_09_a_limit_and_a_signal_in_the_same_moment_lose_nothing) {
    for (int moment = 0; moment < 6; ++moment) {
        const Ignored ignored(SIGUSR1);
        support::run_simulated([=]() -> Coro<> {
            const SignalStream signals({SIGUSR1});
            auto& loop = get_running_loop();
            std::function<void(int)> later = [&](int turns) {
                if (turns == 0) {
                    ::raise(SIGUSR1);
                } else {
                    loop.call_soon([&later, turns] { later(turns - 1); });
                }
            };
            loop.call_later(10ms, [&] { later(moment); });
            const std::string end = co_await how(wait_for(signals.next(), 10ms));
            co_await settle_signals(20);
            const std::size_t returned = end == "value" ? 1 : 0;
            EXPECT_EQ(returned + signals.pending(), 1U) << moment << ": " << end;
        });
    }
}

// Life.

TEST(signal_stream, SIG_08_its_end_restores_the_dispositions_and_drops_what_was_not_taken) {
    run_test([]() -> Coro<> {
        {
            const SignalStream signals({SIGUSR1, SIGUSR2});
            ::raise(SIGUSR1);
            co_await settle_signals();
            EXPECT_EQ(signals.pending(), 1U);
            ::raise(SIGUSR2);
        }
        EXPECT_EQ(present(SIGUSR1).sa_handler, SIG_IGN);
        EXPECT_EQ(present(SIGUSR2).sa_handler, SIG_IGN);
        co_await settle_signals();
    });
}

TEST(signal_stream, SIG_10_a_set_with_a_signal_that_cannot_be_caught_subscribes_to_none_of_it) {
    run_test([]() -> Coro<> {
        EXPECT_EQ(refusal_of([] { const SignalStream signals({SIGUSR1, SIGKILL, SIGUSR2}); }),
                  "RuntimeError: SIGKILL cannot be caught");
        EXPECT_EQ(present(SIGUSR1).sa_handler, SIG_IGN);
        EXPECT_EQ(present(SIGHUP).sa_handler, SIG_IGN);
        EXPECT_EQ(refusal_of([] { const SignalStream signals({SIGUSR1, 65}); }),
                  "invalid_argument: 65 is not the number of a signal");
        co_return;
    });
}

TEST(signal_stream, an_empty_set_has_no_signals) {
    run_test([]() -> Coro<> {
        const SignalStream signals{SignalSet()};
        EXPECT_EQ(co_await how(wait_for(signals.next(), 1ms)), "the time limit has passed");
    });
}

TEST(signal_stream, tasks_that_wait_in_a_stream_that_is_destroyed_can_be_cancelled) {
    run_test([]() -> Coro<> {
        std::optional<SignalStream> signals(std::in_place, SignalSet(SIGUSR1));
        auto waits = create_task(
            [](const SignalStream& stream) -> Coro<> { co_await stream.next(); }(*signals));
        co_await sleep(0s);
        signals.reset();
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_FALSE(waits.done());
        waits.cancel();
        EXPECT_EQ(co_await how(waits), "cancelled");
    });
}

TEST(signal_stream, a_waiter_that_was_handed_a_signal_keeps_it_when_the_stream_is_destroyed) {
    run_test([]() -> Coro<> {
        std::optional<SignalStream> signals(std::in_place, SignalSet(SIGUSR1));
        auto waits = create_task(next_of(*signals));
        co_await sleep(0s);
        const auto destroys = on_signal(SIGUSR1, [&] { signals.reset(); });
        ::raise(SIGUSR1);
        EXPECT_EQ(co_await waits, SIGUSR1);
    });
}

TEST(signal_stream, in_a_task_of_another_loop_or_outside_a_task_it_is_refused) {
    const Ignored ignored(SIGUSR1);
    std::optional<SignalStream> signals;
    EventLoop loop;
    loop.run_until_complete([&]() -> Coro<> {
        signals.emplace(SignalSet(SIGUSR1));
        co_return;
    }());
    const auto use = [&]() -> Coro<std::string> { co_return co_await how(signals->next()); };
    EXPECT_EQ(run(use()), "SignalStream::next(): the stream belongs to another event loop");
    loop.close();
    EXPECT_EQ(run(use()),
              "the event loop is closed: SignalStream::next() needs an open event loop");
    EXPECT_EQ(signals->pending(), 0U);
}

TEST(signal_stream, a_loop_that_closes_leaves_what_has_come_and_ends_the_subscription) {
    const Ignored ignored(SIGUSR1);
    std::optional<SignalStream> signals;
    {
        EventLoop loop;
        loop.run_until_complete([&]() -> Coro<> {
            signals.emplace(SignalSet(SIGUSR1));
            ::raise(SIGUSR1);
            co_await settle_signals();
        }());
        ::raise(SIGUSR1);
    }
    EXPECT_TRUE(ignored.is_back());
    EXPECT_EQ(signals->pending(), 1U);
}

TEST(signal_stream, in_a_simulation_a_program_that_waits_for_nothing_else_is_in_a_deadlock) {
    const Ignored ignored(SIGUSR1);
    const auto main = []() -> Coro<> {
        const SignalStream signals({SIGUSR1});
        co_await signals.next();
    };
    const support::LogCapture log;
    EXPECT_THROW(run(main(), {.backend = lowlevel::BackendKind::simulated}), DeadlockError);
    support::LogCapture::take();
}

TEST(signal_stream, in_a_simulation_a_signal_comes_at_an_exact_time_without_real_waiting) {
    const Ignored ignored(SIGUSR1);
    support::run_simulated([]() -> Coro<> {
        const SignalStream signals({SIGUSR1});
        auto& loop = get_running_loop();
        const TimePoint start = loop.time();
        const TimePoint real_start = Clock::now();
        for (int hour = 1; hour <= 3; ++hour)
            loop.call_later(std::chrono::hours(hour), [] { ::raise(SIGUSR1); });
        for (int hour = 1; hour <= 3; ++hour) {
            co_await signals.next();
            EXPECT_EQ(loop.time() - start, std::chrono::hours(hour));
        }
        EXPECT_LT(Clock::now() - real_start, 1h);
    });
}

TEST(signal_stream, a_signal_of_another_process_wakes_a_loop_that_waits) {
    run_test([]() -> Coro<> {
        const SignalStream signals({SIGUSR1});
        Process process = co_await create_subprocess_shell(
            "kill -USR1 " + std::to_string(::getpid()) + "; exec sleep 100");
        const int signal = co_await signals.next();
        EXPECT_EQ(signal, SIGUSR1);
        process.kill();
        co_await process.wait();
    });
}

}  // namespace
