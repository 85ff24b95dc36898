// Coroutines and Tasks: Coroutines
#include <asyncio.h>

#include <fmt/chrono.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> say_after(Duration delay, std::string what) {
    co_await sleep(delay);
    fmt::print("{}\n", what);
}

Coro<> amain() {
    auto task1 = create_task(say_after(1s, "hello"));
    auto task2 = create_task(say_after(2s, "world"));

    fmt::print("started at {:%X}\n", fmt::localtime(std::time(nullptr)));

    // Wait until both tasks are completed (should take around 2 seconds.)
    co_await task1;
    co_await task2;

    fmt::print("finished at {:%X}\n", fmt::localtime(std::time(nullptr)));
}

int main() { return asyncio::main(amain()); }
