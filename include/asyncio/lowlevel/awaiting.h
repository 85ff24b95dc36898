#pragma once
// The return type of functions that wait: a small value that makes its awaiter when it is awaited.
//
// While a task waits, other objects know the address of its awaiter: the awaiter stands in a list,
// and its alarm in the heap of the loop. So the awaiter must be made where it stays, in the frame
// of the coroutine that awaits. A function like `sleep` cannot make it there, because its caller
// may keep the returned value, pass it on, or give it to `gather`. The function returns an
// `Awaiting` instead, which holds the argument of the awaiter. `operator co_await` makes the
// awaiter in place; the language guarantees that it is not copied.
//
// Thread-safety: none.

#include <utility>

namespace asyncio::lowlevel {

/// Makes an `Awaiter` from its argument `Given`: a value, which is copied, or a reference to an
/// object that must live until the await returns.
template <class Awaiter, class Given>
class [[nodiscard]] Awaiting {
public:
    explicit Awaiting(Given given) : given_(std::forward<Given>(given)) {}
    Awaiter operator co_await() const { return Awaiter(given_); }

private:
    Given given_;
};

}  // namespace asyncio::lowlevel
