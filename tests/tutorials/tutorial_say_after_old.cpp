// Tutorials: two tasks, run by a loop that was made by hand
#include <asyncio.h>

#include <fmt/chrono.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> say_after(Duration delay, std::string what) {
    fmt::print("say {} start at {:%X}\n", what, fmt::localtime(std::time(nullptr)));
    co_await sleep(delay);
    fmt::print("say {} finished\n", what);
}

int main() {
    auto loop = new_event_loop();
    set_event_loop(loop);
    std::vector tasks{ensure_future(say_after(2s, "hello")), ensure_future(say_after(1s, "world"))};
    fmt::print("start main() at {:%X}\n", fmt::localtime(std::time(nullptr)));
    loop.run_until_complete(wait(tasks));
    fmt::print("end main() at {:%X}\n", fmt::localtime(std::time(nullptr)));
}
