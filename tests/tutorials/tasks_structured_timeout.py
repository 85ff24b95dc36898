# Coroutines and Tasks: Task Object
import asyncio

async def request(name, seconds):
    await asyncio.sleep(seconds)
    print(f"{name} made")

async def make_request_with_timeout():
    try:
        async with asyncio.timeout(1):
            # Structured block affected by the timeout:
            await request("request", 0.75)
            await request("another request", 0.75)
    except TimeoutError:
        print("There was a timeout")
    # Outer code not affected by the timeout:
    await request("unrelated request", 3)

asyncio.run(make_request_with_timeout())
