// Developing with asyncio: Detect never-retrieved exceptions
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> bug() {
    throw std::runtime_error("not consumed");
    co_return;
}

Coro<> amain() {
    get_running_loop().set_exception_handler([](EventLoop&, const ErrorContext& context) {
        fmt::print("Task exception was never retrieved '{}'\n", describe(context.exception));
    });
    create_task(bug());
    co_await sleep(0s);
    co_await sleep(0s);
}

int main() { return asyncio::main(amain()); }
