"""Task groups: who is cancelled when, and what leaves. The twins are in groups.cpp."""

from oracle import *
from oracle import main


async def sleeper(seconds=FOREVER):
    await tell("sleep", sleep(seconds))


async def failing(seconds, text):
    await sleep(seconds)
    say(f"fails with {text}")
    raise Error(text)


async def stubborn(count):
    """Needs some ticks to end when it is cancelled."""
    try:
        await sleep(FOREVER)
    except CancelledError:
        say("cleaning up")
        await turns(count)
        say("clean")
        raise


async def failing_cleanup(text):
    try:
        await sleep(FOREVER)
    except CancelledError:
        say(f"fails with {text}")
        raise Error(text) from None


def cancelling():
    return f"cancelling {asyncio.current_task().cancelling()}"


@scenario
async def TG_01_ends_after_its_slowest_task():
    async def body(group):
        group.create_task(sleeper(2), name="a")
        group.create_task(sleeper(1), name="b")
        say("body ends")
        return 4

    await end_of("group", in_group(body))
    say(f"at {loop_time()}")


@scenario
async def TG_01_without_tasks_costs_nothing():
    async def body(group):
        return 1

    await end_of("group", in_group(body))


@scenario
async def TG_02_a_task_cancelled_by_itself():
    async def body(group):
        a = group.create_task(sleeper(), name="a")
        group.create_task(sleeper(2), name="b")
        await sleep(1)
        a.cancel()

    await end_of("group", in_group(body))


@documented(since=(3, 13), trace="""
    4 b: fails with boom
    6 a: sleep: CancelledError
    6 c: cleaning up
    8 c: clean
    10 main: group: ExceptionGroup[Error boom]
    10 main: cancelling 0
""")
@scenario
async def TG_03_one_error_cancels_the_siblings():
    async def body(group):
        group.create_task(sleeper(), name="a")
        group.create_task(failing(1, "boom"), name="b")
        group.create_task(stubborn(2), name="c")

    # 3.13: a group takes its own request back also when it was made while the group waited.
    await end_of("group", in_group(body))
    say(cancelling())


@scenario
async def TG_03_two_errors_in_one_tick():
    async def body(group):
        group.create_task(failing(1, "one"), name="a")
        group.create_task(failing(1, "two"), name="b")
        group.create_task(sleeper(), name="c")

    await end_of("group", in_group(body))


@scenario
async def TG_04_an_error_cancels_a_body_that_waits():
    async def body(group):
        group.create_task(failing(1, "boom"), name="a")
        try:
            await sleep(FOREVER)
        except CancelledError:
            say(f"body cleans up, {cancelling()}")
            await tell("cleanup", sleep(1))
            raise

    await end_of("group", in_group(body))
    say(f"at {loop_time()}, {cancelling()}")


@scenario
async def TG_04_an_error_in_the_tick_in_which_the_body_ends():
    async def body(group):
        group.create_task(failing(0, "boom"), name="a")
        group.create_task(stubborn(1), name="b")
        await turns(2)
        say("body ends")

    await end_of("group", in_group(body))
    await end_of("turn", sleep(0))


@scenario
async def TG_05_the_parent_cancelled_while_it_waits_at_the_end():
    async def body(group):
        group.create_task(stubborn(1), name="a")
        group.create_task(stubborn(3), name="b")

    async def worker():
        await tell("group", in_group(body))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)


@scenario
async def TG_05_the_parent_cancelled_twice_while_it_waits_at_the_end():
    async def body(group):
        group.create_task(stubborn(4), name="a")

    async def worker():
        await tell("group", in_group(body))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await turns(2)
    say("again")
    task.cancel()
    await end_of("worker", task)
    say(f"cancelling {task.cancelling()}")


@scenario
async def TG_06_the_parent_cancelled_in_its_body():
    async def body(group):
        group.create_task(stubborn(1), name="a")
        await tell("body's sleep", sleep(FOREVER))

    async def worker():
        await tell("group", in_group(body))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)


@scenario
async def TG_08_an_error_of_the_body():
    async def body(group):
        group.create_task(sleeper(), name="a")
        await sleep(1)
        raise Error("body")

    await end_of("group", in_group(body))


