#!/usr/bin/env python3
"""Checks the rules of this project that no compiler knows: the laws, the floors, wording, prose.

The floors and laws are those of ARCHITECTURE.md. A rule is a function below that yields
(line, message), and its name appears in the report. Exceptions stand in ALLOWED, each
with its reason. An exception that no file needs is a violation too.

usage: tools/tidy.py [--root DIR] [--report]
  --report   also prints the share of comments of each floor and what each header pulls in
Prints `file:line: rule: message` per violation. Exit status: 0 none, 1 some.
"""

import argparse
import os
import re
import statistics
import sys
from fnmatch import fnmatch

# ------------------------------------------------------------------------------------- the tables

MAX_FILE_LINES = 600
MAX_COLUMNS = 100

# (rule, file pattern) -> why the rule does not hold there.
ALLOWED = {
    ("blocking", "src/base/brief_wait.h"): "for posts and signal handlers, which end at once",
    ("blocking", "examples/breakfast.cpp"): "the cook who waits idly, shown first",
    ("blocking", "examples/events_and_callbacks.cpp"): "the callback that blocks, shown first",
    ("blocking", "examples/waiting_or_computing.cpp"): "functions for threads and processes",
    ("blocking", "examples/sums.cpp"): "plain functions, and the coroutine done wrong",
    ("blocking", "bench/compare/late_reader.cpp"): "a thread without a loop writes time stamps",
    ("blocking", "bench/limits/load.cpp"): "clients without a loop, the same for every server",
    ("resume", "bench/micro/bare.cpp"): "a loop to compare with, which has nothing of ours",
    ("blocking", "tool/guard/guard.cpp"): "the guard is a process of its own, without a loop",
    ("blocking", "tool/guard/descendants.cpp"): "runs when no loop does: before or after it",
    ("blocking", "tool/terminal/overflow_file.cpp"): "a file in the kernel's cache, in blocks",
    ("blocking", "tool/guard/descriptors.cpp"): "a wait of no time, before the loop",
    ("blocking", "tool/batch/input/input.cpp"): "opens files, reads a terminal, before the loop",
    ("blocking", "tool/batch/processes/foreground.cpp"): "a terminal, opened before a command runs",
    ("blocking", "tool/batch/report/output_file.cpp"): "opened before the loop",
    ("blocking", "tool/batch/output/results.cpp"): "files in the kernel's cache, piece by piece",
    ("blocking", "tool/terminal/say.cpp"): "with a limit for the reader, or when no loop runs",
    ("blocking", "libs/tls/src/engine/key_log.cpp"): "a file for debugging, a line at a time",
    ("blocking", "tool/guard/signals.cpp"): "a descriptor that does not block, a wait of no time",
}

# The two places that resume a coroutine (law 1), each once.
RESUME_PLACES = {
    "include/asyncio/internal/loop/step.h": "the trampoline, called by the loop",
    "include/asyncio/coro.h": "a parent starts its child in its own step",
}

# Where a call may block the thread (law 2).
MAY_BLOCK = ("src/backend/*", "src/base/workers*", "src/executors/worker*",
             "src/machine/stall_watch.cpp", "src/net/system_names.cpp", "src/process/spawn*",
             "tests/*", "libs/*/tests/*")

