# Event Loop: Error Handling API
import asyncio

def handler(loop, context):
    print(f"handled: {context['exception']}")

def fail(number):
    raise ValueError(f"callback {number}")

async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handler)
    loop.call_soon(fail, 1)
    await asyncio.sleep(1)
    print(loop.get_exception_handler() is handler)

asyncio.run(main())
