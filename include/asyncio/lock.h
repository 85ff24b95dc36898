#pragma once
// Mutual exclusion between tasks.
//
// The lock is fair: it goes to the task that has waited longest. Between `release` and the step of
// the task that was woken, no task holds the lock. Still a newcomer cannot take it, because a
// newcomer queues behind every waiter (`WaitQueue::occupied`). The alternative is to give the lock
// to the woken task inside `release`. A woken task that is cancelled would then have to give it
// back. CPython does the same as this class, and a program could see the difference in the order of
// events.
//
// A task that is cancelled while it waits, or after it was woken, wakes the next one. So a release
// is never lost.
//
// Thread-safety: loop thread only.

#include <asyncio/held.h>
#include <asyncio/internal/base/lifetime.h>
#include <asyncio/internal/sync/acquire.h>
#include <asyncio/internal/sync/wait_queue.h>

namespace asyncio {

class Lock;

namespace internal {

class ConditionAwaiter;

}  // namespace internal

/// The return type of `Lock::acquire`.
using LockAcquire = internal::Acquire<Lock>;

/// A lock that one task holds at a time. Waiting for it does not block the loop.
///
/// The lock is not recursive: a task that acquires it a second time waits for ever.
/// Lifetime: the lock must outlive every `Held` of it. Tasks that still wait when the lock is
/// destroyed wait on until they are cancelled, also a task that was woken and has not run yet.
/// Python: `asyncio.Lock`; `async with lock:` is `auto held = co_await lock.acquire();`.
class Lock {
public:
    Lock() noexcept = default;
    ~Lock() { waiting_.abandon_and_warn("a lock"); }

    /// Waits until the lock is free and every earlier waiter has had it, and takes it.
    /// Returns a `Held<Lock>`, whose destructor releases the lock. Give it a name: without one it
    /// is destroyed at once.
    ///
    /// Throws: RuntimeError if the call must wait and is not awaited in a task, or if the lock
    /// belongs to another loop.
    /// Cancellation: a cancellation point if it must wait; when cancelled, the lock is not held.
    /// Python: `lock.acquire()`, which returns True.
    LockAcquire acquire() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND { return LockAcquire(*this); }

    /// Whether a task holds the lock.
    bool locked() const noexcept { return locked_; }

    /// Releases the lock and wakes the first waiter, which runs in the next iteration. For a lock
    /// whose `Held` was told to `keep`; otherwise the `Held` releases the lock.
    /// Throws: RuntimeError if the lock is not held, or if a `Held` holds it. Python's pair of
    /// statements, `acquire` and later `release`, leads to this error: without a name the `Held` is
    /// destroyed at once, and the lock is free again before `release`.
    void release() {
        waiting_.check_thread();
        if (!kept_) [[unlikely]]
            internal::throw_runtime_error(
                locked_ ? "release: the object that acquire() returned releases the lock; keep it "
                          "in a variable: auto held = co_await lock.acquire()"
                        : "release: the lock is not held; the object that acquire() returns holds "
                          "it, so keep it in a variable: auto held = co_await lock.acquire()");
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

    /// For `Held`: its destructor, and its `keep`.
    void release_held(HeldSince) noexcept { unlock(); }
    void keep_held() noexcept { kept_ = true; }
    void unlock() noexcept {
        locked_ = kept_ = false;
        waiting_.wake_front();
    }
    /// Takes the lock if it is free and no task waits for it.
    bool try_acquire() noexcept {
        if (locked_ || waiting_.occupied()) return false;
        return locked_ = true;
    }
    /// The end of a wait. Takes the lock; a cancelled waiter wakes the next one instead, if the
    /// lock is free.
    bool end_wait(internal::QueuedWaiter& waiter, bool cancelled) noexcept {
        waiter.leave();
        if (!cancelled) return locked_ = true;
        if (!locked_) waiting_.wake_front();
        return false;
    }

    internal::WaitQueue waiting_;
    bool locked_ = false;
    /// The lock is held without a `Held`: the program has to call `release`.
    bool kept_ = false;
};

}  // namespace asyncio