@scenario
async def TG_08_an_error_of_the_body_before_a_task_has_begun():
    async def body(group):
        group.create_task(sleeper(), name="a")
        raise Error("body")

    await end_of("group", in_group(body))


@scenario
async def TG_09_errors_of_inner_tasks_in_their_cleanup():
    async def inner(group):
        group.create_task(failing_cleanup("inner"), name="a")
        await sleep(FOREVER)

    async def outer(group):
        group.create_task(failing(1, "outer"), name="b")
        await tell("inner group", in_group(inner))

    await end_of("outer group", in_group(outer))
    say(cancelling())


@scenario
async def TG_10_an_error_outside_cancels_the_group_inside():
    async def inner(group):
        group.create_task(sleeper(), name="a")

    async def outer(group):
        group.create_task(failing(1, "outer"), name="b")
        await tell("inner group", in_group(inner))

    await end_of("outer group", in_group(outer))


@scenario
async def TG_11_a_task_fails_while_the_cancelled_body_cleans_up():
    async def body(group):
        group.create_task(failing(3, "boom"), name="a")
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("body cleans up")
            await tell("cleanup", sleep(5))
            raise

    async def worker():
        await tell("group", in_group(body))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)
    say(f"at {loop_time()}")


@scenario
async def TG_12_a_body_answers_the_cancellation_with_an_error():
    async def body(group):
        group.create_task(failing(1, "boom"), name="a")
        try:
            await sleep(FOREVER)
        except CancelledError:
            raise Error("answer") from None

    await end_of("group", in_group(body))


@scenario
async def TG_13_errors_of_a_task_and_of_the_body():
    async def body(group):
        group.create_task(failing(0, "task"), name="a")
        await turns(2)
        raise Error("body")

    await end_of("group", in_group(body))


@scenario
async def TG_16_tasks_that_beget_tasks_are_stopped_by_one_error():
    async def body(group):
        async def begetting(generation):
            if generation == 4:
                raise Error("enough")
            await sleep(0)
            group.create_task(begetting(generation + 1), name=f"g{generation + 1}")
            await tell("sleep", sleep(FOREVER))

        group.create_task(begetting(0), name="g0")

    await end_of("group", in_group(body))


@scenario
async def TG_20_after_a_group_that_failed_the_parent_is_not_cancelled():
    async def body(group):
        group.create_task(failing(0, "boom"), name="a")
        await tell("body's sleep", sleep(FOREVER))

    await end_of("group", in_group(body))
    say(cancelling())
    await end_of("sleep", sleep(1))


@documented(since=(3, 13), trace="""
    4 b: fails with outer
    4 a: fails with inner
    6 main: inner body: CancelledError
    6 main: inner group: ExceptionGroup[Error inner]
    6 main: cancelling 1
    7 main: outer body: CancelledError
    7 main: outer group: ExceptionGroup[Error outer]
    7 main: cancelling 0
    8 main: turn: done
""")
@scenario
async def TG_21_inner_and_outer_fail_in_one_tick():
    async def inner(group):
        group.create_task(failing(1, "inner"), name="a")
        await tell("inner body", sleep(FOREVER))

    # 3.13: when nested groups fail at once, the inner one leaves the outer one's request in place
    # (gh-116720).
    async def outer(group):
        group.create_task(failing(1, "outer"), name="b")
        await end_of("inner group", in_group(inner))
        say(cancelling())
        await tell("outer body", sleep(FOREVER))

    await end_of("outer group", in_group(outer))
    say(cancelling())
    await end_of("turn", sleep(0))


@documented(since=(3, 13), trace="""
    4 -: cancel True
    5 a: fails with boom
    5 worker: body's sleep: CancelledError
    7 worker: group: ExceptionGroup[Error boom]
    7 worker: cancelling 1
    8 worker: next wait: CancelledError
    9 main: worker: CancelledError
""")
@scenario
async def TG_22_an_error_and_a_request_from_outside_in_one_tick():
    # 3.13: "TaskGroup preserves cancellation from outside" (gh-116720): the errors leave first, and
    # the request is delivered at the next wait.
    async def body(group):
        group.create_task(failing(1, "boom"), name="a")
        await tell("body's sleep", sleep(FOREVER))

    async def worker():
        await end_of("group", in_group(body))
        say(cancelling())
        await tell("next wait", sleep(1))

    task = spawn("worker", worker())
    await turns(2)
    call_later(1, lambda: say(f"cancel {task.cancel()}"))
    await end_of("worker", task)


