// Event Loop: Display the current date with call_later()
#include <asyncio.h>

#include <fmt/chrono.h>
using namespace asyncio;
using namespace std::chrono_literals;

void display_date(TimePoint end_time, EventLoop& loop) {
    fmt::print("{:%X}\n", fmt::localtime(std::time(nullptr)));
    if (loop.time() + 1s < end_time) {
        loop.call_later(1s, display_date, end_time, std::ref(loop));
    } else {
        loop.stop();
    }
}

int main() {
    auto loop = new_event_loop();

    // Schedule the first call to display_date()
    auto end_time = loop.time() + 5s;
    loop.call_soon(display_date, end_time, std::ref(loop));

    // Blocking call interrupted by loop.stop()
    loop.run_forever();
}
