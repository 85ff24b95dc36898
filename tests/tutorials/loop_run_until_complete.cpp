// Event Loop: Running and stopping the loop
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<int> compute(int x, int y) {
    co_await sleep(1s);
    co_return x + y;
}

int main() {
    auto loop = new_event_loop();
    set_event_loop(loop);
    auto task = ensure_future(compute(1, 2), loop);
    fmt::print("{} {}\n", loop.is_running(), &get_event_loop() == &loop);
    fmt::print("{}\n", loop.run_until_complete(task));
    fmt::print("{}\n", loop.run_until_complete(compute(3, 4)));
    loop.run_until_complete(loop.shutdown_asyncgens());
    loop.close();
    fmt::print("{}\n", loop.is_closed());
}
