#!/usr/bin/env python3
"""Runs the programs in the README's table of examples and compares the first line that each prints.

usage: example_table.py PROJECT_DIR EXAMPLE_DIR     EXAMPLE_DIR has the built programs

In the table `…` stands for any text. Fails, too, if an example is missing in the table. Prints a
line per program. Exit status: 0 if all is as the table says, 1 if not.
"""

import concurrent.futures
import pathlib
import re
import subprocess
import sys

ROW = re.compile(r"^\| \[(\w+)\]\(examples/\w+\.cpp\) \|.*\| `([^`]*)` \|$", re.M)


def fault(program, told):
    run = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=120, check=False)
    first = run.stdout.partition("\n")[0].rstrip()
    pattern = ".*".join(map(re.escape, told.split("…")))
    return "" if re.fullmatch(pattern, first) else f"prints {first!r}, the table says {told!r}"


def main():
    root, programs = map(pathlib.Path, sys.argv[1:])
    table = dict(ROW.findall((root / "README.md").read_text(encoding="utf-8")))
    names = sorted(source.stem for source in (root / "examples").glob("*.cpp"))

    def problem_of(name):
        return fault(programs / name, table[name]) if name in table else "not in the table"

    # They wait most of the time, so all of them run at once.
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        problems = list(pool.map(problem_of, names))
    for name, problem in zip(names, problems):
        print(f"{name}: {problem or 'ok'}")
    wrong = sum(map(bool, problems))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
