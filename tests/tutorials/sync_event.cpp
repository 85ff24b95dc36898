// Synchronization Primitives: Event
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> waiter(Event& event) {
    fmt::print("waiting for it ...\n");
    co_await event.wait();
    fmt::print("... got it!\n");
}

Coro<> amain() {
    // Create an Event object.
    Event event;

    // Spawn a Task to wait until 'event' is set.
    auto waiter_task = create_task(waiter(event));

    // Sleep for 1 second and set the event.
    co_await sleep(1s);
    event.set();

    // Wait until the waiter is done.
    co_await waiter_task;
}

int main() { return asyncio::main(amain()); }
