#!/usr/bin/env python3
"""Compares the symbols that a shared library exports with what its public headers declare.

usage: exported.py LIBRARY INCLUDE_DIR [INCLUDE_DIR ...]

Fails if the library exports a name of the namespace asyncio that no public header contains; or a
name of the global namespace. The core fails, too, if it does not export what every program needs. A
check by name and not by type: it cannot tell two overloads apart.

A member may be exported if a public header names its class: the compiler makes a class visible when
a header declares it, even if its definition stands in src/. Closures, and templates of the standard
library that were instantiated for types of the library, may be exported.
"""

import pathlib
import re
import subprocess
import sys

# Each stands for a kind: a function, a variable with one instance per thread, the type information
# of an exception, a virtual table, a function that only templates call.
NEEDED = (
    "asyncio::lowlevel::Loop::run_forever()",
    "asyncio::internal::here",
    "typeinfo for asyncio::CancelledError",
    "vtable for asyncio::OsError",
    "asyncio::internal::find_frame(unsigned long)",
)
# Called by name from assembler code, which has no namespaces.
ALLOWED = {"asyncio_rethrow"}
PREFIX = re.compile(r"^(?:(?:typeinfo name|typeinfo|vtable|VTT|guard variable|TLS init function"
                    r"|TLS wrapper function|non-virtual thunk|virtual thunk|construction vtable)"
                    r" (?:for|to) )?")
BRACKETS = re.compile(r"<[^<>]*>|\([^()]*\)")


def exported(library):
    run = subprocess.run(["nm", "--dynamic", "--defined-only", "--demangle", library],
                         capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        kind_and_name = line.split(" ", 1)[1]
        yield kind_and_name[0], kind_and_name[2:]


def words_of(name):
    """The words of the qualified name, without the parameters and the arguments of templates."""
    name = PREFIX.sub("", re.sub(r"\[clone.*|@.*", "", name))
    name = name.replace("operator()", "operator").replace("(anonymous namespace)", "")
    while BRACKETS.search(name):
        name = BRACKETS.sub("", name)
    qualified = name.replace(" const", "").split(" ")[-1]
    return [word.lstrip("~") for word in qualified.split("::") if word]


def main():
    library, folders = sys.argv[1], sys.argv[2:]
    known = set()
    for folder in folders:
        for header in pathlib.Path(folder).rglob("*.h"):
            known.update(re.findall(r"\w+", header.read_text(encoding="utf-8")))
    names = list(exported(library))
    wrong = 0
    for kind, name in names:
        words = words_of(name)
        if "{lambda" in name or name in ALLOWED:
            continue
        if words[:1] == ["asyncio"]:
            unknown = [word for word in words if re.fullmatch(r"\w+", word) and word not in known]
            in_class = len(words) > 1 and words[-2] in known and words[-2][:1].isupper()
            if in_class and unknown == words[-1:]:
                continue
        elif len(words) == 1 and kind != "A" and name.isidentifier():
            unknown = words
        else:
            continue
        if unknown:
            wrong += 1
            print(f"exported, and in no public header ({unknown[0]}): {name}")
    plain = {name for _, name in names}
    for name in NEEDED:
        if library.endswith("/libasyncio.so") and name not in plain:
            wrong += 1
            print(f"not exported: {name}")
    print(f"{library.rsplit('/', 1)[-1]}: {len(names)} symbols, {wrong} wrong")
    return 1 if wrong or not names else 0


if __name__ == "__main__":
    sys.exit(main())
