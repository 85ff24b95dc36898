// Tutorials: the Future object
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<int> answer() {
    co_await sleep(1s);
    co_return 42;
}

Coro<> amain() {
    EventLoop& loop = get_running_loop();
    auto future = loop.create_future<int>();
    fmt::print("{} {}\n", future.done(), future.cancelled());
    try {
        future.result();
    } catch (const InvalidStateError&) {
        fmt::print("no result yet\n");
    }
    future.add_done_callback([](Future<int> done) { fmt::print("callback {}\n", done.result()); });
    future.set_result(42);
    fmt::print("{} {} {}\n", future.done(), future.result(), future.exception() == nullptr);
    try {
        future.set_result(43);
    } catch (const InvalidStateError&) {
        fmt::print("set already\n");
    }
    co_await sleep(0s);
    fmt::print("awaited {}\n", co_await future);

    auto broken = loop.create_future();
    broken.set_exception(std::invalid_argument("broken"));
    try {
        co_await broken;
    } catch (const std::invalid_argument& error) {
        fmt::print("{}\n", error.what());
    }

    auto gone = loop.create_future();
    bool cancelled = gone.cancel();
    fmt::print("{} {} {}\n", cancelled, gone.cancelled(), gone.cancel());
    try {
        gone.result();
    } catch (const CancelledError&) {
        fmt::print("cancelled\n");
    }

    auto task = create_task(answer());
    bool before = task.done();
    int value = co_await task;
    fmt::print("{} {} {} {}\n", isfuture(task), before, value, task.done());
}

int main() { return asyncio::main(amain()); }
