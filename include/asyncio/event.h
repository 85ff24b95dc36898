#pragma once
// A flag that tasks can wait for: once it is set, every waiter continues.
//
// Thread-safety: loop thread only; from another thread: `call_soon_threadsafe([&] { event.set();
// })`.

#include <asyncio/internal/base/lifetime.h>
#include <asyncio/internal/sync/wait_queue.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/outcome.h>

namespace asyncio {

class Event;

namespace internal {

class QueueBase;

/// The awaiter of `Event::wait`.
class EventAwaiter final : public QueuedWaiter {
public:
    explicit EventAwaiter(Event& event) noexcept : event_(event) {}

    bool await_ready() noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine);
    void await_resume() { finish(interrupted()); }
    Outcome<void> take_outcome() { return finish_quietly(interrupted()); }

private:
    /// The end of a wait: leaves the line, and says whether a CancelledError is to be thrown. A
    /// task that was woken has nothing to pass on when it is cancelled, because every waiter is
    /// woken.
    bool interrupted();

    Event& event_;
};

}  // namespace internal

/// The return type of `Event::wait`.
using EventWait = lowlevel::Awaiting<internal::EventAwaiter, Event&>;

/// A flag; not set at first.
///
/// Lifetime: the event may be destroyed at any time. A task that `set()` has woken returns from its
/// wait even then. Tasks that are still waiting wait on until they are cancelled.
/// Python: `asyncio.Event`.
class Event {
public:
    Event() noexcept = default;
    ~Event() { waiting_.abandon_and_warn("an event", &keeps_turn); }

    /// Waits until the flag is set. Returns at once if it is set.
    ///
    /// Throws: RuntimeError if the call must wait and is not awaited in a task, or if the event
    /// belongs to another loop. (An event belongs to the first loop in which a task waits for it.)
    /// Cancellation: a cancellation point if it must wait; when cancelled, nothing has changed.
    /// Python: `event.wait()`, which returns True.
    EventWait wait() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND { return EventWait(*this); }

    /// Sets the flag and wakes every task that waits for it, in the order in which they came.
    ///
    /// The tasks run in the next iteration of the loop, not inside this call. They return from
    /// their wait even if `clear()` follows at once. Setting the flag twice is allowed.
    /// Throws: in debug mode RuntimeError, if called on another thread than that of the event's
    /// loop.
    /// Cost: O(waiters), no allocation.
    void set() {
        waiting_.check_thread();
        if (set_) return;
        set_ = true;
        waiting_.wake_all();
    }

    /// Takes the flag back: from now on `wait` waits again. Throws: as `set`.
    void clear() {
        waiting_.check_thread();
        set_ = false;
    }

    /// Whether the flag is set.
    bool is_set() const noexcept { return set_; }

private:
    friend internal::EventAwaiter;
    friend internal::QueueBase;

    /// A waiter that was woken has what it waited for, even if the event is destroyed before it
    /// runs.
    static bool keeps_turn(internal::QueuedWaiter&) noexcept { return true; }

    internal::WaitQueue waiting_;
    bool set_ = false;
    /// This event is the one that `Queue::join` waits for, so errors name that function.
    bool is_of_queue_ = false;
};

inline bool internal::EventAwaiter::await_ready() noexcept { return event_.set_; }

template <class Promise>
void internal::EventAwaiter::await_suspend(std::coroutine_handle<Promise> coroutine) {
    wait_in(event_.waiting_, coroutine, event_.is_of_queue_ ? "Queue::join()" : "Event::wait()");
}

inline bool internal::EventAwaiter::interrupted() {
    if (!parked()) return false;
    leave();
    return cancelled();
}

}  // namespace asyncio
