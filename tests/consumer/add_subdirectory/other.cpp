// A second file, so that there is something for a unity build to put together.

#include <asyncio.h>

asyncio::Coro<int> other() {
    co_await asyncio::sleep(asyncio::Duration::zero());
    co_return 2;
}
