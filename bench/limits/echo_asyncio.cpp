// `echo_asyncio`: the echo server of this library that `echo_limits.py` measures.
//
//   echo_asyncio [string|into] [BUFFER_BYTES]
//
// `string` (the default) is the program that a user writes: each read returns a string, and the
// same string is sent. `into` reads into a buffer that each connection has for its whole life. The
// program prints its port and runs until SIGTERM. ASYNCIO_BACKEND chooses the back-end.

#include <asyncio.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using asyncio::Coro;
using asyncio::Server;
using asyncio::Stream;

std::size_t buffer_size = 1024;

// The end of a connection by the client is not worth a report here.
Coro<> echo_strings(Stream stream) {
    try {
        for (;;) {
            std::string data = co_await stream.read(buffer_size);
            if (data.empty()) break;
            co_await stream.send(std::move(data));
        }
    } catch (const asyncio::OsError&) {
    }
}

Coro<> echo_buffers(Stream stream) {
    std::vector<char> buffer(buffer_size);
    try {
        for (;;) {
            const std::size_t size = co_await stream.read_into(buffer);
            if (size == 0) break;
            co_await stream.send(std::string_view(buffer.data(), size));
        }
    } catch (const asyncio::OsError&) {
    }
}

Coro<> serve(bool into) {
    const auto handler = into ? echo_buffers : echo_strings;
    const Server server = co_await asyncio::start_server(handler, "127.0.0.1", 0);
    std::printf("%d\n", server.port());
    std::fflush(stdout);
    co_await server.serve_forever();
}

}  // namespace

int main(int count, char** arguments) {
    const bool into = count > 1 && std::string_view(arguments[1]) == "into";
    if (count > 2) buffer_size = std::strtoul(arguments[2], nullptr, 10);
    asyncio::run(serve(into));
}
