// A server that sends back what it receives: `echo_server PORT`.
//
// Each connection is a coroutine that reads and writes, as if it were alone. Port 0 lets the system
// choose, and the first line of the output says which port it is. Ctrl-C or SIGTERM ends the
// server: it accepts no more, and closes the connections that are open.

#include <asyncio.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

using namespace asyncio;

namespace {

constexpr const char* usage = "usage: echo_server PORT\n"
                              "  PORT  where to listen on this machine; 0 lets the system choose\n";

Coro<> echo(StreamReader reader, StreamWriter writer) {
    for (;;) {
        std::string data = co_await reader.read(64 * 1024);
        if (data.empty()) break;
        co_await writer.send(std::move(data));
    }
}

Coro<> serve(int port) {
    const Server server = co_await start_server(echo, "127.0.0.1", port);
    fmt::print("listening on {}\n", server.addresses().front().to_string());
    co_await server.serve_forever();
}

/// −1 for a text that is not a number. The library refuses numbers that are too large.
int port_of(const std::string& text) {
    const bool is_number = text.find_first_not_of("0123456789") == text.npos;
    return is_number && !text.empty() && text.size() < 6 ? std::stoi(text) : -1;
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() != 1 || port_of(arguments[0]) < 0) {
        fmt::print("{}", usage);
        return arguments == std::vector<std::string>{"--help"} ? 0 : 2;
    }
    try {
        run(serve(port_of(arguments[0])), {.terminate_on = {SIGTERM}});
    } catch (const std::exception& error) {
        fmt::print(stderr, "echo_server: {}\n", error.what());
        return 1;
    }
    return 0;
}
