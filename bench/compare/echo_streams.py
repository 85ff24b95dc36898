#!/usr/bin/env python3
"""An echo server on the streams of CPython's asyncio, for the comparison in bench/limits.

It prints its port and runs until SIGTERM.

usage: bench/compare/echo_streams.py [--uvloop] [BUFFER_BYTES]
"""

import argparse
import asyncio


async def echo(reader, writer, size):
    try:
        while data := await reader.read(size):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(size):
    server = await asyncio.start_server(
        lambda reader, writer: echo(reader, writer, size), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("size", nargs="?", type=int, default=1024)
    options = parser.parse_args()
    if options.uvloop:
        import uvloop
        uvloop.install()
    asyncio.run(serve(options.size))


if __name__ == "__main__":
    main()
