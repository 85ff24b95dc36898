// Goal: Python's pair of statements, `acquire` … `release`, which here holds nothing because the
// object that holds has no name, ends in an error that says so; what is no such mistake goes on.
// Method: the pair as Python has it, in tasks side by side; then each legal use that resembles it.

#include <asyncio.h>

#include "support/how.h"
#include "support/run_test.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::BoundedSemaphore;
using asyncio::Condition;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::gather;
using asyncio::gather_settled;
using asyncio::Held;
using asyncio::Lock;
using asyncio::RuntimeError;
using asyncio::Semaphore;
using asyncio::sleep;
using support::how;
using support::run_test;
using namespace std::chrono_literals;

// The pair, with the warning that some compilers give switched off.
#define DROPPED(acquire) static_cast<void>(co_await acquire)

template <class Source>
Coro<> pair_of(Source& source) {
    DROPPED(source.acquire());
    co_await sleep(1ms);
    source.release();
}

/// How `count` tasks end that use the pair.
template <class Source>
Coro<std::vector<std::string>> ends_of_pairs(Source& source, int count) {
    std::vector<Coro<>> tasks;
    for (int i = 0; i < count; ++i) tasks.push_back(pair_of(source));
    auto all = gather_settled(std::move(tasks));
    std::vector<std::string> ends;
    for (const auto& outcome : co_await std::move(all))
        ends.push_back(outcome.failed() ? asyncio::describe(outcome.error()) : "value");
    co_return ends;
}

bool says_to_name_it(const std::string& error) {
    return error.find("auto held = co_await") != std::string::npos ||
           error.find("auto permit = co_await") != std::string::npos;
}

TEST(dropped_holder, the_pair_of_a_lock_is_an_error_in_each_task) {
    run_test([]() -> Coro<> {
        Lock lock;
        for (const std::string& end : co_await ends_of_pairs(lock, 3))
            EXPECT_TRUE(says_to_name_it(end)) << end;
    });
}

TEST(dropped_holder, the_pair_of_a_semaphore_is_an_error_that_the_program_meets) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(2);
        const auto ends = co_await ends_of_pairs(semaphore, 10);
        EXPECT_TRUE(says_to_name_it(ends.back())) << ends.back();
        EXPECT_GE(std::count_if(ends.begin(), ends.end(), says_to_name_it), 8);
        const auto alone = co_await ends_of_pairs(semaphore, 1);
        EXPECT_TRUE(says_to_name_it(alone[0])) << alone[0];
    });
}

TEST(dropped_holder, the_pair_of_a_bounded_semaphore_is_an_error_also_while_others_hold_it) {
    run_test([]() -> Coro<> {
        BoundedSemaphore semaphore(2);
        const auto held = co_await semaphore.acquire();
        for (const std::string& end : co_await ends_of_pairs(semaphore, 3)) EXPECT_NE(end, "value");
    });
}

TEST(dropped_holder, a_condition_whose_lock_was_dropped_refuses_what_needs_it) {
    run_test([]() -> Coro<> {
        Condition condition;
        DROPPED(condition.acquire());
        EXPECT_TRUE(says_to_name_it(co_await how(condition.wait())));
        EXPECT_THROW(condition.notify(), RuntimeError);
        EXPECT_THROW(condition.notify_all(), RuntimeError);
        EXPECT_THROW(condition.release(), RuntimeError);
    });
}

TEST(dropped_holder, a_lock_that_an_object_holds_is_not_released_behind_its_back) {
    run_test([]() -> Coro<> {
        Lock lock;
        {
            const auto held = co_await lock.acquire();
            EXPECT_THROW(lock.release(), RuntimeError);
            EXPECT_TRUE(lock.locked());
        }
        EXPECT_FALSE(lock.locked());
        BoundedSemaphore semaphore(1);
        {
            const auto held = co_await semaphore.acquire();
            EXPECT_THROW(semaphore.release(), std::invalid_argument);
        }
        EXPECT_FALSE(semaphore.locked());
    });
}

TEST(dropped_holder, the_pair_with_keep_is_pythons) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(2);
        Lock lock;
        int active = 0;
        int most = 0;
        const auto worker = [&]() -> Coro<> {
            (co_await semaphore.acquire()).keep();
            most = std::max(most, ++active);
            (co_await lock.acquire()).keep();
            co_await sleep(1ms);
            lock.release();
            --active;
            semaphore.release();
        };
        std::vector<Coro<>> workers;
        for (int i = 0; i < 10; ++i) workers.push_back(worker());
        co_await gather(std::move(workers));
        EXPECT_EQ(most, 2);
    });
}

TEST(dropped_holder, a_condition_gives_a_kept_lock_back_as_it_was) {
    run_test([]() -> Coro<> {
        Condition condition;
        const auto waiter = [&]() -> Coro<> {
            (co_await condition.acquire()).keep();
            co_await condition.wait();
            condition.release();
        };
        auto task = create_task(waiter());
        auto other = create_task(waiter());
        co_await sleep(0s);
        co_await sleep(0s);
        {
            const auto held = co_await condition.acquire();
            condition.notify_all();
        }
        EXPECT_EQ(co_await how(task), "value");
        EXPECT_EQ(co_await how(other), "value");
        EXPECT_FALSE(condition.locked());
    });
}

TEST(dropped_holder, a_short_section_and_signals_between_tasks_are_no_mistake) {
    run_test([]() -> Coro<> {
        Semaphore semaphore(1);
        {
            const auto permit = co_await semaphore.acquire();  // held for less than a step
        }
        const auto signals = [&]() -> Coro<> {
            semaphore.release();  // one more permit, from a task that never took any
            co_return;
        };
        EXPECT_EQ(co_await how(create_task(signals())), "value");
        (co_await semaphore.acquire()).keep();
        (co_await semaphore.acquire()).keep();
        semaphore.release(2);
        std::optional<Held<Semaphore>> moved = co_await semaphore.acquire();
        co_await sleep(0s);
        moved.reset();
        EXPECT_FALSE(semaphore.locked());
    });
}

}  // namespace
