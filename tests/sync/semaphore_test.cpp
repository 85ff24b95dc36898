// Goal: a semaphore hands its permits out in the order of arrival, lets nobody overtake, and loses
// none, however releases and cancellations meet.
// Method: tasks note when they get a permit; permits are counted at the end.

#include <asyncio.h>

#include "sync/sync_help.h"

#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::BoundedSemaphore;
using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Semaphore;
using asyncio::sleep;
using asyncio::Task;
using support::run_test;
using support::Ticks;
using sync_help::run_for;
using sync_help::run_in_two_loops;
using sync_help::Trace;
using namespace std::chrono_literals;

/// Takes a permit for good.
Coro<> take(Semaphore& semaphore, Trace& trace, std::string name) {
    (co_await semaphore.acquire()).keep();
    trace.note(name);
}

/// How many permits can be had at once.
Coro<int> count_permits(Semaphore& semaphore) {
    std::vector<asyncio::Held<Semaphore>> permits;
    while (!semaphore.locked()) permits.push_back(co_await semaphore.acquire());
    co_return static_cast<int>(permits.size());
}

TEST(semaphore, an_uncontended_semaphore_costs_no_iteration) {
    run_test([]() -> Coro<> {
        Ticks ticks;
        Semaphore semaphore(2);
        auto one = co_await semaphore.acquire();
        EXPECT_FALSE(semaphore.locked());
        auto two = co_await semaphore.acquire();
        EXPECT_TRUE(semaphore.locked());
        two.release();
        EXPECT_FALSE(semaphore.locked());
        EXPECT_EQ(ticks.count(), 0);
    });
}

TEST(semaphore, SEM_01_a_negative_value_is_refused_and_zero_is_locked) {
    EXPECT_THROW(Semaphore(-1), std::invalid_argument);
    EXPECT_THROW(BoundedSemaphore(-1), std::invalid_argument);
    Semaphore none(0);
    EXPECT_TRUE(none.locked());
    Semaphore usual;
    EXPECT_FALSE(usual.locked());
}

TEST(semaphore, SEM_02_a_bounded_one_refuses_more_releases_than_acquisitions) {
    run_test([]() -> Coro<> {
        BoundedSemaphore semaphore(2);
        EXPECT_THROW(semaphore.release(), std::invalid_argument);
        (co_await semaphore.acquire()).keep();
        EXPECT_THROW(semaphore.release(2), std::invalid_argument);
        semaphore.release();
        EXPECT_EQ(co_await count_permits(semaphore), 2) << "the refused ones have added nothing";
        Semaphore open(0);
        open.release(3);
        EXPECT_EQ(co_await count_permits(open), 3);
    });
}

TEST(semaphore, SEM_03_who_releases_and_acquires_again_goes_to_the_back) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(1);
        Trace trace;
        const auto work = [&](std::string name) -> Coro<> {
            for (int round = 1; round <= 3; ++round) {
                auto permit = co_await semaphore.acquire();
                trace.note(name + "_" + std::to_string(round));
                co_await sleep(0s);
            }
        };
        co_await asyncio::gather(work("c1"), work("c2"), work("c3"));
        EXPECT_EQ(trace.text(), "c1_1 c2_1 c3_1 c1_2 c2_2 c3_2 c1_3 c2_3 c3_3");
    });
}

TEST(semaphore, SEM_04_two_releases_wake_two_in_order_though_the_releaser_acquires_between) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(1);
        Trace trace;
        const auto c1 = [&]() -> Coro<> {
            (co_await semaphore.acquire()).keep();
            trace.note("c1_1");
            (co_await semaphore.acquire()).keep();
            trace.note("c1_2");
        };
        auto first = create_task(c1());
        auto second = create_task(take(semaphore, trace, "c2"));
        auto third = create_task(take(semaphore, trace, "c3"));
        co_await sleep(0s);
        EXPECT_EQ(trace.text(), "c1_1");
        semaphore.release();
        auto fourth = create_task(take(semaphore, trace, "c4"));
        semaphore.release();
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_EQ(trace.text(), "c1_1 c1_2 c2");
        semaphore.release(2);
        co_await asyncio::gather(first, second, third, fourth);
        EXPECT_EQ(trace.text(), "c1_1 c1_2 c2 c3 c4");
    });
}

TEST(semaphore, SEM_05_the_first_waiter_is_cancelled_and_the_rest_are_served_in_order) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(0);
        Trace trace;
        auto first = create_task(take(semaphore, trace, "1"));
        auto second = create_task(take(semaphore, trace, "2"));
        auto third = create_task(take(semaphore, trace, "3"));
        co_await sleep(0s);
        first.cancel();
        co_await sleep(0s);
        semaphore.release(2);
        co_await asyncio::gather(second, third);
        EXPECT_TRUE(first.cancelled());
        EXPECT_EQ(trace.text(), "2 3");
        EXPECT_TRUE(semaphore.locked());
    });
}

