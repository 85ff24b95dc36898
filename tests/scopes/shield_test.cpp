// Goal: a shield keeps the cancellation of a waiter from the task it waits for, passes everything
// else through, and reports an error that nobody is left to see exactly once.
// Method: outer and inner task, cancelled and ended in both orders; the log is compared.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Future;
using asyncio::shield;
using asyncio::sleep;
using asyncio::Task;
using support::LogCapture;
using support::MoveOnly;
using support::run_test;
using support::TestLoop;
using support::Ticks;
using namespace std::chrono_literals;

Future<> new_signal() { return asyncio::get_running_loop().create_future(); }

/// Ends when it is told to: what comes first must not depend on how busy the machine is.
Coro<int> number_when(Future<> signal, int number) {
    co_await signal;
    co_return number;
}

Coro<int> fail_when(Future<> signal) {
    co_await signal;
    throw std::runtime_error("broken");
}

Coro<int> await_shielded(Task<int> inner) { co_return co_await shield(inner); }

TEST(shield, passes_a_value_and_an_error_through) {
    run_test([]() -> Coro<> {
        auto good = create_task([]() -> Coro<int> {
            co_await sleep(1ms);
            co_return 7;
        }());
        EXPECT_EQ(co_await shield(good), 7);
        auto bad = create_task([]() -> Coro<> {
            co_await sleep(1ms);
            throw std::runtime_error("broken");
        }());
        bool caught = false;
        try {
            co_await shield(bad);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        EXPECT_TRUE(caught);
    });
}

TEST(shield, GATH_19_cancelling_the_waiter_leaves_the_inner_task_running) {
    run_test([]() -> Coro<> {
        const auto signal = new_signal();
        auto inner = create_task(number_when(signal, 7));
        auto outer = create_task(await_shielded(inner));
        co_await sleep(0s);
        outer.cancel("why");
        co_await sleep(0s);
        EXPECT_TRUE(outer.cancelled()) << "without waiting for the inner one";
        EXPECT_FALSE(inner.done());
        EXPECT_EQ(inner.cancelling(), 0u);
        signal.set_result();
        EXPECT_EQ(co_await inner, 7);
    });
}

TEST(shield, GATH_21_an_error_after_the_waiter_is_gone_is_reported_exactly_once) {
    run_test([]() -> Coro<> {
        {
            const auto signal = new_signal();
            auto inner = create_task(fail_when(signal));
            auto outer = create_task(await_shielded(inner));
            co_await sleep(0s);
            outer.cancel();
            co_await sleep(0s);
            signal.set_result();
            for (int i = 0; i < 4; ++i) co_await sleep(0s);
            EXPECT_TRUE(inner.done());
        }
        const std::vector<std::string> lines = LogCapture::take();
        EXPECT_EQ(lines.size(), 1u);
        if (!lines.empty()) {
            EXPECT_TRUE(support::contains(lines[0], "broken")) << lines[0];
        }
    });
}

TEST(shield, GATH_21_success_and_cancellation_after_the_waiter_is_gone_are_silent) {
    run_test([]() -> Coro<> {
        const auto signal = new_signal();
        auto good = create_task(number_when(signal, 1));
        auto victim = create_task(number_when(new_signal(), 1));
        auto first = create_task(await_shielded(good));
        auto second = create_task(await_shielded(victim));
        co_await sleep(0s);
        first.cancel();
        second.cancel();
        co_await sleep(0s);
        victim.cancel();
        signal.set_result();
        for (int i = 0; i < 4; ++i) co_await sleep(0s);
        EXPECT_TRUE(good.done() && victim.cancelled());
        EXPECT_TRUE(first.cancelled() && second.cancelled());
    });
}

TEST(shield, GATH_22_of_what_is_done_is_done) {
    run_test([]() -> Coro<> {
        const auto signal = new_signal();
        signal.set_result();
        auto done = create_task(number_when(signal, 3));
        co_await done;
        const Ticks ticks;
        const int before = ticks.count();
        EXPECT_EQ(co_await shield(done), 3);
        EXPECT_EQ(ticks.count(), before);
    });
}

TEST(shield, GATH_23_inside_a_gather_protects_its_part_only) {
    run_test([]() -> Coro<> {
        const auto signal = new_signal();
        auto a = create_task(number_when(signal, 1));
        auto b = create_task(number_when(new_signal(), 2));
        auto together = asyncio::gather(shield(a), b);
        co_await sleep(0s);
        together.cancel();
        co_await asyncio::gather_settled(together);
        EXPECT_TRUE(b.cancelled());
        signal.set_result();
        EXPECT_EQ(co_await a, 1);
    });
}

TEST(shield, GATH_23_around_a_gather_protects_all_parts) {
    run_test([]() -> Coro<> {
        const auto signal = new_signal();
        auto a = create_task(number_when(signal, 1));
        auto b = create_task(number_when(signal, 2));
        auto protected_gather = shield(asyncio::gather(a, b));
        co_await sleep(0s);
        protected_gather.cancel();
        EXPECT_TRUE(protected_gather.cancelled());
        signal.set_result();
        EXPECT_EQ(co_await a, 1);
        EXPECT_EQ(co_await b, 2);
    });
}

TEST(shield, a_task_that_is_cancelled_itself_is_seen_as_cancelled) {
    run_test([]() -> Coro<> {
        auto inner = create_task(number_when(new_signal(), 1));
        auto shielded = shield(inner);
        {
            // Nobody looks at this one: a cancellation is no error to report.
            auto ignored = shield(inner);
        }
        co_await sleep(0s);
        inner.cancel("why");
        const auto [outcome] = co_await asyncio::gather_settled(shielded);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_TRUE(shielded.cancelled());
        EXPECT_EQ(asyncio::describe(outcome.error()), "cancelled: why");
    });
}

TEST(shield, its_waiter_resumes_two_iterations_after_the_end_of_the_inner_task) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        int ended_at = 0;
        auto inner = create_task([](const Ticks& counter, int& at) -> Coro<> {
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            at = counter.count();
        }(ticks, ended_at));
        co_await shield(inner);
        EXPECT_EQ(ticks.count(), ended_at + 2);
    });
}

