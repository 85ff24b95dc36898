// Coroutines and Tasks: Timeouts
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> long_running_task() { co_await sleep(1h); }

Coro<> amain() {
    // We do not know the timeout when starting, so we pass `nullopt`.
    auto cm = timeout(std::nullopt);
    try {
        co_await cm([&]() -> Coro<> {
            // We know the timeout now, so we reschedule it.
            auto new_deadline = get_running_loop().time() + 10s;
            cm.reschedule(new_deadline);

            co_await long_running_task();
        });
    } catch (const TimeoutError&) {
    }
    if (cm.expired()) fmt::print("Looks like we haven't finished on time.\n");
}

int main() { return asyncio::main(amain()); }
