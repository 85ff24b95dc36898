// Coroutines and Tasks: Waiting Primitives
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<int> foo() {
    co_await sleep(1s);
    co_return 42;
}

Coro<std::string> bar() {
    co_await sleep(1h);
    co_return "late";
}

Coro<> amain() {
    auto task1 = create_task(foo());
    auto task2 = create_task(bar());
    auto [done, pending] =
        co_await wait(task1, task2, {.timeout = 10s, .return_when = FIRST_COMPLETED});
    if (task1.done()) fmt::print("foo: {}, {} pending\n", task1.result(), pending.size());
    for (const auto& task : pending) task.cancel();
}

int main() { return asyncio::main(amain()); }
