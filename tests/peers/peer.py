#!/usr/bin/env python3
"""The other side of the tests with CPython: its asyncio with and without TLS, and its module ssl.

    peer.py MODULE ROLE END VERSION CERTIFICATES PORT SIZE ...

MODULE is ssl, asyncio or plain: asyncio without TLS, with "-" for VERSION and CERTIFICATES. ROLE
is client or server, VERSION 1.2 or 1.3. CERTIFICATES is the file with the trusted certificate for a
client, and the file with the own certificate and key for a server. A server ignores PORT, and
prints the port that it has got.

There is a connection for each SIZE. The client sends the size in 8 bytes, and as many bytes of
data. The server sends the data back while it comes, and behind it the CRC-32 of what it has read,
in 4 bytes. END says how this program ends a connection: clean and ragged (without close_notify)
end it at once, and wait waits for the other side to end it. slow is clean, and asyncio reads slowly
at first, so the other side cannot send.

Each connection is a line on the standard output: the size, whether the check sums agree, the
version, the protocol of ALPN, and how the other side has ended ("-" if it was not asked).
"""
import asyncio
import random
import socket
import ssl
import sys
import zlib

CHUNK = 16 * 1024
PROTOCOLS = ["echo/2", "echo/1"]


def context_of(role, version, certificates):
    if role == "server":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates)
    else:
        context = ssl.create_default_context(cafile=certificates)
    # Some versions of Python take every end of the connection for a clean one.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.minimum_version = context.maximum_version = {
        "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    context.set_alpn_protocols(PROTOCOLS)
    return context


def chunks_of(size):
    """The data of a connection. Its period is no divisor of the size of a record."""
    block = random.Random(size).randbytes(65537)
    while size > 0:
        yield block[:size]
        size -= len(block)


def about(size, good, connection):
    """The line without the end. A connection that has ended does not know its version."""
    if connection is None:
        return f"{size} {'good' if good else 'BAD'} - -"
    return (f"{size} {'good' if good else 'BAD'} {connection.version()} "
            f"{connection.selected_alpn_protocol()}")


async def transfer(reader, size, crc, writer=None, pauses=0):
    while size > 0:
        if pauses > 0:
            pauses -= 1
            await asyncio.sleep(0.002)
        data = await reader.read(min(size, CHUNK))
        if not data:
            raise EOFError(f"{size} bytes are missing")
        size -= len(data)
        crc = zlib.crc32(data, crc)
        if writer is not None:
            writer.write(data)
            await writer.drain()
    return crc


async def ask(reader, writer, size, pauses):
    async def send():
        crc = 0
        writer.write(size.to_bytes(8, "big"))
        for data in chunks_of(size):
            crc = zlib.crc32(data, crc)
            writer.write(data)
            await writer.drain()
        return crc

    sent, echoed = await asyncio.gather(send(), transfer(reader, size, 0, None, pauses))
    seen = int.from_bytes(await reader.readexactly(4), "big")
    return size, sent == echoed == seen


async def answer(reader, writer, pauses):
    size = int.from_bytes(await reader.readexactly(8), "big")
    crc = await transfer(reader, size, 0, writer, pauses)
    writer.write(crc.to_bytes(4, "big"))
    await writer.drain()
    return size, True


async def end_of(reader, writer, how):
    """asyncio does not tell a clean end from a ragged one."""
    end = "-"
    if how == "wait":
        end = "end" if await reader.read() == b"" else "data"
    if how == "ragged":
        writer.transport.abort()
        return end
    writer.close()
    await writer.wait_closed()
    return end


async def with_asyncio(role, how, context, port, sizes):
    pauses = 300 if how == "slow" else 0
    if role == "client":
        for size in sizes:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname="localhost" if context else None)
            line = about(*await ask(reader, writer, size, pauses),
                         writer.get_extra_info("ssl_object"))
            print(line, await end_of(reader, writer, how), flush=True)
        return
    finished = asyncio.Queue()

    async def handle(reader, writer):
        line = about(*await answer(reader, writer, pauses), writer.get_extra_info("ssl_object"))
        print(line, await end_of(reader, writer, how), flush=True)
        finished.put_nowait(None)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    for _ in sizes:
        await finished.get()
    server.close()


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError(f"{size - len(data)} bytes are missing")
        data += more
    return data


def ask_in_steps(connection, size):
    """One thread cannot send and receive at the same time, so it waits for each part."""
    connection.sendall(size.to_bytes(8, "big"))
    sent = echoed = 0
    for data in chunks_of(size):
        for start in range(0, len(data), CHUNK):
            part = data[start:start + CHUNK]
            connection.sendall(part)
            sent = zlib.crc32(part, sent)
            echoed = zlib.crc32(read_exactly(connection, len(part)), echoed)
    seen = int.from_bytes(read_exactly(connection, 4), "big")
    return size, sent == echoed == seen


def answer_in_steps(connection):
    size = left = int.from_bytes(read_exactly(connection, 8), "big")
    crc = 0
    while left > 0:
        data = read_exactly(connection, min(left, CHUNK))
        left -= len(data)
        crc = zlib.crc32(data, crc)
        connection.sendall(data)
    connection.sendall(crc.to_bytes(4, "big"))
    return size, True


def end_in_steps(connection, how):
    if how == "wait":
        try:
            return "clean" if connection.recv(1) == b"" else "data"
        except ssl.SSLError as error:
            # Versions of Python have different types for it.
            if "EOF" not in str(error):
                raise
            return "ragged"
    if how == "clean":
        connection.unwrap()
    return "-"


def with_ssl(role, how, context, port, sizes):
    listening = socket.create_server(("127.0.0.1", 0)) if role == "server" else None
    if listening is not None:
        print(listening.getsockname()[1], flush=True)
    for size in sizes:
        plain = (listening.accept()[0] if listening
                 else socket.create_connection(("127.0.0.1", port)))
        with context.wrap_socket(plain, server_side=role == "server",
                                 server_hostname="localhost" if role == "client" else None,
                                 suppress_ragged_eofs=False) as connection:
            done = answer_in_steps(connection) if listening else ask_in_steps(connection, size)
            line = about(*done, connection)
            print(line, end_in_steps(connection, how), flush=True)


def main():
    module, role, how, version, certificates, port, *sizes = sys.argv[1:]
    context = None if module == "plain" else context_of(role, version, certificates)
    numbers = [int(size) for size in sizes]
    if module != "ssl":
        asyncio.run(with_asyncio(role, how, context, int(port), numbers))
    else:
        with_ssl(role, how, context, int(port), numbers)


if __name__ == "__main__":
    main()
