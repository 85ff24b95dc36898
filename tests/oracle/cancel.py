"""Cancellation: when it comes, what wins, what it passes on to. The twins are in cancel.cpp."""

from oracle import *
from oracle import main


async def sleeper(seconds=FOREVER):
    await tell("sleep", sleep(seconds))


@scenario
async def CAN_01_a_sleep_ends_a_tick_after_the_request():
    task = spawn("a", sleeper())
    await turns(2)
    say(f"cancel {task.cancel()}, done {task.done()}")
    await sleep(0)
    say(f"done {task.done()}, cancelled {task.cancelled()}, again {task.cancel()}")


@scenario
async def CAN_01_a_task_between_two_turns():
    async def turner():
        for i in range(3):
            say(f"turn {i}")
            await sleep(0)

    task = spawn("a", turner())
    await turns(2)
    say("cancel")
    task.cancel()
    await end_of("a", task)


@scenario
async def CAN_03_before_its_first_step_a_task_never_runs():
    async def worker():
        try:
            say("never")
        finally:
            say("never either")

    task = spawn("a", worker())
    task.cancel("early")
    await end_of("a", task)
    say(f"cancelled {task.cancelled()}")


@scenario
async def CAN_04_an_awaited_future_is_cancelled_too():
    future = new_future()

    async def waiter():
        await tell("future", future)

    task = spawn("a", waiter())
    future.add_done_callback(lambda _: say(f"future cancelled {future.cancelled()}"))
    await sleep(0)
    say(f"cancel {task.cancel()}, future cancelled {future.cancelled()}")
    await end_of("a", task)


@scenario
async def CAN_04_a_chain_of_tasks_ends_from_its_last():
    async def link(depth):
        if depth == 0:
            await tell("sleep", sleep(FOREVER))
        else:
            await tell("link", spawn(f"t{depth - 1}", link(depth - 1)))

    task = spawn("t2", link(2))
    await turns(5)
    say("cancel")
    task.cancel()
    await end_of("t2", task)


@scenario
async def CAN_04_an_inner_task_that_refuses_decides_for_the_outer_one():
    async def stubborn():
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("refused")
        return 4

    async def outer():
        return 10 + await tell("inner", spawn("inner", stubborn()))

    task = spawn("outer", outer())
    await turns(3)
    say(f"cancel {task.cancel()}, cancelling {task.cancelling()}")
    await end_of("outer", task)
    say(f"cancelling {task.cancelling()}")


@scenario
async def CAN_06_task_and_future_cancelled_in_one_tick():
    future = new_future()

    async def waiter():
        await tell("future", future)

    task = spawn("a", waiter())
    await sleep(0)
    say(f"future {future.cancel()}, task {task.cancel()}")
    await end_of("a", task)
    say(f"cancelling {task.cancelling()}")


@scenario
async def CAN_07_a_task_that_swallows_it_has_a_value():
    async def stubborn():
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("swallowed")
        await sleep(1)
        return 3

    task = spawn("a", stubborn())
    await sleep(0)
    task.cancel()
    await end_of("a", task)
    say(f"cancelled {task.cancelled()}, cancelling {task.cancelling()}, at {loop_time()}")


@scenario
async def CAN_09_a_task_that_cancels_itself():
    async def suicidal():
        say(f"cancel {asyncio.current_task().cancel('self')}")
        await tell("sleep", sleep(0))

    await end_of("a", spawn("a", suicidal()))


@scenario
async def CAN_09_a_task_that_cancels_itself_and_waits_no_more():
    async def suicidal():
        asyncio.current_task().cancel()
        return 5

    await end_of("a", spawn("a", suicidal()))


@scenario
async def CAN_09_what_is_done_does_not_deliver_a_request():
    done = new_future()
    done.set_result(1)

    async def worker():
        asyncio.current_task().cancel()
        say(f"done future {await done}")
        await tell("turn", sleep(0))

    await end_of("a", spawn("a", worker()))


@differs(trace="""
    2 main: True True cancelling 2
    3 a: CancelledError two
    5 a: another sleep: done
    6 main: a: done
""")
@scenario
async def CAN_10_two_requests_before_the_delivery():
    async def worker():
        try:
            await sleep(FOREVER)
        except CancelledError as error:
            say(text_of(error))
        await tell("another sleep", sleep(1))

    task = spawn("a", worker())
    await sleep(0)
    say(f"{task.cancel('one')} {task.cancel('two')} cancelling {task.cancelling()}")
    await end_of("a", task)


@documented(since=(3, 13), trace="""
    2 main: uncancel 0
    3 a: future: 7
    4 main: a: 7
""")
@scenario
async def CAN_12_a_request_taken_back_before_the_delivery():
    # 3.13: "uncancel() that reaches zero clears the pending request" (gh-117407).
    future = new_future()

    async def waiter():
        return await tell("future", future)

    task = spawn("a", waiter())
    await sleep(0)
    future.set_result(7)
    task.cancel()
    say(f"uncancel {task.uncancel()}")
    await end_of("a", task)


