// Coroutines and Tasks: Task Object
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

struct Finally {
    ~Finally() { fmt::print("cancel_me(): after sleep\n"); }
};

Coro<> cancel_me() {
    fmt::print("cancel_me(): before sleep\n");
    const Finally after_sleep;
    try {
        // Wait for 1 hour
        co_await sleep(1h);
    } catch (const CancelledError&) {
        fmt::print("cancel_me(): cancel sleep\n");
        throw;
    }
}

Coro<> amain() {
    // Create a "cancel_me" Task
    auto task = create_task(cancel_me());

    // Wait for 1 second
    co_await sleep(1s);

    task.cancel();
    try {
        co_await task;
    } catch (const CancelledError&) {
        fmt::print("main(): cancel_me is cancelled now\n");
    }
}

int main() { return asyncio::main(amain()); }
