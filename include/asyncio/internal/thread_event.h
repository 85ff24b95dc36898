#pragma once
// What a thread that runs no loop sleeps on: set once by another thread, and waited for with a
// limit.
//
// A word and the kernel's futex rather than a mutex with a condition variable: the usual case, that
// nobody sleeps when it is set, costs one exchange, and whoever sets it touches nothing afterwards,
// so the one who waited may destroy it at once. (Waking an address at which nothing lives any more
// is allowed by the kernel: at worst somebody wakes for nothing and looks again.)
//
// Thread-safety: all functions, any thread, but for `reset`.

#include <asyncio/internal/time.h>

#include <atomic>
#include <cstdint>

namespace asyncio::internal {

class ThreadEvent {
public:
    ThreadEvent() noexcept = default;
    ThreadEvent(const ThreadEvent&) = delete;
    ThreadEvent& operator=(const ThreadEvent&) = delete;

    /// What was done before is visible to whoever sees the event set.
    void set() noexcept;
    bool is_set() const noexcept { return state_.load(std::memory_order_acquire) == was_set; }

    /// Blocks the thread.
    void wait() noexcept { wait_until(never); }
    /// Blocks the thread, at most until `deadline`. Whether the event is set.
    bool wait_until(TimePoint deadline) noexcept;

    /// For the next use. Nobody may wait, and whoever was to set it must have done so.
    void reset() noexcept { state_.store(unset, std::memory_order_relaxed); }

private:
    /// unset     nobody sleeps; who sets it need not wake anybody
    /// awaited   somebody sleeps, or is about to and will find the word changed
    /// was_set   for good
    static constexpr std::uint32_t unset = 0;
    static constexpr std::uint32_t awaited = 1;
    static constexpr std::uint32_t was_set = 2;

    std::atomic<std::uint32_t> state_{unset};
    static_assert(sizeof(std::atomic<std::uint32_t>) == 4, "the kernel looks at 32 bits");
};

}  // namespace asyncio::internal
