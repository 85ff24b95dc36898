// The loop used directly: the steps of `run()`, and the functions of the loop for callbacks.

#include <asyncio.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fmt/core.h>

using asyncio::Coro;
using asyncio::EventLoop;
using asyncio::TimePoint;

constexpr const char* usage =
    "usage: loop_by_hand [SECONDS]\n"
    "  SECONDS  how long a second of this program takes; 1 if not given\n";

std::chrono::duration<double> second(1);

std::chrono::duration<double> seconds(int count) { return count * second; }

Coro<int> answer() {
    co_await asyncio::sleep(seconds(1));
    co_return 42;
}

/// Prints a text and the seconds since `start`.
struct Narrator {
    EventLoop& loop;
    TimePoint start = loop.time();

    void say(std::string_view what) const {
        fmt::print("{:.3f} {}\n", (loop.time() - start) / second, what);
    }
};

void by_hand() {
    // A loop is an object. A running loop is the current loop of its thread. `set_event_loop` is
    // needed only to make tasks before the loop runs.
    auto loop = asyncio::new_event_loop();
    asyncio::set_event_loop(loop);
    const Narrator narrator{loop};

    narrator.say("run_until_complete");
    const int result = loop.run_until_complete(answer());
    narrator.say(fmt::format("the answer is {}", result));

    // Callbacks. The loop calls them one after another, in the order in which they are due.
    loop.call_later(seconds(3), [&] {
        narrator.say("call_later: stop");
        loop.stop();
    });
    loop.call_at(loop.time() + seconds(2), &Narrator::say, narrator, "call_at");
    loop.call_later(seconds(1), &Narrator::say, narrator, "call_later");
    loop.call_soon(&Narrator::say, narrator, "call_soon");
    narrator.say("run_forever");
    loop.run_forever();

    narrator.say("close");
    loop.close();
}

/// The same as a coroutine. There is no loop to make, to stop or to close.
Coro<> with_run() {
    const Narrator narrator{asyncio::get_running_loop()};
    const int result = co_await answer();
    narrator.say(fmt::format("the answer is {}", result));
    for (int count = 1; count <= 3; ++count) {
        co_await asyncio::sleep(seconds(1));
        narrator.say("sleep");
    }
}

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    if (argc > 1) second = std::chrono::duration<double>(std::atof(argv[1]));
    if (second.count() <= 0) {
        fmt::print("{}", usage);
        return std::string_view(argv[1]) == "--help" ? 0 : 2;
    }
    by_hand();
    fmt::print("run\n");
    asyncio::run(with_run());
}
