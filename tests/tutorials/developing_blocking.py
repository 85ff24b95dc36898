# Developing with asyncio: Running Blocking Code
import asyncio
import time

def blocking(number):
    time.sleep(0.1)
    return number

async def main():
    loop = asyncio.get_running_loop()
    blocked = loop.run_in_executor(None, blocking, 1)
    print("the loop goes on")
    print(await blocked)

asyncio.run(main())
