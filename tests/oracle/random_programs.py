"""Random programs and what CPython makes of them. random_programs.cpp runs the same ones.

usage: random_programs.py FIRST_SEED COUNT

A program is a few tasks that sleep, wait for each other and for futures, cancel each other, and do
all of that inside limits, groups, locks and handlers. It is printed as one line of words, from
which both sides run it; then comes the trace. A statement is a letter, its numbers and its blocks:

  S n       sleep n seconds; 0 gives others a turn      A t   await task t
  C t       cancel task t                               B n t   a callback does, in n seconds
  W f       await future f                              F f   set it         X f   fail it
  R         throw an error                              D t   await a shield of task t
  H t u     gather tasks t and u, errors as values
  T n (…)   a limit of n seconds                        G c (…) … (…)   a group: c children, body
  V (…)     swallows errors                             Z (…)   swallows cancellations, too
  Y (…) (…) on a cancellation runs the second block     L l (…)   holds lock l
  K s (…)   holds a permit of semaphore s               P q   put into queue q     Q q   get from it
  N e       set and clear event e                       I e   wait for event e

Where this Python is older than 3.13, three things are done here as 3.13 documents them: `uncancel`
that reaches zero withdraws a request that was not delivered (gh-117407), a group takes its own
request back whenever it made it, and renews one from outside (gh-116720), and a limit does not mind
requests from before it began (gh-102780, also in 3.11.4). Timers of one deadline
fire in the order of their arming, as ours do; Python leaves that open.
"""

import heapq
import random

import oracle
from oracle import *
from oracle import CountingLoop, lines, sys

TASKS, FUTURES, LOCKS = 4, 2, 2


# Making programs ----------------------------------------------------------------------------------

class Writer:
    """Writes the body of one task. It awaits later tasks only, so that nobody waits in a circle."""

    def __init__(self, dice, task, mood):
        self.dice, self.task = dice, task
        self.without, self.shortest = mood

    def other(self):
        return self.dice.randrange(TASKS)

    def block(self, depth, most=4):
        count = self.dice.randint(1, most)
        return "( " + "".join(self.statement(depth) for _ in range(count)) + ") "

    def statement(self, depth):
        dice = self.dice
        simple = {
            "S": 8, "C": 3, "B": 3, "W": 2, "F": 2, "X": 1, "R": 1, "P": 1, "Q": 1, "N": 1, "I": 1,
            "A": 3, "D": 2, "H": 2}
        nested = {"T": 4, "G": 4, "V": 3, "Z": 1, "Y": 3, "L": 2, "K": 2}
        kinds = simple | (nested if depth > 0 else {})
        kinds = {kind: kinds[kind] for kind in kinds if kind not in self.without}
        kind = dice.choices(list(kinds), list(kinds.values()))[0]
        later = range(self.task + 1, TASKS)
        if kind in "ADH" and not later:
            kind = "S"
        if kind == "C":
            # Whoever awaits a task hands its cancellation on to it, and a task that has cancelled
            # itself and then enters a limit is a case where ours differs on purpose.
            return f"C {dice.choice(later)} " if later else f"B 0 {self.other()} "
        numbers = {
            "S": lambda: f"{dice.choice((0, 0, 1, 1, 2, 3))} ",
            "B": lambda: f"{dice.choice((0, 1, 1, 2))} {self.other()} ",
            "A": lambda: f"{dice.choice(later)} ", "D": lambda: f"{dice.choice(later)} ",
            "H": lambda: f"{dice.choice(later)} {dice.choice(later)} ",
            "T": lambda: f"{dice.choice(range(self.shortest, 4))} ",
            "R": str, "V": str, "Z": str, "Y": str, "G": str,
        }.get(kind, lambda: f"{dice.randrange(FUTURES)} ")()
        if kind == "G":
            count = dice.randint(1, 3)
            blocks = "".join(self.block(depth - 1, 3) for _ in range(count + 1))
            return f"G {count} {blocks}"
        if kind == "Y":
            return f"Y {self.block(depth - 1)}{self.block(depth - 1, 2)}"
        return f"{kind} {numbers}" + (self.block(depth - 1) if kind in nested else "")


# What a program does without, and its shortest limit. Two differences that are meant need three
# things to meet, and here one of them is always missing: a request that is pending when a limit of
# zero begins, and one that outlives a limit because an earlier request was swallowed.
MOODS = (("Z", 1), ("ZG", 0), ("T", 0), ("ZV", 0))