# The floors that each floor may include, besides itself (the table of ARCHITECTURE.md).
MAY_INCLUDE = {
    "base": set(),
    "machine": {"base"},
    "backend": {"base"},
    "loop": {"base", "machine", "backend"},
    "core": {"base", "machine", "loop"},
    "sync": {"base", "core"},
    "scopes": {"base", "loop", "core", "sync"},
    "streams": {"base", "backend", "loop", "core"},
    "signals": {"base", "loop", "core"},
    "files": {"base", "backend", "loop", "core", "streams"},
    "executors": {"base", "machine", "loop", "core", "scopes"},
    "net": {"base", "backend", "loop", "core", "scopes", "streams", "executors"},
    "process": {"base", "backend", "loop", "core", "scopes", "streams"},
    "testing": {"base", "backend", "loop", "core", "sync", "scopes", "streams", "executors", "net"},
    # A channel over another one: it has a limit of time and operations, and so knows the loop.
    "tls": {"base", "loop", "core", "scopes", "streams", "net"},
    "protocol": {"base", "core", "sync", "scopes", "streams", "executors", "net", "tls"},
}
FLOOR_OF_FOLDER = {
    "http": "protocol", "db": "protocol",
    **{name: name for name in MAY_INCLUDE if name != "protocol"},
}
# Built as a user would: public headers only (law 4 for the roof; `process` for its own reasons).
PUBLIC_HEADERS_ONLY = ("libs/*/include/*", "libs/*/src/*", "src/tls/*", "src/http/*", "src/db/*",
                       "src/process/*", "examples/*", "tool/*", "bench/*")

# The rooms of the tool, from the lowest to the highest. A room includes itself, the rooms before
# it, and the headers that stand in tool/ itself. `main.cpp` includes every room.
ROOMS_OF_TOOL = ("terminal guard batch/shell batch/input batch/job batch/options batch/output "
                 "batch/report batch/processes batch/run batch").split()

# The floors of the public headers, which lie flat in include/asyncio. A header in internal/FLOOR
# says its floor by its path. `include/asyncio.h` is the umbrella over them.
HEADERS_OF_FLOOR = {
    "base": "exceptions debug delay address address_info signal_set lowlevel/awaiting lowlevel/fd",
    "backend": "lowlevel/backend lowlevel/operation lowlevel/names lowlevel/simulated_network",
    "loop": "event_loop loop_handle lowlevel/alarm lowlevel/loop "
            "lowlevel/loop_fd lowlevel/perform_now",
    "core": "outcome coro task future sleep run main context generator inspect "
            "lowlevel/waiter lowlevel/line",
    "sync": "sync lock event condition semaphore barrier held queue",
    "scopes": "gather wait as_completed staggered_race shield timeout timeout_scope task_group "
              "finally exit_stack map_concurrent",
    "streams": "stream streams sendfile standard_streams lowlevel/operation_awaiter "
               "lowlevel/channel",
    "net": "names net datagram datagram_protocol socket connection server thread_server",
    "signals": "signals",
    "files": "file files watch",
    "executors": "executor thread_future thread_queue process_pool serialize",
    "process": "subprocess",
    "tls": "tls tls/*",
    "protocol": "http/* db/*",
    "testing": "testing testing/*",
}

FORBIDDEN_INCLUDES = (
    # (floors, pattern of the included name, why)
    ({"base", "machine", "backend"}, r"<coroutine>", "nothing below the loop knows coroutines"),
    ({"loop", "core", "sync", "scopes"},
     r"<(unistd|fcntl|poll|signal|spawn|sys/.*|linux/.*|netinet/.*)\.h>",
     "operating system headers stop at the back-end"),
    (set(MAY_INCLUDE) - {"backend"}, r"<liburing\.h>", "only a back-end knows the ring"),
)
# (pattern of the included name, the files that may include it)
THIRD_PARTY = (
    (r"<openssl/", ("libs/tls/src/engine/*", "libs/tls/tests/certificates.cpp",
                    "libs/tls/tests/raw_peer.cpp", "tests/fuzz/tls_*", "tests/tls_allocations/*")),
)
# The files that may start threads: the pool of workers, the executors, the watch over long steps,
# and the roof like any user.
MAY_START_THREADS = ("src/base/workers*", "src/machine/stall_watch*", "src/executors/*",
                     "include/asyncio/executor.h", "examples/*", "tool/*", "bench/*", "tests/*",
                     "libs/*/tests/*", "fuzz/*")

# An `#if` outside src/backend and src/machine may ask only about the compiler (law 3).
COMPILER_WORD = re.compile(
    r"^(defined|__has_(?:feature|builtin|attribute|cpp_attribute)|__GNUC\w*|__clang\w*|__cplusplus"
    r"|__cpp_\w+|__SANITIZE_\w+|__OPTIMIZE__|NDEBUG|__EXCEPTIONS|\w+_sanitizer"
    r"|ASYNCIO_INTERNAL_\w+|clang|lifetimebound|true|false)$")

