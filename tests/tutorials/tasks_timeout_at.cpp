// Coroutines and Tasks: Timeouts
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> long_running_task() { co_await sleep(1h); }

Coro<> amain() {
    EventLoop& loop = get_running_loop();
    auto deadline = loop.time() + 20s;
    try {
        co_await timeout_at(deadline, [&]() -> Coro<> { co_await long_running_task(); });
    } catch (const TimeoutError&) {
        fmt::print("The long operation timed out, but we've handled it.\n");
    }
    fmt::print("This statement will run regardless.\n");
}

int main() { return asyncio::main(amain()); }
