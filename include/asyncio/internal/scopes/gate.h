#pragma once
// An event that happens once, for `TaskGroup::start`.
//
// A `Future` would be cancelled together with the task that awaits it, and an `Event` throws a
// cancellation that comes after the event. Here an event that has happened wins: the child is
// ready, and the caller of `start` gets its value.
//
// Thread-safety: loop thread only.

#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/outcome.h>

#include <coroutine>

namespace asyncio::internal {

/// Opens once, and wakes the tasks that wait for it.
class Gate {
public:
    class Passage;
    using Wait = lowlevel::Awaiting<Passage, Gate&>;

    Gate() noexcept = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    /// `co_await gate.opened()`. If the gate is open when a cancellation comes, the wait has
    /// succeeded, and the request stays with the task.
    Wait opened() noexcept { return Wait(*this); }
    bool is_open() const noexcept { return open_; }
    /// The tasks run in the next iteration. Opening twice is allowed.
    void open() noexcept {
        open_ = true;
        while (!waiting_.empty()) waiting_.front().wake();
    }

private:
    lowlevel::Line waiting_;
    bool open_ = false;
};

/// The awaiter of `opened`.
class Gate::Passage : public lowlevel::LineWaiter {
public:
    explicit Passage(Gate& gate) noexcept : gate_(gate) {}

    bool await_ready() const noexcept { return gate_.open_; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(gate_.waiting_, coroutine);
    }
    void await_resume() { resumed_with_effect(); }
    Outcome<void> take_outcome() { return outcome_of_wait(interrupted_quietly()); }

private:
    Gate& gate_;
};

}  // namespace asyncio::internal
