// Synchronization Primitives: Semaphore
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> work(int number, Semaphore& sem) {
    auto held = co_await sem.acquire();
    // work with shared resource
    fmt::print("{} begins\n", number);
    co_await sleep(1s);
    fmt::print("{} ends\n", number);
}

Coro<> amain() {
    Semaphore sem(2);
    co_await gather(work(0, sem), work(1, sem), work(2, sem), work(3, sem));
}

int main() { return asyncio::main(amain()); }
