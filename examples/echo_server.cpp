// A server that sends back what it receives: `echo_server PORT`.
//
// Each connection is a coroutine that reads and writes, as if it were alone. Port 0 lets the system
// choose, and the first line of the output says which port it is. Ctrl-C ends the server: it
// accepts no more, and closes the connections that are open.
#include <asyncio.h>

#include <charconv>
#include <cstdio>
#include <string_view>

#include <fmt/core.h>

using namespace asyncio;

namespace {

Coro<> echo(StreamReader reader, StreamWriter writer) {
    for (;;) {
        std::string data = co_await reader.read(64 * 1024);
        if (data.empty()) break;
        co_await writer.send(std::move(data));
    }
}

Coro<> serve(int port) {
    Server server = co_await start_server(echo, "127.0.0.1", port);
    fmt::print("listening on {}\n", server.addresses().front().to_string());
    std::fflush(stdout);
    co_await server.serve_forever();
}

/// −1 for a text that is not a number between 0 and 65535.
int port_of(std::string_view text) {
    int port = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool is_port = error == std::errc() && end == text.data() + text.size();
    return is_port && port >= 0 && port <= 65535 ? port : -1;
}

}  // namespace

int main(int argc, char** argv) {
    const int port = argc == 2 ? port_of(argv[1]) : -1;
    if (port < 0) {
        fmt::print(
            stderr,
            "usage: echo_server PORT\n\nPORT is between 0 and 65535; 0 lets the system choose.\n");
        return 2;
    }
    try {
        run(serve(port));
    } catch (const KeyboardInterrupt&) {
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "echo_server: {}\n", error.what());
        return 1;
    }
}
