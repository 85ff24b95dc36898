"""Queues: who gets what, and what becomes of the cancelled. The twins are in queues.cpp."""

from asyncio import LifoQueue, PriorityQueue, Queue

from oracle import *
from oracle import main


async def getter(queue):
    await tell("get", queue.get())


async def putter(queue, item):
    try:
        await queue.put(item)
        say(f"has put {item}")
    except CancelledError:
        say(f"has not put {item}")
        raise


async def all_of(*tasks):
    for task in tasks:
        try:
            await task
        except CancelledError:
            pass


@scenario
async def QUE_01_getters_are_served_in_order():
    queue = Queue()
    tasks = [spawn(name, getter(queue)) for name in "abc"]
    await sleep(0)
    for item in (1, 2, 3):
        queue.put_nowait(item)
    await all_of(*tasks)


@scenario
async def QUE_01_a_queue_of_one_place():
    queue = Queue(1)

    async def producer():
        for item in range(4):
            await putter(queue, item)

    async def consumer():
        for _ in range(4):
            await getter(queue)

    await all_of(spawn("producer", producer()), spawn("consumer", consumer()))


@scenario
async def QUE_01_putters_are_served_in_order():
    queue = Queue(1)
    queue.put_nowait(0)
    tasks = [spawn(name, putter(queue, item)) for item, name in enumerate("abc", 1)]
    await sleep(0)
    for _ in range(4):
        await getter(queue)
    await all_of(*tasks)


@scenario
async def QUE_04_a_woken_getter_is_cancelled():
    queue = Queue()
    a, b = [spawn(name, getter(queue)) for name in "ab"]
    await sleep(0)
    queue.put_nowait(1)
    a.cancel()
    await all_of(a, b)
    say(f"left {queue.qsize()}")


@scenario
async def QUE_04_a_getter_is_cancelled_and_then_woken():
    queue = Queue()
    a, b = [spawn(name, getter(queue)) for name in "ab"]
    await sleep(0)
    a.cancel()
    queue.put_nowait(1)
    await all_of(a, b)


@scenario
async def QUE_04_the_only_woken_getter_is_cancelled():
    queue = Queue()
    a = spawn("a", getter(queue))
    await sleep(0)
    queue.put_nowait(1)
    a.cancel()
    await all_of(a)
    say(f"left {queue.qsize()}")
    await getter(queue)


@scenario
async def QUE_04_a_newcomer_takes_what_a_woken_getter_was_woken_for():
    queue = Queue()
    a = spawn("a", getter(queue))
    await sleep(0)
    queue.put_nowait(1)
    say(f"newcomer gets {queue.get_nowait()}")
    await turns(2)
    queue.put_nowait(2)
    await all_of(a)


@scenario
async def QUE_05_a_woken_putter_is_cancelled():
    queue = Queue(1)
    queue.put_nowait(0)
    a, b = [spawn(name, putter(queue, item)) for item, name in enumerate("ab", 1)]
    await sleep(0)
    say(f"got {queue.get_nowait()}")
    a.cancel()
    await all_of(a, b)
    say(f"got {queue.get_nowait()}")


@scenario
async def QUE_07_what_a_cancelled_put_wanted_is_not_there():
    queue = Queue(1)
    queue.put_nowait(0)
    a = spawn("a", putter(queue, 1))
    await sleep(0)
    a.cancel()
    await all_of(a)
    say(f"got {queue.get_nowait()}, left {queue.qsize()}")


@scenario
async def QUE_12_last_in_first_out_and_the_smallest():
    for queue in (LifoQueue(), PriorityQueue()):
        for item in (2, 3, 1):
            queue.put_nowait(item)
        for _ in range(3):
            await getter(queue)


@scenario
async def QUE_14_an_item_in_the_tick_of_the_deadline():
    queue = Queue()

    async def limited():
        await tell("limit", wait_for(queue.get(), 1))

    a = spawn("a", limited())
    await sleep(0)
    call_later(1, lambda: queue.put_nowait(7))
    await end_of("a", a)
    say(f"left {queue.qsize()}")


@scenario
async def QUE_14_an_item_in_the_tick_of_the_deadline_before_it():
    queue = Queue()
    call_later(1, lambda: queue.put_nowait(7))

    async def limited():
        await tell("limit", wait_for(queue.get(), 1))

    a = spawn("a", limited())
    await end_of("a", a)
    say(f"left {queue.qsize()}")


@scenario
async def QUE_10_join_waits_for_the_last_task_done():
    queue = Queue()

    async def worker():
        for _ in range(2):
            item = await queue.get()
            await turns(2)
            say(f"done with {item}")
            queue.task_done()

    queue.put_nowait(1)
    queue.put_nowait(2)
    task = spawn("worker", worker())
    await queue.join()
    say("joined")
    await task


@documented(since=(3, 13), trace="""
    2 main: shut down
    3 a: QueueShutDown
    3 b: QueueShutDown
    4 main: put: QueueShutDown
""")
@scenario
async def QUE_09_shutting_down_an_empty_queue():
    # 3.13: Queue.shutdown().
    queue = Queue()

    async def getter_to_the_end():
        try:
            await queue.get()
        except asyncio.QueueShutDown:
            say("QueueShutDown")

    tasks = [spawn(name, getter_to_the_end()) for name in "ab"]
    await sleep(0)
    queue.shutdown()
    say("shut down")
    await all_of(*tasks)
    try:
        queue.put_nowait(1)
    except asyncio.QueueShutDown:
        say("put: QueueShutDown")


@documented(since=(3, 13), trace="""
    1 main: get: 1
    1 main: get: 2
    1 main: QueueShutDown
""")
@scenario
async def QUE_10_what_is_in_it_can_still_be_got():
    queue = Queue()
    queue.put_nowait(1)
    queue.put_nowait(2)
    queue.shutdown()
    await getter(queue)
    await getter(queue)
    try:
        await queue.get()
    except asyncio.QueueShutDown:
        say("QueueShutDown")


if __name__ == "__main__":
    main()
