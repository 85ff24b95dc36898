# Subprocesses
import asyncio

async def run(cmd):
    proc = await asyncio.create_subprocess_shell(cmd, stdout=asyncio.subprocess.PIPE)
    stdout, _ = await proc.communicate()
    print(f'[{cmd!r} exited with {proc.returncode}] {stdout.decode().strip()}')

async def main():
    await asyncio.gather(
        run('exit 2'),
        run('sleep 0.3; echo "hello"'))

asyncio.run(main())
