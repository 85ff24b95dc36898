// Locks, events, conditions, semaphores, barriers: who is woken, and who passes it on. The twins
// are in sync.py.

#include <asyncio/sync.h>

#include "oracle/oracle.h"

#include <utility>
#include <vector>

namespace {

using namespace oracle;
using asyncio::Barrier;
using asyncio::Condition;
using asyncio::Event;
using asyncio::Lock;
using asyncio::Semaphore;

/// Holds it for some ticks.
template <class Source>
Coro<> holder(Source& lock, int count = 0) {
    try {
        const auto held = co_await lock.acquire();
        say("has it");
        co_await turns(count);
        say("lets go");
    } catch (const CancelledError&) {
        say("cancelled");
        throw;
    }
}

template <class Source>
std::string is_locked(Source& lock) {
    return "locked " + yes_no(lock.locked());
}

/// Whether they are cancelled does not matter.
Coro<> all_of(std::vector<Task<>> tasks) {
    for (const Task<>& task : tasks) {
        try {
            co_await task;
        } catch (const CancelledError&) {  // as said
        }
    }
}

/// "abc" makes three. `make` must live as long as they do, if it is a coroutine itself.
template <class Make>
std::vector<Task<>> spawn_each(std::string_view names, const Make& make) {
    std::vector<Task<>> tasks;
    for (const char& name : names) tasks.push_back(spawn(std::string_view(&name, 1), make()));
    return tasks;
}

SCENARIO(sync, LOCK_01_waiters_are_served_in_order) {
    Lock lock;
    std::vector<Task<>> tasks;
    tasks.push_back(spawn("a", holder(lock, 2)));
    tasks.push_back(spawn("b", holder(lock, 0)));
    tasks.push_back(spawn("c", holder(lock, 1)));
    co_await all_of(tasks);
    say(is_locked(lock));
}

SCENARIO(sync, LOCK_02_a_waiter_in_the_middle_is_cancelled) {
    Lock lock;
    auto held = co_await lock.acquire();
    const auto tasks = spawn_each("abc", [&] { return holder(lock); });
    co_await sleep(0s);
    tasks[1].cancel();
    co_await sleep(0s);
    say("release");
    held.release();
    co_await all_of(tasks);
}

SCENARIO(sync, LOCK_03_release_and_then_the_first_waiter_is_cancelled) {
    Lock lock;
    auto held = co_await lock.acquire();
    const auto tasks = spawn_each("abc", [&] { return holder(lock); });
    co_await sleep(0s);
    held.release();
    tasks[0].cancel();
    say(is_locked(lock));
    co_await all_of(tasks);
}

SCENARIO(sync, LOCK_04_the_first_waiter_is_cancelled_and_then_release) {
    Lock lock;
    auto held = co_await lock.acquire();
    const auto tasks = spawn_each("ab", [&] { return holder(lock); });
    co_await sleep(0s);
    tasks[0].cancel();
    held.release();
    say(is_locked(lock));
    co_await all_of(tasks);
}

SCENARIO(sync, LOCK_04_all_waiters_are_cancelled_and_then_release) {
    Lock lock;
    auto held = co_await lock.acquire();
    auto tasks = spawn_each("ab", [&] { return holder(lock); });
    co_await sleep(0s);
    tasks[0].cancel();
    tasks[1].cancel();
    held.release();
    tasks.push_back(spawn("c", holder(lock)));
    co_await all_of(tasks);
}

SCENARIO(sync, LOCK_05_a_newcomer_queues_behind_a_waiter_that_is_woken) {
    Lock lock;
    auto held = co_await lock.acquire();
    const auto a = spawn("a", holder(lock));
    co_await sleep(0s);
    held.release();
    say("released");
    {
        const auto again = co_await lock.acquire();
        say("has it again");
    }
    co_await a;
}

SCENARIO(sync, LOCK_03_a_limit_passes_in_the_tick_of_the_release) {
    Lock lock;
    auto held = co_await lock.acquire();
    const auto body = [&]() -> Coro<> {
        const auto own = co_await lock.acquire();
        say("has it");
    };
    const auto limited = [&]() -> Coro<> { co_await tell("limit", timeout(1s, body)); };
    const auto a = spawn("a", limited());
    const auto b = spawn("b", holder(lock));
    co_await sleep(0s);
    call_later(1s, [&] {
        say("release");
        held.release();
    });
    co_await end_of("a", a);
    co_await b;
}

Coro<> wait_for_event(Event& event) {
    co_await event.wait();
    say("woken");
}

SCENARIO(sync, LOCK_08_set_wakes_all_and_a_newcomer_passes_at_once) {
    Event event;
    const auto tasks = spawn_each("ab", [&] { return wait_for_event(event); });
    co_await sleep(0s);
    event.set();
    co_await event.wait();
    say("passed");
    co_await all_of(tasks);
}

SCENARIO(sync, LOCK_09_set_and_clear_in_one_tick) {
    Event event;
    const auto wait_twice = [&]() -> Coro<> {
        co_await event.wait();
        say("woken, set " + yes_no(event.is_set()));
        co_await event.wait();
        say("again");
    };
    const auto a = spawn("a", wait_twice());
    co_await sleep(0s);
    event.set();
    event.clear();
    co_await turns(3);
    event.set();
    co_await a;
}

SCENARIO(sync, LOCK_08_a_waiter_cancelled_in_the_tick_of_set) {
    Event event;
    const auto tasks = spawn_each("ab", [&] { return wait_for_event(event); });
    co_await sleep(0s);
    event.set();
    tasks[0].cancel();
    co_await all_of(tasks);
    say("a " + yes_no(tasks[0].cancelled()));
}

SCENARIO(sync, SEM_03_who_releases_and_acquires_goes_to_the_back) {
    Semaphore semaphore(1);
    const auto worker = [&]() -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            {
                const auto held = co_await semaphore.acquire();
                say("round " + std::to_string(i));
            }
            co_await sleep(0s);
        }
    };
    co_await all_of(spawn_each("abc", worker));
}

