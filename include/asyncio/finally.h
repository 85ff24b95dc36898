#pragma once
// `finally_`: a cleanup that may wait, after a body that may end in any way.
//
// A destructor cannot await, and neither can a `catch` handler. What has to be awaited on the way
// out is therefore the second argument of a scope.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/internal/body.h>
#include <asyncio/internal/cancel_mask.h>

#include <exception>
#include <functional>
#include <type_traits>
#include <vector>

namespace asyncio {
namespace internal {

/// One error of several, in the order in which they came, so that none is lost: a cancellation
/// gives way to errors, and several of those make an ExceptionGroup. Null for none.
std::exception_ptr joined_errors(std::vector<std::exception_ptr> errors, const char* message);

template <class Body, class Cleanup>
Coro<typename BodyResultOf<std::invoke_result_t<Body&>>::type> finally_scope(Body body,
                                                                             Cleanup cleanup) {
    using T = typename BodyResultOf<std::invoke_result_t<Body&>>::type;
    TaskCore& task = running_task("asyncio::finally_()");
    Outcome<T> outcome = co_await settled_call(body);
    using Cleaned = AwaitResult<std::invoke_result_t<Cleanup&>>;
    Outcome<Cleaned> cleaned;
    {
        const CancelMask mask(task);
        cleaned = co_await settled_call(cleanup);
    }
    if (cleaned.failed())
        outcome.fail(joined_errors({outcome.error(), cleaned.error()},
                                   "errors of a body and of its cleanup"));
    if constexpr (std::is_void_v<T>) {
        co_await LeaveWith{outcome};
        co_return;
    } else {
        co_return std::move(outcome);
    }
}

}  // namespace internal

/// Runs `body`, and then `cleanup`, however the body has ended: by a value, an error, or a
/// cancellation. `co_await finally_([&]() -> Coro<int> { … }, [&]() -> Coro<> { … })`.
///
/// Both run in the calling task.
/// Returns what the body returns. Throws: what the body throws; what the cleanup throws; if both
/// throw, an ExceptionGroup with both, where a cancellation does not count: the other one's error
/// leaves then.
/// Cancellation: reaches the body. While the cleanup runs, requests from outside wait until it has
/// ended, and are felt at the next wait after it; limits inside the cleanup work. A cleanup that
/// may take for ever needs one.
/// Lifetime: capture by reference, `[&]`; the closures live until the await returns.
/// Python: `try: … finally: …` with awaits; there a second cancellation interrupts the cleanup.
template <class Body, class Cleanup>
// Python's word, which some compilers have for a keyword.
// NOLINTNEXTLINE(readability-identifier-naming)
auto finally_(Body&& body, Cleanup&& cleanup) {
    internal::require_safe_closure<Body>();
    internal::require_safe_closure<Cleanup>();
    return internal::finally_scope<std::decay_t<Body>, std::decay_t<Cleanup>>(
        std::forward<Body>(body), std::forward<Cleanup>(cleanup));
}

}  // namespace asyncio
