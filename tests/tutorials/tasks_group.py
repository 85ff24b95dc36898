# Coroutines and Tasks: Task Groups
import asyncio

async def some_coro():
    await asyncio.sleep(1)
    return "some"

async def another_coro():
    await asyncio.sleep(2)
    return "another"

async def main():
    async with asyncio.TaskGroup() as tg:
        task1 = tg.create_task(some_coro())
        task2 = tg.create_task(another_coro())
    print(f"Both tasks have completed now: {task1.result()}, {task2.result()}")

asyncio.run(main())