SCENARIO(sync, SEM_04_two_releases_and_a_newcomer_between) {
    Semaphore semaphore(0);
    const auto tasks = spawn_each("ab", [&] { return holder(semaphore); });
    co_await sleep(0s);
    semaphore.release();
    semaphore.release();
    say(is_locked(semaphore));
    co_await holder(semaphore);
    co_await all_of(tasks);
}

SCENARIO(sync, SEM_05_the_first_waiter_is_cancelled_and_then_two_releases) {
    Semaphore semaphore(0);
    const auto tasks = spawn_each("abc", [&] { return holder(semaphore); });
    co_await sleep(0s);
    tasks[0].cancel();
    semaphore.release();
    semaphore.release();
    co_await all_of(tasks);
    say(is_locked(semaphore));
}

SCENARIO(sync, SEM_06_it_stays_locked_until_the_woken_have_run) {
    Semaphore semaphore(0);
    auto tasks = spawn_each("abc", [&] { return holder(semaphore, 1); });
    co_await sleep(0s);
    for (int i = 0; i < 3; ++i) semaphore.release();
    say(is_locked(semaphore));
    tasks.push_back(spawn("late", holder(semaphore)));
    co_await sleep(0s);
    say(is_locked(semaphore));
    co_await all_of(tasks);
    say(is_locked(semaphore));
}

SCENARIO(sync, SEM_07_two_waiters_are_cancelled_and_one_release) {
    Semaphore semaphore(0);
    const auto tasks = spawn_each("abcd", [&] { return holder(semaphore, 1); });
    co_await sleep(0s);
    tasks[0].cancel();
    tasks[1].cancel();
    semaphore.release();
    co_await turns(2);
    say("two turns later");
    co_await all_of(tasks);
}

SCENARIO(sync, SEM_08_a_waiter_with_a_permit_is_cancelled) {
    Semaphore semaphore(0);
    const auto tasks = spawn_each("ab", [&] { return holder(semaphore); });
    co_await sleep(0s);
    semaphore.release();
    tasks[0].cancel();
    co_await all_of(tasks);
    say(is_locked(semaphore));
}

SCENARIO(sync, SEM_08_the_only_waiter_with_a_permit_is_cancelled) {
    Semaphore semaphore(0);
    const auto tasks = spawn_each("a", [&] { return holder(semaphore); });
    co_await sleep(0s);
    semaphore.release();
    tasks[0].cancel();
    co_await all_of(tasks);
    say(is_locked(semaphore));
    co_await holder(semaphore);
}

Coro<> wait_in(Condition& condition) {
    const auto held = co_await condition.acquire();
    try {
        co_await condition.wait();
        say("notified");
    } catch (const CancelledError&) {
        say(text_of(std::current_exception()) + ", " + is_locked(condition));
        throw;
    }
}

