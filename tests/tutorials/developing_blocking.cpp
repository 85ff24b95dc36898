// Developing with asyncio: Running Blocking Code
#include <asyncio.h>

#include <thread>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

int blocking(int number) {
    std::this_thread::sleep_for(100ms);
    return number;
}

Coro<> amain() {
    EventLoop& loop = get_running_loop();
    auto blocked = loop.run_in_executor(nullptr, blocking, 1);
    fmt::print("the loop goes on\n");
    fmt::print("{}\n", co_await blocked);
}

int main() { return asyncio::main(amain()); }
