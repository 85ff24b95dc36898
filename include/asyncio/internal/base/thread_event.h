#pragma once
// An event on which a thread without a loop sleeps: set once by another thread, and waited for with
// a limit.
//
// The event is a word and the kernel's futex, and not a mutex with a condition variable. In the
// usual case no thread sleeps when the event is set, and setting it is one exchange. And the side
// that sets it touches nothing afterwards, so the side that has waited may destroy the event at
// once. (The kernel may be asked to wake an address at which nothing lives any more: at worst
// another sleeper wakes for nothing and looks again.)
//
// Thread-safety: all functions, any thread, except `reset`.

#include <asyncio/internal/base/time.h>

#include <atomic>
#include <cstdint>

namespace asyncio::internal {

class ThreadEvent {
public:
    ThreadEvent() noexcept = default;
    ThreadEvent(const ThreadEvent&) = delete;
    ThreadEvent& operator=(const ThreadEvent&) = delete;

    /// Everything that was written before is visible to a thread that sees the event set.
    void set() noexcept;
    bool is_set() const noexcept { return state_.load(std::memory_order_acquire) == was_set; }

    /// Blocks the thread.
    void wait() noexcept { wait_until(never); }
    /// Blocks the thread, at most until `deadline`. Whether the event is set.
    bool wait_until(TimePoint deadline) noexcept;

    /// Prepares the event for its next use. No thread may wait, and the thread that had to set it
    /// must have done so.
    void reset() noexcept { state_.store(unset, std::memory_order_relaxed); }

private:
    /// unset    no thread sleeps; setting it needs no system call
    /// awaited  a thread sleeps, or is about to and will find the word changed
    /// was_set  set, until `reset`
    static constexpr std::uint32_t unset = 0;
    static constexpr std::uint32_t awaited = 1;
    static constexpr std::uint32_t was_set = 2;

    std::atomic<std::uint32_t> state_{unset};
    static_assert(sizeof(std::atomic<std::uint32_t>) == 4, "futex(2) compares 32 bits");
};

}  // namespace asyncio::internal
