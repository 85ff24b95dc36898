#pragma once
// Waiting for something that can be held: a lock, a permit of a semaphore.
//
// What is acquired decides three things: whether somebody may come in at once (`try_acquire`), in
// which line the others wait (`waiting_`), and what the end of a wait brings (`end_wait`).
//
// Thread-safety: loop thread only.

#include <asyncio/held.h>
#include <asyncio/internal/wait_queue.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/outcome.h>

#include <coroutine>

namespace asyncio::internal {

template <class Source>
class AcquireAwaiter final : public QueuedWaiter {
public:
    explicit AcquireAwaiter(Source& source) noexcept : source_(source) {}

    bool await_ready() noexcept { return source_.try_acquire(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(source_.waiting_, coroutine, Source::acquire_name);
    }
    Held<Source> await_resume() {
        if (!obtained()) [[unlikely]]
            task().throw_cancelled();
        return Held<Source>(source_);
    }
    /// For those who pass a cancellation on as a value.
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
    bool obtained() {
        if (!parked()) return true;
        const bool is_cancelled = cancelled();
        if (is_cancelled && detached()) return false;
        return source_.end_wait(*this, is_cancelled);
    }

    Source& source_;
};

/// What `acquire` returns.
template <class Source>
using Acquire = lowlevel::Awaiting<AcquireAwaiter<Source>, Source&>;

}  // namespace asyncio::internal
