// Developing with asyncio: Detect never-awaited coroutines
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;

Coro<> test() {
    fmt::print("never scheduled\n");
    co_return;
}

Coro<> amain() {
    static_cast<void>(test());
    co_return;
}

int main() {
    set_log_sink([](LogLevel, std::string_view line) {
        if (line.find("never awaited") != line.npos)
            fmt::print("coroutine 'test' was never awaited\n");
    });
    run(amain(), {.debug = true});
}
