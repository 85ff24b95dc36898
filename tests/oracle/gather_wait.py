"""`gather`, `wait`, `shield`: who is waited for, and what is heard of the others. The twins are in
gather_wait.cpp.
"""

from asyncio import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

from oracle import *
from oracle import main


async def number(seconds, value):
    await sleep(seconds)
    say(f"returns {value}")
    return value


async def failing(seconds, text):
    await sleep(seconds)
    say(f"fails with {text}")
    raise Error(text)


async def sleeper(seconds=FOREVER):
    await tell("sleep", sleep(seconds))


async def stubborn(count):
    """Needs some ticks to end when it is cancelled."""
    try:
        await sleep(FOREVER)
    except CancelledError:
        say("cleaning up")
        await turns(count)
        say("clean")
        raise


def names(tasks):
    return " ".join(sorted(task.get_name() for task in tasks))


async def say_results(what, awaitable):
    values = await awaitable
    say(f"{what}: " + ", ".join(text_of(value) if isinstance(value, BaseException) else str(value)
                                for value in values))


@scenario
async def GATH_01_results_come_in_the_order_of_the_arguments():
    parts = [spawn("a", number(3, 1)), spawn("b", number(1, 2)), spawn("c", number(2, 3))]
    await say_results("gather", gather(*parts))


@scenario
async def GATH_01_of_parts_that_end_in_one_tick():
    parts = [spawn("a", number(1, 1)), spawn("b", number(1, 2))]
    await say_results("gather", gather(*parts))


@scenario
async def GATH_02_of_nothing():
    gathered = gather()
    await sleep(0)
    say(f"done {gathered.done()}")


@scenario
async def GATH_03_of_one_task_twice():
    task = spawn("a", number(1, 7))
    await say_results("gather", gather(task, task))


@scenario
async def GATH_04_the_first_error_leaves_and_the_others_go_on():
    a = spawn("a", number(3, 1))
    b = spawn("b", failing(1, "boom"))
    c = spawn("c", failing(2, "late"))
    await end_of("gather", gather(a, b, c))
    say(f"a done {a.done()}")
    await end_of("a", a)


@scenario
async def GATH_05_errors_as_values():
    parts = [spawn("a", number(2, 1)), spawn("b", failing(1, "boom")), spawn("c", sleeper())]
    call_later(1, parts[2].cancel)
    await say_results("gather", gather(*parts, return_exceptions=True))


@scenario
async def GATH_06_a_part_that_is_cancelled():
    parts = [spawn("a", sleeper()), spawn("b", number(2, 1))]
    gathered = gather(*parts)
    call_later(1, parts[0].cancel)
    await end_of("gather", gathered)
    say(f"cancelled {gathered.cancelled()}, main {asyncio.current_task().cancelling()}")
    await parts[1]


@scenario
async def GATH_07_cancelling_it_cancels_the_parts():
    a, b = spawn("a", sleeper()), spawn("b", number(0, 2))

    async def worker():
        await tell("gather", gather(a, b))

    task = spawn("worker", worker())
    await turns(4)
    say(f"cancel {task.cancel()}")
    await end_of("worker", task)
    say(f"a {a.cancelled()}, b {b.cancelled()}")


@scenario
async def GATH_07_when_the_parts_have_ended_the_results_stand():
    a, b = spawn("a", number(0, 1)), spawn("b", number(0, 2))
    gathered = gather(a, b)
    await turns(2)
    say(f"parts {a.done()} {b.done()}, gather {gathered.done()}")
    say(f"cancel {gathered.cancel()}")
    await say_results("gather", gathered)


@scenario
async def GATH_08_errors_as_values_and_the_caller_is_cancelled():
    a, b = spawn("a", sleeper()), spawn("b", stubborn(2))

    async def worker():
        await tell("gather", gather(a, b, return_exceptions=True))

    task = spawn("worker", worker())
    await turns(2)
    task.cancel()
    await end_of("worker", task)


@differs(trace="""
    3 main: cancel
    4 a: sleep: CancelledError
    4 b: cleaning up
    6 b: clean
    8 worker: gather: CancelledError
    8 worker: b is done True
    9 main: worker: CancelledError
""")
@scenario
async def GATH_09_a_cancelled_gather_and_a_part_that_cleans_up():
    a, b = spawn("a", sleeper()), spawn("b", stubborn(2))

    async def worker():
        try:
            await tell("gather", gather(a, b))
        finally:
            say(f"b is done {b.done()}")

    task = spawn("worker", worker())
    await turns(2)
    say("cancel")
    task.cancel()
    await end_of("worker", task)
    while not b.done():
        await sleep(0)


