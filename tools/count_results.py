#!/usr/bin/env python3
"""Counts the results of a test run, from the files of the runners: `N passed, M failed, K skipped`.

usage: count_results.py RESULTS_DIR   (the folder with ctest.xml and one NAME.json per test program)

CTest knows programs, GoogleTest knows cases. A program that wrote its own results counts with its
cases; any other program counts as one. CTest may report a program as failed although all of its
cases passed: it crashed or leaked at the end, or ran out of time. This counts as one more failure.
"""

import json
import os
import sys
import xml.etree.ElementTree as ElementTree


def cases(path):
    """[passed, failed, skipped] of one GoogleTest program; None if it left no readable results."""
    try:
        with open(path, encoding="utf-8") as file:
            suites = json.load(file).get("testsuites", [])
    except (OSError, ValueError):
        return None
    counts = [0, 0, 0]
    for suite in suites:
        for case in suite.get("testsuite", []):
            if case.get("status") != "RUN" or case.get("result") == "SUPPRESSED":
                continue
            failed, skipped = "failures" in case, case.get("result") == "SKIPPED"
            counts[1 if failed else 2 if skipped else 0] += 1
    return counts


def said_to_skip(program):
    """Whether the program itself chose not to run. A missing program is a failure instead."""
    skipped = program.find("skipped")
    return skipped is not None and skipped.get("message", "").startswith("SKIP_")


def totals(folder):
    sums = [0, 0, 0]
    for program in ElementTree.parse(os.path.join(folder, "ctest.xml")).getroot().iter("testcase"):
        status = program.get("status")
        counts = cases(os.path.join(folder, program.get("name") + ".json"))
        if status == "disabled" or (status == "notrun" and said_to_skip(program)):
            counts = [0, 0, 1]
        elif status in ("fail", "notrun"):
            counts = counts or [0, 0, 0]
            counts[1] = max(counts[1], 1)
        elif counts is None:
            counts = [1, 0, 0]
        sums = [total + count for total, count in zip(sums, counts)]
    return sums


def main():
    passed, failed, skipped = totals(sys.argv[1])
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main()
