#pragma once
// Waiting for something that can be held: a lock, a permit of a semaphore.
//
// The source (`Lock`, `Semaphore`) decides three things: whether a caller may come in at once
// (`try_acquire`), in which line the others wait (`waiting_`), and what the end of a wait brings
// (`end_wait`). The awaiter is the same for all sources. It is a template over the source and not a
// base class with virtual functions, because an uncontended `acquire` is then one inlined test.
//
// Thread-safety: loop thread only.

#include <asyncio/held.h>
#include <asyncio/internal/sync/wait_queue.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/outcome.h>

#include <coroutine>

namespace asyncio::internal {

template <class Source>
/// The awaiter. An uncontended acquire never suspends, and is no cancellation point, as in Python.
class AcquireAwaiter final : public QueuedWaiter {
public:
    explicit AcquireAwaiter(Source& source) noexcept : source_(source) {}

    bool await_ready() noexcept { return source_.try_acquire(); }
    /// Errors name `acquire_name`, the function that the program has called.
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(source_.waiting_, coroutine, Source::acquire_name);
    }
    Held<Source> await_resume() {
        if (!obtained()) [[unlikely]]
            task().throw_cancelled();
        return Held<Source>(source_);
    }
    /// For `settle`: a cancellation comes as a value.
    Outcome<Held<Source>> take_outcome() {
        Outcome<Held<Source>> outcome;
        if (obtained()) {
            outcome.emplace(source_);
        } else {
            outcome.fail(task().take_cancellation());
        }
        return outcome;
    }

private:
    /// Whether the source is held. A detached waiter (its lock was destroyed) is only resumed by a
    /// cancellation, and must not touch the source.
    bool obtained() {
        if (!parked()) return true;
        const bool is_cancelled = cancelled();
        if (is_cancelled && detached()) return false;
        return source_.end_wait(*this, is_cancelled);
    }

    Source& source_;
};

/// The return type of `acquire`. The awaiter is made in the frame of the coroutine that awaits,
/// where it stays.
template <class Source>
using Acquire = lowlevel::Awaiting<AcquireAwaiter<Source>, Source&>;

}  // namespace asyncio::internal
