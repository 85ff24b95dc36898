// Coroutines and Tasks: Sleeping
#include <asyncio.h>

#include <fmt/chrono.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> display_date() {
    EventLoop& loop = get_running_loop();
    auto end_time = loop.time() + 5s;
    while (true) {
        fmt::print("{:%X}\n", fmt::localtime(std::time(nullptr)));
        if (loop.time() + 1s >= end_time) break;
        co_await sleep(1s);
    }
}

int main() { return asyncio::main(display_date()); }
