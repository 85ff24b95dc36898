# Tutorials: two tasks, run by a loop that was made by hand
import asyncio
import time

async def say_after(delay, what):
    print(f"say {what} start at {time.strftime('%X')}")
    await asyncio.sleep(delay)
    print(f"say {what} finished")

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
tasks = [
    asyncio.ensure_future(say_after(2, "hello"), loop=loop),
    asyncio.ensure_future(say_after(1, "world"), loop=loop),
]
print(f"start main() at {time.strftime('%X')}")
loop.run_until_complete(asyncio.wait(tasks))
print(f"end main() at {time.strftime('%X')}")
loop.close()
