// Tutorials: events and callbacks
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;

Coro<std::string> read_line() {
    Process proc = co_await create_subprocess_shell("sleep 0.5; echo data", {.stdout = PIPE});
    std::string line = co_await proc.stdout.readline();
    co_await proc.wait();
    co_return line.substr(0, line.find('\n'));
}

void print(std::string text) { fmt::print("{}\n", text); }

// B registers a further event, "the line has been read", and returns.
void b_registers_d(Event& ended) {
    print("B wants a line");
    auto reading = create_task(read_line());
    reading.add_done_callback([](auto task) { print("D has read " + task.result()); });
    reading.add_done_callback([&] { ended.set(); });
}

// The same as one coroutine: what comes after the await is the callback.
Coro<> b_awaits() {
    print("B wants a line");
    print("B has read " + co_await read_line());
}

Coro<> say(std::string what) {
    print(what);
    co_return;
}

Coro<> amain() {
    EventLoop& loop = get_running_loop();
    Event ended;
    loop.call_soon(print, "A");
    loop.call_soon(b_registers_d, std::ref(ended));
    loop.call_soon(print, "C");
    co_await ended.wait();
    co_await gather(say("A"), b_awaits(), say("C"));
}

int main() { return asyncio::main(amain()); }
