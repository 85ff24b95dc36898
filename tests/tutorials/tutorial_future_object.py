# Tutorials: the Future object
import asyncio

async def answer():
    await asyncio.sleep(1)
    return 42

async def main():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    print(future.done(), future.cancelled())
    try:
        future.result()
    except asyncio.InvalidStateError:
        print("no result yet")
    future.add_done_callback(lambda future: print("callback", future.result()))
    future.set_result(42)
    print(future.done(), future.result(), future.exception() is None)
    try:
        future.set_result(43)
    except asyncio.InvalidStateError:
        print("set already")
    await asyncio.sleep(0)
    print("awaited", await future)

    broken = loop.create_future()
    broken.set_exception(ValueError("broken"))
    try:
        await broken
    except ValueError as error:
        print(error)

    gone = loop.create_future()
    print(gone.cancel(), gone.cancelled(), gone.cancel())
    try:
        gone.result()
    except asyncio.CancelledError:
        print("cancelled")

    task = asyncio.create_task(answer())
    print(asyncio.isfuture(task), task.done(), await task, task.done())

asyncio.run(main())