OUTSIDE = "outside src/backend and src/machine (law 3)"

SYSTEM_CALLS = (
    "accept accept4 clock_nanosleep connect epoll_pwait epoll_wait fgets flock fread fsync "
    "getaddrinfo getnameinfo io_uring_enter io_uring_wait_cqe nanosleep open openat pause poll "
    "ppoll pread pselect pwrite read readv recv recvfrom recvmsg select send sendmsg sendto "
    "sigsuspend sigtimedwait sigwait sigwaitinfo sleep splice system usleep wait wait4 waitid "
    "waitpid write writev").split()
BLOCKING = re.compile(
    r"(?<![\w>)\]:])::(?P<call>" + "|".join(SYSTEM_CALLS) + r")\s*\("
    r"|(?<![\w.:>])(?P<bare>usleep|nanosleep|ppoll|epoll_p?wait|waitpid|waitid|popen"
    r"|pclose|flock)\s*\("
    r"|\bstd::(?P<std>this_thread::sleep_\w+|condition_variable\w*|latch|barrier|\w+_semaphore"
    r"|system)\b")

FORBIDDEN_WORDS = (
    (re.compile(r"\b(TODO)\b(?!\((?:perf|port|cleanup)\b)"),
     "write TODO(perf|port|cleanup)"),
    (re.compile(r"\b(FIXME|XXX|HACK)\b"), "correct the fault, or describe it in a comment"),
    (re.compile(r"(?<![\w-])((?:issue|ticket|bug) #?\d+|(?<![\w&/])#\d+\b)", re.I),
     "a reader does not know the numbers of tickets"),
    # Systems and protocols have sessions too, so only the words around it decide.
    (re.compile(r"\b((?:this|last|next|previous|earlier|later|our|my|working|coding) sessions?)\b",
                re.I), "a comment must not tell how the code was written"),
    (re.compile(r"((?:\.\./|/work/)shared\b|\bshared/[\w-]+\.md|/work/main)"),
     "the path exists on a single machine only"),
)
# These files must contain the words that they forbid.
MAY_SAY_ANYTHING = ("tools/tidy.py", "tests/tidy/*")
PLAN_NUMBER = re.compile(
    r"\b((?:CAN|COND|CPP|CTX|DBG|EXE|FUT|GATH|LOCK|LOOP|NET|QUE|RUN|SCK|SEM|SFD|SIG|SPR|STR|TASK|TG"
    r"|THR|TLS|TRN|WF|WRT)-\d\d)\b")

CODE_FOLDERS = ("include", "src", "libs", "tool", "examples", "bench", "tests", "fuzz", "docs")
CODE_ENDINGS = (".h", ".cpp")
TEXT_ENDINGS = CODE_ENDINGS + (".py", ".sh", ".md", ".txt", ".cmake", ".in", ".json")
SKIPPED_FOLDERS = {".git", "build", ".cache", "__pycache__", "node_modules"}


# ---------------------------------------------------------------------------------- reading files

