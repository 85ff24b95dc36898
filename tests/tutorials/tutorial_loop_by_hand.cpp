// Tutorials: the loop used by hand
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

TimePoint start;

void say(std::string what) {
    std::chrono::duration<double> since_start = get_event_loop().time() - start;
    fmt::print("{:.2f} {}\n", since_start.count(), what);
}

Coro<int> answer() {
    co_await sleep(1s);
    co_return 42;
}

int main() {
    auto loop = new_event_loop();
    set_event_loop(loop);
    start = loop.time();
    fmt::print("{}\n", loop.run_until_complete(answer()));
    loop.call_later(3s, &EventLoop::stop, &loop);
    loop.call_at(loop.time() + 2s, say, "call_at");
    loop.call_later(1s, say, "call_later");
    loop.call_soon(say, "call_soon");
    loop.run_forever();
    say("stopped");
    loop.close();
}
