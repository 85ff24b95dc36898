// Coroutines and Tasks: Waiting Primitives
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<std::string> open_connection(std::string host, Duration delay) {
    co_await sleep(delay);
    co_return host;
}

Coro<> amain() {
    auto ipv4_connect = create_task(open_connection("127.0.0.1", 2s));
    auto ipv6_connect = create_task(open_connection("::1", 1s));
    auto earliest = as_completed(ipv4_connect, ipv6_connect);

    while (auto connect = co_await earliest.next()) {
        fmt::print("connected to {}\n", connect->result());
    }
}

int main() { return asyncio::main(amain()); }
