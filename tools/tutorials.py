#!/usr/bin/env python3
"""Programs of Python's tutorials in Python and C++: runs both, compares, counts, makes the page.

usage: tools/tutorials.py            writes docs/tutorial-programs.md
       tools/tutorials.py --run DIR  checks: that the page is up to date, that all programs in C++
                                     together have at most 1.4 times the lines of those in Python,
                                     and that each pair prints the same; DIR has the built programs

Empty lines and lines with only a comment do not count, on either side. Programs that use neither
threads nor other processes run on a clock that jumps. Exit status: 0 if every check passes, else 1.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "tests", "tutorials")
PAGE = os.path.join(ROOT, "docs", "tutorial-programs.md")
MOST_LINES = 1.4
SECONDS_PER_PROGRAM = 120
# A program with these words waits for something outside, so it runs in real time.
REAL_TIME = re.compile(r"to_thread|run_in_executor|subprocess|threading|add_reader")


def read(*path):
    with open(os.path.join(FOLDER, *path), encoding="utf-8") as file:
        return file.read()


def names():
    return read("programs.txt").split()


def count_lines(text, comment):
    lines = (line.strip() for line in text.splitlines())
    return sum(1 for line in lines if line and not line.startswith(comment))


class Program:
    def __init__(self, name):
        self.name = name
        heading, self.python = read(name + ".py").split("\n", 1)
        self.heading = heading.removeprefix("# ")
        _, self.cpp = read(name + ".cpp").split("\n", 1)
        self.python_lines = count_lines(self.python, "#")
        self.cpp_lines = count_lines(self.cpp, "//")

    def in_virtual_time(self):
        return REAL_TIME.search(self.python) is None


def totals(programs):
    return (sum(program.python_lines for program in programs),
            sum(program.cpp_lines for program in programs))


def page(programs):
    python, cpp = totals(programs)
    lines = (f"Together, {len(programs)} programs have {python} lines in Python "
             f"and {cpp} lines here, {cpp / python:.2f} times as many;\n"
             "empty lines and comments do not count.")
    parts = []
    chapter = None
    for program in programs:
        title, _, section = program.heading.partition(": ")
        if title != chapter:
            parts.append(f"## {title}\n")
            chapter = title
        parts.append(f"### {section or title}: `{program.name}`\n\n"
                     f"{program.python_lines} lines, {program.cpp_lines} lines\n\n"
                     "<table><tr><th>Python</th><th>here</th></tr><tr><td>\n\n"
                     f"```python\n{program.python.strip()}\n```\n\n</td><td>\n\n"
                     f"```c++\n{program.cpp.strip()}\n```\n\n</td></tr></table>\n")
    return (read("page.md").replace("@lines@", lines)
            .replace("@programs@\n", "\n".join(parts)))


def run(command, environment):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=SECONDS_PER_PROGRAM,
                              env={**os.environ, **environment})
    except subprocess.TimeoutExpired:
        return f"still ran after {SECONDS_PER_PROGRAM} s"
    if done.returncode != 0:
        return f"ended with status {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def comparable(text):
    """Without what may differ: times of day, and how a truth is spelt."""
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS", text)
    return text.replace("True", "true").replace("False", "false")


def misfit(program, folder):
    """Runs a pair of programs and returns its fault, or an empty string."""
    virtual = program.in_virtual_time()
    runner = [os.path.join(FOLDER, "virtual_time.py")] if virtual else []
    python = run([sys.executable, "-B", *runner, os.path.join(FOLDER, program.name + ".py")], {})
    backend = {"ASYNCIO_BACKEND": "simulated"} if virtual else {}
    cpp = run([os.path.join(folder, program.name)], backend)
    if comparable(python) == comparable(cpp):
        return ""
    return f"Python prints\n{python}and the C++ program prints\n{cpp}"


def check(programs, folder):
    wrong = []
    files = {name[:-4] for name in os.listdir(FOLDER) if name.endswith(".cpp")}
    if files != {program.name for program in programs}:
        wrong.append("programs.txt must name every .cpp file, and no other file")
    python, cpp = totals(programs)
    print(f"tutorials: {len(programs)} programs, {python} lines of Python, {cpp} of C++, "
          f"{cpp / python:.2f} times as many")
    if cpp > MOST_LINES * python:
        wrong.append(f"the C++ programs have more than {MOST_LINES} times as many lines")
    with open(PAGE, encoding="utf-8") as file:
        if file.read() != page(programs):
            wrong.append("docs/tutorial-programs.md is not up to date: run tools/tutorials.py")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for program, problem in zip(programs, pool.map(lambda one: misfit(one, folder), programs)):
            print(f"{program.name}: {problem or 'ok'}")
            if problem:
                wrong.append(program.name)
    for problem in wrong:
        print(f"wrong: {problem}")
    return 1 if wrong else 0


def main():
    programs = [Program(name) for name in names()]
    if sys.argv[1:2] == ["--run"]:
        return check(programs, sys.argv[2])
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page(programs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
