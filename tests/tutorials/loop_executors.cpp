// Event Loop: Executing code in thread or process pools
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;

std::size_t blocking_io() {
    // File operations (such as logging) can block the event loop: run them in a thread pool.
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> f(std::fopen("/dev/urandom", "rb"),
                                                      std::fclose);
    char bytes[100];
    return std::fread(bytes, 1, sizeof bytes, f.get());
}

std::int64_t cpu_bound() {
    // CPU-bound operations will block the event loop: run them in a thread or process pool.
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < 100'000; ++i) sum += i * i;
    return sum;
}

Coro<> amain() {
    EventLoop& loop = get_running_loop();

    // 1. Run in the default loop's executor:
    fmt::print("default thread pool {}\n", co_await loop.run_in_executor(nullptr, blocking_io));

    // 2. Run in a custom thread pool:
    ThreadPoolExecutor threads;
    fmt::print("custom thread pool {}\n", co_await loop.run_in_executor(threads, blocking_io));

    // 3. Run in a custom process pool:
    ProcessPoolExecutor processes;
    fmt::print("custom process pool {}\n", co_await loop.run_in_executor(processes, cpu_bound));
}

int main() { return asyncio::main(amain()); }
