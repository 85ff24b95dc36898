// Passes TCP connections on to another server: `tcp_proxy LISTEN_PORT HOST PORT`.
//
// Each connection has two pumps, one for each direction. When a side has sent everything, the pump
// passes the end on, and the other direction goes on: a client may send its question, say that
// there is no more, and then read the answer. A connection on which nothing moves for too long is
// closed. Ctrl-C or SIGTERM ends the proxy, which then says what it has done.

#include <asyncio.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

using namespace asyncio;

namespace {

constexpr const char* usage =
    "usage: tcp_proxy LISTEN_PORT HOST PORT [MOST [IDLE]]\n"
    "  LISTEN_PORT  where to listen on this machine; 0 lets the system choose\n"
    "  HOST PORT    where connections are passed on to\n"
    "  MOST         how many connections are open at a time; more of them wait; 100 if not given\n"
    "  IDLE         for how many seconds a connection may be idle; 60 if not given\n";

struct Target {
    std::string host;
    int port = 0;
    Duration idle_limit;
};

struct Statistics {
    int connections = 0;
    int idle = 0;
    int failed = 0;
    std::uint64_t bytes_there = 0;
    std::uint64_t bytes_back = 0;
};

class Proxy {
public:
    explicit Proxy(Target target) : target_(std::move(target)) {}

    const Statistics& statistics() const { return statistics_; }

    Coro<> serve(Stream client) {
        ++statistics_.connections;
        const auto pass = [&](Timeout& idle) -> Coro<> {
            const Stream server = co_await open_connection(target_.host, target_.port);
            co_await pass_on(client, server, idle);
        };
        try {
            co_await timeout(target_.idle_limit, pass);
        } catch (const TimeoutError&) {
            ++statistics_.idle;
            client.abort();
        } catch (const std::exception& error) {
            ++statistics_.failed;
            fmt::print(stderr, "tcp_proxy: {}: {}\n", client.peer().to_string(), error.what());
            client.abort();
        }
    }

private:
    Coro<> pass_on(const Stream& client, const Stream& server, Timeout& idle) {
        const auto both = [&](TaskGroup& group) -> Coro<> {
            group.create_task(pump(client.reader, server.writer, idle, statistics_.bytes_there));
            group.create_task(pump(server.reader, client.writer, idle, statistics_.bytes_back));
            co_return;
        };
        co_await task_group(both);
    }

    /// Each part that moves, in either direction, gives the whole connection its time again.
    Coro<> pump(const StreamReader& from, const StreamWriter& to, Timeout& idle,
                std::uint64_t& bytes) {
        for (;;) {
            std::string part = co_await from.read(64 * 1024);
            if (part.empty()) break;
            bytes += part.size();
            co_await to.send(std::move(part));
            if (!idle.expired()) idle.reschedule(get_running_loop().time() + target_.idle_limit);
        }
        to.write_eof();
    }

    Target target_;
    Statistics statistics_;
};

void print(const Statistics& statistics) {
    fmt::print("{} connections, {} idle, {} failed; {} bytes there, {} bytes back\n",
               statistics.connections, statistics.idle, statistics.failed, statistics.bytes_there,
               statistics.bytes_back);
}

Coro<> run_proxy(int port, Target target, std::size_t most) {
    Proxy proxy(std::move(target));
    const auto serve = [&proxy](Stream client) { return proxy.serve(std::move(client)); };
    const Server server =
        co_await start_server(serve, "127.0.0.1", port, {.max_connections = most});
    fmt::print("listening on {}\n", server.addresses().front().to_string());
    try {
        co_await server.serve_forever();
    } catch (const CancelledError&) {
        print(proxy.statistics());
        throw;
    }
}

/// −1 for a text that is not a number.
int number_of(const std::string& text) {
    const bool is_number = text.find_first_not_of("0123456789") == text.npos;
    return is_number && !text.empty() && text.size() < 6 ? std::stoi(text) : -1;
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() == 3) arguments.emplace_back("100");
    if (arguments.size() == 4) arguments.emplace_back("60");
    const bool is_complete = arguments.size() == 5 && number_of(arguments[0]) >= 0 &&
                             number_of(arguments[2]) >= 0 && number_of(arguments[3]) > 0 &&
                             number_of(arguments[4]) > 0;
    if (!is_complete) {
        fmt::print("{}", usage);
        return argc == 2 && arguments[0] == "--help" ? 0 : 2;
    }
    const Target target{arguments[1], number_of(arguments[2]),
                        std::chrono::seconds(number_of(arguments[4]))};
    const auto most = static_cast<std::size_t>(number_of(arguments[3]));
    try {
        run(run_proxy(number_of(arguments[0]), target, most), {.terminate_on = {SIGTERM}});
    } catch (const std::exception& error) {
        fmt::print(stderr, "tcp_proxy: {}\n", error.what());
        return 1;
    }
    return 0;
}
