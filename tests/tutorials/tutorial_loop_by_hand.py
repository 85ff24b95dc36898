# Tutorials: the loop used by hand
import asyncio

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
start = loop.time()

def say(what):
    print(f"{loop.time() - start:.2f} {what}")

async def answer():
    await asyncio.sleep(1)
    return 42

print(loop.run_until_complete(answer()))
loop.call_later(3, loop.stop)
loop.call_at(loop.time() + 2, say, "call_at")
loop.call_later(1, say, "call_later")
loop.call_soon(say, "call_soon")
loop.run_forever()
say("stopped")
loop.close()
