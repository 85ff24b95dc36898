// Tutorials: compute and print a sum
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<int> compute(int x, int y) {
    fmt::print("Compute {} + {} ...\n", x, y);
    co_await sleep(1s);
    co_return x + y;
}

Coro<> print_sum(int x, int y) {
    int result = co_await compute(x, y);
    fmt::print("{} + {} = {}\n", x, y, result);
}

int main() { return asyncio::main(print_sum(1, 2)); }
