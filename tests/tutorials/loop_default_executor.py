# Event Loop: Executing code in thread or process pools
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

async def main():
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
    first = await asyncio.to_thread(threading.get_ident)
    second = await asyncio.to_thread(threading.get_ident)
    print(first == second, first != threading.get_ident())

asyncio.run(main())
