// A client of an echo server: `echo_client HOST PORT [TEXT]`.
//
// Sends TEXT, or else what comes from standard input, and prints what comes back. HOST may be a
// name; the client then tries its addresses until one of them answers.

#include <asyncio.h>

#include <cstdio>
#include <string>
#include <vector>

#include <fmt/core.h>

using namespace asyncio;

namespace {

constexpr const char* usage = "usage: echo_client HOST PORT [TEXT]\n"
                              "  HOST PORT  the server\n"
                              "  TEXT       what to send; standard input if not given\n";

/// The answer has as many bytes as the question, however many pieces it comes in.
Coro<> exchange(const Stream& server, const std::string& question, const StreamWriter& output) {
    co_await server.send(question);
    co_await output.send(co_await server.readexactly(question.size()));
}

/// When a person types, each read gives a line. A part is small enough for the buffers of any
/// connection, so the client may read the answer after it has sent the whole part.
Coro<> exchange_all(const Stream& server, const StreamReader& input, const StreamWriter& output) {
    for (;;) {
        const std::string part = co_await input.read(4096);
        if (part.empty()) break;
        co_await exchange(server, part, output);
    }
}

Coro<> talk(std::vector<std::string> arguments) {
    const Stream server = co_await open_connection(arguments[0], std::stoi(arguments[1]));
    const StreamWriter output = open_stdout();
    if (arguments.size() == 3) {
        co_await exchange(server, arguments[2] + "\n", output);
    } else {
        co_await exchange_all(server, open_stdin(), output);
    }
    co_await server.aclose();
}

bool is_number(const std::string& text) {
    return !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == text.npos;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() < 2 || arguments.size() > 3 || !is_number(arguments[1])) {
        fmt::print("{}", usage);
        return arguments == std::vector<std::string>{"--help"} ? 0 : 2;
    }
    try {
        run(talk(arguments));
    } catch (const IncompleteReadError&) {
        fmt::print(stderr, "echo_client: the server has closed the connection\n");
        return 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "echo_client: {}\n", error.what());
        return 1;
    }
    return 0;
}
