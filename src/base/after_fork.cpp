#include "base/after_fork.h"

#include <pthread.h>

namespace asyncio::internal {

void call_in_forked_children(void (*function)()) noexcept {
    static_cast<void>(::pthread_atfork(nullptr, nullptr, function));
}

}  // namespace asyncio::internal
