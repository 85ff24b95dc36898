# Futures: Future Object
import asyncio
import functools

def show(before, future):
    print(before, future.result())

async def main():
    loop = asyncio.get_running_loop()
    fut = asyncio.Future()
    # Call 'show("Future:", fut)' when "fut" is done.
    fut.add_done_callback(
        functools.partial(show, "Future:"))
    removed = lambda future: print("never")
    fut.add_done_callback(removed)
    print(fut.remove_done_callback(removed))
    loop.call_later(1, fut.set_result, 42)
    print(fut.done(), await fut, fut.cancelled(), fut.exception() is not None)

asyncio.run(main())
