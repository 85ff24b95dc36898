# Tutorials: events and callbacks
import asyncio

async def read_line():
    proc = await asyncio.create_subprocess_shell(
        "sleep 0.5; echo data", stdout=asyncio.subprocess.PIPE)
    line = await proc.stdout.readline()
    await proc.wait()
    return line.decode().strip()

# B registers a further event, "the line has been read", and returns.
def b_registers_d(ended):
    print("B wants a line")
    reading = asyncio.create_task(read_line())
    reading.add_done_callback(lambda task: print("D has read", task.result()))
    reading.add_done_callback(lambda task: ended.set())

# The same as one coroutine: what comes after the await is the callback.
async def b_awaits():
    print("B wants a line")
    print("B has read", await read_line())

async def say(what):
    print(what)

async def main():
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.call_soon(print, "A")
    loop.call_soon(b_registers_d, ended)
    loop.call_soon(print, "C")
    await ended.wait()
    await asyncio.gather(say("A"), b_awaits(), say("C"))

asyncio.run(main())
