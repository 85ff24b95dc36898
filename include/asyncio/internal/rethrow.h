#pragma once
// Throwing an error again in a coroutine that awaits, at a fifth of what a throw usually costs.
//
// An error that ends a stack of coroutines is thrown anew in each of them, for each has ended with
// it, and the next one waits for that end. A request to cancel does so as a matter of course. How
// the throw is made cheap is told in rethrow.cpp.

#include <exception>

namespace asyncio::internal {

/// Throws what `error` holds, as `std::rethrow_exception` does; `error` is null afterwards. Must
/// not be null before.
///
/// It is quick where the call has been inlined into the coroutine that catches the error, be it
/// only in order to end with it; elsewhere it is the usual throw.
///
/// That it is marked cold helps the usual one. The compiler puts what leads to a cold call apart
/// from the code that is usually run, and a throw from there passes a frame in two thirds of the
/// time: to find the registers the unwinder replays what the function has done to the stack from
/// its beginning up to the throw, and the part that stands apart has done next to nothing.
///
/// Thread-safety: any thread.
[[noreturn, gnu::cold]] void rethrow(std::exception_ptr& error) asm("asyncio_rethrow");

/// Another `error` of the same thread to give to `rethrow`, at once. It is kept outside the calling
/// function, whose frame and whose usual path it would burden.
[[gnu::cold]] std::exception_ptr& to_throw(const std::exception_ptr& error) noexcept;

}  // namespace asyncio::internal
