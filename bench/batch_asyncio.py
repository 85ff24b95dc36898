"""The usual program in Python: runs the commands of standard input through the shell, JOBS at a
time, and captures their output. usage: batch_asyncio.py JOBS < commands"""

import asyncio
import sys
from asyncio.subprocess import PIPE


async def work(commands):
    for command in commands:
        process = await asyncio.create_subprocess_shell(command, stdout=PIPE, stderr=PIPE)
        output, errors = await process.communicate()
        sys.stdout.buffer.write(output)
        sys.stderr.buffer.write(errors)


async def main(jobs):
    commands = iter(sys.stdin.read().splitlines())
    await asyncio.gather(*(work(commands) for _ in range(jobs)))


asyncio.run(main(int(sys.argv[1])))