TEST(shield, of_a_future_nobody_sets_goes_when_the_loop_closes) {
    const LogCapture log;
    TestLoop loop;
    std::weak_ptr<int> watched;
    loop->run_until_complete([](std::weak_ptr<int>& left) -> Coro<> {
        auto never = core_help::unset_future(left);
        static_cast<void>(shield(never));
        co_await sleep(1ms);
    }(watched));
    EXPECT_FALSE(watched.expired());
    loop->close();
    EXPECT_TRUE(watched.expired());
}

TEST(shield, several_shields_of_one_task_are_independent) {
    run_test([]() -> Coro<> {
        const auto signal = new_signal();
        auto inner = create_task(number_when(signal, 7));
        auto a = create_task(await_shielded(inner));
        auto b = create_task(await_shielded(inner));
        co_await sleep(0s);
        a.cancel();
        co_await sleep(0s);
        signal.set_result();
        EXPECT_EQ(co_await b, 7);
        EXPECT_TRUE(a.cancelled());
    });
}

TEST(shield, a_value_that_can_only_be_moved_passes_once) {
    run_test([]() -> Coro<> {
        auto inner = create_task([]() -> Coro<MoveOnly> {
            co_await sleep(0s);
            co_return MoveOnly(3);
        }());
        const MoveOnly value = co_await shield(inner);
        EXPECT_EQ(value.number, 3);
        EXPECT_THROW(inner.result(), asyncio::InvalidStateError);
    });
}

TEST(shield, one_that_nobody_awaits_releases_everything_in_the_end) {
    run_test([]() -> Coro<> {
        auto inner = create_task([]() -> Coro<support::Tracked> {
            co_await sleep(0s);
            co_return support::Tracked(1);
        }());
        {
            auto dropped = shield(inner);
        }
        co_await inner;
        co_await sleep(0s);
        inner = {};
        EXPECT_EQ(support::Tracked::alive(), 0);
    });
}

}  // namespace