TOKEN = re.compile(
    r'(?P<line_comment>//[^\n]*)'
    r'|(?P<block_comment>/\*.*?\*/)'
    r'|(?P<raw>R"(?P<delimiter>[^\s()\\]{0,16})\(.*?\)(?P=delimiter)")'
    r'|(?P<string>"(?:\\.|[^"\\\n])*")'
    r"|(?P<number>\b\d[\w']*)"
    r"|(?P<char>'(?:\\.|[^'\\\n])+')", re.S)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One file, and for C++ its code without comments and literals, and its comments alone."""

    def __init__(self, root, path):
        self.root, self.path = root, path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")
        self.is_code = path.endswith(CODE_ENDINGS)
        self.is_header = path.endswith(".h")
        self.code = self.comments = self.lines
        if self.is_code:
            self.separate_comments()

    def separate_comments(self):
        comments = []

        def take(match):
            if match["number"]:
                return match.group()
            if match["line_comment"] or match["block_comment"]:
                comments.append((match.start(), match.group()))
                return blank(match.group())
            inside = match.group()[1:-1]
            return match.group()[0] + blank(inside) + match.group()[-1]

        self.code = TOKEN.sub(take, self.text).split("\n")
        only_comments = list(blank(self.text))
        for start, text in comments:
            only_comments[start:start + len(text)] = text
        self.comments = "".join(only_comments).split("\n")

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def matches(self, patterns):
        return any(fnmatch(self.path, pattern) for pattern in patterns)

    def includes(self):
        """(line number, the name with its quotes or angle brackets)"""
        for number, (line, code) in enumerate(zip(self.lines, self.code), 1):
            if re.match(r"\s*#\s*include\b", code):
                name = re.search(r'(<[^>]*>|"[^"]*")', line)
                if name:
                    yield number, name.group()

    def floor(self):
        """By its folder, or by the table for a public header; None on the roof and in the tests."""
        parts = self.path.split("/")
        if parts[0] == "src" and len(parts) > 2:
            return FLOOR_OF_FOLDER.get(parts[1], "unknown")
        if parts[0] == "libs" and len(parts) > 3 and parts[2] in ("include", "src"):
            return FLOOR_OF_FOLDER.get(parts[1], "protocol")
        if self.path.startswith("include/asyncio/"):
            return floor_of_header(self.path[len("include/asyncio/"):-len(".h")])
        return None


def floor_of_header(stem):
    """`stem` is the path below include/asyncio, without the ending."""
    inside = re.fullmatch(r"internal/(\w+)/\w+", stem)
    if inside:
        return inside[1] if inside[1] in MAY_INCLUDE else "unknown"
    for floor, names in HEADERS_OF_FLOOR.items():
        if any(fnmatch(stem, name) for name in names.split()):
            return floor
    return "unknown"


def project_files(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - SKIPPED_FOLDERS)
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            in_code_folder = path.split(os.sep)[0] in CODE_FOLDERS
            if name.endswith(CODE_ENDINGS) and not in_code_folder:
                continue
            if name.endswith(TEXT_ENDINGS) or path in ("dev", os.path.join(".ci", "run")):
                yield path


# ------------------------------------------------------------------------------------------ rules

RULES = []


def rule(function):
    RULES.append(function)
    return function


@rule
def resume(source):
    """Law 1: a coroutine handle is resumed by the loop and by an awaiting parent, nowhere else."""
    if not source.matches(("include/*", "src/*", "tool/*", "examples/*", "bench/*")):
        return
    places = [number for number, line in enumerate(source.code, 1)
              for _ in re.finditer(r"(?:\.|->)\s*resume\s*\(", line)]
    for number in places[source.path in RESUME_PLACES:]:
        yield number, "the loop and an awaiting parent resume coroutines, once each (law 1)"


@rule
def blocking(source):
    """Law 2: a call that may block stands in a back-end, a worker's job, or before an exec."""
    if not source.is_code or source.matches(MAY_BLOCK):
        return
    code = "\n".join(source.code)
    for match in BLOCKING.finditer(code):
        name = match["call"] or match["bare"] or match["std"]
        statement = code[match.start():code.find(";", match.start())]
        if name in ("waitpid", "waitid", "wait4") and "WNOHANG" in statement:
            continue
        yield code.count("\n", 0, match.start()) + 1, f"`{name}` may block the thread (law 2)"


@rule
def system_condition(source):
    """Law 3: what differs between systems, kernels and processors stands in two rooms."""
    if not source.is_code or source.matches(("src/backend/*", "src/machine/*", "tests/*",
                                             "libs/*/tests/*")):
        return
    for number, (line, code) in enumerate(zip(source.lines, source.code), 1):
        match = re.match(r"\s*#\s*(?:el)?if(?:n?def)?\b(.*)", code)
        if not match:
            continue
        if "__has_include" in code:
            yield number, f"asks which headers the system has {OUTSIDE}"
            continue
        for word in re.findall(r"[A-Za-z_]\w*", match[1]):
            if not COMPILER_WORD.match(word):
                yield number, f"`{word}` asks about the system {OUTSIDE}"


