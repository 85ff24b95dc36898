#include <asyncio/internal/wait_queue.h>

namespace asyncio::internal {

void WaitQueue::refuse_loop() {
    throw RuntimeError("a task of one event loop waits for what belongs to another");
}

}  // namespace asyncio::internal
