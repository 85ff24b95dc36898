# Coroutines and Tasks: Shielding From Cancellation
import asyncio

async def something():
    await asyncio.sleep(2)
    return "something"

async def outer(task):
    try:
        res = await asyncio.shield(task)
    except asyncio.CancelledError:
        res = None
    print(res)

async def main():
    task = asyncio.create_task(something())
    waiting = asyncio.create_task(outer(task))
    await asyncio.sleep(1)
    waiting.cancel()
    await waiting
    print(await task)

asyncio.run(main())