@scenario
async def GATH_12_an_expired_timeout_cancels_nobody():
    tasks = [spawn("a", number(1, 1)), spawn("b", number(3, 2))]
    done, pending = await asyncio.wait(tasks, timeout=2)
    say(f"done {names(done)}, pending {names(pending)}, at {loop_time()}")
    await tasks[1]


@scenario
async def GATH_13_all_that_end_in_one_tick_are_done():
    tasks = [spawn("a", number(1, 1)), spawn("b", number(1, 2)), spawn("c", number(2, 3))]
    done, pending = await asyncio.wait(tasks, return_when=FIRST_COMPLETED)
    say(f"done {names(done)}, pending {names(pending)}")
    await tasks[2]


@scenario
async def GATH_13_the_first_error_ends_the_wait():
    tasks = [spawn("a", number(1, 1)), spawn("b", failing(2, "boom")), spawn("c", number(3, 3))]
    done, pending = await asyncio.wait(tasks, return_when=FIRST_EXCEPTION)
    say(f"done {names(done)}, pending {names(pending)}")
    await tasks[2]
    say(text_of(tasks[1].exception()))


@scenario
async def GATH_13_a_wait_for_what_is_done():
    tasks = [spawn("a", number(0, 1)), spawn("b", number(0, 2))]
    await turns(3)
    done, pending = await asyncio.wait(tasks, return_when=ALL_COMPLETED)
    say(f"done {names(done)}, pending {len(pending)}")


@scenario
async def GATH_15_a_cancelled_wait_leaves_the_tasks_alone():
    task = spawn("a", number(2, 1))

    async def worker():
        await tell("wait", asyncio.wait([task]))

    waiting = spawn("worker", worker())
    await sleep(1)
    waiting.cancel()
    await end_of("worker", waiting)
    await end_of("a", task)


@scenario
async def GATH_19_the_waiter_is_cancelled_and_the_inner_task_goes_on():
    inner = spawn("inner", number(2, 5))

    async def worker():
        await tell("shield", shield(inner))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)
    await end_of("inner", inner)


@scenario
async def GATH_19_the_inner_task_is_cancelled():
    inner = spawn("inner", sleeper())

    async def worker():
        await tell("shield", shield(inner))

    task = spawn("worker", worker())
    await turns(2)
    inner.cancel()
    await end_of("worker", task)
    say(f"cancelling {task.cancelling()}")


@scenario
async def GATH_19_a_result_and_a_request_in_one_tick():
    inner = new_future()

    async def worker():
        await tell("shield", shield(inner))

    task = spawn("worker", worker())
    await turns(2)
    inner.set_result(3)
    task.cancel()
    await end_of("worker", task)
    say(f"inner {inner.result()}")


@documented(since=(3, 14), trace="""
    5 worker: shield: CancelledError
    6 main: worker: CancelledError
    8 inner: fails with late
    9 -: report Error late
    11 main: done True
""")
@scenario
async def GATH_21_an_error_after_the_waiter_is_gone_is_reported_once():
    # 3.14: the shield itself reports it (gh-86802); before, it was the task, when it was collected.
    inner = spawn("inner", failing(2, "late"))

    async def worker():
        await tell("shield", shield(inner))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)
    await sleep(3)
    say(f"done {inner.done()}")


@differs(trace="""
    5 b: sleep: CancelledError
    7 worker: gather: CancelledError
    8 main: worker: CancelledError
    10 a: returns 1
    11 main: a: 1
""")
@scenario
async def GATH_23_a_shield_inside_a_gather():
    a, b = spawn("a", number(2, 1)), spawn("b", sleeper())

    async def worker():
        await tell("gather", gather(shield(a), b))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)
    await end_of("a", a)


@scenario
async def GATH_23_a_shield_around_a_gather():
    a, b = spawn("a", number(2, 1)), spawn("b", number(3, 2))
    gathered = gather(a, b)

    async def worker():
        await tell("shield", shield(gathered))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)
    await say_results("gather", gathered)


@scenario
async def GATH_22_a_shield_of_what_is_done():
    future = new_future()
    future.set_result(1)
    await end_of("shield", shield(future))


@scenario
async def GATH_19_a_limit_around_a_shield():
    inner = spawn("inner", number(3, 5))

    async def body():
        return await tell("shield", shield(inner))

    await end_of("limit", in_timeout(1, body))
    await end_of("inner", inner)
    say(f"at {loop_time()}")


if __name__ == "__main__":
    main()
