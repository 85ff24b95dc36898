#!/usr/bin/env python3
"""Checks docs/from-python.md, the table of Python's names and ours.

On the left must stand every name in `asyncio.__all__` and every method of `AbstractEventLoop` of
the Python that runs this; on the right, what is written as code must be made of words that the
public headers know. A name that stands there twice is named, too.

usage: tools/from_python.py [PROJECT_DIR]
Exit status: 0 if all is so; 1 if not, with a line for each misfit.
"""

import asyncio
import glob
import os
import re
import sys

ROW = re.compile(r"^\|(?P<left>.*?)\|(?P<right>.*)\|$", re.M)
CODE = re.compile(r"`([^`]*)`")
WORD = re.compile(r"[A-Za-z_]\w*")
# C++'s own words, and those of the examples.
KNOWN = set("""
    auto catch co_await co_return co_yield const int while std exception invalid_argument stop_token
    errc true nullptr body cleanup f g fd functions item ls l main ms s x i tasks awaitable
    ASYNCIO_BACKEND simulated
""".split())


def python_names():
    names = set(asyncio.__all__)
    names |= {"loop." + name for name in dir(asyncio.AbstractEventLoop) if name[0] != "_"}
    return names


def header_words(root):
    words = set()
    for path in glob.glob(os.path.join(root, "include", "**", "*.h"), recursive=True):
        with open(path, encoding="utf-8") as file:
            words |= set(WORD.findall(file.read()))
    return words


def misfits(root):
    with open(os.path.join(root, "docs", "from-python.md"), encoding="utf-8") as file:
        rows = [(row["left"].strip(), row["right"].strip()) for row in ROW.finditer(file.read())]
    words = header_words(root) | KNOWN
    listed = set()
    for left, right in rows:
        name = left.strip("`")
        if left.startswith("`") and name in listed:
            yield f"{name} stands there twice"
        listed.add(name)
        planned = right.startswith(("not yet", "none"))
        if not right:
            yield f"{name} has nothing on the right"
        for code in [] if planned and "`" not in right else CODE.findall(right):
            if "=True" in code:  # Python's, quoted
                continue
            for word in WORD.findall(re.sub(r"\b\d+\w*|\"[^\"]*\"", "", code)):
                if word not in words and not (planned and word in ("Server", "sendfile")):
                    yield f"{name}: no public header knows {word}"
    for name in sorted(python_names() - listed):
        yield f"{name} is missing"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(
        os.path.abspath(__file__)))
    found = list(misfits(root))
    for misfit in found:
        print(f"docs/from-python.md: {misfit}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
