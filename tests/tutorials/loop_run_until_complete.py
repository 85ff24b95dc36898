# Event Loop: Running and stopping the loop
import asyncio

async def compute(x, y):
    await asyncio.sleep(1)
    return x + y

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
task = asyncio.ensure_future(compute(1, 2), loop=loop)
print(loop.is_running(), asyncio.get_event_loop() is loop)
print(loop.run_until_complete(task))
print(loop.run_until_complete(compute(3, 4)))
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
print(loop.is_closed())
