// Synchronization Primitives: Barrier
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> example_barrier() {
    // barrier with 3 parties
    Barrier b(3);

    // create 2 new waiting tasks
    auto first = create_task(b.wait());
    auto second = create_task(b.wait());

    co_await sleep(0s);
    fmt::print("{}\n", b.n_waiting());

    // The third .wait() call passes the barrier
    co_await b.wait();
    fmt::print("barrier passed\n");

    co_await sleep(0s);
    auto name = [](bool value) { return value ? "True" : "False"; };
    fmt::print("{} {} {}\n", b.n_waiting(), name(first.done()), name(second.done()));
}

int main() { return asyncio::main(example_barrier()); }
