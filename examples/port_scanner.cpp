// Which ports of a host are open: `port_scanner HOST FIRST-LAST [--at-once N] [--timeout SECONDS]`.
//
// `map_concurrent` tries many ports at the same time, but not more than so many. A host may have
// several addresses. `open_connection` tries them side by side, so a port is found as fast as the
// best of the addresses answers ("happy eyeballs").

#include <asyncio.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ranges>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <sys/socket.h>

using namespace asyncio;

namespace {

constexpr const char* usage =
    "usage: port_scanner HOST FIRST-LAST [--at-once N] [--timeout SECONDS]\n"
    "  FIRST-LAST  the ports to try, between 1 and 65535; or a single one\n"
    "  --at-once   how many to try at the same time; 100 if not given\n"
    "  --timeout   how long to wait for each answer; 2 seconds if not given\n";

struct Options {
    std::string host;
    int first = 0;
    int last = 0;
    int at_once = 100;
    double timeout_seconds = 2;
};

enum class Port { open, closed, silent };

/// A refusal is an answer: nobody listens there. An error of this machine is no answer, and ends
/// the scan.
Port verdict(const ConnectError& failed) {
    for (const FailedConnect& attempt : failed.attempts())
        if (attempt.error == ECONNREFUSED) return Port::closed;
    const int error = failed.error();
    if (error == EMFILE || error == ENFILE || error == EACCES) throw failed;
    return Port::silent;
}

Coro<Port> try_port(const Options& options, int port) {
    try {
        const std::chrono::duration<double> limit(options.timeout_seconds);
        const Stream stream = co_await wait_for(open_connection(options.host, port), limit);
        co_return Port::open;
    } catch (const TimeoutError&) {
        co_return Port::silent;
    } catch (const ConnectError& failed) {
        co_return verdict(failed);
    }
}

/// The name is looked up once, and later found in the cache of the loop. So a name that does not
/// exist is one error, and not one of each port.
Coro<std::vector<Port>> scan(const Options& options) {
    co_await getaddrinfo(options.host, options.first, {.type = SOCK_STREAM});
    const auto at_once = static_cast<std::size_t>(options.at_once);
    const auto ports = std::views::iota(options.first, options.last + 1);
    const auto one = [&](int port) { return try_port(options, port); };
    co_return co_await map_concurrent(ports, one, {.limit = at_once});
}

Coro<> print_open_ports(Options options) {
    const std::vector<Port> ports = co_await scan(options);
    int counts[3] = {};
    for (std::size_t i = 0; i < ports.size(); ++i) {
        ++counts[static_cast<int>(ports[i])];
        if (ports[i] == Port::open) fmt::print("{}\n", options.first + static_cast<int>(i));
    }
    fmt::print("{} open, {} closed, {} silent\n", counts[0], counts[1], counts[2]);
}

/// False if the arguments make no sense.
bool read_options(const std::vector<std::string>& arguments, Options& options) {
    if (arguments.size() < 2 || arguments.size() % 2 != 0) return false;
    options.host = arguments[0];
    char* end = nullptr;
    options.first = static_cast<int>(std::strtol(arguments[1].c_str(), &end, 10));
    options.last = *end == '-' ? static_cast<int>(std::strtol(end + 1, &end, 10)) : options.first;
    if (*end != '\0' || options.first < 1 || options.last < options.first) return false;
    for (std::size_t i = 2; i < arguments.size(); i += 2) {
        const double number = std::strtod(arguments[i + 1].c_str(), &end);
        if (*end != '\0' || !(number > 0)) return false;
        if (arguments[i] == "--at-once") {
            options.at_once = static_cast<int>(number);
        } else if (arguments[i] == "--timeout") {
            options.timeout_seconds = number;
        } else {
            return false;
        }
    }
    return options.last <= 65535 && options.at_once > 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    Options options;
    if (!read_options(arguments, options)) {
        fmt::print("{}", usage);
        return arguments == std::vector<std::string>{"--help"} ? 0 : 2;
    }
    try {
        run(print_open_ports(options));
    } catch (const std::exception& error) {
        fmt::print(stderr, "port_scanner: {}\n", error.what());
        return 1;
    }
    return 0;
}
