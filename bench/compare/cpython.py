#!/usr/bin/env python3
"""Compares the micro benchmarks with the same operations in CPython's asyncio, on one machine.

Each line is measured in both programs directly one after the other, so that a busy machine disturbs
them alike. The best of several rounds counts for each side. The Python side does the same
operations as the C++ side (bench/micro describes them), but fewer of them.

usage: bench/compare/cpython.py [--rounds N] [MICRO [WORD]]
  MICRO  the program to compare with (build/release/bench/micro)
  WORD   only benchmarks whose names contain it
"""

import argparse
import asyncio
import platform
import random
import resource
import subprocess
import time


def timed(clock):
    """Decorates a coroutine function that yields once before and once after what is measured."""
    def decorate(function):
        async def measure(count):
            steps = function(count)
            await anext(steps)
            start = clock()
            await anext(steps)
            return (clock() - start) / count * 1e9
        return measure
    return decorate


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


wall = timed(time.perf_counter)
cpu = timed(processor_seconds)


async def same(number):
    return number


async def after_a_turn(number):
    await asyncio.sleep(0)
    return number


@wall
async def await_chain(count):
    yield
    number = 0
    for _ in range(count):
        number = await same(number + 1)
    yield


def yield_among(tasks):
    @wall
    async def benchmark(count):
        async def often():
            for _ in range(count // tasks):
                await asyncio.sleep(0)
        yield
        for task in [asyncio.create_task(often()) for _ in range(tasks)]:
            await task
        yield
    return benchmark


@wall
async def gather_spawn(count):
    yield
    await asyncio.gather(*[same(i) for i in range(count)])
    yield


@wall
async def spawn_await(count):
    yield
    for i in range(count):
        await asyncio.create_task(same(i))
    yield


@cpu
async def sleep_cpu(count):
    spread = random.Random(1)
    yield
    await asyncio.gather(*[asyncio.sleep(1 + spread.random()) for _ in range(count)])
    yield


def wait_for_child(child):
    @wall
    async def benchmark(count):
        yield
        for i in range(count):
            await asyncio.wait_for(child(i), 10)
        yield
    return benchmark


def cancel_parked(frames):
    @wall
    async def benchmark(count):
        alive = 0

        async def descend(left):
            nonlocal alive
            alive += 1
            try:
                if left > 1:
                    await descend(left - 1)
                else:
                    await asyncio.sleep(3600)
            finally:
                alive -= 1

        tasks = [asyncio.create_task(descend(frames)) for _ in range(count)]
        while alive < count * frames:
            await asyncio.sleep(0)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert alive == 0
        yield
    return benchmark


# name -> (Python's coroutine function, operations in Python, operations in C++)
BENCHMARKS = {
    "await_chain": (await_chain, 1_000_000, 20_000_000),
    "yield": (yield_among(2), 200_000, 20_000_000),
    "yield_10000": (yield_among(10_000), 200_000, 20_000_000),
    "gather_spawn": (gather_spawn, 200_000, 1_000_000),
    "spawn_await": (spawn_await, 100_000, 5_000_000),
    "sleep_cpu": (sleep_cpu, 200_000, 1_000_000),
    "wait_for": (wait_for_child(after_a_turn), 50_000, 5_000_000),
    "wait_for_ready": (wait_for_child(same), 50_000, 5_000_000),
    "cancel": (cancel_parked(10), 10_000, 10_000),
    "cancel_shallow": (cancel_parked(1), 10_000, 10_000),
}


def run_micro(micro, name, count):
    done = subprocess.run([micro, "--once", name, str(count)], capture_output=True, text=True,
                          check=True)
    return float(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("micro", nargs="?", default="build/release/bench/micro")
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    print(f"# best of {options.rounds}; CPython {platform.python_version()}")
    print(f"# {'ns per operation':18} {'here':>10} {'CPython':>10} {'ratio':>8}")
    for name, (function, python_count, count) in BENCHMARKS.items():
        if options.word not in name:
            continue
        here, python = [], []
        for _ in range(options.rounds):
            here.append(run_micro(options.micro, name, count))
            python.append(asyncio.run(function(python_count)))
        print(f"{name:20} {min(here):10.1f} {min(python):10.1f} {min(python) / min(here):8.1f}",
              flush=True)


if __name__ == "__main__":
    main()
