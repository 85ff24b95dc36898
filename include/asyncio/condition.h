#pragma once
// Waiting for a state that a lock protects, and being told when it may have changed.
//
// A wait has two parts: until the notification, and until the lock is held again. It returns, and
// also throws, with the lock held, so a cancellation has to go through the second part as well: it
// ends the first one at once, and during the second it is noted and the lock goes on being waited
// for, as in CPython at the end of the line. Only then is it thrown. A waiter that leaves with an
// exception may have used up a notification, so it notifies somebody else; that one has been woken
// for nothing at the worst, which the rules of conditions allow: look again, and wait again.
//
// All of that happens in nodes of the awaiter. The task itself does not run until the wait is over.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/internal/body.h>
#include <asyncio/lock.h>
#include <asyncio/lowlevel/awaiting.h>

#include <concepts>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

namespace asyncio {

class Condition;

namespace internal {

/// A place among all who wait in a condition, in whichever part of the wait.
struct ConditionMember : ListNode {};

class ConditionAwaiter final : public QueuedWaiter, public ConditionMember {
public:
    explicit ConditionAwaiter(Condition& condition) noexcept;

    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        begin();
        park(coroutine, &abort);
    }
    void await_resume() { finish(interrupted()); }
    Outcome<void> take_outcome() { return finish_quietly(interrupted()); }

private:
    friend Condition;

    /// The turn of a waiter that was cancelled. Its own node is still in line then.
    struct CancelledTurn : Ready {
        ConditionAwaiter* wait;
    };

    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept;
    void begin();
    void take_turn() noexcept;
    bool end_part() noexcept;
    bool interrupted() noexcept;
    bool forget_condition(bool lock_goes) noexcept;
    /// The lock has gone, so the wait ends without it.
    bool lock_is_gone() const noexcept { return notified_ && detached(); }

    Condition* condition_;  // null once it is gone
    Lock& lock_;
    CancelledTurn cancelled_turn_;
    bool notified_ = false;
    /// How the lock was held when the wait began, and is to be held when it ends.
    bool was_kept_ = false;
};

}  // namespace internal

/// What `Condition::wait` returns.
using ConditionWait = lowlevel::Awaiting<internal::ConditionAwaiter, Condition&>;

/// A lock, and a place to wait for news about what it protects.
///
/// ```
/// auto held = co_await changed.acquire();
/// co_await changed.wait_for([&] { return !jobs.empty(); });
/// ```
/// Lifetime: may go while tasks wait in it; they wait on until they are cancelled. A lock of its
/// own goes with it, and CancelledError is then thrown without the lock. What is held of a lock
/// must go before that lock, during a wait too: so a condition must outlive the tasks that came to
/// it with a `Held`, as `acquire` returns it, unless its lock is one from outside that does.
/// Python: `asyncio.Condition`.
class Condition {
public:
    /// With a lock of its own.
    Condition() noexcept : lock_(own_lock_) {}
    /// With a lock that several conditions may share; it must live as long as this, and until the
    /// tasks that wait here have it back.
    explicit Condition(Lock& lock) noexcept : lock_(lock) {}
    ~Condition() {
        if (!members_.empty()) [[unlikely]]
            abandon();
    }

    /// The lock's. What is held stays valid during `wait`, which releases the lock and takes it
    /// back.
    LockAcquire acquire() noexcept { return lock_.acquire(); }
    bool locked() noexcept { return lock_.locked(); }
    void release() { lock_.release(); }

    /// Releases the lock, waits until notified, and takes the lock again.
    ///
    /// May return without a notification meant for this task; see `wait_for`.
    /// Throws: RuntimeError if the lock is not held, it is not awaited in a task, or the condition
    /// or its lock has been waited for in another loop. Nothing has happened then.
    /// Cancellation: always a cancellation point; the lock is held again when CancelledError is
    /// thrown, which may take as long as others hold it. A notification is passed on.
    /// Python: `condition.wait()`, which returns True.
    ConditionWait wait() noexcept { return ConditionWait(*this); }

    /// Waits until `predicate()` holds; looks first, and after every notification. The lock is held
    /// whenever it looks. Returns what `predicate` has returned.
    ///
    /// Throws and Cancellation: as `wait`, and what `predicate` throws.
    /// Python: `condition.wait_for(predicate)`.
    template <class Predicate>
        requires std::predicate<std::decay_t<Predicate>&>
    auto wait_for(Predicate&& predicate) {
        internal::require_safe_closure<Predicate>();
        return wait_until_true(std::decay_t<Predicate>(std::forward<Predicate>(predicate)));
    }

    /// Wakes the `count` tasks that have waited longest, or all if they are fewer. They return when
    /// the caller has released the lock and each has had it.
    /// Throws: RuntimeError if the lock is not held.
    void notify(std::size_t count = 1);
    /// Wakes all. Throws: RuntimeError if the lock is not held.
    void notify_all();

private:
    friend internal::ConditionAwaiter;

    template <class Predicate>
    Coro<std::decay_t<std::invoke_result_t<Predicate&>>> wait_until_true(Predicate predicate) {
        auto result = std::invoke(predicate);
        while (!result) {
            co_await wait();
            result = std::invoke(predicate);
        }
        co_return result;
    }
    void require_locked(const char* refusal);
    void abandon() noexcept;

    Lock own_lock_;
    Lock& lock_;
    internal::WaitQueue waiting_;
    /// All whose wait has begun and not ended, those too that wait for the lock.
    internal::IntrusiveList<internal::ConditionMember> members_;
};

}  // namespace asyncio