@rule
def operation_kinds(source):
    """A switch over the kinds of operations names each, so the compiler asks for a new kind.

    With a `default`, a new kind compiles everywhere, and an operation of it is never finished.
    """
    if not source.is_code:
        return
    code = "\n".join(source.code)
    for match in re.finditer(r"\bswitch\s*\(", code):
        body = braces_after(code, match.end())
        if "OperationKind::" in body and re.search(r"\bdefault\s*:", body):
            yield code.count("\n", 0, match.start()) + 1, "`default` over the kinds of operations"


def braces_after(code, start):
    """The text of the first block in braces behind `start`."""
    begin = code.find("{", start)
    depth = 0
    for end in range(begin, len(code)):
        depth += {"{": 1, "}": -1}.get(code[end], 0)
        if depth == 0:
            return code[begin:end]
    return code[begin:]


@rule
def public_headers_only(source):
    """Law 4: the protocols and the roof include only what a user may include.

    A room of the library itself, as `process` is, may use the bricks of `base` besides.
    """
    if not source.matches(PUBLIC_HEADERS_ONLY):
        return
    depth = 2 if source.path.startswith(("src/", "libs/")) else 1
    room = "/".join(source.path.split("/")[:depth])
    here = source.path.rsplit("/", 1)[0]
    for number, name in source.includes():
        inner = name[1:-1]
        if inner.startswith("asyncio/internal/"):
            yield number, f"{name} is not public (law 4)"
        elif source.path.startswith(("src/tls/", "src/http/", "src/db/")) and inner.startswith(
                ("asyncio/lowlevel/", "asyncio/event_loop.h")):
            yield number, f"{name} is on a floor that a protocol must not know"
        elif name.startswith('"'):
            if source.path.startswith("src/process/") and inner.startswith("base/"):
                continue
            where = [os.path.normpath(f"{base}/{inner}")
                     for base in (here, room, "src", f"{room}/src")]
            if not any(path.startswith(room + "/") and source.exists(path)
                       for path in where):
                yield number, f"{name} is neither public nor a header of this folder (law 4)"


@rule
def floors(source):
    """No floor includes a floor that it may not know."""
    floor = source.floor()
    if floor is None:
        return
    if floor == "unknown":
        yield 1, "has no floor: add it to a floor in tools/tidy.py"
        return
    for number, name in source.includes():
        inner = name[1:-1]
        for forbidden_on, pattern, why in FORBIDDEN_INCLUDES:
            if floor in forbidden_on and re.fullmatch(pattern, name):
                yield number, f"{name} on floor {floor}: {why}"
        if name.startswith('"'):
            other = FLOOR_OF_FOLDER.get(inner.split("/")[0], floor)
        elif inner.startswith("asyncio/"):
            other = floor_of_header(inner[len("asyncio/"):-len(".h")])
        elif inner == "asyncio.h":
            yield number, "asyncio.h is for users; include the headers that are needed"
            continue
        else:
            continue
        if other != floor and other not in MAY_INCLUDE[floor]:
            yield number, f"floor {floor} may not include {name} (floor {other})"


@rule
def third_party(source):
    """Law 5: a third-party library is seen by the few files that wrap it, and by no others."""
    for number, name in source.includes():
        for pattern, files in THIRD_PARTY:
            if re.match(pattern, name) and not source.matches(files):
                yield number, f"{name} may be included in {', '.join(files)} only (law 5)"


@rule
def engine(source):
    """Law 6: the engine of a protocol does no input and no output, and knows no loop.

    Of the library it includes errors and other values, and of its own library headers that keep
    to this rule, too.
    """
    parts = source.path.split("/")
    if not fnmatch(source.path, "libs/*/src/engine/*"):
        return
    for number, name in source.includes():
        if name.startswith("<asyncio") and not is_pure(source, parts[1], name[1:-1]):
            yield number, f"{name} in an engine: engines know bytes and errors (law 6)"


