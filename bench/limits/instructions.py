"""Instructions of a server per message, by function, outside the kernel. callgrind counts them.

The server runs twice under callgrind, with few messages and with many. The difference contains
neither the start of the server nor the opening of the connections.
"""

import pathlib
import re
import shutil
import tempfile

import servers
from clients import Failed, Held

FEW = 20
MANY = 120
# A line of callgrind_annotate: instructions, perhaps a share, file:function, perhaps the object.
LINE = re.compile(r"^\s*([\d,]+) \([ \d.]+%\)\s+(?:\S*?:)?(.*?)(?: \[[^\]]*\])?$")


def available():
    return shutil.which("valgrind") is not None and shutil.which("callgrind_annotate") is not None


def counts_of(file):
    """Instructions by function."""
    counts = {}
    report = servers.output_of(["callgrind_annotate", "--threshold=100", "--auto=no", str(file)])
    for line in report.splitlines():
        match = LINE.match(line)
        if match and match[2] != "PROGRAM TOTALS":
            counts[match[2]] = counts.get(match[2], 0) + int(match[1].replace(",", ""))
    return counts


def run(load, name, command, connections, size, turns, processor):
    """Each connection sends `turns` messages."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "counts"
        under = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={file}"]
        with servers.Server(name, under + command, servers.buffer_for(size), processor) as server:
            with load.start("hold", server, connections=connections, bytes=size) as process:
                held = Held(process, server)
                for _ in range(turns):
                    if held.say("use 20")["answered"] != connections:
                        raise Failed(f"an echo is missing under callgrind. {server.errors()}")
                # callgrind counts what a process did until its end, so the end must not count.
                server.end()
        return counts_of(file)


def per_message(load, name, command, connections, size, processor):
    few = run(load, name, command, connections, size, FEW, processor)
    many = run(load, name, command, connections, size, MANY, processor)
    messages = connections * (MANY - FEW)
    return {function: (count - few.get(function, 0)) / messages
            for function, count in many.items()}
