// Synchronization Primitives: Lock
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> use(std::string name, Lock& lock) {
    auto held = co_await lock.acquire();
    // access shared state
    fmt::print("{} has the lock\n", name);
    co_await sleep(1s);
}

Coro<> use_by_hand(std::string name, Lock& lock) {
    auto held = co_await lock.acquire();
    // access shared state
    fmt::print("{} has the lock\n", name);
    held.release();
}

Coro<> amain() {
    Lock lock;
    co_await gather(use("A", lock), use("B", lock), use_by_hand("C", lock));
    fmt::print("{}\n", lock.locked() ? "True" : "False");
}

int main() { return asyncio::main(amain()); }
