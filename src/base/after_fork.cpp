// The registration with pthread_atfork(3), which has no counterpart to undo it.
//
// fork(2) copies the memory of the process and one thread of it. A lock that another thread held at
// that moment stays held for ever in the child, because the thread that would release it does not
// exist there. The functions that are registered here prevent this, or repair it.

#include "base/after_fork.h"

#include <pthread.h>

namespace asyncio::internal {

void call_in_forked_children(void (*function)()) noexcept {
    static_cast<void>(::pthread_atfork(nullptr, nullptr, function));
}

void lock_across_forks(void (*lock)(), void (*unlock)()) noexcept {
    static_cast<void>(::pthread_atfork(lock, unlock, unlock));
}

}  // namespace asyncio::internal
