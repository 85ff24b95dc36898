#pragma once
// `Join`: a wait for the end of a future, which no cancellation can cut short.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/core/future_base.h>
#include <asyncio/lowlevel/waiter.h>

#include <coroutine>

namespace asyncio::internal {

/// Waits until `future` is done, whatever its end, and passes no cancellation on to it. Requests
/// that come meanwhile are delivered at the next wait. For scopes that must not be left before a
/// child has ended.
class Join : public lowlevel::Waiter {
public:
    explicit Join(FutureBase& future) noexcept : future_(future) {}

    bool await_ready() const noexcept { return future_.done(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        future_.notify(task());
        park(coroutine, &cannot_abort);
    }
    void await_resume() const noexcept {}

private:
    FutureBase& future_;
};

}  // namespace asyncio::internal
