// The one function of a lock that is not inline: its refusal. How a lock is waited for is in
// `internal/sync/acquire.h` and `internal/sync/wait_queue.h`.

#include <asyncio/lock.h>

namespace asyncio {

void Lock::refuse_release() {
    throw RuntimeError(locked_ ? "release: the lock is held by an object, which releases it; name "
                                 "yours: auto held = co_await lock.acquire()"
                               : "release: the lock is not held; what acquire returns releases it, "
                                 "so name it: auto held = co_await lock.acquire()");
}

}  // namespace asyncio
