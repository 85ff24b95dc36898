// Event Loop: Hello World with call_soon()
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;

/// A callback to print 'Hello World' and stop the event loop
void hello_world(EventLoop& loop) {
    fmt::print("Hello World\n");
    loop.stop();
}

int main() {
    auto loop = new_event_loop();

    // Schedule a call to hello_world()
    loop.call_soon(hello_world, std::ref(loop));

    // Blocking call interrupted by loop.stop()
    loop.run_forever();
}
