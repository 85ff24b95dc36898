"""`timeout` and `wait_for`: deadlines that meet results, requests and each other. The twins are in
timeouts.cpp.
"""

from oracle import *
from oracle import main


async def sleeper(seconds=FOREVER):
    await tell("sleep", sleep(seconds))


async def stubborn(turns_to_clean_up):
    """Needs some ticks to end when it is cancelled."""
    try:
        await sleep(FOREVER)
    except CancelledError:
        say("cleaning up")
        await turns(turns_to_clean_up)
        say("clean")
        raise


@scenario
async def TO_02_a_body_that_ends_in_time():
    async def body():
        await sleep(1)
        return 5

    await end_of("limit", in_timeout(2, body))
    await end_of("rest", sleep(3))


@scenario
async def TO_02_a_body_that_does_not():
    await end_of("limit", in_timeout(2, sleeper))
    own = asyncio.current_task()
    say(f"at {loop_time()}, cancelling {own.cancelling()}")
    await end_of("turn", sleep(0))


@scenario
async def TO_04_a_limit_of_zero_fires_at_the_first_wait():
    async def body():
        say("begins")
        await tell("turn", sleep(0))
        say("never")

    await end_of("limit", in_timeout(0, body))


@scenario
async def TO_04_a_limit_in_the_past_lets_what_is_done_through():
    done = new_future()
    done.set_result(1)

    async def body():
        await tell("done", done)
        await tell("sleep", sleep(1))

    await end_of("limit", in_timeout(-5, body))


@scenario
async def TO_05_a_body_that_never_waits():
    async def body():
        return 8

    await end_of("limit", in_timeout(-1, body))
    await end_of("turn", sleep(0))


@scenario
async def TO_06_two_limits_with_one_deadline():
    async def inner():
        await tell("inner", in_timeout(2, sleeper))

    await end_of("outer", in_timeout(2, inner))
    say(f"cancelling {asyncio.current_task().cancelling()}")


@scenario
async def TO_06_three_limits_with_one_deadline():
    async def inner():
        await tell("inner", in_timeout(2, sleeper))

    async def middle():
        await tell("middle", in_timeout(2, inner))

    await end_of("outer", in_timeout(2, middle))
    await end_of("turn", sleep(0))


@scenario
async def TO_06_the_inner_limit_is_shorter():
    async def body():
        await end_of("inner", in_timeout(1, sleeper))
        await tell("rest", sleep(5))

    await end_of("outer", in_timeout(3, body))
    say(f"at {loop_time()}")


@scenario
async def TO_07_the_outer_limit_is_shorter():
    async def body():
        await tell("inner", in_timeout(3, sleeper))

    await end_of("outer", in_timeout(1, body))
    say(f"at {loop_time()}")


@scenario
async def TO_06_the_inner_ones_cleanup_outlasts_the_outer_deadline():
    async def inner():
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("cleaning up")
            await tell("cleanup", sleep(5))
            raise

    async def body():
        await tell("inner", in_timeout(1, inner))

    await end_of("outer", in_timeout(2, body))
    say(f"at {loop_time()}, cancelling {asyncio.current_task().cancelling()}")


@scenario
async def TO_10_another_error_leaves():
    async def body():
        try:
            await sleep(FOREVER)
        except CancelledError:
            raise Error("in answer") from None

    await end_of("limit", in_timeout(1, body))
    say(f"cancelling {asyncio.current_task().cancelling()}")


@scenario
async def TO_11_a_request_before_the_deadline():
    async def worker():
        await tell("limit", in_timeout(5, sleeper))

    task = spawn("a", worker())
    await sleep(1)
    task.cancel()
    await end_of("a", task)


@scenario
async def TO_11_a_request_in_the_tick_of_the_deadline_after_it():
    async def worker():
        await tell("limit", in_timeout(1, sleeper))

    task = spawn("a", worker())
    await sleep(0)
    call_later(1, lambda: say(f"cancel {task.cancel()}, cancelling {task.cancelling()}"))
    await end_of("a", task)
    say(f"cancelling {task.cancelling()}")


