// Futures: Future Object
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> set_after(Future<std::string> fut, Duration delay, std::string value) {
    // Sleep for *delay* seconds.
    co_await sleep(delay);

    // Set *value* as a result of *fut* Future.
    fut.set_result(value);
}

Coro<> amain() {
    // Get the current event loop.
    EventLoop& loop = get_running_loop();

    // Create a new Future object.
    auto fut = loop.create_future<std::string>();

    // Run "set_after()" coroutine in a parallel Task.
    // We are using the low-level "loop.create_task()" API here because
    // we already have a reference to the event loop at hand.
    // Otherwise we could have just used "create_task()".
    loop.create_task(set_after(fut, 1s, "... world"));

    fmt::print("hello ...\n");

    // Wait until *fut* has a result (1 second) and print it.
    fmt::print("{}\n", co_await fut);
}

int main() { return asyncio::main(amain()); }
