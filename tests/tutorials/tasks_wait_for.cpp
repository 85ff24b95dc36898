// Coroutines and Tasks: Timeouts
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> eternity() {
    // Sleep for one hour
    co_await sleep(1h);
    fmt::print("yay!\n");
}

Coro<> amain() {
    // Wait for at most 1 second
    try {
        co_await wait_for(eternity(), 1s);
    } catch (const TimeoutError&) {
        fmt::print("timeout!\n");
    }
}

int main() { return asyncio::main(amain()); }
