# Developing with asyncio: Concurrency and Multithreading
import asyncio
import threading

async def coro_func():
    return await asyncio.sleep(0.1, 42)

def another_thread(loop, event):
    # Schedule a callback from another OS thread:
    loop.call_soon_threadsafe(print, "called")
    # Run a coroutine from another OS thread, and wait for the result:
    future = asyncio.run_coroutine_threadsafe(coro_func(), loop)
    print(future.result())
    loop.call_soon_threadsafe(event.set)

async def main():
    event = asyncio.Event()
    thread = threading.Thread(
        target=another_thread, args=(asyncio.get_running_loop(), event))
    thread.start()
    await event.wait()
    thread.join()

asyncio.run(main())
