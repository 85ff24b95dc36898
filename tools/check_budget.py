#!/usr/bin/env python3
"""Counts the instructions of the hot paths and fails when a path exceeds its budget.

Nanoseconds depend on the machine and on its load; instructions do not. Each benchmark of
`micro` runs twice under callgrind, with a small and a larger count, on the simulated back-end,
whose time is virtual. The difference of the two totals, divided by the difference of the counts, is
the cost of one operation; the cost of starting and ending the program cancels out.

The budget holds for one compiler, because another compiler makes other instructions.
With any other compiler the check is skipped, and says so.

usage: tools/check_budget.py [--update] [BUDGET [BUILD]]
  BUDGET    the budget (bench/budget.json)
  BUILD     a build folder of the preset release, with `micro` in it (build/release)
  --update  writes what was measured as the new budget
Exit status: 0 within the budget, or skipped; 1 above it; 2 nothing could be measured.
"""

import argparse
import json
import os
import re
import subprocess
import sys

# name -> the two counts. They are small, because a program runs fifty times slower under callgrind.
# They are large enough to spread the cost of rare events, such as a table that doubles.
COUNTS = {
    "await_chain": (1_000, 21_000),
    "yield": (2_000, 22_000),
    "yield_10000": (20_000, 120_000),
    "gather_spawn": (1_000, 17_000),
    "spawn_await": (1_000, 11_000),
    "sleep_cpu": (1_000, 9_000),
    "wait_for": (1_000, 11_000),
    "wait_for_ready": (1_000, 11_000),
    "wait_for_10000": (20_000, 60_000),
    "cancel": (50, 250),
    "cancel_shallow": (100, 1_100),
    "queue1": (1_000, 11_000),
    "lock": (1_000, 21_000),
    "lock_contended": (1_000, 11_000),
    "event": (1_000, 11_000),
}
TOLERANCE_PERCENT = 5

# The program does not get the caller's environment: the size of the environment moves the stack,
# and some decisions of glibc depend on the address.
ENVIRONMENT = {"ASYNCIO_BACKEND": "simulated", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}


def fail(message):
    print(f"check_budget: {message}", file=sys.stderr)
    sys.exit(2)


def cache_of(build):
    """The variables of the build's CMakeCache.txt."""
    try:
        with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as lines:
            return dict(re.findall(r"^(\w+):\w+=(.*)$", lines.read(), re.M))
    except OSError as error:
        fail(f"{build} is not a build folder ({error.strerror}); make one with ./dev build release")


def compiler_of(cache):
    """The compiler's name and version in the form of the budget: "g++ 12.2.0"."""
    path = cache.get("CMAKE_CXX_COMPILER", "")
    try:
        version = subprocess.run([path, "-dumpfullversion"], capture_output=True, text=True,
                                 check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        version = "?"
    # clang knows the option too. It prints the version of g++ that it is compatible with.
    return f"{re.sub(r'-[0-9]+$', '', os.path.basename(path))} {version}"


def instructions(micro, name, count):
    """The instructions of one run of `count` operations, from start to end of the program."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               micro, "--once", name, str(count)]
    try:
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        fail("valgrind is not installed; ./dev setup ci installs it")
    except subprocess.CalledProcessError as error:
        fail(f"{' '.join(command)} failed:\n{error.stderr}")
    total = re.search(r"Collected : (\d+)", done.stderr)
    if total is None:
        fail(f"the output of callgrind is not known:\n{done.stderr}")
    return int(total[1])


def cost(micro, name):
    """Instructions per operation."""
    few, many = COUNTS[name]
    return (instructions(micro, name, many) - instructions(micro, name, few)) / (many - few)


def verdict(measured, allowed):
    """(word for the table, whether it is within the budget)"""
    if allowed is None:
        return "new: not in the budget; --update adds it", False
    change = 100 * (measured - allowed) / allowed
    if change > TOLERANCE_PERCENT:
        return f"{change:+.1f} %  TOO MUCH", False
    if change < -TOLERANCE_PERCENT:
        return f"{change:+.1f} %  better: --update stores it", True
    return f"{change:+.1f} %", True


def check(micro, budget):
    """Measures everything, prints the table; returns (measured, how many passed and failed)."""
    measured, passed, failed = {}, 0, 0
    print(f"{'instructions per operation':28} {'budget':>10} {'now':>10}")
    for name in COUNTS:
        measured[name] = round(cost(micro, name), 1)
        allowed = budget.get(name)
        word, within = verdict(measured[name], allowed)
        passed += within
        failed += not within
        shown = "-" if allowed is None else f"{allowed:.1f}"
        print(f"{name:28} {shown:>10} {measured[name]:>10.1f}   {word}", flush=True)
    for name in sorted(set(budget) - set(COUNTS)):
        print(f"{name:28} {budget[name]:>10.1f} {'-':>10}   "
              "no longer measured; --update removes it")
        failed += 1
    return measured, passed, failed


def skip(why, count):
    print(f"SKIPPED: {why}.")
    print("SKIPPED: this run says nothing about the cost of the hot paths.")
    print(f"test: 0 passed, 0 failed, {count} skipped")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("budget", nargs="?", default="bench/budget.json")
    parser.add_argument("build", nargs="?", default="build/release")
    parser.add_argument("--update", action="store_true",
                        help="store the measured numbers as the budget")
    options = parser.parse_args()

    cache = cache_of(options.build)
    compiler = compiler_of(cache)
    kept = {"compiler": compiler, "instructions": {}}
    if os.path.exists(options.budget):
        with open(options.budget, encoding="utf-8") as file:
            kept = json.load(file)
    elif not options.update:
        fail(f"there is no {options.budget}; --update writes it")

    if compiler != kept["compiler"] and not options.update:
        return skip(f"the budget is for {kept['compiler']}, this build is made with {compiler}",
                    len(COUNTS))
    if cache.get("CMAKE_BUILD_TYPE") != "Release":
        fail(f"{options.build} is not a release build")
    micro = os.path.join(options.build, "bench", "micro")
    if not os.path.exists(micro):
        fail(f"{micro} is not built")

    measured, passed, failed = check(micro, kept["instructions"])
    if options.update:
        with open(options.budget, "w", encoding="utf-8") as file:
            json.dump({"compiler": compiler, "instructions": measured}, file, indent=4)
            file.write("\n")
        print(f"written to {options.budget}")
        return 0
    print(f"test: {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
