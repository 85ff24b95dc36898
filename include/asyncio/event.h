#pragma once
// A flag that tasks can wait for.
//
// Thread-safety: loop thread only; from another thread: `call_soon_threadsafe([&] { event.set();
// })`.

#include <asyncio/internal/wait_queue.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/outcome.h>

namespace asyncio {

class Event;

namespace internal {

class QueueBase;

class EventAwaiter final : public QueuedWaiter {
public:
    explicit EventAwaiter(Event& event) noexcept : event_(event) {}

    bool await_ready() noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine);
    void await_resume() { finish(interrupted()); }
    Outcome<void> take_outcome() { return finish_quietly(interrupted()); }

private:
    bool interrupted();

    Event& event_;
};

}  // namespace internal

/// What `Event::wait` returns.
using EventWait = lowlevel::Awaiting<internal::EventAwaiter, Event&>;

/// A flag; not set at first.
///
/// Lifetime: may go at any time. Tasks that were woken by `set()` return from their wait all the
/// same; those that wait when it goes wait on until they are cancelled.
/// Python: `asyncio.Event`.
class Event {
public:
    Event() noexcept = default;
    ~Event() { waiting_.abandon_and_warn("an event", &keeps_turn); }

    /// Waits until the flag is set; returns at once if it is.
    ///
    /// Throws: RuntimeError if it must wait and is not awaited in a task, or the event has been
    /// waited for in another loop.
    /// Cancellation: a cancellation point if it must wait; when cancelled, nothing has changed.
    /// Python: `event.wait()`, which returns True.
    EventWait wait() noexcept { return EventWait(*this); }

    /// Sets the flag and wakes every task that waits for it, in the order in which they came.
    ///
    /// They run in the next iteration of the loop, not inside this call, and they have been woken
    /// even if `clear()` follows at once. Setting it twice is allowed.
    /// Throws: in debug mode RuntimeError on another thread than that of the loop in which the
    /// event has been waited for.
    /// Cost: O(waiters), no allocation.
    void set() {
        waiting_.check_thread();
        if (set_) return;
        set_ = true;
        waiting_.wake_all();
    }

    /// From now on tasks that wait do wait. Throws: as `set`.
    void clear() {
        waiting_.check_thread();
        set_ = false;
    }

    bool is_set() noexcept { return set_; }

private:
    friend internal::EventAwaiter;
    friend internal::QueueBase;

    /// That it was set is all that an event has to give.
    static bool keeps_turn(internal::QueuedWaiter&) noexcept { return true; }

    internal::WaitQueue waiting_;
    bool set_ = false;
    /// This is what `Queue::join` waits for.
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
