"""The end of `run`: what is left over, what resists, what is reported. The twins are in
shutdown.cpp.

Python cancels what is left in the order of a set; where that could be seen, one task is left.
"""

from oracle import *
from oracle import main


def run(body):
    """As `asyncio.run`, on a loop that counts. Says how it ended."""
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        end_of_run("run", runner, body)


def end_of_run(what, runner, body):
    try:
        value = runner.run(main_of(body))
    except BaseException as error:
        say(f"{what}: {text_of(error)}")
    else:
        say(f"{what}: " + ("done" if value is None else str(value)))


async def sleeper():
    await tell("sleep", sleep(FOREVER))


async def stubborn(count):
    """Needs some ticks to end when it is cancelled."""
    try:
        await sleep(FOREVER)
    except CancelledError:
        say("cleaning up")
        await turns(count)
        say("clean")
        raise


@scenario
def RUN_01_a_value_and_an_error():
    async def seven():
        await sleep(0)
        return 7

    async def failing():
        raise Error("boom")

    run(seven)
    run(failing)


@scenario
def RUN_04_a_task_that_is_left_is_cancelled_and_waited_for():
    async def body():
        spawn("a", stubborn(2))
        await sleep(0)
        return 1

    run(body)


@scenario
def RUN_04_a_task_made_in_the_last_step_of_main_has_its_first():
    async def worker():
        say("first step")
        await tell("turn", sleep(0))

    async def body():
        spawn("a", worker())

    run(body)


@scenario
def RUN_04_main_fails_and_leaves_a_task():
    async def body():
        spawn("a", sleeper())
        await sleep(0)
        raise Error("main")

    run(body)


@differs(trace="""
    - -: run: 2
    5 -: report Error cleanup
""")
@scenario
def RUN_05_a_task_that_is_left_fails_in_its_cleanup():
    async def failing():
        try:
            await sleep(FOREVER)
        except CancelledError:
            raise Error("cleanup") from None

    async def body():
        spawn("a", failing())
        await sleep(0)
        return 2

    run(body)


@scenario
def RUN_06_a_task_that_is_left_swallows_the_cancellation():
    async def resisting():
        for i in range(3):
            try:
                await turns(2)
            except CancelledError:
                say("not me")
            say(f"round {i}")
        return 1

    async def body():
        spawn("a", resisting())
        await sleep(0)

    run(body)


@scenario
def RUN_04_a_group_is_left():
    async def outer(group):
        # A group of one task: whoever is asked first, the leaf ends first.
        group.create_task(stubborn(1), name="leaf")

    async def body():
        spawn("group", in_group(outer))
        await turns(2)

    run(body)


@scenario
def RUN_04_main_is_cancelled_by_itself():
    async def body():
        asyncio.current_task().cancel()
        await tell("turn", sleep(0))

    run(body)


@scenario
def RUN_07_two_runs_share_a_loop_and_a_task():
    tasks = []

    async def ticking():
        for i in range(3):
            say(f"round {i}")
            await sleep(0)

    async def first():
        tasks.append(spawn("a", ticking()))
        await sleep(0)
        say("first ends")

    async def second():
        say("second begins")
        await tasks[0]

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        end_of_run("first", runner, first)
        end_of_run("second", runner, second)


@scenario
def RUN_08_a_runner_that_was_closed():
    runner = asyncio.Runner(loop_factory=CountingLoop)

    async def body():
        say("runs")

    end_of_run("run", runner, body)
    runner.close()
    runner.close()
    coroutine = body()
    try:
        runner.run(coroutine)
    except RuntimeError as error:
        say(text_of(error))
        coroutine.close()


@scenario
def RUN_02_inside_a_running_loop():
    async def inner():
        say("never")

    async def body():
        coroutine = inner()
        try:
            asyncio.run(coroutine)
        except RuntimeError as error:
            say(text_of(error))
            coroutine.close()

    run(body)


@scenario
def RUN_04_callbacks_that_are_left_do_not_run():
    async def body():
        call_later(FOREVER, lambda: say("never"))
        call_soon(lambda: say("still runs"))

    run(body)


@scenario
def RUN_04_a_task_starts_another_while_it_is_cancelled():
    async def late():
        say("late begins")
        await tell("late turn", sleep(0))

    async def starting():
        try:
            await sleep(FOREVER)
        except CancelledError:
            await tell("late task", spawn("late", late()))
            raise

    async def body():
        spawn("a", starting())
        await sleep(0)

    run(body)


if __name__ == "__main__":
    main()
