"""What the scenarios here are written with: a loop that counts, a clock that jumps, `say`.

A scenario is a coroutine function (or, where `run` itself is the subject, a plain function) under
`@scenario`. A twin of the same name in C++ prints the same lines: "tick task: event".

A tick is an iteration of the loop in which something ran. The clock is virtual: where the loop
would wait for a timer, it is that time. Scenarios wait for whole seconds, which floats add exactly.

CPython cancels the tasks of a group in the order of a set, that is of their addresses. Here tasks
have numbers for hashes, so the order is that of their creation: one of those it may be.

Two kinds of scenarios have a trace written down, as the text after `trace=`:
  @documented   this Python is too old for what is shown, and the trace follows from what is
                documented for the version named; a newer Python runs it
  @differs      ours differs on purpose; the trace is ours, and CPython's must be another one
"""

import asyncio
import selectors
import sys
import textwrap
import traceback
from asyncio import CancelledError, TaskGroup, gather, shield, sleep, timeout  # noqa: F401

FOREVER = 1_000_000


class Error(Exception):
    """What scenarios throw."""


class NumberedTask(asyncio.Task):
    """A task whose hash is its number."""

    made = 0

    def __init__(self, coroutine, **options):
        self.number = NumberedTask.made
        NumberedTask.made += 1
        super().__init__(coroutine, **options)

    def __hash__(self):
        return self.number

    def __eq__(self, other):
        return self is other


class JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: where the loop would, time has passed."""

    loop = None

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("deadlock")
        self.loop.now += timeout
        return super().select(0)


class CountingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.now = 0.0
        self.ticks = 0
        self.new_iteration = False
        selector = JumpingSelector()
        super().__init__(selector)
        selector.loop = self
        self._clock_resolution = 1e-6
        NumberedTask.made = 0
        self.set_task_factory(lambda loop, coroutine, **options:
                              NumberedTask(coroutine, loop=loop, **options))
        self.set_exception_handler(report)

    def time(self):
        return self.now

    def _run_once(self):
        self.new_iteration = True
        super()._run_once()


def counted(run):
    def count_and_run(handle):
        loop = handle._loop
        if loop.new_iteration:
            loop.new_iteration = False
            loop.ticks += 1
        run(handle)
    return count_and_run


asyncio.Handle._run = counted(asyncio.Handle._run)

# The words of the scenarios -----------------------------------------------------------------------

lines = []


def position(loop):
    """What a line begins with."""
    return loop.ticks


def say(event):
    loop = asyncio._get_running_loop()
    if loop is None:
        lines.append(f"- -: {event}")
        return
    task = asyncio.current_task()
    lines.append(f"{position(loop)} {task.get_name() if task else '-'}: {event}")


def text_of(error):
    """As the C++ side says it."""
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        return "ExceptionGroup[" + ", ".join(text_of(inner) for inner in error.exceptions) + "]"
    if isinstance(error, (Error, CancelledError)) and error.args and error.args[0]:
        return f"{name} {error.args[0]}"
    return name


def report(_, context):
    say(f"report {text_of(context['exception'])}")


def spawn(name, coroutine):
    return asyncio.create_task(coroutine, name=name)


def new_future():
    return asyncio.get_running_loop().create_future()


def loop_time():
    return int(asyncio.get_running_loop().time())


def call_soon(callback):
    return asyncio.get_running_loop().call_soon(callback)


def call_later(seconds, callback):
    return asyncio.get_running_loop().call_later(seconds, callback)


async def tell(what, awaitable):
    """Awaits, says how that ended, and ends the same."""
    try:
        value = await awaitable
    except BaseException as error:
        say(f"{what}: {text_of(error)}")
        raise
    say(f"{what}: " + ("done" if value is None else str(value)))
    return value


async def end_of(what, awaitable):
    """As `tell`, and keeps to itself how it ended."""
    try:
        await tell(what, awaitable)
    except BaseException:
        pass


async def in_timeout(seconds, body):
    """`body` may take the limit, as its argument of that name."""
    wants_limit = body.__code__.co_varnames[:1] == ("limit",)
    async with timeout(seconds) as limit:
        return await (body(limit) if wants_limit else body())


async def in_group(body):
    async with TaskGroup() as group:
        return await body(group)


async def turns(count):
    """As many ticks."""
    for _ in range(count):
        await sleep(0)


async def wait_for(awaitable, seconds):
    """`asyncio.wait_for` as it is since Python 3.12: `timeout` around an await."""
    if sys.version_info >= (3, 12):
        return await asyncio.wait_for(awaitable, seconds)
    if seconds is not None and seconds <= 0:
        future = asyncio.ensure_future(awaitable)
        if future.done():
            return future.result()
        future.cancel()
        try:
            await future
        except CancelledError as cancelled:
            raise TimeoutError from cancelled
        raise TimeoutError
    async with asyncio.timeout(seconds):
        return await awaitable


# Scenarios ----------------------------------------------------------------------------------------

scenarios = []


def scenario(function):
    function.since = getattr(function, "since", None)
    function.ours = getattr(function, "ours", None)
    scenarios.append(function)
    return function


def documented(since, trace):
    """Needs Python `since`; an older one prints `trace`."""
    def mark(function):
        function.since = (since, trace)
        return function
    return mark


def differs(trace):
    """Ours is `trace`, on purpose."""
    def mark(function):
        function.ours = trace
        return function
    return mark


def clean(trace):
    return textwrap.dedent(trace).strip().split("\n")


async def main_of(function):
    asyncio.current_task().set_name("main")
    return await function()


def trace_of(function):
    lines.clear()
    try:
        if asyncio.iscoroutinefunction(function):
            loop = CountingLoop()
            loop.run_until_complete(main_of(function))
            left = asyncio.all_tasks(loop)
            if left:
                say(f"left over: {[task.get_name() for task in left]}")
            loop.close()
        else:
            function()
    except BaseException:
        lines.extend(traceback.format_exc().split("\n"))
    return lines


def main():
    for function in scenarios:
        kind = "run"
        if function.since and sys.version_info < function.since[0]:
            kind = "documented"
            trace = clean(function.since[1])
        else:
            trace = trace_of(function)
        print(f"== {kind} {function.__name__}")
        print("\n".join(trace))
        if function.ours is not None:
            print(f"== ours {function.__name__}")
            print("\n".join(clean(function.ours)))
