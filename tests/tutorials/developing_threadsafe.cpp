// Developing with asyncio: Concurrency and Multithreading
#include <asyncio.h>

#include <thread>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<int> coro_func() {
    co_await sleep(100ms);
    co_return 42;
}

void another_thread(EventLoop& loop, Event& event) {
    // Schedule a callback from another OS thread:
    loop.call_soon_threadsafe([] { fmt::print("called\n"); });
    // Run a coroutine from another OS thread, and wait for the result:
    auto future = run_coroutine_threadsafe(coro_func(), loop);
    fmt::print("{}\n", future.get());
    loop.call_soon_threadsafe(&Event::set, &event);
}

Coro<> amain() {
    Event event;
    std::thread thread(another_thread, std::ref(get_running_loop()), std::ref(event));
    co_await event.wait();
    thread.join();
}

int main() { return asyncio::main(amain()); }
