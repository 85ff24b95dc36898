# Synchronization Primitives: Condition
import asyncio

async def consumer(cond, items):
    async with cond:
        await cond.wait()
        print(f"an item: {items.pop()}")

async def patient(cond, items):
    async with cond:
        await cond.wait_for(lambda: len(items) == 2)
        print(f"{len(items)} items")

async def main():
    cond = asyncio.Condition()
    items = []
    tasks = [asyncio.create_task(consumer(cond, items))]
    await asyncio.sleep(1)
    async with cond:
        items.append("first")
        cond.notify()
    tasks.append(asyncio.create_task(patient(cond, items)))
    await asyncio.sleep(1)
    async with cond:
        items += ["second", "third"]
        cond.notify_all()
    await asyncio.gather(*tasks)

asyncio.run(main())
