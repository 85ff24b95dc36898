// Coroutines and Tasks: Scheduling From Other Threads
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<int> slow_sum(int a, int b) {
    co_await sleep(100ms);
    co_return a + b;
}

void in_thread(EventLoop& loop) {
    // Submit a coroutine to the loop, and wait for its result
    auto future = run_coroutine_threadsafe(slow_sum(1, 2), loop);
    fmt::print("{}\n", future.get(60s));

    // Or give up before it is there
    auto asleep = run_coroutine_threadsafe(sleep(1h), loop);
    try {
        asleep.get(100ms);
    } catch (const TimeoutError&) {
        fmt::print("The coroutine took too long, cancelling the task...\n");
        asleep.cancel();
    }
}

Coro<> amain() { co_await to_thread(in_thread, std::ref(get_running_loop())); }

int main() { return asyncio::main(amain()); }
