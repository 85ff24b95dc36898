// When do coroutines run concurrently? Three similar programs: two of them take two seconds, and
// the other takes three.

#include <asyncio.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/core.h>

using asyncio::Coro;

constexpr const char* usage =
    "usage: say_after [VERSION [SECONDS]]\n"
    "  VERSION  a, b or c; all three if not given\n"
    "  SECONDS  how long a second of this program takes; 1 if not given\n";

std::chrono::duration<double> second(1);

/// The time of day by the loop's clock: the system's time at the start of the program, plus the
/// loop's time since then. The clock of a simulated loop differs from the system's clock.
std::string time_of_day(asyncio::EventLoop& loop) {
    using std::chrono::system_clock;
    static const auto offset =
        system_clock::now().time_since_epoch() - loop.time().time_since_epoch();
    const auto now = loop.time().time_since_epoch() + offset;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
    return fmt::format("{:%H:%M:%S}", fmt::localtime(std::time_t{seconds.count()}));
}

Coro<> say_after(int delay, std::string text) {
    fmt::print("say {} start at {}\n", text, time_of_day(asyncio::get_running_loop()));
    co_await asyncio::sleep(delay * second);
    fmt::print("say {} finished\n", text);
}

/// Two tasks, and a wait for both of them: they run at the same time.
void version_a() {
    asyncio::EventLoop loop;
    fmt::print("start main() at {}\n", time_of_day(loop));
    std::vector tasks{asyncio::ensure_future(say_after(2, "hello"), loop),
                      asyncio::ensure_future(say_after(1, "world"), loop)};
    loop.run_until_complete(asyncio::wait(tasks));
    fmt::print("end main() at {}\n", time_of_day(loop));
}

/// Two coroutines, awaited one after the other: the second starts when the first has ended. An
/// await alone makes no concurrency.
Coro<> version_b() {
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    fmt::print("start main() at {}\n", time_of_day(loop));
    co_await say_after(2, "hello");
    co_await say_after(1, "world");
    fmt::print("end main() at {}\n", time_of_day(loop));
}

/// Two tasks, awaited one after the other: both run from their creation on.
Coro<> version_c() {
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    fmt::print("start main() at {}\n", time_of_day(loop));
    auto hello = asyncio::create_task(say_after(2, "hello"));
    auto world = asyncio::create_task(say_after(1, "world"));
    co_await hello;
    co_await world;
    fmt::print("end main() at {}\n", time_of_day(loop));
}

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::string_view version = argc > 1 ? argv[1] : "abc";
    if (argc > 2) second = std::chrono::duration<double>(std::atof(argv[2]));

    if (version.find_first_not_of("abc") != version.npos) {
        fmt::print("{}", usage);
        return version == "--help" ? 0 : 2;
    }
    if (version.find('a') != version.npos) version_a();
    if (version.find('b') != version.npos) asyncio::run(version_b());
    if (version.find('c') != version.npos) asyncio::run(version_c());
}
