#include <asyncio/internal/loop_gate.h>

#include <asyncio/event_loop.h>
#include <asyncio/loop_handle.h>

#include "loop/callback.h"

#include <chrono>
#include <thread>

namespace asyncio::internal {

bool LoopGate::post(Ready& node) noexcept {
    const bool open = (state_.fetch_add(1, std::memory_order_acquire) & shut_bit) == 0;
    if (open) loop_.take_in(node);
    state_.fetch_sub(1, std::memory_order_release);
    return open;
}

/// Yields at first. A poster of lower priority on the same processor gets its time only when this
/// thread sleeps, so after a while it does.
void LoopGate::shut() noexcept {
    constexpr int yields = 100;
    std::uint32_t state = state_.fetch_or(shut_bit, std::memory_order_acq_rel) | shut_bit;
    for (int looks = 0; state != shut_bit; ++looks) {
        if (looks < yields) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
        state = state_.load(std::memory_order_acquire);
    }
}

void LoopGate::refuse_thread() {
    throw RuntimeError("used on another thread than its loop's: only call_soon_threadsafe, "
                       "run_coroutine_threadsafe and a LoopHandle may be used there");
}

}  // namespace asyncio::internal

namespace asyncio {

/// The post comes before the handle is asked for: nothing else refers to the node.
bool LoopHandle::call_soon_threadsafe(internal::UniqueFunction<void()> callback) const {
    if (is_closed()) return false;
    auto* node = new internal::CallbackNode(gate_->loop(), std::move(callback));
    if (gate_->post(*node)) return true;
    node->release();
    return false;
}

}  // namespace asyncio
