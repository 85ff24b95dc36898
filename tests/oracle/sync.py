"""Locks, events, conditions, semaphores, barriers: who is woken, and who passes it on.

The twins are in sync.cpp.
"""

from asyncio import Barrier, BrokenBarrierError, Condition, Event, Lock, Semaphore

from oracle import *
from oracle import main


async def holder(lock, count=0):
    """Holds it for some ticks."""
    try:
        async with lock:
            say("has it")
            await turns(count)
            say("lets go")
    except CancelledError:
        say("cancelled")
        raise


async def wait_for_event(event):
    await event.wait()
    say("woken")


async def all_of(*tasks):
    for task in tasks:
        try:
            await task
        except CancelledError:
            pass


@scenario
async def LOCK_01_waiters_are_served_in_order():
    lock = Lock()
    tasks = [spawn(name, holder(lock, count)) for name, count in zip("abc", (2, 0, 1))]
    await all_of(*tasks)
    say(f"locked {lock.locked()}")


@scenario
async def LOCK_02_a_waiter_in_the_middle_is_cancelled():
    lock = Lock()
    await lock.acquire()
    a, b, c = [spawn(name, holder(lock)) for name in "abc"]
    await sleep(0)
    b.cancel()
    await sleep(0)
    say("release")
    lock.release()
    await all_of(a, b, c)


@scenario
async def LOCK_03_release_and_then_the_first_waiter_is_cancelled():
    lock = Lock()
    await lock.acquire()
    a, b, c = [spawn(name, holder(lock)) for name in "abc"]
    await sleep(0)
    lock.release()
    a.cancel()
    say(f"locked {lock.locked()}")
    await all_of(a, b, c)


@scenario
async def LOCK_04_the_first_waiter_is_cancelled_and_then_release():
    lock = Lock()
    await lock.acquire()
    a, b = [spawn(name, holder(lock)) for name in "ab"]
    await sleep(0)
    a.cancel()
    lock.release()
    say(f"locked {lock.locked()}")
    await all_of(a, b)


@scenario
async def LOCK_04_all_waiters_are_cancelled_and_then_release():
    lock = Lock()
    await lock.acquire()
    a, b = [spawn(name, holder(lock)) for name in "ab"]
    await sleep(0)
    a.cancel()
    b.cancel()
    lock.release()
    c = spawn("c", holder(lock))
    await all_of(a, b, c)


@scenario
async def LOCK_05_a_newcomer_queues_behind_a_waiter_that_is_woken():
    lock = Lock()
    await lock.acquire()
    a = spawn("a", holder(lock))
    await sleep(0)
    lock.release()
    say("released")
    async with lock:
        say("has it again")
    await a


@scenario
async def LOCK_03_a_limit_passes_in_the_tick_of_the_release():
    lock = Lock()
    await lock.acquire()

    async def body():
        async with lock:
            say("has it")

    async def limited():
        await tell("limit", in_timeout(1, body))

    a = spawn("a", limited())
    b = spawn("b", holder(lock))
    await sleep(0)
    call_later(1, lambda: (say("release"), lock.release()))
    await end_of("a", a)
    await b


@scenario
async def LOCK_08_set_wakes_all_and_a_newcomer_passes_at_once():
    event = Event()
    a, b = [spawn(name, wait_for_event(event)) for name in "ab"]
    await sleep(0)
    event.set()
    await event.wait()
    say("passed")
    await all_of(a, b)


@scenario
async def LOCK_09_set_and_clear_in_one_tick():
    event = Event()

    async def wait_twice():
        await event.wait()
        say(f"woken, set {event.is_set()}")
        await event.wait()
        say("again")

    a = spawn("a", wait_twice())
    await sleep(0)
    event.set()
    event.clear()
    await turns(3)
    event.set()
    await a


@scenario
async def LOCK_08_a_waiter_cancelled_in_the_tick_of_set():
    event = Event()
    a, b = [spawn(name, wait_for_event(event)) for name in "ab"]
    await sleep(0)
    event.set()
    a.cancel()
    await all_of(a, b)
    say(f"a {a.cancelled()}")


@scenario
async def SEM_03_who_releases_and_acquires_goes_to_the_back():
    semaphore = Semaphore(1)

    async def worker(rounds):
        for i in range(rounds):
            async with semaphore:
                say(f"round {i}")
            await sleep(0)

    await all_of(*[spawn(name, worker(3)) for name in "abc"])


@scenario
async def SEM_04_two_releases_and_a_newcomer_between():
    semaphore = Semaphore(0)
    a, b = [spawn(name, holder(semaphore)) for name in "ab"]
    await sleep(0)
    semaphore.release()
    semaphore.release()
    say(f"locked {semaphore.locked()}")
    await holder(semaphore)
    await all_of(a, b)


@scenario
async def SEM_05_the_first_waiter_is_cancelled_and_then_two_releases():
    semaphore = Semaphore(0)
    a, b, c = [spawn(name, holder(semaphore)) for name in "abc"]
    await sleep(0)
    a.cancel()
    semaphore.release()
    semaphore.release()
    await all_of(a, b, c)
    say(f"locked {semaphore.locked()}")