@scenario
async def TO_11_a_request_in_the_tick_of_the_deadline_before_it():
    async def worker():
        await sleep(0)
        await tell("limit", in_timeout(1, sleeper))

    task = spawn("a", worker())
    call_later(1, lambda: say(f"cancel {task.cancel()}, cancelling {task.cancelling()}"))
    await end_of("a", task)
    say(f"cancelling {task.cancelling()}")


@scenario
async def TO_11_a_request_a_tick_after_the_deadline():
    async def worker():
        await tell("limit", in_timeout(1, sleeper))
        await tell("turn", sleep(0))

    async def canceller(task):
        await sleep(1)
        say(f"cancel {task.cancel()}, cancelling {task.cancelling()}")

    task = spawn("a", worker())
    await spawn("b", canceller(task))
    await end_of("a", task)


@scenario
async def TO_12_another_task_moves_the_deadline():
    limits = []

    async def body(limit):
        limits.append(limit)
        await tell("sleep", sleep(10))

    async def mover():
        await sleep(1)
        limits[0].reschedule(loop_time() + 2)
        say("moved")

    mover_task = spawn("b", mover())
    await end_of("limit", in_timeout(5, body))
    say(f"at {loop_time()}")
    await mover_task


@scenario
async def TO_12_another_task_takes_the_deadline_away():
    limits = []

    async def body(limit):
        limits.append(limit)
        await tell("sleep", sleep(10))

    async def mover():
        await sleep(1)
        limits[0].reschedule(None)

    mover_task = spawn("b", mover())
    await end_of("limit", in_timeout(5, body))
    say(f"at {loop_time()}")
    await mover_task


@documented(since=(3, 11, 4), trace="""
    5 a: sleep: CancelledError
    5 a: cleanup: TimeoutError
    5 a: cancelling 1
    6 main: a: CancelledError
    6 main: at 1
""")
@scenario
async def TO_15_a_limit_on_the_cleanup_after_a_cancellation():
    async def worker():
        try:
            await sleep(FOREVER)
        except CancelledError:
            await end_of("cleanup", in_timeout(1, sleeper))
            say(f"cancelling {asyncio.current_task().cancelling()}")
            raise

    task = spawn("a", worker())
    await sleep(0)
    task.cancel()
    await end_of("a", task)
    say(f"at {loop_time()}")


@scenario
async def TO_16_a_second_request_inside_that_limit():
    async def worker():
        try:
            await sleep(FOREVER)
        except CancelledError:
            await tell("cleanup", in_timeout(5, sleeper))

    task = spawn("a", worker())
    await sleep(0)
    task.cancel()
    await sleep(1)
    task.cancel()
    await end_of("a", task)
    say(f"at {loop_time()}, cancelling {task.cancelling()}")


@documented(since=(3, 11, 4), trace="""
    2 a: cancel True
    3 a: sleep: CancelledError
    3 a: limit: TimeoutError
    4 main: a: TimeoutError
""")
@differs(trace="""
    2 a: cancel True
    3 a: sleep: CancelledError
    3 a: limit: CancelledError
    4 main: a: CancelledError
""")
@scenario
async def TO_17_a_request_that_was_pending_at_entry():
    async def worker():
        say(f"cancel {asyncio.current_task().cancel()}")
        await tell("limit", in_timeout(0, sleeper))

    await end_of("a", spawn("a", worker()))


@differs(trace="""
    5 worker: swallowed
    11 child: cleanup: done
    13 worker: limit: ExceptionGroup[Error body]
    14 worker: turn: done
    16 worker: another sleep: done
    16 worker: cancelling 1
    17 main: worker: done
""")
@documented(since=(3, 13), trace="""
    5 worker: swallowed
    11 child: cleanup: done
    13 worker: limit: ExceptionGroup[Error body]
    14 worker: turn: CancelledError
    16 worker: another sleep: done
    16 worker: cancelling 1
    17 main: worker: done
""")
@scenario
async def TO_21_a_group_that_fails_in_a_limit_behind_a_swallowed_request():
    async def child():
        try:
            await sleep(FOREVER)
        except CancelledError:
            await tell("cleanup", sleep(2))

    async def body(group):
        group.create_task(child(), name="child")
        await sleep(0)
        raise Error("body")

    async def limited():
        await in_group(body)

    async def worker():
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("swallowed")
        await end_of("limit", in_timeout(1, limited))
        await end_of("turn", sleep(0))
        await end_of("another sleep", sleep(1))
        say(f"cancelling {asyncio.current_task().cancelling()}")

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)


