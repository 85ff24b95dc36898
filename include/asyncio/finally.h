#pragma once
// `finally_`: a cleanup that may wait, after a body that may end in any way.
//
// In C++ a destructor cannot await, and neither can a `catch` handler. A cleanup that has to await
// is therefore the second argument of a scope, which runs it in every case.
//
// The cleanup runs under a mask (`internal/core/cancel_mask.h`). The cancellation that ended the
// body has been delivered. A second one would otherwise interrupt the cleanup, as it does in
// Python, and leave things half closed.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/internal/core/body.h>
#include <asyncio/internal/core/cancel_mask.h>
#include <asyncio/internal/scopes/joined_errors.h>

#include <exception>
#include <functional>
#include <type_traits>

namespace asyncio {
namespace internal {

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
    co_return co_await leave_with(outcome);
}

}  // namespace internal

namespace no_adl {

/// Runs `body`, and then `cleanup`, also if the body has ended by an error or a cancellation:
/// `co_await finally_([&]() -> Coro<int> { … }, [&]() -> Coro<> { … })`.
///
/// Both run in the calling task.
/// Returns the value of the body.
/// Throws: the error of the body or of the cleanup. If both throw, an ExceptionGroup with both
/// errors; if one of the two is a CancelledError, the other one alone.
/// Cancellation: reaches the body. While the cleanup runs, requests from outside are held back; the
/// next await that waits, after the scope, delivers them. Limits inside the cleanup work, and a
/// cleanup that may take for ever needs one.
/// Lifetime: capture by reference, `[&]`; the closures live until the await returns.
/// Python: `try: … finally: …` with awaits; there a second cancellation interrupts the cleanup.
template <class Body, class Cleanup>
// Python's word, with an underscore because some compilers treat `finally` as a keyword.
// NOLINTNEXTLINE(readability-identifier-naming)
auto finally_(Body&& body, Cleanup&& cleanup) {
    internal::require_safe_closure<Body>();
    internal::require_safe_closure<Cleanup>();
    return internal::finally_scope<std::decay_t<Body>, std::decay_t<Cleanup>>(
        std::forward<Body>(body), std::forward<Cleanup>(cleanup));
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
