// Coroutines and Tasks: Awaitables
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;

Coro<int> nested() { co_return 42; }

Coro<> amain() {
    // Awaited directly:
    fmt::print("{}\n", co_await nested());

    // Scheduled to run soon concurrently with "amain()":
    auto task = create_task(nested());

    // The task can be cancelled, or awaited until it is complete:
    co_await task;
    fmt::print("{}\n", task.result());
}

int main() { return asyncio::main(amain()); }
