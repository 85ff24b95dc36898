// Coroutines and Tasks: Coroutines
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> amain() {
    fmt::print("hello\n");
    co_await sleep(1s);
    fmt::print("world\n");
}

int main() { return asyncio::main(amain()); }
