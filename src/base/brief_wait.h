#pragma once
// A wait for another thread that is in the middle of a few instructions.
//
// The other side is a poster in a loop's gate, or a signal handler. It only counts itself, and it
// cannot notify: a handler may not, and a poster would touch an object that may be gone. So the
// waiting thread looks again and again. It yields at first. A thread of lower priority on the same
// processor runs only while this thread sleeps, so after a while this thread sleeps.
//
// Thread-safety: any thread, outside signal handlers.

#include <chrono>
#include <thread>

namespace asyncio::internal {

/// Returns as soon as `is_over()` is true. The caller knows that it will be.
template <class Condition>
void wait_briefly(Condition&& is_over) noexcept {
    constexpr int yields = 100;
    for (int looks = 0; !is_over(); ++looks) {
        if (looks < yields) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }
}

}  // namespace asyncio::internal
