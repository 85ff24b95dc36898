// A coroutine that awaits another coroutine, which sleeps for a second.

#include <asyncio.h>

#include <cstdio>

#include <fmt/core.h>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<int> compute(int x, int y) {
    fmt::print("Compute {} + {} ...\n", x, y);
    co_await asyncio::sleep(1s);
    co_return x + y;
}

Coro<> print_sum(int x, int y) {
    const int result = co_await compute(x, y);
    fmt::print("{} + {} = {}\n", x, y, result);
}

int main() {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    return asyncio::main(print_sum(1, 2));
}
