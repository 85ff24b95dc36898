"""The clients of the measured servers: the program `load`, started and bounded in time.
"""

import contextlib
import json
import os
import subprocess
import time


class OutOfTime(Exception):
    pass


class Failed(Exception):
    """The server or the clients ended, or an echo was wrong."""


class Load:
    """Starts the clients. All of them together take no longer than the limit of the whole run."""

    def __init__(self, options):
        self.program = str(options.build / "load")
        self.end = time.monotonic() + options.limit
        self.processor = options.load_processor

    def _command(self, mode, server, words):
        pairs = [f"{key}={value}" for key, value in words.items()]
        return [self.program, mode, f"port={server.port}", *pairs]

    def _pin(self):
        if self.processor is not None:
            os.sched_setaffinity(0, {self.processor})

    def left(self):
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise OutOfTime
        return seconds

    def run(self, mode, server, **words):
        """Runs the clients to their end and returns what they report."""
        command = self._command(mode, server, words | {"server": server.process.pid})
        try:
            done = subprocess.run(command, capture_output=True, text=True, preexec_fn=self._pin,
                                  timeout=self.left(), check=False)
        except subprocess.TimeoutExpired:
            raise OutOfTime from None
        if done.returncode != 0:
            raise Failed(f"{done.stderr.strip()} {server.errors()}")
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def start(self, mode, server, **words):
        process = subprocess.Popen(self._command(mode, server, words), text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   preexec_fn=self._pin)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


class Held:
    """Clients that stay connected and obey."""

    def __init__(self, process, server):
        self.process = process
        self.server = server
        self.opened = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the clients ended. {self.server.errors()}")
        return json.loads(line)

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()
