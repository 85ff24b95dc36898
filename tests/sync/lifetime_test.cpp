// Goal: a lock, event or queue may go while tasks wait in it. They wait on until they are
// cancelled, and nothing of their wait touches what is gone. Method: the object lies in memory of
// its own, so that the address sanitizer sees every touch after its end, and goes while a task
// waits, has been woken, or was cancelled in the same step.

#include <asyncio.h>

#include "sync/sync_help.h"

#include <functional>
#include <memory>

#include <gtest/gtest.h>

namespace {

using asyncio::Barrier;
using asyncio::CancelledError;
using asyncio::Condition;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Event;
using asyncio::Lock;
using asyncio::Queue;
using asyncio::Semaphore;
using asyncio::sleep;
using asyncio::Task;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using sync_help::run_for;
using namespace std::chrono_literals;

/// One way to wait for one kind of object.
template <class Object>
struct Case {
    std::function<std::unique_ptr<Object>()> make;
    std::function<Coro<>(Object&)> wait;
    std::function<Coro<>(Object&)> wake;
    /// A waiter that was woken returns although the object went before its turn.
    bool keeps_turn = false;
    /// What happens once the tasks wait.
    std::function<Coro<>(Object&)> prepare = [](Object&) -> Coro<> { co_return; };
};

Case<Lock> lock_case() {
    return {[] {
                auto lock = std::make_unique<Lock>();
                create_task([](Lock& it) -> Coro<> { (co_await it.acquire()).keep(); }(*lock));
                return lock;
            },
            [](Lock& lock) -> Coro<> { auto held = co_await lock.acquire(); },
            [](Lock& lock) -> Coro<> {
                lock.release();
                co_return;
            }};
}

Case<Semaphore> semaphore_case() {
    return {[] { return std::make_unique<Semaphore>(0); },
            [](Semaphore& semaphore) -> Coro<> { auto held = co_await semaphore.acquire(); },
            [](Semaphore& semaphore) -> Coro<> {
                semaphore.release();
                co_return;
            }};
}

Case<Event> event_case() {
    return {[] { return std::make_unique<Event>(); },
            [](Event& event) -> Coro<> { co_await event.wait(); },
            [](Event& event) -> Coro<> {
                event.set();
                co_return;
            },
            true};
}

Case<Barrier> barrier_case() {
    return {[] { return std::make_unique<Barrier>(4); },
            [](Barrier& barrier) -> Coro<> {
                try {
                    co_await barrier.wait();
                } catch (const asyncio::BrokenBarrierError&) {
                }
            },
            [](Barrier& barrier) -> Coro<> {
                barrier.abort();
                co_return;
            },
            true};
}

Case<Queue<int>> get_case() {
    return {[] { return std::make_unique<Queue<int>>(); },
            [](Queue<int>& queue) -> Coro<> { co_await queue.get(); },
            [](Queue<int>& queue) -> Coro<> {
                queue.put_nowait(1);
                co_return;
            }};
}

Case<Queue<int>> next_case() {
    return {[] { return std::make_unique<Queue<int>>(); },
            [](Queue<int>& queue) -> Coro<> { (void)co_await queue.next(); },
            [](Queue<int>& queue) -> Coro<> {
                queue.shutdown();
                co_return;
            }};
}

Case<Queue<int>> put_case() {
    return {[] {
                auto queue = std::make_unique<Queue<int>>(1);
                queue->put_nowait(1);
                return queue;
            },
            [](Queue<int>& queue) -> Coro<> { co_await queue.put(2); },
            [](Queue<int>& queue) -> Coro<> {
                queue.get_nowait();
                co_return;
            }};
}

Case<Queue<int>> join_case() {
    return {[] {
                auto queue = std::make_unique<Queue<int>>();
                queue->put_nowait(1);
                return queue;
            },
            [](Queue<int>& queue) -> Coro<> { co_await queue.join(); },
            [](Queue<int>& queue) -> Coro<> {
                queue.get_nowait();
                queue.task_done();
                co_return;
            },
            true};
}

Coro<> notify_all(Condition& condition) {
    (co_await condition.acquire()).keep();
    condition.notify_all();
}

Case<Condition> condition_case() {
    return {[] { return std::make_unique<Condition>(); },
            [](Condition& condition) -> Coro<> {
                (co_await condition.acquire()).keep();
                co_await condition.wait();
            },
            [](Condition& condition) -> Coro<> {
                co_await notify_all(condition);
                condition.release();
            }};
}

/// The second part of the wait: notified, but somebody else has the lock.
Case<Condition> condition_lock_case() {
    auto its = condition_case();
    its.prepare = &notify_all;
    its.wake = [](Condition& condition) -> Coro<> {
        condition.release();
        co_return;
    };
    return its;
}

/// Two tasks wait; `middle` happens to the object and to the first of them, and it ends.
enum class Middle { nothing, woken, cancelled, woken_cancelled, cancelled_woken };

template <class Object>
Coro<> end_of(const Case<Object>& its, Middle middle) {
    auto object = its.make();
    auto first = create_task(its.wait(*object));
    auto second = create_task(its.wait(*object));
    co_await run_for(3);
    co_await its.prepare(*object);
    co_await run_for(3);
    EXPECT_FALSE(first.done());
    EXPECT_FALSE(second.done());
    if (middle == Middle::cancelled || middle == Middle::cancelled_woken) first.cancel();
    if (middle == Middle::woken || middle == Middle::woken_cancelled ||
        middle == Middle::cancelled_woken)
        co_await its.wake(*object);
    if (middle == Middle::woken_cancelled) first.cancel();
    object.reset();
    const bool was_cancelled = middle != Middle::nothing && middle != Middle::woken;
    co_await run_for(5);
    const bool returns = middle == Middle::woken && its.keeps_turn;
    EXPECT_EQ(first.done(), was_cancelled || returns);
    EXPECT_EQ(first.cancelled(), was_cancelled);
    first.cancel();
    second.cancel();
    co_await run_for(5);
    EXPECT_TRUE(first.done());
    EXPECT_TRUE(second.done());
    EXPECT_EQ(first.cancelled(), !returns);
}

template <class Object>
void expect_safe_ends(const Case<Object>& its) {
    for (const Middle middle : {Middle::nothing, Middle::woken, Middle::cancelled,
                                Middle::woken_cancelled, Middle::cancelled_woken}) {
        SCOPED_TRACE(static_cast<int>(middle));
        run_test([&]() -> Coro<> { co_await end_of(its, middle); });
    }
}

TEST(lifetime, a_lock_may_go_while_tasks_wait) { expect_safe_ends(lock_case()); }
TEST(lifetime, a_semaphore_may_go_while_tasks_wait) { expect_safe_ends(semaphore_case()); }
TEST(lifetime, an_event_may_go_while_tasks_wait) { expect_safe_ends(event_case()); }
TEST(lifetime, a_barrier_may_go_while_tasks_wait) { expect_safe_ends(barrier_case()); }
TEST(lifetime, a_queue_may_go_while_tasks_get) { expect_safe_ends(get_case()); }
TEST(lifetime, a_queue_may_go_while_tasks_wait_for_the_next) { expect_safe_ends(next_case()); }
TEST(lifetime, a_queue_may_go_while_tasks_put) { expect_safe_ends(put_case()); }
TEST(lifetime, a_queue_may_go_while_tasks_join) { expect_safe_ends(join_case()); }

TEST(lifetime, a_condition_may_go_while_tasks_wait) { expect_safe_ends(condition_case()); }
TEST(lifetime, a_condition_may_go_while_tasks_wait_for_its_lock) {
    expect_safe_ends(condition_lock_case());
}

TEST(lifetime, a_cancelled_waiter_that_a_wake_up_passed_over_does_not_touch_the_semaphore) {
    run_test([]() -> Coro<> {
        auto semaphore = std::make_unique<Semaphore>(0);
        auto waiter = create_task(semaphore_case().wait(*semaphore));
        co_await run_for(1);
        waiter.cancel();
        semaphore->release();  // takes it out of the line
        semaphore.reset();
        co_await run_for(2);
        EXPECT_TRUE(waiter.cancelled());
    });
}

TEST(lifetime, who_passed_a_barrier_learns_its_number_after_the_end_of_the_barrier) {
    run_test([]() -> Coro<> {
        auto barrier = std::make_unique<Barrier>(3);
        const auto wait = [](Barrier& it) -> Coro<std::size_t> { co_return co_await it.wait(); };
        auto first = create_task(wait(*barrier));
        auto second = create_task(wait(*barrier));
        co_await run_for(1);
        EXPECT_EQ(co_await barrier->wait(), 2U);
        auto of_the_next_round = create_task(wait(*barrier));
        barrier.reset();
        of_the_next_round.cancel();
        EXPECT_EQ(co_await first, 0U);
        EXPECT_EQ(co_await second, 1U);
    });
}

TEST(lifetime, a_barrier_that_was_reset_refuses_its_waiters_after_its_end) {
    run_test([]() -> Coro<> {
        auto barrier = std::make_unique<Barrier>(2);
        auto first = create_task([](Barrier& it) -> Coro<> { co_await it.wait(); }(*barrier));
        co_await run_for(1);
        barrier->reset();
        barrier.reset();
        EXPECT_THROW(co_await first, asyncio::BrokenBarrierError);
    });
}

TEST(lifetime, who_waits_outside_a_barrier_that_is_aborted_is_refused_after_its_end) {
    run_test([]() -> Coro<> {
        auto barrier = std::make_unique<Barrier>(2);
        const auto wait = [](Barrier& it) -> Coro<> { co_await it.wait(); };
        const auto abort_and_drop = [](std::unique_ptr<Barrier>& it) -> Coro<> {
            it->abort();
            it.reset();
            co_return;
        };
        auto inside = create_task(wait(*barrier));
        co_await run_for(1);
        // Both begin before the one inside leaves, so the second round cannot begin yet.
        auto outside = create_task(wait(*barrier));
        auto end = create_task(abort_and_drop(barrier));
        co_await barrier->wait();
        co_await end;
        EXPECT_THROW(co_await inside, asyncio::BrokenBarrierError);
        EXPECT_THROW(co_await outside, asyncio::BrokenBarrierError);
    });
}

Coro<> hold_and_wait(Lock& lock, Condition& condition) {
    auto held = co_await lock.acquire();
    co_await condition.wait();
}

TEST(lifetime, who_was_notified_and_cancelled_leaves_a_condition_that_goes_with_the_lock) {
    run_test([]() -> Coro<> {
        Lock lock;
        auto condition = std::make_unique<Condition>(lock);
        auto notified = create_task(hold_and_wait(lock, *condition));
        co_await run_for(2);
        auto held = co_await lock.acquire();
        condition->notify();
        notified.cancel();
        condition.reset();
        co_await run_for(3);
        EXPECT_FALSE(notified.done()) << "it has to wait for the lock";
        held.release();
        co_await run_for(4);
        EXPECT_TRUE(notified.cancelled());
        EXPECT_FALSE(lock.locked());
    });
}

TEST(lifetime, who_waits_in_a_condition_that_goes_leaves_with_the_lock_if_that_is_there) {
    run_test([]() -> Coro<> {
        Lock lock;
        auto condition = std::make_unique<Condition>(lock);
        auto waiting = create_task(hold_and_wait(lock, *condition));
        auto woken = create_task(hold_and_wait(lock, *condition));
        co_await run_for(2);
        auto held = co_await lock.acquire();
        condition.reset();
        waiting.cancel();
        woken.cancel();
        co_await run_for(3);
        EXPECT_FALSE(waiting.done()) << "it has to wait for the lock";
        held.release();
        co_await run_for(4);
        EXPECT_TRUE(waiting.cancelled());
        EXPECT_TRUE(woken.cancelled());
        EXPECT_FALSE(lock.locked());
    });
}

TEST(lifetime, who_was_notified_gets_the_lock_although_the_condition_has_gone) {
    run_test([]() -> Coro<> {
        Lock lock;
        auto condition = std::make_unique<Condition>(lock);
        auto first = create_task(hold_and_wait(lock, *condition));
        auto second = create_task(hold_and_wait(lock, *condition));
        co_await run_for(2);
        auto held = co_await lock.acquire();
        condition->notify_all();
        co_await run_for(2);
        condition.reset();
        second.cancel();
        held.release();
        co_await run_for(4);
        EXPECT_TRUE(first.done() && !first.cancelled());
        EXPECT_TRUE(second.cancelled());
        EXPECT_FALSE(lock.locked());
    });
}

TEST(lifetime, who_was_cancelled_and_waits_for_the_lock_of_a_condition_ends_when_both_go) {
    run_test([]() -> Coro<> {
        auto lock = std::make_unique<Lock>();
        auto condition = std::make_unique<Condition>(*lock);
        auto waiter = create_task([](Lock& its, Condition& changed) -> Coro<> {
            (co_await its.acquire()).keep();
            co_await changed.wait();
        }(*lock, *condition));
        co_await run_for(2);
        (co_await lock->acquire()).keep();
        waiter.cancel();
        co_await run_for(2);
        EXPECT_FALSE(waiter.done());
        condition.reset();
        lock.reset();
        co_await run_for(2);
        EXPECT_TRUE(waiter.cancelled());
    });
}

TEST(lifetime, a_limit_ends_the_wait_in_what_has_gone) {
    run_test([]() -> Coro<> {
        auto queue = std::make_unique<Queue<int>>();
        auto waiter = create_task(
            [](Queue<int>& its) -> Coro<> { co_await asyncio::wait_for(its.get(), 5ms); }(*queue));
        co_await sleep(1ms);
        queue.reset();
        EXPECT_THROW(co_await waiter, asyncio::TimeoutError);
    });
}

Coro<> worker(Queue<int>& queue, int& sum) {
    for (;;) {
        sum += co_await queue.get();
        queue.task_done();
    }
}

/// The program of every tutorial: the workers are left behind in `get`.
Coro<> leave_workers_behind(std::vector<Task<>>& workers, int& sum) {
    Queue<int> queue;
    for (int i = 0; i < 3; ++i) workers.push_back(create_task(worker(queue, sum)));
    for (int number = 1; number <= 10; ++number) queue.put_nowait(number);
    co_await queue.join();
}

TEST(lifetime, run_cancels_workers_whose_queue_was_local_to_main) {
    const LogCapture log;
    std::vector<Task<>> workers;
    int sum = 0;
    asyncio::run(leave_workers_behind(workers, sum), {.debug = false});
    EXPECT_EQ(sum, 55);
    for (const auto& task : workers) EXPECT_TRUE(task.cancelled());
}

TEST(lifetime, debug_mode_tells_how_many_tasks_a_queue_left_behind) {
    const LogCapture log;
    std::vector<Task<>> workers;
    int sum = 0;
    asyncio::run(leave_workers_behind(workers, sum), {.debug = true});
    EXPECT_EQ(LogCapture::take(),
              std::vector<std::string>{"a queue was destroyed while 3 tasks waited in it"});
}

TEST(lifetime, what_is_destroyed_between_two_runs_of_a_loop_detaches_its_waiters_too) {
    const LogCapture log;
    TestLoop loop;
    auto event = std::make_unique<Event>();
    Task<> waiting;
    loop->run_until_complete([](Event& its, Task<>& task) -> Coro<> {
        task = create_task(event_case().wait(its));
        co_await run_for(1);
        its.set();
    }(*event, waiting));
    event.reset();
    loop->run_until_complete([](Task<>& task) -> Coro<> { co_await task; }(waiting));
    loop.expect_idle();
}

}  // namespace
