// The smallest program that needs the library's headers, its code and what it links to. Built three
// ways by run.sh, as a user's project would build it.

#include <asyncio.h>

#include <chrono>

int main() {
    return asyncio::run([]() -> asyncio::Coro<int> {
        co_await asyncio::sleep(std::chrono::milliseconds(1));
        co_return 0;
    }());
}