def is_pure(source, library, name):
    """Whether the header `name` leads to headers of the floor `base` and of `library` alone."""
    if name == "asyncio.h" or not name.startswith(f"asyncio/{library}"):
        return floor_of_header(name[len("asyncio/"):-len(".h")]) == "base"
    path = f"libs/{library}/include/{name}"
    if not source.exists(path):
        return False
    return all(is_pure(source, library, inner[1:-1])
               for _, inner in Source(source.root, path).includes() if inner.startswith("<asyncio"))


@rule
def rooms_of_the_tool(source):
    """No room of the tool includes a room above it, so the rooms make no circle."""
    folder = os.path.dirname(source.path)
    if not source.is_code or not folder.startswith("tool/"):
        return
    room = folder[len("tool/"):]
    if room not in ROOMS_OF_TOOL:
        yield 1, "has no room: add it to a room in tools/tidy.py"
        return
    for number, name in source.includes():
        other = os.path.dirname(name[1:-1])
        if other in ROOMS_OF_TOOL and ROOMS_OF_TOOL.index(other) > ROOMS_OF_TOOL.index(room):
            yield number, f"room {room} may not include {name}"


@rule
def thread(source):
    """Threads are started by the pool of workers, the executors, and the watch over long steps."""
    if not source.is_code or source.matches(MAY_START_THREADS):
        return
    for number, line in enumerate(source.code, 1):
        if re.search(r"\bstd::j?thread\b(?!::)", line) or re.search(r"\bpthread_create\b", line):
            yield number, "threads are started in src/base/workers and src/executors only"


@rule
def size(source):
    if not source.is_code:
        return
    count = len(source.lines) - 1
    if count > MAX_FILE_LINES:
        yield count, f"{count} lines; a file is one idea, at most {MAX_FILE_LINES}"


@rule
def layout(source):
    is_prose = source.path.endswith((".md", ".json"))
    for number, line in enumerate(source.lines, 1):
        if len(line) > MAX_COLUMNS and not is_prose:
            yield number, f"{len(line)} columns; at most {MAX_COLUMNS}"
        if "\t" in line:
            yield number, "a tab"
        if line != line.rstrip() and not is_prose:
            yield number, "trailing blanks"
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines), "no newline at the end"


@rule
def opening(source):
    """A header is guarded and begins with its purpose; so does a source file without a header."""
    if not source.is_code:
        return
    lines = source.lines
    if source.is_header:
        if lines[0] != "#pragma once":
            yield 1, "a header begins with `#pragma once`"
        else:
            lines = lines[1:]
    needs_purpose = source.is_header or not has_own_header(source)
    if needs_purpose and not lines[0].startswith(("//", "/*")):
        yield 2 if source.is_header else 1, "does not say what it is for in its first lines"


def has_own_header(source):
    """Whether x.cpp stands beside x.h, or implements a public header of that name."""
    stem = source.path[:-len(".cpp")]
    if source.exists(stem + ".h"):
        return True
    if fnmatch(source.path, "libs/*/src/*"):
        library = source.path.split("/")[1]
        return source.exists(f"libs/{library}/include/asyncio/{library}/"
                             f"{os.path.basename(stem)}.h")
    if not source.path.startswith("src/"):
        return False
    folders = ("", f"internal/{stem.split('/')[1]}/", "lowlevel/")
    return any(source.exists(f"include/asyncio/{folder}{os.path.basename(stem)}.h")
               for folder in folders)


@rule
def wording(source):
    if source.matches(MAY_SAY_ANYTHING):
        return
    for number, line in enumerate(source.comments, 1):
        for pattern, why in FORBIDDEN_WORDS:
            match = pattern.search(line)
            if match:
                yield number, f"`{match[1]}`: {why}"
        if source.path.startswith(("src/", "include/", "tool/", "examples/", "bench/")):
            match = PLAN_NUMBER.search(line)
            if match:
                yield number, f"`{match[1]}`: only tests carry the id of a behaviour"


