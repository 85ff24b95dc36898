#!/usr/bin/env python3
"""Compiles the C++ in the documentation, runs the programs, and compares their output.

usage: doc_snippets.py PROJECT_DIR COMPILER [FLAG ...] -- [LIBRARY ...]

Looks at every fenced block of *.md in the project's first level, in docs/ and in libs/*/:
  ```cpp         with a main(): a program, which is compiled and run and must end with status 0;
                 otherwise declarations, or statements of a coroutine, which must compile.
                 A block without an include gets the usual includes and `using`s. A block that
                 includes a library of libs/ is skipped if that library was not built.
  ```cpp no-run  is only compiled
  ```sh run      is run by /bin/sh in an empty folder, with the command `asyncio` in its PATH, and
                 must end with status 0; skipped if the command was not built
  ```text        directly behind a block that is run: its output, line by line, errors behind the
                 rest; `…` stands for any text within a line
Prints a line per block. Exit status: 0 if all is as the text says, 1 if not.

The script checks as many blocks at a time as the machine has processors. g++ reads asyncio.h once
for all of them, as a precompiled header. It is used where a block includes this header first.
"""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```\s*?$", re.M | re.S)
SECONDS_PER_PROGRAM = 120

BEFORE = """#include <asyncio.h>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>
using namespace asyncio;
using namespace std::chrono_literals;
"""
AROUND_STATEMENTS = BEFORE + """%s
Coro<void> documented() {
%s
co_return;
}
"""


def blocks(text):
    """(line, words of the info string, body, the text block directly behind it or None)"""
    fences = list(FENCE.finditer(text))
    for position, fence in enumerate(fences):
        words = fence["info"].split()
        if words[:1] != ["cpp"] and words != ["sh", "run"]:
            continue
        printed = None
        if position + 1 < len(fences):
            behind = fences[position + 1]
            between = text[fence.end():behind.start()]
            follows = between.count("\n\n") <= 2 and "#" not in between
            if behind["info"].strip() == "text" and follows:
                printed = behind["body"]
        yield text.count("\n", 0, fence.start()) + 1, words, fence["body"], printed


def prints_as_told(told, printed):
    pattern = "\n".join(".*".join(map(re.escape, line.rstrip().split("…")))
                        for line in told.rstrip("\n").split("\n"))
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.split("\n")).rstrip())


def compile_block(body, compiler, libraries, folder, is_program):
    source, program = os.path.join(folder, "snippet.cpp"), os.path.join(folder, "snippet")
    attempts = [body if "#include" in body else BEFORE + body]
    if not is_program:
        # The block is either declarations or statements; only the compiler can tell which.
        attempts = [AROUND_STATEMENTS % ("", body), AROUND_STATEMENTS % (body, "")]
    for attempt in attempts:
        with open(source, "w", encoding="utf-8") as file:
            file.write(attempt)
        if is_program:
            command = [*compiler, source, "-o", program] + libraries
        else:
            command = [*compiler, "-fsyntax-only", "-Wno-unused", source]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return program, ""
    return None, result.stderr


def run_and_compare(command, folder, told, with_errors):
    """Runs a program and returns its fault, or an empty string."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder,
                             stdin=subprocess.DEVNULL, timeout=SECONDS_PER_PROGRAM)
    except subprocess.TimeoutExpired:
        return f"still ran after {SECONDS_PER_PROGRAM} s"
    if run.returncode != 0:
        return f"ended with status {run.returncode}:\n{run.stdout}{run.stderr}"
    printed = run.stdout + (run.stderr if with_errors else "")
    if told is not None and not prints_as_told(told, printed):
        return f"prints\n{printed}but the text says\n{told}"
    return ""


def check(words, body, told, compiler, libraries):
    """Checks a block and returns its fault, or an empty string."""
    with tempfile.TemporaryDirectory() as folder:
        if words == ["sh", "run"]:
            if shutil.which("asyncio") is None:
                return ""
            return run_and_compare(["sh", "-c", body], folder, told, with_errors=True)
        is_program = re.search(r"\bint main\(", body) is not None
        program, errors = compile_block(body, compiler, libraries, folder, is_program)
        if program is None:
            return "does not compile:\n" + errors
        if not is_program or "no-run" in words:
            return ""
        return run_and_compare([program], folder, told, with_errors=False)


def precompile(root, compiler, folder):
    """Precompiles asyncio.h; returns the options that make g++ use it. None for other compilers."""
    if os.path.basename(compiler[0]).startswith("clang"):
        return []
    # If a block includes something else first, g++ cannot use the precompiled one and reads this.
    header = os.path.join(folder, "asyncio.h")
    with open(header, "w", encoding="utf-8") as file:
        file.write(f'#pragma once\n#include "{root}/include/asyncio.h"\n')
    # Without warnings: g++ warns of a header that is compiled like a source file.
    made = subprocess.run([*compiler, "-w", "-x", "c++-header", header, "-o", header + ".gch"],
                          capture_output=True, check=False)
    return ["-I" + folder] if made.returncode == 0 else []


def uses_missing_library(body, compiler, root):
    """Whether a block includes a header of libs/ that is not among the compiler's folders."""
    names = set(re.findall(r"#include <asyncio/(\w+)", body))
    return any(os.path.isdir(os.path.join(root, "libs", name))
               and f"-I{root}/libs/{name}/include" not in compiler for name in names)


def all_blocks(root):
    """(place in the documentation, the result of `blocks` for each block there)"""
    for path in sorted(glob.glob(os.path.join(root, "*.md"))
                       + glob.glob(os.path.join(root, "docs", "**", "*.md"), recursive=True)
                       + glob.glob(os.path.join(root, "libs", "*", "*.md"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for line, *block in blocks(text):
            yield f"{os.path.relpath(path, root)}:{line}", block


def main():
    root, end = sys.argv[1], sys.argv.index("--")
    compiler, libraries = sys.argv[2:end], sys.argv[end + 1:]
    wrong = count = 0
    with (tempfile.TemporaryDirectory() as folder,
          concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool):
        compiler[1:1] = precompile(root, compiler, folder)
        found = [(place, pool.submit(check, *block, compiler, libraries))
                 for place, block in all_blocks(root)
                 if not uses_missing_library(block[1], compiler, root)]
        for place, result in found:
            problem = result.result()
            count += 1
            wrong += bool(problem)
            print(f"{place}: {problem or 'ok'}", flush=True)
    print(f"docs: {count} blocks, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