SCENARIO(sync, COND_02_notify_wakes_the_oldest_in_order) {
    Condition condition;
    const auto tasks = spawn_each("abc", [&] { return wait_in(condition); });
    co_await turns(2);
    {
        const auto held = co_await condition.acquire();
        condition.notify(2);
        say("two notified");
    }
    co_await turns(4);
    {
        const auto held = co_await condition.acquire();
        condition.notify_all();
        say("the rest");
    }
    co_await all_of(tasks);
}

SCENARIO(sync, COND_03_a_cancelled_wait_holds_the_lock_again) {
    Condition condition;
    const auto tasks = spawn_each("a", [&] { return wait_in(condition); });
    co_await turns(2);
    tasks[0].cancel();
    co_await all_of(tasks);
    say(is_locked(condition));
}

SCENARIO(sync, COND_04_a_cancelled_wait_waits_for_the_lock) {
    Condition condition;
    const auto tasks = spawn_each("a", [&] { return wait_in(condition); });
    co_await turns(2);
    auto held = co_await condition.acquire();
    tasks[0].cancel();
    co_await turns(2);
    say("cancel again");
    tasks[0].cancel();
    co_await turns(2);
    say("release");
    held.release();
    co_await all_of(tasks);
}

SCENARIO(sync, COND_05_the_latest_cancellation_is_the_one_that_leaves) {
    Condition condition;
    const auto tasks = spawn_each("a", [&] { return wait_in(condition); });
    co_await turns(2);
    auto held = co_await condition.acquire();
    condition.notify();
    co_await turns(2);
    tasks[0].cancel("first");
    co_await turns(2);
    tasks[0].cancel("second");
    co_await turns(2);
    say("release");
    held.release();
    co_await all_of(tasks);
    say(is_locked(condition));
}

SCENARIO(sync, COND_06_a_notified_waiter_is_cancelled_before_it_ran) {
    Condition condition;
    const auto tasks = spawn_each("ab", [&] { return wait_in(condition); });
    co_await turns(2);
    {
        const auto held = co_await condition.acquire();
        condition.notify();
    }
    tasks[0].cancel();
    co_await all_of(tasks);
}

SCENARIO(sync, COND_08_wait_for_waits_until_the_predicate_holds) {
    Condition condition;
    int count = 0;
    const auto wait_until_two = [&]() -> Coro<> {
        const auto held = co_await condition.acquire();
        co_await condition.wait_for([&] { return count >= 2; });
        say("count " + std::to_string(count));
    };
    const auto a = spawn("a", wait_until_two());
    for (int i = 0; i < 3; ++i) {
        co_await turns(3);
        const auto held = co_await condition.acquire();
        ++count;
        say("count is " + std::to_string(count));
        condition.notify();
    }
    co_await a;
}

SCENARIO(sync, BAR_01_the_last_arrival_releases_all) {
    Barrier barrier(3);
    const auto party = [&](int count) -> Coro<> {
        co_await turns(count);
        const std::size_t number = co_await barrier.wait();
        say("passes as " + std::to_string(number));
    };
    std::vector<Task<>> tasks;
    tasks.push_back(spawn("a", party(0)));
    tasks.push_back(spawn("b", party(2)));
    tasks.push_back(spawn("c", party(4)));
    co_await all_of(tasks);
}

SCENARIO(sync, BAR_02_a_second_round_waits_for_the_first_to_leave) {
    Barrier barrier(2);
    const auto party = [&]() -> Coro<> {
        for (int i = 0; i < 2; ++i) {
            const std::size_t number = co_await barrier.wait();
            say("round " + std::to_string(i) + " as " + std::to_string(number));
        }
    };
    co_await all_of(spawn_each("ab", party));
    say("waiting " + std::to_string(barrier.n_waiting()) + ", broken " + yes_no(barrier.broken()));
}

SCENARIO(sync, BAR_04_a_reset_breaks_the_wait_of_those_inside) {
    Barrier barrier(3);
    const auto party = [&]() -> Coro<> {
        try {
            co_await barrier.wait();
        } catch (const asyncio::BrokenBarrierError&) {
            say("broken");
        }
    };
    const auto tasks = spawn_each("ab", party);
    co_await sleep(0s);
    say("waiting " + std::to_string(barrier.n_waiting()));
    barrier.reset();
    co_await all_of(tasks);
    say("waiting " + std::to_string(barrier.n_waiting()) + ", broken " + yes_no(barrier.broken()));
}

}  // namespace