@scenario
async def SEM_06_it_stays_locked_until_the_woken_have_run():
    semaphore = Semaphore(0)
    tasks = [spawn(name, holder(semaphore, 1)) for name in "abc"]
    await sleep(0)
    for _ in range(3):
        semaphore.release()
    say(f"locked {semaphore.locked()}")
    tasks.append(spawn("late", holder(semaphore)))
    await sleep(0)
    say(f"locked {semaphore.locked()}")
    await all_of(*tasks)
    say(f"locked {semaphore.locked()}")


@scenario
async def SEM_07_two_waiters_are_cancelled_and_one_release():
    semaphore = Semaphore(0)
    tasks = [spawn(name, holder(semaphore, 1)) for name in "abcd"]
    await sleep(0)
    tasks[0].cancel()
    tasks[1].cancel()
    semaphore.release()
    await turns(2)
    say("two turns later")
    await all_of(*tasks)


@scenario
async def SEM_08_a_waiter_with_a_permit_is_cancelled():
    semaphore = Semaphore(0)
    a, b = [spawn(name, holder(semaphore)) for name in "ab"]
    await sleep(0)
    semaphore.release()
    a.cancel()
    await all_of(a, b)
    say(f"locked {semaphore.locked()}")


@scenario
async def SEM_08_the_only_waiter_with_a_permit_is_cancelled():
    semaphore = Semaphore(0)
    a = spawn("a", holder(semaphore))
    await sleep(0)
    semaphore.release()
    a.cancel()
    await all_of(a)
    say(f"locked {semaphore.locked()}")
    await holder(semaphore)


async def wait_in(condition):
    async with condition:
        try:
            await condition.wait()
            say("notified")
        except CancelledError as error:
            say(f"{text_of(error)}, locked {condition.locked()}")
            raise


@scenario
async def COND_02_notify_wakes_the_oldest_in_order():
    condition = Condition()
    tasks = [spawn(name, wait_in(condition)) for name in "abc"]
    await turns(2)
    async with condition:
        condition.notify(2)
        say("two notified")
    await turns(4)
    async with condition:
        condition.notify_all()
        say("the rest")
    await all_of(*tasks)


@scenario
async def COND_03_a_cancelled_wait_holds_the_lock_again():
    condition = Condition()
    a = spawn("a", wait_in(condition))
    await turns(2)
    a.cancel()
    await all_of(a)
    say(f"locked {condition.locked()}")


@scenario
async def COND_04_a_cancelled_wait_waits_for_the_lock():
    condition = Condition()
    a = spawn("a", wait_in(condition))
    await turns(2)
    await condition.acquire()
    a.cancel()
    await turns(2)
    say("cancel again")
    a.cancel()
    await turns(2)
    say("release")
    condition.release()
    await all_of(a)


@documented(since=(3, 13), trace="""
    9 main: release
    10 a: CancelledError second, locked True
    11 main: locked False
""")
@scenario
async def COND_05_the_latest_cancellation_is_the_one_that_leaves():
    # 3.13: the most recent CancelledError is raised again, not a new one without its message
    # (gh-111693).
    condition = Condition()
    a = spawn("a", wait_in(condition))
    await turns(2)
    await condition.acquire()
    condition.notify()
    await turns(2)
    a.cancel("first")
    await turns(2)
    a.cancel("second")
    await turns(2)
    say("release")
    condition.release()
    await all_of(a)
    say(f"locked {condition.locked()}")


@documented(since=(3, 13), trace="""
    4 a: CancelledError, locked True
    5 b: notified
""")
@scenario
async def COND_06_a_notified_waiter_is_cancelled_before_it_ran():
    # 3.13: the notification is passed on (gh-112202).
    condition = Condition()
    a, b = [spawn(name, wait_in(condition)) for name in "ab"]
    await turns(2)
    async with condition:
        condition.notify()
    a.cancel()
    await all_of(a, b)


@scenario
async def COND_08_wait_for_waits_until_the_predicate_holds():
    condition = Condition()
    count = 0

    async def wait_until_two():
        async with condition:
            await condition.wait_for(lambda: count >= 2)
            say(f"count {count}")

    a = spawn("a", wait_until_two())
    for _ in range(3):
        await turns(3)
        async with condition:
            count += 1
            say(f"count is {count}")
            condition.notify()
    await a


@scenario
async def BAR_01_the_last_arrival_releases_all():
    barrier = Barrier(3)

    async def party(count):
        await turns(count)
        number = await barrier.wait()
        say(f"passes as {number}")

    await all_of(*[spawn(name, party(count)) for name, count in zip("abc", (0, 2, 4))])


@scenario
async def BAR_02_a_second_round_waits_for_the_first_to_leave():
    barrier = Barrier(2)

    async def party():
        for i in range(2):
            number = await barrier.wait()
            say(f"round {i} as {number}")

    await all_of(*[spawn(name, party()) for name in "ab"])
    say(f"waiting {barrier.n_waiting}, broken {barrier.broken}")


@scenario
async def BAR_04_a_reset_breaks_the_wait_of_those_inside():
    barrier = Barrier(3)

    async def party():
        try:
            await barrier.wait()
        except BrokenBarrierError:
            say("broken")

    tasks = [spawn(name, party()) for name in "ab"]
    await sleep(0)
    say(f"waiting {barrier.n_waiting}")
    await barrier.reset()
    await all_of(*tasks)
    say(f"waiting {barrier.n_waiting}, broken {barrier.broken}")


if __name__ == "__main__":
    main()
