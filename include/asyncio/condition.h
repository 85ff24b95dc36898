#pragma once
// Waiting for a state that a lock protects: a task sleeps until another task says that the state
// may have changed.
//
// A wait has two parts. In the first part the lock is free and the task waits for a notification.
// In the second part the task waits for the lock. The wait ends with the lock held, in every case,
// also when it ends with an exception: the code around the wait protects its state with the lock,
// and must find it held.
//
// Cancellation has to respect this. A request ends the first part at once, but the wait continues
// with the second part, at the end of the lock's line, as in CPython. A request during the second
// part is noted, and the task continues waiting for the lock. In both cases the CancelledError is
// thrown when the lock is held again. The price is that a cancellation may take as long as other
// tasks hold the lock.
//
// No notification is lost. A waiter that leaves with an exception may have used up a notification,
// so it notifies the next waiter. At worst the next waiter is woken for nothing. The rules of
// conditions allow this: a woken task looks at the state again, and waits again if it has to.
// `wait_for` is the loop that does so.
//
// Both parts happen in nodes of the awaiter. The task itself does not run until its wait is over:
// `take_turn` runs in the iteration of the wake-up, tries to take the lock, and moves the same node
// to the lock's line if it cannot. A wake-up of a hundred waiters therefore resumes no task that
// would only queue for the lock. The price is that this class knows how `Lock` works (it is a
// friend), instead of using `acquire`.
//
// A cancelled waiter needs a second node. Its first node keeps its place in the line for one more
// iteration, as the rules of `internal/sync/wait_queue.h` demand, while `cancelled_turn_` is
// already in the ready queue.
//
// A condition may be destroyed while tasks wait in it. `members_` lists all of them, in both parts,
// so that the destructor can tell each of them. A waiter that only waits for a lock from outside
// does not notice. The others wait until they are cancelled; if the lock was the condition's own,
// their CancelledError comes without the lock.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/internal/base/lifetime.h>
#include <asyncio/internal/core/body.h>
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

/// A place in the list of all tasks that wait in a condition, in either part of the wait.
struct ConditionMember : ListNode {};

/// The awaiter of `Condition::wait`. As a `QueuedWaiter` it stands in the line of the condition
/// first, and in the line of the lock afterwards.
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

    /// The node that runs for a cancelled waiter, whose own node is still in the line then.
    struct CancelledTurn : Ready {
        ConditionAwaiter* wait;
    };

    /// Answers `passed_on`, since the task is not resumed by the request: the node runs first and
    /// waits for the lock.
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept;
    /// Enters the line and releases the lock. Refuses before that: a wait that throws has not
    /// released anything.
    void begin();
    /// The node has been woken. Ends the first part, or the second; resumes the task when the lock
    /// is held.
    void take_turn() noexcept;
    /// Leaves the present line. True if the task holds the lock now.
    bool end_part() noexcept;
    /// The end of the wait: whether a CancelledError is to be thrown. Passes a notification on if
    /// so.
    bool interrupted() noexcept;
    /// The condition is being destroyed. True if the task waits on, until it is cancelled.
    bool forget_condition(bool lock_goes) noexcept;
    /// The lock has been destroyed, so the wait ends without it.
    bool lock_is_gone() const noexcept { return notified_ && detached(); }

    /// Null once the condition has been destroyed.
    Condition* condition_;
    Lock& lock_;
    CancelledTurn cancelled_turn_;
    bool notified_ = false;
    /// Whether the lock was held by `keep` when the wait began. It is held in the same way when the
    /// wait ends, so that `release` works afterwards if it worked before.
    bool was_kept_ = false;
};

}  // namespace internal

/// The return type of `Condition::wait`.
using ConditionWait = lowlevel::Awaiting<internal::ConditionAwaiter, Condition&>;

/// A lock, and a place to wait for a change of the state that the lock protects.
///
/// ```
/// auto held = co_await changed.acquire();
/// co_await changed.wait_for([&] { return !jobs.empty(); });
/// ```
/// Lifetime: the condition may be destroyed while tasks wait in it. They wait on until they are
/// cancelled. If the lock is the condition's own, it is destroyed as well, and the CancelledError
/// is then thrown without the lock. A `Held` must be destroyed before its lock, also during a wait.
/// So a condition with a lock of its own must outlive every task that waits in it with a `Held`,
/// which is what `acquire` returns. With a lock from outside, only that lock must.
/// Python: `asyncio.Condition`.
class Condition {
public:
    /// Makes a condition with a lock of its own.
    Condition() noexcept : lock_(own_lock_) {}
    /// Makes a condition on `lock`, which several conditions may share. Lifetime: the lock must
    /// outlive the condition, and live until the tasks that wait here have taken it back.
    explicit Condition(Lock& lock) noexcept : lock_(lock) {}
    ~Condition() {
        if (!members_.empty()) [[unlikely]]
            abandon();
    }

    /// As the functions of the lock. A `Held` from `acquire` stays valid during `wait`, which
    /// releases the lock and takes it back.
    LockAcquire acquire() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND { return lock_.acquire(); }
    bool locked() const noexcept { return lock_.locked(); }
    void release() { lock_.release(); }

    /// Releases the lock, waits until the task is notified, and takes the lock again.
    ///
    /// The wait may also end without a notification meant for this task, so look at the state
    /// again: `wait_for` does.
    /// Throws: RuntimeError if the lock is not held, if the wait is not awaited in a task, or if
    /// the condition or its lock belongs to another loop. Nothing has changed then.
    /// Cancellation: always a cancellation point. The lock is held again when the CancelledError is
    /// thrown, which may take as long as other tasks hold it. A notification that was meant for
    /// this task goes to the next one.
    /// Python: `condition.wait()`, which returns True.
    ConditionWait wait() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND { return ConditionWait(*this); }

    /// Waits until `predicate()` is true. Calls it first, and again after every notification,
    /// always with the lock held. If it is true at the first call, this does not wait.
    /// Returns the last result of `predicate`.
    ///
    /// Throws: as `wait`; what `predicate` throws. Cancellation: as `wait`.
    /// Python: `condition.wait_for(predicate)`.
    template <class Predicate>
        requires std::predicate<std::decay_t<Predicate>&>
    auto wait_for(Predicate&& predicate) {
        internal::require_safe_closure<Predicate>();
        return wait_until_true(std::decay_t<Predicate>(std::forward<Predicate>(predicate)));
    }

    /// Wakes the `count` tasks that have waited longest, or all if there are fewer. Each returns
    /// from its wait when it has got the lock, so not before the caller has released it.
    /// Throws: RuntimeError if the lock is not held.
    void notify(std::size_t count = 1);
    /// Wakes all tasks that wait. Throws: RuntimeError if the lock is not held.
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
    /// Throws: RuntimeError with the text `refusal` if the lock is not held by any task.
    void require_locked(const char* refusal);
    /// For the destructor: tells every waiter that the condition is gone.
    void abandon() noexcept;

    Lock own_lock_;
    Lock& lock_;
    internal::WaitQueue waiting_;
    /// All waits that have begun and not ended, those in the second part included.
    internal::IntrusiveList<internal::ConditionMember> members_;
};

}  // namespace asyncio
