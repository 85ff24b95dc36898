# Developing with asyncio: Detect never-awaited coroutines
import asyncio
import warnings

async def test():
    print("never scheduled")

async def main():
    test()

warnings.showwarning = lambda message, *rest, **named: print(str(message).split('\n')[0])
asyncio.run(main(), debug=True)
