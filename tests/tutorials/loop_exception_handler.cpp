// Event Loop: Error Handling API
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

void handler(EventLoop&, const ErrorContext& context) {
    fmt::print("handled: {}\n", describe(context.exception));
}

void fail(int number) { throw std::invalid_argument(fmt::format("callback {}", number)); }

Coro<> amain() {
    EventLoop& loop = get_running_loop();
    loop.set_exception_handler(handler);
    loop.call_soon(fail, 1);
    co_await sleep(1s);
    fmt::print("{}\n", loop.get_exception_handler() != nullptr);
}

int main() { return asyncio::main(amain()); }
