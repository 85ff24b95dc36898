# Coroutines and Tasks: Waiting Primitives
import asyncio

async def open_connection(host, delay):
    await asyncio.sleep(delay)
    return host

async def main():
    ipv4_connect = asyncio.create_task(open_connection("127.0.0.1", 2))
    ipv6_connect = asyncio.create_task(open_connection("::1", 1))
    tasks = [ipv4_connect, ipv6_connect]

    for coro in asyncio.as_completed(tasks):
        host = await coro
        print(f"connected to {host}")

asyncio.run(main())
