// Coroutines and Tasks: Task Groups
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<std::string> some_coro() {
    co_await sleep(1s);
    co_return "some";
}

Coro<std::string> another_coro() {
    co_await sleep(2s);
    co_return "another";
}

Coro<> amain() {
    Task<std::string> task1, task2;
    co_await task_group([&](TaskGroup& tg) -> Coro<> {
        task1 = tg.create_task(some_coro());
        task2 = tg.create_task(another_coro());
        co_return;
    });
    fmt::print("Both tasks have completed now: {}, {}\n", task1.result(), task2.result());
}

int main() { return asyncio::main(amain()); }
