"""The servers that `echo_limits.py` measures: how each is started, observed and ended.

Every server prints its port as its first line and runs until SIGTERM. Its last argument is the size
of its buffer. A server whose program or package is missing is not available, and says why.
"""

import contextlib
import os
import pathlib
import resource
import select
import shutil
import subprocess
import sys
import time

COMPARE = pathlib.Path(__file__).resolve().parent.parent / "compare"
PROCESSOR_CLOCK = 2  # of a process, in nanoseconds: CPUCLOCK_SCHED in linux/posix-timers_types.h


class NotAvailable(Exception):
    pass


def program(build, name, why=""):
    path = build / name
    if not path.exists():
        raise NotAvailable(f"{path} is not built{why}")
    return [str(path)]


def python(_build, *words):
    # Debian's Python is the one for which Debian packages uvloop.
    interpreter = shutil.which("/usr/bin/python3") or sys.executable
    if "--uvloop" in words and subprocess.run(
            [interpreter, "-c", "import uvloop"], capture_output=True, check=False).returncode:
        raise NotAvailable(f"{interpreter} has no uvloop (package python3-uvloop)")
    return [interpreter, str(COMPARE / "echo_streams.py"), *words]


def asyncio(build):
    return program(build, "echo_asyncio") + ["string"]


def asio(build):
    return program(build, "echo_asio", " (package libasio-dev)")


def tokio(build):
    return program(build, "echo_tokio", " (package librust-tokio-dev, cargo)")


# The name of a server, and its command without the size of the buffer.
SERVERS = {
    "raw_epoll": lambda build: program(build, "raw_epoll") + ["edge"],
    "raw_epoll_level": lambda build: program(build, "raw_epoll") + ["level"],
    "raw_uring": lambda build: program(build, "raw_uring") + ["multishot"],
    "raw_uring_plain": lambda build: program(build, "raw_uring") + ["plain"],
    "raw_uring_poll": lambda build: program(build, "raw_uring_poll"),
    "asyncio_epoll": asyncio,
    "asyncio_io_uring": asyncio,
    "asio": asio,
    "tokio": tokio,
    "uvloop": lambda build: python(build, "--uvloop"),
    "cpython": python,
}
ENVIRONMENT = {
    "asyncio_epoll": {"ASYNCIO_BACKEND": "epoll"},
    "asyncio_io_uring": {"ASYNCIO_BACKEND": "io_uring"},
}


def output_of(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def buffer_for(size):
    """The size of the servers' buffers: a whole message, and not less than examples have."""
    return max(size, 1024)


def is_raw(name):
    return name.startswith("raw_")


def available(names, build):
    """Returns the commands of the servers that can run, and prints the others."""
    commands = {}
    for name in names:
        try:
            commands[name] = SERVERS[name](build)
        except NotAvailable as reason:
            print(f"# {name}: not available, {reason}", flush=True)
    return commands


class Server:
    """A running server. `processor` is the core on which it stays, or None."""

    def __init__(self, name, command, buffer_size, processor=None, descriptors=None):
        def limit():
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.name = name
        self.log = os.memfd_create("log")
        self.process = subprocess.Popen(
            command + [str(buffer_size)], stdout=subprocess.PIPE, stderr=self.log,
            env=os.environ | ENVIRONMENT.get(name, {}), preexec_fn=limit)
        if processor is not None:
            os.sched_setaffinity(self.process.pid, {processor})
        self.port = self._read_port()

    def _read_port(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 10)
        line = self.process.stdout.readline() if ready else b""
        if not line.strip().isdigit():
            self.end()
            raise SystemExit(f"{self.name} did not print its port: {self.errors()}")
        return int(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def errors(self):
        return os.pread(self.log, 2000, 0).decode(errors="replace")

    def processor_seconds(self):
        return time.clock_gettime(~self.process.pid << 3 | PROCESSOR_CLOCK)

    def memory(self):
        """The bytes of the process that are in memory; shared pages count in part."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
        raise SystemExit(f"the memory of {self.name} is unknown")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextlib.contextmanager
def running(commands, buffer_size, processor):
    """Starts all servers, so that they can be measured in turn."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(name, command, buffer_size, processor))
               for name, command in commands.items()]
