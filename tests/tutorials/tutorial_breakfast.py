# Tutorials: breakfast, one after another, then together
import asyncio

async def brew_coffee():
    print("Start brew coffee")
    await asyncio.sleep(3)
    print("End brew coffee")
    return "coffee ready"

async def toast_bagel():
    print("Start toast bagel")
    await asyncio.sleep(5)
    print("End toast bagel")
    return "bagel toasted"

async def in_turn():
    return await brew_coffee(), await toast_bagel()

async def gathered():
    return await asyncio.gather(brew_coffee(), toast_bagel())

async def as_tasks():
    coffee = asyncio.create_task(brew_coffee())
    bagel = asyncio.create_task(toast_bagel())
    return await coffee, await bagel

async def main():
    for way in (in_turn, gathered, as_tasks):
        start = asyncio.get_running_loop().time()
        coffee, bagel = await way()
        print(coffee, bagel)
        print(f"{asyncio.get_running_loop().time() - start:.2f} minutes")

asyncio.run(main())
