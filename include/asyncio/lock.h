#pragma once
// Mutual exclusion between tasks.
//
// A lock is fair: it goes to who has waited longest. Between `release` and the turn of the task
// that was woken it is nobody's, and still a newcomer cannot take it, for it queues behind everyone
// that waits. A task that is cancelled while it waits, or after it was woken, wakes the next.
//
// Thread-safety: loop thread only.

#include <asyncio/held.h>
#include <asyncio/internal/acquire.h>
#include <asyncio/internal/wait_queue.h>

namespace asyncio {

class Lock;

namespace internal {

class ConditionAwaiter;

}  // namespace internal

/// What `Lock::acquire` returns.
using LockAcquire = internal::Acquire<Lock>;

/// A lock that one task holds at a time, and that is waited for without blocking the loop.
///
/// Not recursive: a task that acquires it twice waits for ever.
/// Lifetime: must outlive every task that holds it. Tasks that wait for it when it goes wait on,
/// also one that was woken already, until they are cancelled.
/// Python: `asyncio.Lock`; `async with lock:` is `auto held = co_await lock.acquire();`.
class Lock {
public:
    Lock() noexcept = default;
    ~Lock() { waiting_.abandon_and_warn("a lock"); }

    /// Waits until the lock is free and everybody who came before has had it, and takes it. Returns
    /// a `Held<Lock>`, whose destructor releases it.
    ///
    /// Throws: RuntimeError if it must wait and is not awaited in a task, or the lock has been
    /// waited for in another loop.
    /// Cancellation: a cancellation point if it must wait; when cancelled, the lock is not held.
    /// Python: `lock.acquire()`, which returns True.
    LockAcquire acquire() noexcept { return LockAcquire(*this); }

    /// Whether a task holds it.
    bool locked() noexcept { return locked_; }

    /// Gives the lock back and wakes the first that waits; it runs in the next iteration. Only
    /// where the `Held` has been given up with `keep()`; else that does it.
    /// Throws: RuntimeError if the lock is not held, or a `Held` holds it. Python's pair, `acquire`
    /// and `release` as statements, comes here without a lock: what has no name goes at once.
    void release() {
        waiting_.check_thread();
        if (!kept_) [[unlikely]]
            refuse_release();
        unlock();
    }

private:
    static constexpr const char* acquire_name = "Lock::acquire()";

    friend class Condition;
    friend Held<Lock>;
    friend internal::AcquireAwaiter<Lock>;
    friend internal::ConditionAwaiter;

    struct HeldSince {
        HeldSince() noexcept = default;
        explicit HeldSince(Lock&) noexcept {}
    };

    void release_held(HeldSince) noexcept { unlock(); }
    void keep_held() noexcept { kept_ = true; }
    void unlock() noexcept {
        locked_ = kept_ = false;
        waiting_.wake_front();
    }
    bool try_acquire() noexcept {
        if (locked_ || waiting_.occupied()) return false;
        return locked_ = true;
    }
    /// The end of a wait: takes the lock or, if the waiter was cancelled, passes the wake-up on.
    bool end_wait(internal::QueuedWaiter& waiter, bool cancelled) noexcept {
        waiter.leave();
        if (!cancelled) return locked_ = true;
        if (!locked_) waiting_.wake_front();
        return false;
    }
    [[noreturn, gnu::cold]] void refuse_release();

    internal::WaitQueue waiting_;
    bool locked_ = false;
    /// No object holds it: `release` is still to come.
    bool kept_ = false;
};

}  // namespace asyncio
