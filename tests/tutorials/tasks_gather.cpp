// Coroutines and Tasks: Running Tasks Concurrently
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<int> factorial(std::string name, int number) {
    int f = 1;
    for (int i = 2; i <= number; ++i) {
        fmt::print("Task {}: Compute factorial({}), currently i={}...\n", name, number, i);
        co_await sleep(1s);
        f *= i;
    }
    fmt::print("Task {}: factorial({}) = {}\n", name, number, f);
    co_return f;
}

Coro<> amain() {
    // Schedule three calls *concurrently*:
    auto [a, b, c] = co_await gather(factorial("A", 2), factorial("B", 3), factorial("C", 4));
    fmt::print("[{}, {}, {}]\n", a, b, c);
}

int main() { return asyncio::main(amain()); }
