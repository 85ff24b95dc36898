# Tutorials: two sums, added up together
import asyncio
import time

start = time.time()

async def tick():
    print(f'Time: {time.time() - start:.2f}')
    await asyncio.sleep(1)

async def sum(name, numbers):
    total = 0
    for number in numbers:
        print(f'Task {name}: Computing {total}+{number}')
        await tick()
        total += number
    print(f'Task {name}: Sum = {total}\n')

async def main():
    tasks = [
        asyncio.create_task(sum("A", [1, 2])),
        asyncio.create_task(sum("B", [1, 2, 3])),
    ]
    await asyncio.gather(*tasks)
    print(f'Time: {time.time() - start:.2f} sec')

asyncio.run(main())
