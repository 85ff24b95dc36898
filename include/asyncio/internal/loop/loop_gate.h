#pragma once
// The way from other threads into a loop, which may close meanwhile.
//
// When another thread wants to post a node, it cannot know whether the loop still exists: the loop
// may close between the question and the post. So every post goes through the loop's *gate*, which
// outlives the loop. A thread that posts counts itself first. When the loop closes, it shuts the
// gate and waits until no thread is in it any more. From then on every post is refused. So a post
// is either in the loop's inbox before the loop empties the inbox for the last time, or it is
// refused, and the posting thread learns that.
//
// The loop is touched only by threads that are counted. The count includes the wake-up at the end
// of a post: the node may have run by then and may have ended the loop, whose destruction waits for
// the poster. The last access of a poster is the decrement of the count. So the poster needs no
// reference of its own to the gate if the loop is known to exist when the post begins.
//
// The closing thread waits by polling the count. Posts take less than a microsecond; a notification
// would cost each of them more than that wait is worth, and would touch the gate after the
// decrement.
//
// Thread-safety: as each function says.

#include <asyncio/internal/loop/step.h>

#include <atomic>
#include <cstdint>

namespace asyncio::internal {

struct Ready;

class LoopGate {
public:
    explicit LoopGate(lowlevel::Loop& loop) noexcept : loop_(loop) {}
    LoopGate(const LoopGate&) = delete;
    LoopGate& operator=(const LoopGate&) = delete;

    /// Makes `node` ready on the loop, and wakes the loop. False if the loop is closed or gone: the
    /// node is then untouched. Any thread, any signal handler.
    bool post(Ready& node) noexcept;

    /// No post succeeds any more. Returns when no thread is in the middle of one. Loop thread only.
    void shut() noexcept;
    /// Any thread. An answer of false may be outdated a moment later.
    bool is_shut() const noexcept {
        return (state_.load(std::memory_order_acquire) & shut_bit) != 0;
    }

    /// To be used on the loop's thread. On other threads only the address may be compared.
    lowlevel::Loop& loop() const noexcept { return loop_; }
    /// Whether this is the gate of `loop`. Any thread.
    bool leads_to(const lowlevel::Loop* loop) const noexcept { return loop == &loop_; }

    /// `runner` is the state of the thread that runs the loop; null if no thread does. Loop thread
    /// only.
    void set_runner(const ThreadState* runner) noexcept {
        runner_.store(runner, std::memory_order_relaxed);
    }
    /// Throws: RuntimeError if the loop runs on another thread at the moment. Any thread.
    void require_own_thread() const {
        const ThreadState* runner = runner_.load(std::memory_order_relaxed);
        if (runner != nullptr && runner != &here) [[unlikely]]
            refuse_thread();
    }

private:
    static constexpr std::uint32_t shut_bit = 1U << 31;

    [[noreturn, gnu::cold]] static void refuse_thread();

    lowlevel::Loop& loop_;
    /// How many threads are posting, and `shut_bit`.
    std::atomic<std::uint32_t> state_{0};
    /// For debug mode: a thread is known by the address of its `here`.
    std::atomic<const ThreadState*> runner_{nullptr};
};

}  // namespace asyncio::internal