@scenario
async def CAN_13_a_request_in_the_tick_of_the_result():
    future = new_future()

    async def waiter():
        await tell("future", future)

    task = spawn("a", waiter())
    await sleep(0)
    future.set_result(7)
    say(f"set, cancel {task.cancel()}")
    await end_of("a", task)
    say(f"future still has {future.result()}")


@scenario
async def CAN_13_a_request_in_the_tick_of_a_timer():
    async def worker():
        await tell("sleep", sleep(1))

    task = spawn("a", worker())
    await sleep(0)
    call_later(1, lambda: say(f"cancel {task.cancel()}"))
    await end_of("a", task)


@scenario
async def CAN_13_a_request_a_tick_after_the_timer():
    async def worker():
        await tell("sleep", sleep(1))
        await tell("turn", sleep(0))

    async def canceller(task):
        await sleep(1)
        say(f"cancel {task.cancel()}")

    worker_task = spawn("a", worker())
    await spawn("b", canceller(worker_task))
    await end_of("a", worker_task)


@scenario
async def CAN_14_the_message_survives_an_error_of_the_future():
    future = new_future()

    async def waiter():
        await tell("future", future)

    task = spawn("a", waiter())
    await sleep(0)
    task.cancel("why")
    await end_of("a", task)
    other = new_future()

    async def other_waiter():
        await tell("other", other)

    task = spawn("b", other_waiter())
    await sleep(0)
    other.set_exception(Error("boom"))
    task.cancel("because")
    await end_of("b", task)
    say(f"other had {text_of(other.exception())}")


@scenario
async def CAN_16_cleanup_may_wait_and_be_interrupted():
    async def worker():
        try:
            await sleep(FOREVER)
        except CancelledError as error:
            say(f"cleaning up after {text_of(error)}")
            await tell("cleanup", sleep(10))

    task = spawn("a", worker())
    await sleep(0)
    task.cancel("first")
    await sleep(1)
    say(f"cancel {task.cancel('second')}, cancelling {task.cancelling()}")
    await end_of("a", task)
    say(f"at {loop_time()}")


@scenario
async def CAN_17_another_error_during_the_cleanup():
    async def worker():
        try:
            await sleep(FOREVER)
        except CancelledError:
            raise Error("cleanup") from None

    task = spawn("a", worker())
    await sleep(0)
    task.cancel()
    await end_of("a", task)
    say(f"cancelled {task.cancelled()}")


@scenario
async def CAN_19_a_task_that_cancelled_itself_cancels_what_it_awaits():
    future = new_future()

    async def inner():
        await tell("future", future)

    async def outer():
        inner_task = spawn("inner", inner())
        await sleep(0)
        asyncio.current_task().cancel()
        await tell("inner", inner_task)

    await end_of("outer", spawn("outer", outer()))
    say(f"future cancelled {future.cancelled()}")


@scenario
async def CAN_20_from_a_callback_it_is_the_same():
    task = spawn("a", sleeper())
    await sleep(0)
    call_soon(lambda: say(f"cancel {task.cancel()}"))
    await end_of("a", task)


@scenario
async def CAN_20_from_a_done_callback_it_is_the_same():
    future = new_future()
    task = spawn("a", sleeper())
    future.add_done_callback(lambda _: say(f"cancel {task.cancel()}"))
    await sleep(0)
    future.set_result(1)
    await end_of("a", task)


@scenario
async def CAN_10_uncancel_counts_down_and_stops_at_zero():
    async def worker():
        own = asyncio.current_task()
        try:
            await sleep(FOREVER)
        except CancelledError:
            say(f"cancelling {own.cancelling()}")
            say(f"uncancel {own.uncancel()}, {own.uncancel()}, {own.uncancel()}")
        await tell("a short sleep", sleep(1))

    task = spawn("a", worker())
    await sleep(0)
    task.cancel()
    task.cancel()
    await end_of("a", task)
    say(f"cancelled {task.cancelled()}")


@scenario
async def CAN_18_a_scope_of_ones_own():
    async def worker():
        own = asyncio.current_task()
        call_later(1, own.cancel)
        before = own.cancelling()
        try:
            await sleep(FOREVER)
        except CancelledError:
            say(f"mine: {own.uncancel() <= before}")
        await tell("goes on", sleep(1))

    await end_of("a", spawn("a", worker()))


@scenario
async def CAN_08_a_request_is_delivered_once():
    async def worker():
        for i in range(3):
            try:
                await sleep(1)
                say(f"slept {i}")
            except CancelledError:
                say(f"interrupted {i}")

    task = spawn("a", worker())
    await sleep(0)
    task.cancel()
    await end_of("a", task)
    say(f"at {loop_time()}")


@scenario
async def CAN_06_two_who_await_one_task_and_one_is_cancelled():
    async def waiter(task):
        await tell("worker", task)

    worker = spawn("worker", sleeper())
    a = spawn("a", waiter(worker))
    b = spawn("b", waiter(worker))
    await turns(2)
    say(f"cancel {a.cancel()}")
    await end_of("a", a)
    await end_of("b", b)
    say(f"worker {worker.cancelled()}, b {b.cancelled()}, cancelling {b.cancelling()}")


if __name__ == "__main__":
    main()
