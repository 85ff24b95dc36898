// Runners: Runner context manager
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> amain() {
    co_await sleep(1s);
    fmt::print("hello\n");
}

int main() {
    Runner runner;
    runner.run(amain());
    runner.run(amain());
}
