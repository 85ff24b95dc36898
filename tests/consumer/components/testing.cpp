// Uses asyncio::testing from an installation.

#include <asyncio/testing.h>

#include <asyncio.h>

asyncio::Coro<int> a_minute() {
    co_await asyncio::sleep(std::chrono::minutes(1));
    co_return 0;
}

int main() { return asyncio::testing::simulate(a_minute); }
