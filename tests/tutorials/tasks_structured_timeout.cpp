// Coroutines and Tasks: Task Object
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> request(std::string name, Duration delay) {
    co_await sleep(delay);
    fmt::print("{} made\n", name);
}

Coro<> make_request_with_timeout() {
    try {
        co_await timeout(1s, [&]() -> Coro<> {
            // Structured block affected by the timeout:
            co_await request("request", 750ms);
            co_await request("another request", 750ms);
        });
    } catch (const TimeoutError&) {
        fmt::print("There was a timeout\n");
    }
    // Outer code not affected by the timeout:
    co_await request("unrelated request", 3s);
}

int main() { return asyncio::main(make_request_with_timeout()); }