@scenario
async def TG_24_a_task_made_while_the_group_shuts_down():
    async def body(group):
        async def late():
            try:
                await sleep(FOREVER)
            except CancelledError:
                coroutine = sleeper()
                try:
                    group.create_task(coroutine)
                except RuntimeError as error:
                    say(text_of(error))
                    coroutine.close()
                raise

        group.create_task(late(), name="late")
        group.create_task(failing(1, "boom"), name="b")

    await end_of("group", in_group(body))


@scenario
async def TG_23_an_inner_scope_fails_on_its_way_out():
    async def body(group):
        group.create_task(failing(1, "task"), name="a")
        try:
            await sleep(FOREVER)
        finally:
            raise Error("exit")

    await end_of("group", in_group(body))
    say(cancelling())


@scenario
async def TO_19_a_limit_around_a_group_whose_task_fails_in_its_cleanup():
    async def body(group):
        group.create_task(failing_cleanup("late"), name="a")

    async def limited():
        await tell("group", in_group(body))

    await end_of("limit", in_timeout(1, limited))
    say(cancelling())


@scenario
async def TO_19_a_limit_around_a_group_that_ends_quietly():
    async def body(group):
        group.create_task(stubborn(2), name="a")

    async def limited():
        await tell("group", in_group(body))

    await end_of("limit", in_timeout(1, limited))
    say(cancelling())


@scenario
async def TO_19_a_task_fails_in_the_tick_of_the_deadline():
    async def body(group):
        group.create_task(failing(1, "boom"), name="a")
        group.create_task(sleeper(), name="b")

    async def limited():
        await tell("group", in_group(body))

    await end_of("limit", in_timeout(1, limited))
    say(cancelling())
    await end_of("turn", sleep(0))


@scenario
async def TG_03_a_limit_in_one_task_fails_the_group():
    async def limited():
        await tell("limit", in_timeout(1, sleeper))

    async def body(group):
        group.create_task(limited(), name="a")
        group.create_task(sleeper(), name="b")

    await end_of("group", in_group(body))


@scenario
async def TG_20_two_groups_and_two_limits_nested():
    async def inner(group):
        group.create_task(failing(1, "boom"), name="a")
        await tell("innermost", sleep(FOREVER))

    async def inner_limited():
        await tell("inner group", in_group(inner))

    async def outer(group):
        group.create_task(sleeper(), name="b")
        await tell("inner limit", in_timeout(3, inner_limited))

    async def outer_limited():
        await tell("outer group", in_group(outer))

    await end_of("outer limit", in_timeout(2, outer_limited))
    say(f"at {loop_time()}, {cancelling()}")


@scenario
async def TG_04_a_body_that_swallows_the_cancellation():
    async def body(group):
        group.create_task(failing(1, "boom"), name="a")
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("swallowed")
        await tell("another sleep", sleep(1))

    await end_of("group", in_group(body))
    say(f"at {loop_time()}, {cancelling()}")


@scenario
async def CAN_08_a_body_that_swallows_a_request_from_outside():
    async def body(group):
        group.create_task(sleeper(3), name="a")
        try:
            await sleep(FOREVER)
        except CancelledError:
            say("swallowed")

    async def worker():
        await tell("group", in_group(body))
        await tell("another sleep", sleep(1))

    task = spawn("worker", worker())
    await sleep(1)
    task.cancel()
    await end_of("worker", task)
    say(f"at {loop_time()}, cancelling {task.cancelling()}")


@documented(since=(3, 15), trace="""
    3 main: cancel
    4 a: sleep: CancelledError
    4 main: body's turn: CancelledError
    6 main: group: done
    6 main: cancelling 0
    7 main: turn: done
""")
@scenario
async def TG_28_cancel_ends_body_and_tasks_without_an_error():
    # 3.15: "TaskGroup.cancel() cancels the tasks and the rest of the body; the group then exits
    # without an error".
    async def body(group):
        group.create_task(sleeper(), name="a")
        await turns(2)
        say("cancel")
        group.cancel()
        await tell("body's turn", sleep(0))

    await end_of("group", in_group(body))
    say(cancelling())
    await end_of("turn", sleep(0))


if __name__ == "__main__":
    main()
