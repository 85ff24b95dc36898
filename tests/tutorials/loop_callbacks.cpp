// Event Loop: Scheduling callbacks
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

void print(std::string text) { fmt::print("{}\n", text); }

Coro<> amain() {
    EventLoop& loop = get_running_loop();
    loop.call_soon(print, "Hello");
    loop.call_later(2s, print, "later");
    auto handle = loop.call_at(loop.time() + 1s, print, "at");
    fmt::print("{:.1f}\n", std::chrono::duration<double>(handle.when() - loop.time()).count());
    auto cancelled = loop.call_later(1s, print, "never");
    cancelled.cancel();
    fmt::print("{} {}\n", cancelled.cancelled(), handle.cancelled());
    co_await sleep(3s);
}

int main() { return asyncio::main(amain()); }
