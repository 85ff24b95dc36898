// Goal: a barrier opens for exactly as many tasks as it needs, round after round, and whoever is
// cancelled, reset or aborted leaves it usable for the others.
// Method: tasks note their index, or that the barrier was broken.

#include <asyncio.h>

#include "sync/sync_help.h"

#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Barrier;
using asyncio::BrokenBarrierError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::sleep;
using support::run_test;
using support::Ticks;
using sync_help::run_for;
using sync_help::run_in_two_loops;
using sync_help::Trace;
using namespace std::chrono_literals;

/// Meets the others `rounds` times; notes its name and index, or "-" for a broken barrier.
Coro<> meet(Barrier& barrier, Trace& trace, std::string name, int rounds = 1) {
    for (int round = 0; round < rounds; ++round) {
        std::string result = "-";
        try {
            const std::size_t index = co_await barrier.wait();
            result = std::to_string(index);
        } catch (const BrokenBarrierError&) {
        }
        trace.note(name + result);
    }
}

TEST(barrier, BAR_01_the_last_arrival_releases_all_and_everybody_has_an_index) {
    run_test([]() -> Coro<> {
        Barrier barrier(3);
        Ticks ticks;
        Trace trace(ticks);
        EXPECT_EQ(barrier.parties(), 3u);
        auto a = create_task(meet(barrier, trace, "A"));
        co_await sleep(0s);
        EXPECT_EQ(barrier.n_waiting(), 1u);
        auto b = create_task(meet(barrier, trace, "B"));
        co_await sleep(0s);
        EXPECT_EQ(barrier.n_waiting(), 2u);
        trace.start();
        co_await meet(barrier, trace, "C");
        EXPECT_EQ(barrier.n_waiting(), 0u);
        co_await asyncio::gather(a, b);
        EXPECT_EQ(trace.text(), "0:C2 1:A0 1:B1") << "the last one does not wait";
    });
}

TEST(barrier, BAR_01_one_party_never_waits) {
    run_test([]() -> Coro<> {
        Barrier barrier(1);
        Ticks ticks;
        for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await barrier.wait(), 0u);
        EXPECT_EQ(ticks.count(), 0);
        EXPECT_FALSE(barrier.broken());
    });
}

TEST(barrier, BAR_02_a_second_round_waits_until_the_first_has_drained) {
    run_test([]() -> Coro<> {
        Barrier barrier(2);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A", 2));
        auto b = create_task(meet(barrier, trace, "B", 2));
        co_await asyncio::gather(a, b);
        EXPECT_EQ(trace.text(), "B1 A0 B1 A0") << "B waits outside until A has left";
        EXPECT_EQ(barrier.n_waiting(), 0u);
    });
}

TEST(barrier, BAR_02_many_rounds_of_many_tasks) {
    run_test([]() -> Coro<> {
        Barrier barrier(5);
        std::vector<int> arrived(40);
        const auto run = [&]() -> Coro<> {
            for (std::size_t round = 0; round < arrived.size(); ++round) {
                ++arrived[round];
                co_await barrier.wait();
                EXPECT_EQ(arrived[round], 5) << "nobody passes before all are there";
            }
        };
        co_await asyncio::gather(run(), run(), run(), run(), run());
    });
}

TEST(barrier, BAR_02_who_comes_while_it_drains_belongs_to_the_next_round) {
    run_test([]() -> Coro<> {
        Barrier barrier(2);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A"));
        co_await sleep(0s);
        co_await meet(barrier, trace, "B");
        auto c = create_task(meet(barrier, trace, "C"));
        auto d = create_task(meet(barrier, trace, "D"));
        EXPECT_EQ(barrier.n_waiting(), 0u) << "draining";
        co_await asyncio::gather(a, c, d);
        EXPECT_EQ(trace.text(), "B1 A0 D1 C0");
    });
}

TEST(barrier, BAR_04_a_reset_breaks_those_who_wait_and_leaves_it_as_new) {
    run_test([]() -> Coro<> {
        Barrier barrier(3);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A"));
        auto b = create_task(meet(barrier, trace, "B"));
        co_await sleep(0s);
        barrier.reset();
        co_await asyncio::gather(a, b);
        EXPECT_EQ(trace.text(), "A- B-");
        EXPECT_FALSE(barrier.broken());
        co_await asyncio::gather(meet(barrier, trace, "C"), meet(barrier, trace, "D"),
                                 meet(barrier, trace, "E"));
        EXPECT_EQ(trace.text(), "A- B- E2 C0 D1");
    });
}

TEST(barrier, BAR_04_who_comes_right_after_a_reset_waits_in_the_new_round) {
    run_test([]() -> Coro<> {
        Barrier barrier(2);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A"));
        co_await sleep(0s);
        barrier.reset();
        co_await asyncio::gather(meet(barrier, trace, "B"), meet(barrier, trace, "C"));
        co_await a;
        EXPECT_EQ(trace.text(), "A- C1 B0");
    });
}

TEST(barrier, BAR_08_an_aborted_barrier_refuses_everybody_until_it_is_reset) {
    run_test([]() -> Coro<> {
        Barrier barrier(2);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A"));
        co_await sleep(0s);
        barrier.abort();
        EXPECT_TRUE(barrier.broken());
        co_await meet(barrier, trace, "B");
        co_await a;
        EXPECT_EQ(trace.text(), "B- A-");
        EXPECT_TRUE(barrier.broken());
        barrier.reset();
        EXPECT_FALSE(barrier.broken());
        co_await asyncio::gather(meet(barrier, trace, "C"), meet(barrier, trace, "D"));
        EXPECT_EQ(trace.text(), "B- A- D1 C0");
    });
}