@rule
def sentences(source):
    """The subject of a sentence is a thing of the program, and no bare pronoun."""
    if not source.path.startswith(("include/", "src/", "libs/", "tool/", "examples/", "bench/")):
        return
    beginning = r"(?:^\s*//[/!]?<?\s*|[.:!?] )"
    for number, line in enumerate(source.comments, 1):
        match = re.search(beginning + r"(Those|Whoever|Somebody|Nobody|Anybody|Everybody)\b", line)
        if match:
            yield number, f"a sentence begins with `{match[1]}`: name the thing it is about"


# ------------------------------------------------------------------------------------------ prose

# The least share of lines with a comment among the lines that are not empty, in percent. Comments
# say why; code that gains branches and no reasons makes the share fall.
LEAST_PROSE = dict.fromkeys(MAY_INCLUDE, 28)
# A floor of a few lines says nothing about a habit.
MIN_PROSE_LINES = 100


def prose(shares):
    """(floor, message) for each floor whose share of comments has fallen."""
    for floor, (comments, lines) in sorted(shares.items()):
        least = LEAST_PROSE.get(floor, 0)
        share = 100 * comments / lines
        if lines >= MIN_PROSE_LINES and share < least:
            yield floor, f"{share:.1f} % of the lines are comments; at least {least} %"


def count_prose(source, shares):
    if not source.is_code or not source.path.startswith(("include/", "src/", "libs/")):
        return
    floor = source.floor() or "none"
    comments, lines = shares.get(floor, (0, 0))
    shares[floor] = (comments + sum(bool(line.strip()) for line in source.comments),
                              lines + sum(bool(line.strip()) for line in source.lines))


# ----------------------------------------------------------------------------------------- running

def check(root):
    """Every violation below `root`, as (path, line, rule, message)."""
    used, found, shares = set(), [], {}
    for path in project_files(root):
        source = Source(root, path)
        count_prose(source, shares)
        for function in RULES:
            name = function.__name__
            exceptions = [key for key in ALLOWED if key[0] == name and fnmatch(path, key[1])]
            violations = list(function(source))
            if exceptions and violations:
                used.update(exceptions)
            else:
                found += [(path, line, name, message) for line, message in violations]
    found += [(f"src/{floor}", 1, "prose", message) for floor, message in prose(shares)]
    for rule_name, pattern in sorted(set(ALLOWED) - used):
        found.append(("tools/tidy.py", 1, "allowed",
                      f"{pattern} no longer breaks {rule_name}: remove the exception"))
    return found


def pulls(root, path, seen):
    """Adds to `seen` every header of the library that `path` includes, directly or not."""
    for _, name in Source(root, path).includes():
        inner = "include/" + name[1:-1]
        if name.startswith("<asyncio") and inner not in seen and os.path.exists(
                os.path.join(root, inner)):
            seen.add(inner)
            pulls(root, inner, seen)
    return seen


def report(root):
    shares, files = {}, []
    for path in project_files(root):
        if not path.endswith(CODE_ENDINGS) or path.split("/")[0] not in ("include", "src", "tool"):
            continue
        source = Source(root, path)
        count_prose(source, shares)
        files.append(len(source.lines) - 1)
        if path.startswith("include/"):
            print(f"  pulls {len(pulls(root, path, set())):3} of ours  {path}")
    print(f"  {len(files)} files, median {statistics.median(files):.0f} lines, "
          f"longest {max(files)}")
    for floor, (comments, lines) in sorted(shares.items()):
        print(f"  {100 * comments / lines:.1f} % of the lines of {floor} are comments")


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the project.")
    parser.add_argument("--root", default=os.path.join(os.path.dirname(__file__), ".."))
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    root = os.path.normpath(options.root)
    found = check(root)
    for path, line, name, message in found:
        print(f"{path}:{line}: {name}: {message}")
    if options.report:
        report(root)
    print(f"tidy: {len(found)} violations" if found else "tidy: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
