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
    fmt::print("started at {:%X}\n", fmt::localtime(std::time(nullptr)));

    co_await say_after(1s, "hello");
    co_await say_after(2s, "world");

    fmt::print("finished at {:%X}\n", fmt::localtime(std::time(nullptr)));
}

int main() { return asyncio::main(amain()); }
