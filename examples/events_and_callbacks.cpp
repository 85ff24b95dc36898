// Events and callbacks, and how a coroutine replaces them.
//
// There are three events, A, B and C, a tenth of a second apart, each with a callback. B's callback
// needs a line from a pipe, and the line comes after a second. In version 1 the callback waits for
// the line, and C is late. In version 2 it registers another event D, "the line has been read", and
// returns. So C is on time, but the code of B is in two functions. Version 3 is a single function
// again, with a `co_await` at the point where version 2 is split.

#include <asyncio.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/core.h>

using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::EventLoop;

constexpr const char* usage = "usage: events_and_callbacks [1|2|3]\n";

/// The program that writes into the pipe.
constexpr const char* slow_writer = "sleep 1; echo data";

/// In real time, because the writer is a real program.
asyncio::TimePoint start;

/// The loop stops after this event.
char last_event = '-';

void say(std::string_view what) {
    const std::chrono::duration<double> since_start = asyncio::Clock::now() - start;
    fmt::print("{:.1f} {}\n", since_start.count(), what);
    if (what.front() == last_event) asyncio::get_running_loop().stop();
}

/// `line` ends with a newline, which is not printed.
void say_read(std::string_view who, std::string_view line) {
    say(fmt::format("{} has read {}", who, line.substr(0, line.find('\n'))));
}

void call_in_order(EventLoop& loop, void (*callback_b)(), char last) {
    start = asyncio::Clock::now();
    last_event = last;
    loop.call_later(0ms, say, "A");
    loop.call_later(100ms, callback_b);
    loop.call_later(200ms, say, "C");
    loop.run_forever();
}

// Version 1: B blocks the loop, and all other callbacks wait.

void b_waits() {
    say("B wants a line");
    std::FILE* pipe = popen(slow_writer, "r");
    char line[100] = "";
    if (std::fgets(line, sizeof line, pipe) != nullptr) say_read("B", line);
    pclose(pipe);
}

// Version 2: B registers a callback for the moment when the line has been read, and returns.

Coro<std::string> read_line() {
    asyncio::Process writer =
        co_await asyncio::create_subprocess_shell(slow_writer, {.stdout = asyncio::PIPE});
    std::string line = co_await writer.stdout.readline();
    co_await writer.wait();
    co_return line;
}

void b_registers_d() {
    say("B wants a line");
    auto reading = asyncio::create_task(read_line());
    reading.add_done_callback(
        [](const asyncio::Task<std::string>& done) { say_read("D", done.result()); });
}

// Version 3: a single coroutine. The code after the `co_await` is the callback.

Coro<> b_awaits() {
    co_await asyncio::sleep(100ms);
    say("B wants a line");
    const std::string line = co_await read_line();
    say_read("B", line);
}

Coro<> say_after(asyncio::Duration delay, std::string what) {
    co_await asyncio::sleep(delay);
    say(what);
}

Coro<> version_3() {
    start = asyncio::Clock::now();
    last_event = '-';
    co_await asyncio::gather(say_after(0ms, "A"), b_awaits(), say_after(200ms, "C"));
}

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::string_view versions = argc > 1 ? argv[1] : "123";
    if (versions.find_first_not_of("123") != versions.npos) {
        fmt::print("{}", usage);
        return versions == "--help" ? 0 : 2;
    }
    EventLoop loop;
    if (versions.find('1') != versions.npos) call_in_order(loop, &b_waits, 'C');
    if (versions.find('2') != versions.npos) call_in_order(loop, &b_registers_d, 'D');
    if (versions.find('3') != versions.npos) asyncio::run(version_3());
}