def write_program(seed):
    dice = random.Random(seed)
    mood = MOODS[seed % len(MOODS)]
    return "".join(Writer(dice, task, mood).block(3, 5) for task in range(TASKS)).strip()


# Reading them -------------------------------------------------------------------------------------

BLOCKS = {"T": 1, "V": 1, "Z": 1, "Y": 2, "L": 1, "K": 1}
NUMBERS = {"R": 0, "V": 0, "Z": 0, "Y": 0, "B": 2, "H": 2}


def read_block(words):
    assert words.pop() == "("
    block = []
    while words[-1] != ")":
        kind = words.pop()
        numbers = [int(words.pop()) for _ in range(NUMBERS.get(kind, 1))]
        count = numbers[0] + 1 if kind == "G" else BLOCKS.get(kind, 0)
        block.append((kind, numbers, [read_block(words) for _ in range(count)]))
    words.pop()
    return block


def read_program(text):
    words = text.split()[::-1]
    return [read_block(words) for _ in range(TASKS)]


# What Python 3.13 does ----------------------------------------------------------------------------

class OrderedTimer(asyncio.TimerHandle):
    made = 0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        OrderedTimer.made += 1
        self.number = OrderedTimer.made

    def __lt__(self, other):
        return (self._when, self.number) < (other._when, other.number)


