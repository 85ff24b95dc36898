"""Tasks, futures and callbacks: who runs in which tick. The twins are in tasks.cpp."""

from oracle import *
from oracle import main


@scenario
async def TASK_01_first_steps_come_a_tick_later_in_order():
    async def worker():
        say("first step")

    tasks = [spawn(name, worker()) for name in "abc"]
    say("created")
    for task in tasks:
        await task
    say("all done")


@scenario
async def TASK_02_a_future_that_is_set_resumes_its_waiter_one_tick_later():
    future = new_future()

    async def waiter():
        say(f"got {await future}")

    task = spawn("a", waiter())
    await turns(3)
    future.set_result(7)
    say("set")
    await sleep(0)
    say("after one turn")
    await task


@scenario
async def TASK_03_what_is_done_costs_no_tick():
    async def at_once():
        return 5

    future = new_future()
    future.set_result(6)
    task = spawn("a", at_once())
    await turns(2)
    say("before")
    say(f"coroutine {await at_once()}")
    say(f"future {await future}")
    say(f"task {await task}")


@scenario
async def TASK_04_sleep_of_nothing_costs_a_tick_and_takes_turns():
    async def worker(count):
        for i in range(count):
            say(f"turn {i}")
            await sleep(0 if i % 2 == 0 else -1)
        say("end")

    tasks = [spawn("a", worker(3)), spawn("b", worker(2)), spawn("c", worker(4))]
    for task in tasks:
        await task
    say("end")


@scenario
async def TASK_02_a_chain_of_tasks_costs_a_tick_per_link():
    async def link(depth):
        if depth > 0:
            await spawn(f"link{depth - 1}", link(depth - 1))
        say("end")

    await spawn("link3", link(3))
    say("end")


@scenario
async def TASK_03_a_chain_of_coroutines_costs_none():
    async def link(depth):
        if depth > 0:
            await link(depth - 1)
        else:
            await sleep(0)
        say(f"end of {depth}")

    await link(4)


@scenario
async def TASK_13_callbacks_belong_to_no_task():
    call_soon(lambda: say("callback"))

    async def worker():
        say("step")
        call_soon(lambda: say("callback of a task"))
        await sleep(0)
        say("step again")

    await spawn("a", worker())


@differs(trace="""
    2 a: itself: RuntimeError
    3 a: goes on
""")
@scenario
async def TASK_07_a_task_that_awaits_itself_fails():
    tasks = []

    async def worker():
        await end_of("itself", tasks[0])
        await sleep(0)
        say("goes on")

    tasks.append(spawn("a", worker()))
    await tasks[0]


@scenario
async def TASK_15_an_error_nobody_asks_for_is_reported_once():
    async def failing():
        raise Error("lost")

    task = spawn("a", failing())
    await turns(2)
    say("dropping it")
    del task
    say("dropped")
    task = spawn("b", failing())
    await turns(2)
    say(f"seen {text_of(task.exception())}")
    del task
    say("dropped")


@scenario
async def TASK_02_several_who_await_one_task():
    async def worker():
        await sleep(1)
        return 9

    async def waiter(task):
        say(f"got {await task}")

    task = spawn("worker", worker())
    waiters = [spawn(name, waiter(task)) for name in "abc"]
    for each in waiters:
        await each


@scenario
async def FUT_01_asking_too_early():
    future = new_future()
    for ask in (future.result, future.exception):
        try:
            ask()
        except BaseException as error:
            say(text_of(error))
    future.cancel()
    for ask in (future.result, future.exception):
        try:
            ask()
        except BaseException as error:
            say(text_of(error))


@scenario
async def FUT_02_setting_twice():
    future = new_future()
    future.set_result(1)
    try:
        future.set_result(2)
    except Exception as error:
        say(text_of(error))
    try:
        future.set_exception(Error("late"))
    except Exception as error:
        say(text_of(error))
    say(f"cancel {future.cancel()}, result {future.result()}")


@scenario
async def FUT_04_a_callback_of_a_done_future_comes_through_the_loop():
    future = new_future()
    future.set_result(1)
    future.add_done_callback(lambda _: say("called"))
    say("added")
    await sleep(0)
    say("a turn later")


@scenario
async def FUT_05_a_callback_removed_during_the_delivery_still_runs():
    future = new_future()

    def second(_):
        say("second")

    def first(_):
        say(f"first removes {future.remove_done_callback(second)}")

    def never(_):
        say("never")

    future.add_done_callback(first)
    future.add_done_callback(second)
    future.add_done_callback(never)
    say(f"removes {future.remove_done_callback(never)}")
    future.set_result(1)
    await turns(2)


@scenario
async def FUT_06_waiters_and_callbacks_in_the_order_of_registration():
    future = new_future()

    async def waiter():
        say(f"got {await future}")

    a = spawn("a", waiter())
    await sleep(0)
    future.add_done_callback(lambda _: say("callback"))
    b = spawn("b", waiter())
    await sleep(0)
    future.set_result(3)
    say("set")
    await a
    await b


@scenario
async def FUT_06_an_error_reaches_every_waiter():
    future = new_future()

    async def waiter():
        await end_of("future", future)

    tasks = [spawn(name, waiter()) for name in "ab"]
    await sleep(0)
    future.set_exception(Error("boom"))
    for task in tasks:
        await task
    await end_of("later", future)


@scenario
async def LOOP_01_callbacks_and_tasks_share_one_queue():
    async def worker():
        say("step")

    call_soon(lambda: say("first"))
    a = spawn("a", worker())
    call_soon(lambda: say("second"))
    b = spawn("b", worker())
    call_soon(lambda: say("third"))
    await a
    await b


@scenario
async def LOOP_02_a_callback_made_by_a_callback_waits_a_tick():
    def chain(left):
        say(f"left {left}")
        if left > 0:
            call_soon(lambda: chain(left - 1))

    call_soon(lambda: chain(3))
    call_soon(lambda: say("beside it"))
    await turns(5)


@scenario
async def LOOP_03_a_callback_cancelled_by_another_of_its_tick():
    handles = []
    call_soon(lambda: handles[0].cancel())
    handles.append(call_soon(lambda: say("never")))
    call_soon(lambda: say(f"cancelled {handles[0].cancelled()}"))
    await turns(2)


@scenario
async def LOOP_04_of_two_overdue_timers_the_more_overdue_comes_first():
    call_later(-1, lambda: say("one second late"))
    call_later(-2, lambda: say("two seconds late"))
    say("armed")
    await turns(2)


@differs(trace="""
    2 -: timer 0
    2 -: timer 1
    2 -: timer 2
    2 -: timer 3
    2 -: timer 4
    2 -: timer 5
    3 main: end
""")
@scenario
async def LOOP_05_timers_of_one_deadline():
    def fire(number):
        return lambda: say(f"timer {number}")

    for number in range(6):
        call_later(1, fire(number))
    await sleep(1)
    say("end")


@scenario
async def LOOP_10_a_sleep_ends_a_tick_after_a_timer_of_its_deadline():
    async def sleeper():
        await sleep(1)
        say("slept")

    task = spawn("a", sleeper())
    await sleep(0)
    call_later(1, lambda: say("timer"))
    await sleep(0)
    say("rest")
    await task


@scenario
async def TASK_06_a_cancelled_sleep_holds_nobody_up():
    async def sleeper():
        await end_of("sleep", sleep(100))

    task = spawn("a", sleeper())
    await sleep(1)
    task.cancel()
    await task
    await sleep(1)
    say(f"at {loop_time()}")


if __name__ == "__main__":
    main()
