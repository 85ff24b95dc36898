# Synchronization Primitives: Lock
import asyncio

async def use(name, lock):
    async with lock:
        # access shared state
        print(f"{name} has the lock")
        await asyncio.sleep(1)

async def use_by_hand(name, lock):
    await lock.acquire()
    try:
        # access shared state
        print(f"{name} has the lock")
    finally:
        lock.release()

async def main():
    lock = asyncio.Lock()
    await asyncio.gather(use("A", lock), use("B", lock), use_by_hand("C", lock))
    print(lock.locked())

asyncio.run(main())