class FairLoop(CountingLoop):
    moment = moment_began = -1

    def __init__(self):
        super().__init__()
        self.set_task_factory(lambda loop, coroutine, **options:
                              WithdrawingTask(coroutine, loop=loop, **options))
        self.set_exception_handler(lambda loop, context: None)

    def call_at(self, when, callback, *arguments, context=None):
        timer = OrderedTimer(when, callback, arguments, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer


def position(loop):
    """The time, and the ticks since the first line at that time.

    Not the number of the tick: a callback that says nothing may run in an iteration of its own, at
    the end of a moment, where the other side has none.
    """
    if loop.now != loop.moment:
        loop.moment, loop.moment_began = loop.now, loop.ticks
    return f"{loop.now:g}+{loop.ticks - loop.moment_began}"


oracle.position = position


class WithdrawingTask(asyncio.tasks._PyTask):
    made = 0

    def __init__(self, *arguments, **options):
        self.number = WithdrawingTask.made
        WithdrawingTask.made += 1
        super().__init__(*arguments, **options)

    def uncancel(self):
        left = super().uncancel()
        if left == 0:
            self._must_cancel = False
        return left


class LimitOfNow(asyncio.Timeout):
    """A limit by the rules of 3.11.4."""

    async def __aenter__(self):
        await super().__aenter__()
        self.requests_before = self._task.cancelling()
        return self

    async def __aexit__(self, kind, error, traceback):
        if self._state is not asyncio.timeouts._State.EXPIRING:
            return await super().__aexit__(kind, error, traceback)
        self._state = asyncio.timeouts._State.EXPIRED
        if self._task.uncancel() <= self.requests_before and kind is CancelledError:
            raise TimeoutError from error
        return None


def limit_of(seconds):
    if sys.version_info >= (3, 11, 4):
        return asyncio.timeout(seconds)
    return LimitOfNow(asyncio.get_running_loop().time() + seconds)


class Group:
    """A task group by the rules of 3.13, with its tasks in the order of their creation."""

    def __init__(self):
        self.parent = asyncio.current_task()
        self.tasks, self.errors = {}, []
        self.aborting = self.asked_parent = False
        self.all_done = None

    def create_task(self, coroutine, name):
        if self.aborting:
            coroutine.close()
            raise RuntimeError("shutting down")
        task = spawn(name, coroutine)
        self.tasks[task] = None
        task.add_done_callback(self.task_done)

    def task_done(self, task):
        del self.tasks[task]
        if self.all_done is not None and not self.tasks and not self.all_done.done():
            self.all_done.set_result(None)
        if task.cancelled() or task.exception() is None:
            return
        self.errors.append(task.exception())
        if not self.aborting and not self.asked_parent:
            self.abort()
            self.asked_parent = True
            self.parent.cancel()

    def abort(self):
        self.aborting = True
        for task in list(self.tasks):
            task.cancel()

    async def finish(self, error):
        cancellation = error if isinstance(error, CancelledError) else None
        if error is not None and not self.aborting:
            self.abort()
        while self.tasks:
            self.all_done = new_future()
            try:
                await self.all_done
            except CancelledError as cancelled:
                if not self.aborting:
                    cancellation = cancelled
                    self.abort()
        if self.asked_parent and self.parent.uncancel() == 0:
            cancellation = None
        if cancellation is not None and not self.errors:
            raise cancellation
        if error is not None and not isinstance(error, CancelledError):
            self.errors.append(error)
        if self.errors:
            if self.parent.cancelling():
                self.parent.uncancel()
                self.parent.cancel()
            raise BaseExceptionGroup("errors", self.errors)


# Running them -------------------------------------------------------------------------------------

class World:
    def __init__(self, program):
        self.program = program
        self.futures = [new_future() for _ in range(FUTURES)]
        self.locks = [asyncio.Lock() for _ in range(LOCKS)]
        self.semaphores = [asyncio.Semaphore(1 + i) for i in range(LOCKS)]
        self.queues = [asyncio.Queue(1 + i) for i in range(LOCKS)]
        self.events = [asyncio.Event() for _ in range(LOCKS)]
        self.tasks = []

    async def main(self):
        asyncio.current_task().set_name("main")
        self.tasks += [spawn(f"t{i}", self.block(block)) for i, block in enumerate(self.program)]
        await sleep(100)
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in sorted(left, key=lambda task: task.number):
                task.cancel()
            await sleep(1)
        for i, task in enumerate(self.tasks):
            await end_of(f"t{i}", task)

    async def block(self, block):
        for statement in block:
            await self.run(statement)

    async def run(self, statement):
        kind, numbers, blocks = statement
        name = " ".join([kind] + [str(number) for number in numbers])
        try:
            said = await getattr(self, kind)(*numbers, *blocks)
        except BaseException as error:
            say(f"{name}: {text_of(error)}")
            raise
        say(name + (f": {said}" if said else ""))

    async def S(self, seconds):
        await sleep(seconds)

    async def A(self, task):
        await self.tasks[task]

    async def C(self, task):
        return str(self.tasks[task].cancel())

    async def B(self, seconds, task):
        call_later(seconds, self.tasks[task].cancel)

    async def W(self, future):
        await self.futures[future]

    async def F(self, future):
        if not self.futures[future].done():
            self.futures[future].set_result(None)

    async def X(self, future):
        if not self.futures[future].done():
            self.futures[future].set_exception(Error("future"))

    async def R(self):
        raise Error("thrown")

    async def D(self, task):
        await shield(self.tasks[task])

    async def H(self, first, second):
        ends = await gather(self.tasks[first], self.tasks[second], return_exceptions=True)
        return ", ".join("value" if end is None else text_of(end) for end in ends)

    async def T(self, seconds, block):
        async with limit_of(seconds):
            await self.block(block)

    async def G(self, count, *blocks):
        group, error = Group(), None
        try:
            for i in range(count):
                group.create_task(self.block(blocks[i]),
                                  name=f"{asyncio.current_task().get_name()}.{i}")
            await self.block(blocks[count])
        except BaseException as thrown:
            error = thrown
        await group.finish(error)

    async def V(self, block):
        try:
            await self.block(block)
        except Exception:
            return "swallowed"

    async def Z(self, block):
        try:
            await self.block(block)
        except BaseException:
            return "swallowed"

    async def Y(self, block, cleanup):
        try:
            await self.block(block)
        except CancelledError:
            await self.block(cleanup)
            raise

    async def L(self, lock, block):
        async with self.locks[lock]:
            await self.block(block)

    async def K(self, semaphore, block):
        async with self.semaphores[semaphore]:
            await self.block(block)

    async def P(self, queue):
        await self.queues[queue].put(1)

    async def Q(self, queue):
        await self.queues[queue].get()

    async def N(self, event):
        self.events[event].set()
        self.events[event].clear()

    async def I(self, event):  # noqa: E743
        await self.events[event].wait()


async def run_world(program):
    await World(program).main()


def run_program(text):
    lines.clear()
    loop = FairLoop()
    loop.run_until_complete(run_world(read_program(text)))
    loop.close()
    return list(lines)


def run_programs():
    first, count = map(int, sys.argv[1:])
    for seed in range(first, first + count):
        text = write_program(seed)
        print(f"== {seed} {text}")
        print("\n".join(run_program(text)))


if __name__ == "__main__":
    run_programs()
