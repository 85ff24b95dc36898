# Tutorials: a batch of commands with a time limit
import asyncio
from asyncio.subprocess import PIPE

async def run(command):
    proc = await asyncio.create_subprocess_shell(
        command, stdout=PIPE, stderr=PIPE, start_new_session=True)
    try:
        await asyncio.wait_for(proc.communicate(), timeout=1)
        return f"complete: {command}"
    except asyncio.TimeoutError:
        proc.kill()
        await proc.wait()
        return f"timeout: {command}"

async def main():
    commands = ["sleep 0.1 && echo hello", "echo world", "exec sleep 500"]
    for line in await asyncio.gather(*map(run, commands)):
        print(line)

asyncio.run(main())
