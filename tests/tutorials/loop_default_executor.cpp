// Event Loop: Executing code in thread or process pools
#include <asyncio.h>

#include <thread>

#include <fmt/core.h>
using namespace asyncio;

Coro<> amain() {
    EventLoop& loop = get_running_loop();
    loop.set_default_executor(ThreadPoolExecutor({.max_workers = 1}));
    auto first = co_await to_thread(std::this_thread::get_id);
    auto second = co_await to_thread(std::this_thread::get_id);
    fmt::print("{} {}\n", first == second, first != std::this_thread::get_id());
}

int main() { return asyncio::main(amain()); }
