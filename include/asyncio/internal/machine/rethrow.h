#pragma once
// Throwing an error again in a coroutine that awaits, at a fifth of what a throw usually costs.
//
// An error that ends a stack of coroutines is thrown again in each of them: each coroutine ends
// with the error, and its parent gets it from the await. A request to cancel usually takes this way
// through all coroutines of a task. How the throw is made cheap is explained in rethrow.cpp.

#include <exception>

namespace asyncio::internal {

/// Throws what `error` holds, as `std::rethrow_exception` does; `error` is null afterwards. Must
/// not be null before.
///
/// The throw is quick where the call has been inlined into the coroutine that catches the error,
/// even if the coroutine catches it only to end with it. Elsewhere it is the usual throw.
///
/// The mark `cold` makes the usual throw faster. The compiler puts the code that leads to a cold
/// call apart from the usual path, and a throw from there passes a frame in two thirds of the time.
/// The reason is how the unwinder finds the registers: it replays what the function has done to the
/// stack, from its beginning up to the throw. The part that stands apart has done very little.
///
/// Thread-safety: any thread.
[[noreturn, gnu::cold]] void rethrow(std::exception_ptr& error) asm("asyncio_rethrow");

/// Keeps `error` in a variable of the thread, for `rethrow`, which takes a reference. The caller
/// must throw at once. A local variable would burden the frame and the usual path of the calling
/// function.
[[gnu::cold]] std::exception_ptr& to_throw(const std::exception_ptr& error) noexcept;

}  // namespace asyncio::internal
