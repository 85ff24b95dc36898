#pragma once
// The way of a signal from its handler into the loop.
//
// The handler may do almost nothing: it may not allocate, lock, or touch a task. It only posts a
// node to the loop's inbox, which is lock-free and made for that. The loop takes the node in its
// next iteration and does the work.
//
// Thread-safety: `post` in a signal handler on any thread, the rest on the loop's thread.

#include <asyncio/event_loop.h>

#include <atomic>

namespace asyncio::internal {

/// Lies in a frame or an object of the code that listens to the signal. The guard of the signal
/// must have ended before this object does, so that no handler can still use it.
struct SignalNode : Ready {
    using Function = void (*)(SignalNode& node) noexcept;

    /// `in_loop` is the work.
    SignalNode(EventLoop& on, Function in_loop) noexcept : loop(on), in_loop_(in_loop) {
        run = [](Ready& node) noexcept {
            auto& self = static_cast<SignalNode&>(node);
            // First, so that a signal that comes during the work posts the node again.
            self.posted_ = false;
            self.in_loop_(self);
        };
    }
    SignalNode(const SignalNode&) = delete;
    SignalNode& operator=(const SignalNode&) = delete;

    /// A node that was posted too late for the run still lies in the inbox of the loop, and the
    /// inbox must not keep a pointer to a dead object: one iteration takes it out. A loop that has
    /// closed has emptied its inbox.
    ~SignalNode() {
        if (!posted_ || loop.is_closed()) return;
        loop.stop();
        loop.run_forever();
    }

    /// No effect while the loop has not taken the node yet: a node can be in one list only, and one
    /// request is enough.
    void post() noexcept {
        if (!posted_.exchange(true)) loop.post(*this);
    }

    EventLoop& loop;

private:
    Function in_loop_;
    std::atomic<bool> posted_{false};
};

}  // namespace asyncio::internal
