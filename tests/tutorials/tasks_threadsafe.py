# Coroutines and Tasks: Scheduling From Other Threads
import asyncio

async def slow_sum(a, b):
    await asyncio.sleep(0.1)
    return a + b

def in_thread(loop):
    # Submit a coroutine to the loop, and wait for its result
    future = asyncio.run_coroutine_threadsafe(slow_sum(1, 2), loop)
    print(future.result(timeout=60))

    # Or give up before it is there
    future = asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop)
    try:
        result = future.result(timeout=0.1)
    except TimeoutError:
        print('The coroutine took too long, cancelling the task...')
        future.cancel()

async def main():
    await asyncio.to_thread(in_thread, asyncio.get_running_loop())

asyncio.run(main())
