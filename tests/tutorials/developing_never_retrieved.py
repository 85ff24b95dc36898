# Developing with asyncio: Detect never-retrieved exceptions
import asyncio

async def bug():
    raise Exception("not consumed")

async def main():
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: print(context['message'], repr(str(context['exception']))))
    asyncio.create_task(bug())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

asyncio.run(main())
