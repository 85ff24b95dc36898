// Posting to a loop that may be closing, and the wait for threads that are in the middle of a post.
// The reasoning is in `loop_gate.h`.

#include <asyncio/internal/loop/loop_gate.h>

#include <asyncio/event_loop.h>
#include <asyncio/loop_handle.h>

#include "base/brief_wait.h"
#include "loop/callback.h"

namespace asyncio::internal {

/// The count goes up before the bit is looked at: a closing thread that shuts the gate in between
/// sees the count and waits. The last line is the last access to the gate and to the loop, on every
/// path. The acquire pairs with the release of the thread that has shut the gate. The release at
/// the end pairs with the acquire in `shut`, so everything that a posting thread has done is
/// visible to the closing thread.
bool LoopGate::post(Ready& node) noexcept {
    const bool open = (state_.fetch_add(1, std::memory_order_acquire) & shut_bit) == 0;
    if (open) loop_.take_in(node);
    state_.fetch_sub(1, std::memory_order_release);
    return open;
}

/// Posts take less than a microsecond. The wait ends when only the bit is set: no thread is
/// counted, and no other thread will be let in.
void LoopGate::shut() noexcept {
    state_.fetch_or(shut_bit, std::memory_order_acq_rel);
    wait_briefly([this] { return state_.load(std::memory_order_acquire) == shut_bit; });
}

void require_own_thread(const LoopGate& gate) { gate.require_own_thread(); }

void LoopGate::refuse_thread() {
    throw RuntimeError("used on a thread other than its loop's: another thread may use only "
                       "call_soon_threadsafe, run_coroutine_threadsafe and a LoopHandle");
}

}  // namespace asyncio::internal

namespace asyncio {

/// Returns no handle: as soon as the post has succeeded, the node may be destroyed. The first test
/// spares an allocation on a loop that has closed. The post is what decides.
bool LoopHandle::call_soon_threadsafe(internal::UniqueFunction<void()> callback) const {
    if (is_closed()) return false;
    auto* node = new internal::CallbackNode(internal::face_of(gate_->loop()), std::move(callback));
    if (gate_->post(*node)) return true;
    node->release();
    return false;
}

}  // namespace asyncio
