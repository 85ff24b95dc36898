// Coroutines and Tasks: Shielding From Cancellation
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<std::string> something() {
    co_await sleep(2s);
    co_return "something";
}

Coro<> outer(Task<std::string> task) {
    std::string res;
    try {
        res = co_await shield(task);
    } catch (const CancelledError&) {
        res = "None";
    }
    fmt::print("{}\n", res);
}

Coro<> amain() {
    auto task = create_task(something());
    auto waiting = create_task(outer(task));
    co_await sleep(1s);
    waiting.cancel();
    co_await waiting;
    fmt::print("{}\n", co_await task);
}

int main() { return asyncio::main(amain()); }
