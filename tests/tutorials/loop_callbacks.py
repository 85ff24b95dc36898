# Event Loop: Scheduling callbacks
import asyncio
import functools

async def main():
    loop = asyncio.get_running_loop()
    # will schedule "print("Hello", flush=True)"
    loop.call_soon(
        functools.partial(print, "Hello", flush=True))
    loop.call_later(2, print, "later")
    handle = loop.call_at(loop.time() + 1, print, "at")
    print(handle.when() - loop.time())
    cancelled = loop.call_later(1, print, "never")
    cancelled.cancel()
    print(cancelled.cancelled(), handle.cancelled())
    await asyncio.sleep(3)

asyncio.run(main())