TEST(semaphore, SEM_06_it_stays_locked_until_those_who_were_woken_have_run) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(1);
        Trace trace;
        const auto releaser = [&]() -> Coro<> {
            (co_await semaphore.acquire()).keep();
            trace.note("c1");
            semaphore.release(3);
            EXPECT_TRUE(semaphore.locked());
        };
        (co_await semaphore.acquire()).keep();
        auto first = create_task(releaser());
        auto second = create_task(take(semaphore, trace, "c2"));
        auto third = create_task(take(semaphore, trace, "c3"));
        co_await sleep(0s);
        semaphore.release();
        co_await sleep(0s);
        EXPECT_EQ(trace.text(), "c1");
        auto fourth = create_task(take(semaphore, trace, "c4"));
        EXPECT_TRUE(semaphore.locked());
        co_await asyncio::gather(second, third, fourth);
        co_await first;
        EXPECT_EQ(trace.text(), "c1 c2 c3 c4");
    });
}

TEST(semaphore, SEM_07_a_release_beside_two_cancelled_waiters_reaches_the_third) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(0);
        Trace trace;
        std::vector<Task<>> waiters;
        for (const char* name : {"1", "2", "3", "4"})
            waiters.push_back(create_task(take(semaphore, trace, name)));
        co_await sleep(0s);
        waiters[0].cancel();
        waiters[1].cancel();
        semaphore.release();
        co_await run_for(3);
        EXPECT_EQ(trace.text(), "3");
        EXPECT_TRUE(semaphore.locked());
        EXPECT_FALSE(waiters[3].done());
        waiters[3].cancel();
        co_await sleep(0s);
    });
}

TEST(semaphore, SEM_08_a_permit_whose_receiver_is_cancelled_goes_to_the_next) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(1);
        Ticks ticks;
        Trace trace(ticks);
        auto permit = co_await semaphore.acquire();
        auto first = create_task(take(semaphore, trace, "1"));
        auto second = create_task(take(semaphore, trace, "2"));
        co_await sleep(0s);
        trace.start();
        permit.release();
        first.cancel();
        co_await second;
        EXPECT_TRUE(first.cancelled());
        EXPECT_EQ(trace.text(), "2:2") << "the first runs, throws, and wakes the second";
        semaphore.release();
        EXPECT_EQ(co_await count_permits(semaphore), 1);
    });
}

TEST(semaphore, SEM_08_a_permit_whose_only_receiver_is_cancelled_comes_back) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(1);
        Trace trace;
        auto permit = co_await semaphore.acquire();
        auto first = create_task(take(semaphore, trace, "1"));
        co_await sleep(0s);
        permit.release();
        first.cancel();
        EXPECT_TRUE(semaphore.locked());
        co_await sleep(0s);
        EXPECT_EQ(co_await count_permits(semaphore), 1);
    });
}

TEST(semaphore, those_who_queued_beside_a_free_permit_get_it_when_the_woken_one_has_run) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(0);
        Ticks ticks;
        Trace trace(ticks);
        auto first = create_task(take(semaphore, trace, "1"));
        co_await sleep(0s);
        trace.start();
        semaphore.release(3);
        auto second = create_task(take(semaphore, trace, "2"));
        auto third = create_task(take(semaphore, trace, "3"));
        co_await asyncio::gather(first, second, third);
        EXPECT_EQ(trace.text(), "1:1 1:2 1:3") << "the first has run when the others come";
    });
}

TEST(semaphore, a_limit_on_the_wait_loses_no_permit) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(1);
        auto permit = co_await semaphore.acquire();
        EXPECT_THROW(static_cast<void>(co_await asyncio::wait_for(semaphore.acquire(), 1ms)),
                     asyncio::TimeoutError);
        permit.release();
        permit = co_await asyncio::wait_for(semaphore.acquire(), 1ms);
        permit.release();
        EXPECT_EQ(co_await count_permits(semaphore), 1);
    });
}

TEST(semaphore, LOCK_07_a_semaphore_that_was_waited_for_in_one_loop_refuses_to_be_in_another) {
    Semaphore semaphore(0);
    const auto wait_in_vain = [&]() -> Coro<> {
        EXPECT_THROW(static_cast<void>(co_await asyncio::wait_for(semaphore.acquire(), 1ms)),
                     asyncio::TimeoutError);
    };
    run_in_two_loops(wait_in_vain, [&]() -> Coro<> {
        EXPECT_THROW((co_await semaphore.acquire()).keep(), asyncio::RuntimeError);
    });
}

}  // namespace
