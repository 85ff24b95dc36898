#!/usr/bin/env python3
"""How late a reader is beside tasks that compute in slices of 5 ms: here and in CPython.

The program is the same in both: some tasks compute for 5 ms and yield to the loop, again and again,
while a time stamp comes through a pipe every 17 ms. Another process writes the stamps for CPython,
so that the interpreter's lock does not delay them.

usage: bench/compare/late_reader.py [--seconds N] [LATE_READER]
  LATE_READER  the program to compare with (build/release/bench/late_reader)
"""

import argparse
import asyncio
import os
import platform
import signal
import struct
import subprocess
import time


async def compute():
    while True:
        end = time.monotonic() + 0.005
        while time.monotonic() < end:
            pass
        await asyncio.sleep(0)


async def note_delays(descriptor, delays):
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader),
                                 os.fdopen(descriptor, "rb"))
    while True:
        written, = struct.unpack("d", await reader.readexactly(8))
        delays.append((time.monotonic() - written) * 1000)


def write_stamps(descriptor):
    while True:
        os.write(descriptor, struct.pack("d", time.monotonic()))
        time.sleep(0.017)


async def measure(tasks, seconds, descriptor):
    delays = []
    running = [asyncio.create_task(compute()) for _ in range(tasks)]
    running.append(asyncio.create_task(note_delays(descriptor, delays)))
    await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    delays.sort()
    return len(delays), delays[len(delays) // 2], delays[-1]


def in_cpython(tasks, seconds):
    reading, writing = os.pipe()
    writer = os.fork()
    if writer == 0:
        os.close(reading)
        write_stamps(writing)
    try:
        return asyncio.run(measure(tasks, seconds, reading))
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


def in_cpp(program, backend, tasks, seconds):
    done = subprocess.run([program, str(tasks), str(seconds)], capture_output=True, text=True,
                          check=True, env=os.environ | {"ASYNCIO_BACKEND": backend})
    return tuple(float(word) for word in done.stdout.split())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", nargs="?", default="build/release/bench/late_reader")
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    print(f"# milliseconds late: median and worst; CPython {platform.python_version()}")
    for tasks in (1, 3, 10):
        for name, (count, median, worst) in {
                "io_uring": in_cpp(options.program, "io_uring", tasks, options.seconds),
                "epoll": in_cpp(options.program, "epoll", tasks, options.seconds),
                "CPython": in_cpython(tasks, options.seconds)}.items():
            print(f"{tasks:3} tasks that compute  {name:9} {median:9.3f} {worst:9.3f}"
                  f"  ({count:.0f} stamps)", flush=True)


if __name__ == "__main__":
    main()