@scenario
async def TO_18_a_body_that_swallows_the_expiry():
    async def body(limit):
        try:
            await sleep(FOREVER)
        except CancelledError:
            say(f"swallowed, expired {limit.expired()}")
        return 2

    await end_of("limit", in_timeout(1, body))
    say(f"cancelling {asyncio.current_task().cancelling()}")
    await end_of("turn", sleep(0))


@scenario
async def TO_13_rescheduling_what_is_expiring():
    async def body(limit):
        try:
            await sleep(FOREVER)
        except CancelledError:
            try:
                limit.reschedule(None)
            except RuntimeError as error:
                say(text_of(error))
            raise

    await end_of("limit", in_timeout(1, body))


@scenario
async def TO_08_a_result_in_the_tick_of_the_deadline_before_it():
    future = new_future()
    call_later(1, lambda: future.set_result(6))

    async def body():
        await sleep(0)
        return await tell("future", future)

    async def worker():
        await sleep(0)
        await tell("limit", in_timeout(1, body))

    await end_of("a", spawn("a", worker()))


@scenario
async def TO_08_a_sleep_that_ends_at_the_deadline():
    async def body():
        await tell("sleep", sleep(1))

    await end_of("limit", in_timeout(1, body))


@scenario
async def WF_01_in_time():
    await end_of("wait_for", wait_for(sleeper(1), 2))
    task = spawn("a", sleeper(1))
    await end_of("a task", wait_for(task, 2))
    await end_of("without limit", wait_for(sleeper(1), None))


@scenario
async def WF_03_a_limit_of_nothing_returns_what_is_done():
    future = new_future()
    future.set_result(4)
    await end_of("done", wait_for(future, 0))


@scenario
async def WF_04_a_limit_of_nothing_cancels_a_task_and_waits_for_it():
    task = spawn("a", stubborn(2))
    await sleep(0)
    await end_of("wait_for", wait_for(task, 0))
    say(f"cancelled {task.cancelled()}")


@scenario
async def WF_05_it_returns_when_what_it_cancelled_has_cleaned_up():
    task = spawn("a", stubborn(3))
    await end_of("wait_for", wait_for(task, 1))
    say(f"cancelled {task.cancelled()}")


@scenario
async def WF_06_what_refuses_has_its_value_returned():
    async def refusing():
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("refused")
        return 3

    await end_of("coroutine", wait_for(refusing(), 1))
    await end_of("task", wait_for(spawn("a", refusing()), 1))


@scenario
async def WF_08_a_future_set_in_the_tick_of_the_deadline():
    future = new_future()
    call_later(1, lambda: future.set_result(5))
    await sleep(0)
    await end_of("wait_for", wait_for(future, 1))
    say(f"future {future.result()}")


@scenario
async def WF_09_a_request_in_the_tick_of_the_result():
    future = new_future()

    async def worker():
        await tell("wait_for", wait_for(future, 5))

    task = spawn("a", worker())
    await sleep(0)
    future.set_result(5)
    say(f"cancel {task.cancel()}")
    await end_of("a", task)


@scenario
async def WF_10_cancelling_the_caller_cancels_what_it_waits_for():
    inner = spawn("inner", stubborn(2))

    async def worker():
        await tell("wait_for", wait_for(inner, 5))

    task = spawn("a", worker())
    await turns(2)
    task.cancel()
    await end_of("a", task)
    say(f"inner {inner.cancelled()}")


@scenario
async def WF_12_its_own_timeout_error_passes():
    async def impatient():
        await sleep(1)
        raise TimeoutError

    await end_of("wait_for", wait_for(impatient(), 5))
    say(f"at {loop_time()}")


@scenario
async def WF_05_nested_with_the_outer_deadline_during_the_cleanup():
    async def inner():
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("cleaning up")
            await tell("cleanup", sleep(3))
            raise

    async def body():
        await tell("inner", wait_for(inner(), 1))

    await end_of("outer", wait_for(body(), 2))
    say(f"at {loop_time()}")


if __name__ == "__main__":
    main()
