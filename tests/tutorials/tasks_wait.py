# Coroutines and Tasks: Waiting Primitives
import asyncio

async def foo():
    await asyncio.sleep(1)
    return 42

async def bar():
    await asyncio.sleep(3600)
    return 'late'

async def main():
    task1 = asyncio.create_task(foo())
    task2 = asyncio.create_task(bar())
    done, pending = await asyncio.wait(
        [task1, task2], timeout=10, return_when=asyncio.FIRST_COMPLETED)
    if task1 in done:
        print(f"foo: {task1.result()}, {len(pending)} pending")
    for task in pending:
        task.cancel()

asyncio.run(main())