TEST(barrier, BAR_08_a_plain_callback_resets_or_aborts_it) {
    run_test([]() -> Coro<> {
        asyncio::Barrier barrier(2);
        static_assert(std::is_void_v<decltype(barrier.reset())>);
        static_assert(std::is_void_v<decltype(barrier.abort())>);
        asyncio::EventLoop& loop = asyncio::get_running_loop();
        loop.call_later(1ms, [&] { barrier.reset(); });
        EXPECT_THROW(co_await barrier.wait(), asyncio::BrokenBarrierError);
        EXPECT_FALSE(barrier.broken());
        loop.call_later(1ms, [&] { barrier.abort(); });
        EXPECT_THROW(co_await barrier.wait(), asyncio::BrokenBarrierError);
        EXPECT_TRUE(barrier.broken());
    });
}

TEST(barrier, a_cancelled_waiter_does_not_break_it) {
    run_test([]() -> Coro<> {
        Barrier barrier(3);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A"));
        auto b = create_task(meet(barrier, trace, "B"));
        co_await sleep(0s);
        a.cancel();
        co_await run_for(2);
        EXPECT_TRUE(a.cancelled());
        EXPECT_EQ(barrier.n_waiting(), 1u);
        EXPECT_FALSE(barrier.broken());
        auto c = create_task(meet(barrier, trace, "C"));
        auto d = create_task(meet(barrier, trace, "D"));
        co_await asyncio::gather(b, c, d);
        EXPECT_EQ(trace.text(), "D2 B1 C1") << "as in CPython, an index may come twice then";
    });
}

TEST(barrier, a_cancelled_waiter_leaves_the_others_in_their_order) {
    run_test([]() -> Coro<> {
        Barrier barrier(4);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A"));
        auto b = create_task(meet(barrier, trace, "B"));
        auto c = create_task(meet(barrier, trace, "C"));
        co_await sleep(0s);
        a.cancel();
        co_await run_for(3);
        auto d = create_task(meet(barrier, trace, "D"));
        auto e = create_task(meet(barrier, trace, "E"));
        co_await asyncio::gather(b, c, d, e);
        EXPECT_EQ(trace.text(), "E3 B1 C2 D2");
    });
}

TEST(barrier, a_waiter_cancelled_after_it_opened_leaves_like_the_others) {
    run_test([]() -> Coro<> {
        Barrier barrier(2);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A"));
        co_await sleep(0s);
        co_await meet(barrier, trace, "B");
        a.cancel();
        co_await run_for(2);
        EXPECT_TRUE(a.cancelled());
        co_await asyncio::gather(meet(barrier, trace, "C"), meet(barrier, trace, "D"));
        EXPECT_EQ(trace.text(), "B1 D1 C0");
    });
}

TEST(barrier, BAR_06_less_than_one_party_is_refused) {
    EXPECT_THROW(Barrier(0), std::invalid_argument);
    EXPECT_THROW(Barrier(-1), std::invalid_argument);
}

TEST(barrier, BAR_07_a_reset_while_it_drains_breaks_those_who_have_not_left) {
    run_test([]() -> Coro<> {
        Barrier barrier(3);
        Trace trace;
        const auto leave_and_reset = [&]() -> Coro<> {
            co_await meet(barrier, trace, "A");
            barrier.reset();
        };
        auto a = create_task(leave_and_reset());
        auto b = create_task(meet(barrier, trace, "B"));
        auto c = create_task(meet(barrier, trace, "C"));
        co_await asyncio::gather(a, b, c);
        EXPECT_EQ(trace.text(), "C2 A0 B-");
        EXPECT_FALSE(barrier.broken());
        co_await asyncio::gather(meet(barrier, trace, "D"), meet(barrier, trace, "E"),
                                 meet(barrier, trace, "F"));
        EXPECT_EQ(trace.text(), "C2 A0 B- F2 D0 E1");
    });
}

TEST(barrier, BAR_07_those_who_are_blocked_outside_meanwhile_make_the_next_round) {
    run_test([]() -> Coro<> {
        Barrier barrier(2);
        Trace trace;
        auto a = create_task(meet(barrier, trace, "A"));
        co_await sleep(0s);
        co_await meet(barrier, trace, "B");
        auto c = create_task(meet(barrier, trace, "C"));
        auto d = create_task(meet(barrier, trace, "D"));
        barrier.reset();
        co_await asyncio::gather(a, c, d);
        EXPECT_EQ(trace.text(), "B1 A- D1 C0");
    });
}

TEST(barrier, LOCK_07_a_barrier_that_was_waited_at_in_one_loop_refuses_to_be_in_another) {
    Barrier barrier(2);
    const auto wait_in_vain = [&]() -> Coro<> {
        EXPECT_THROW(co_await asyncio::wait_for(barrier.wait(), 1ms), asyncio::TimeoutError);
    };
    run_in_two_loops(wait_in_vain, [&]() -> Coro<> {
        EXPECT_THROW(co_await barrier.wait(), asyncio::RuntimeError);
        EXPECT_EQ(barrier.n_waiting(), 0u) << "the refused one is not counted";
    });
}

}  // namespace
