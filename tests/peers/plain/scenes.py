#!/usr/bin/env python3
"""What peer.py does not do: CPython's asyncio ends one direction of a connection, or breaks it.

    scenes.py SCENE ROLE PORT

SCENE is half or reset, ROLE client or server. A server ignores PORT, and prints the port that it
has got.

half: the client sends, ends its direction, and reads to the end; the server reads to the end, sends
the same bytes back, and closes. The client prints how many bytes have come back, and whether they
are the same. The server prints how many have come.

reset: after 100 kB of a transfer the program breaks the connection (SO_LINGER), and prints "reset".
"""
import asyncio
import random
import socket
import struct
import sys

DATA = random.Random(1).randbytes(300_000)


async def half_as_client(reader, writer):
    writer.write(DATA)
    writer.write_eof()
    echo = await reader.read()
    print(len(echo), "good" if echo == DATA else "BAD", flush=True)


async def half_as_server(reader, writer):
    data = await reader.read()
    writer.write(data)
    await writer.drain()
    print(len(data), flush=True)


async def reset_as_client(reader, writer):
    """The size of the conversation of peer.py, and a part of its data."""
    writer.write((10_000_000).to_bytes(8, "big"))
    writer.write(bytes(100_000))
    await reader.readexactly(50_000)
    await reset(writer)


async def reset_as_server(reader, writer):
    await reader.readexactly(100_000)
    await reset(writer)


async def reset(writer):
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    print("reset", flush=True)


async def main():
    scene, role, port = sys.argv[1:]
    play = globals()[f"{scene}_as_{role}"]
    finished = asyncio.Event()

    async def handle(reader, writer):
        await play(reader, writer)
        writer.close()
        finished.set()

    if role == "client":
        await handle(*await asyncio.open_connection("127.0.0.1", int(port)))
        return
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await finished.wait()
    # The transport closes in an iteration of its own.
    await asyncio.sleep(0.05)
    server.close()


asyncio.run(main())
