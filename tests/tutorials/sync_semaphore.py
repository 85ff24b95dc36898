# Synchronization Primitives: Semaphore
import asyncio

async def work(number, sem):
    async with sem:
        # work with shared resource
        print(f"{number} begins")
        await asyncio.sleep(1)
        print(f"{number} ends")

async def main():
    sem = asyncio.Semaphore(2)
    await asyncio.gather(*(work(number, sem) for number in range(4)))

asyncio.run(main())
