# Synchronization Primitives: Barrier
import asyncio

async def example_barrier():
    # barrier with 3 parties
    b = asyncio.Barrier(3)

    # create 2 new waiting tasks
    first = asyncio.create_task(b.wait())
    second = asyncio.create_task(b.wait())

    await asyncio.sleep(0)
    print(b.n_waiting)

    # The third .wait() call passes the barrier
    await b.wait()
    print("barrier passed")

    await asyncio.sleep(0)
    print(b.n_waiting, first.done(), second.done())

asyncio.run(example_barrier())
