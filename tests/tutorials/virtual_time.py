#!/usr/bin/env python3
"""Runs a program of asyncio on a clock that jumps: where the loop would wait for a timer, the time
has come.

usage: virtual_time.py PROGRAM
"""

import runpy
import selectors
import sys
import time


class Clock:
    now = 1_000_000.0


class JumpingSelector(selectors.DefaultSelector):
    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("nothing is left that could ever happen")
        ready = super().select(0)
        if not ready:
            Clock.now += max(0.0, timeout)
        return ready


def virtual_now():
    return Clock.now


selectors.DefaultSelector = JumpingSelector
time.monotonic = time.perf_counter = time.time = virtual_now
runpy.run_path(sys.argv[1], run_name="__main__")
