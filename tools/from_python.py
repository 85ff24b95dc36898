#!/usr/bin/env python3
"""Checks docs/from-python.md, the table of the names in Python and here.

The left column must have every name in `asyncio.__all__`, every method of `AbstractEventLoop`, and
every method of tasks, futures, locks, queues, streams and processes, of the Python that runs this
script. Code in the right column must consist of words that the public headers contain. The script
also reports a name that appears twice.

usage: tools/from_python.py [PROJECT_DIR]
       tools/from_python.py --compile PROJECT_DIR COMPILER [FLAG ...]

With --compile the code on the right (what has a call in it) is compiled, each piece in a coroutine
of its own, behind the page's first block of C++. `…` stands for any statements.
Exit status: 0 if all of this holds; 1 otherwise, with a line for each fault.
"""

import asyncio
import glob
import os
import re
import subprocess
import sys
import tempfile

ROW = re.compile(r"^\|(?P<left>.*?)\|(?P<right>.*)\|$", re.M)
CODE = re.compile(r"`([^`]*)`")
WORD = re.compile(r"[A-Za-z_]\w*")
PROLOGUE = re.compile(r"^```cpp\n(.*?)^```$", re.M | re.S)
# Words of C++, and words of quoted commands.
KNOWN = set("""
    auto catch co_await co_return co_yield const int while std exception errc true nullptr
    return main set unordered_set runtime_error string vector move id item text all line status
    output
    ASYNCIO_BACKEND simulated
""".split())
# The names of objects on the page, and their Python classes.
OBJECTS = {"task": asyncio.Task, "future": ("set_result", "set_exception", "done"),
           "lock": asyncio.Lock, "event": asyncio.Event,
           "condition": ("wait", "wait_for", "notify", "notify_all"),
           "semaphore": ("locked", "release"), "barrier": asyncio.Barrier, "queue": asyncio.Queue,
           "reader": asyncio.StreamReader, "writer": asyncio.StreamWriter,
           "server": asyncio.Server, "process": asyncio.subprocess.Process,
           "handle": asyncio.Handle, "runner": asyncio.Runner}
# Names outside the documented interface, and names that other rows cover.
NOT_LISTED = {"task.set_result", "task.set_exception", "queue.mro"}


def python_names():
    names = set(asyncio.__all__)
    names |= {"loop." + name for name in dir(asyncio.AbstractEventLoop) if name[0] != "_"}
    for prefix, owner in OBJECTS.items():
        methods = owner if isinstance(owner, tuple) else dir(owner)
        names |= {f"{prefix}.{name}" for name in methods if name[0] != "_"}
    return names - NOT_LISTED


def header_words(root):
    words = set()
    folders = [os.path.join(root, "include"),
               *glob.glob(os.path.join(root, "libs", "*", "include"))]
    for path in (path for folder in folders
                 for path in glob.glob(os.path.join(folder, "**", "*.h"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            words |= set(WORD.findall(file.read()))
    return words


def page_of(root):
    with open(os.path.join(root, "docs", "from-python.md"), encoding="utf-8") as file:
        return file.read()


def rows_of(page):
    return [(row["left"].strip(), row["right"].strip()) for row in ROW.finditer(page)]


def prologue_of(page):
    found = PROLOGUE.search(page)
    return found[1] if found else ""


def is_statement(code):
    return "(" in code and "=True" not in code and not code.startswith("catch")


def source_of(page):
    """A file with all the code of the page; `#line N` marks the Nth piece."""
    parts = [prologue_of(page)]
    pieces = [code for _, right in rows_of(page) for code in CODE.findall(right)
              if is_statement(code)]
    for number, code in enumerate(pieces, 1):
        in_coroutine = "co_await" in code.split("{")[0]
        body = code.replace("{ … }", "{ co_return; }" if "-> Coro" in code else "{}")
        head = "Coro<>" if in_coroutine else "auto"
        parts.append(f'{head} piece_{number}() {{\n#line {number} "piece"\n{body};\n'
                     + ("co_return;\n" if in_coroutine else "") + "}\n")
    return "\n".join(parts), pieces


def compile_page(root, command):
    source, pieces = source_of(page_of(root))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "page.cpp")
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
        result = subprocess.run([*command, "-Wno-unused", "-Wno-vexing-parse",
                                 "-Wno-subobject-linkage", "-fsyntax-only", path],
                                capture_output=True, text=True, check=False)
    for line in result.stderr.splitlines():
        match = re.match(r"piece:(\d+):.*?error: (.*)", line)
        if match:
            print(f"docs/from-python.md: `{pieces[int(match[1]) - 1]}`: {match[2]}")
    if result.returncode != 0:
        print(result.stderr)
    print(f"from_python: {len(pieces)} pieces of code")
    return result.returncode


def misfits(root):
    page = page_of(root)
    rows = rows_of(page)
    words = header_words(root) | KNOWN | set(WORD.findall(prologue_of(page)))
    listed = set()
    for left, right in rows:
        name = left.strip("`")
        if left.startswith("`") and name in listed:
            yield f"{name} appears twice in the left column"
        listed.add(name)
        planned = right.startswith(("not yet", "none"))
        if not right:
            yield f"{name} has an empty right column"
        for code in [] if planned and "`" not in right else CODE.findall(right):
            if "=True" in code:  # Python's, quoted
                continue
            for word in WORD.findall(re.sub(r"\b\d+\w*|\"[^\"]*\"", "", code)):
                if word not in words and not (planned and word in ("Server", "sendfile")):
                    yield f"{name}: no public header contains {word}"
    for name in sorted(python_names() - listed):
        yield f"{name} is missing"


def main():
    if sys.argv[1:2] == ["--compile"]:
        return compile_page(sys.argv[2], sys.argv[3:])
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(
        os.path.abspath(__file__)))
    found = list(misfits(root))
    for misfit in found:
        print(f"docs/from-python.md: {misfit}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
