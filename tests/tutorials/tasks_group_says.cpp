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
    co_await task_group([&](TaskGroup& tg) -> Coro<> {
        auto task1 = tg.create_task(say_after(1s, "hello"));
        auto task2 = tg.create_task(say_after(2s, "world"));
        fmt::print("started at {:%X}\n", fmt::localtime(std::time(nullptr)));
        co_return;
    });
    // The await is implicit when the scope ends.
    fmt::print("finished at {:%X}\n", fmt::localtime(std::time(nullptr)));
}

int main() { return asyncio::main(amain()); }
