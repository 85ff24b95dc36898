# Coroutines and Tasks: Awaitables
import asyncio

async def nested():
    return 42

async def main():
    # Awaited directly:
    print(await nested())

    # Scheduled to run soon concurrently with "main()":
    task = asyncio.create_task(nested())

    # The task can be cancelled, or awaited until it is complete:
    await task
    print(task.result())

asyncio.run(main())
