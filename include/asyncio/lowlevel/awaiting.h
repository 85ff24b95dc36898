#pragma once
// What a function returns that waits: a small value that makes its awaiter when it is awaited.
//
// An awaiter has an address that others know while the task waits: it stands in a list, its alarm
// in the heap of the loop. So it must be made where it stays, which is the frame of the coroutine
// that awaits. The function that is called first cannot do that, since its caller may keep what it
// returns, hand it on, or give it to `gather`. It returns an `Awaiting` instead, which holds what
// the awaiter is made of, and `operator co_await` makes the awaiter in place.

#include <utility>

namespace asyncio::lowlevel {

/// `Given` is what an `Awaiter` is made of: a value, which is copied, or a reference to what must
/// live until the await returns.
template <class Awaiter, class Given>
class [[nodiscard]] Awaiting {
public:
    explicit Awaiting(Given given) : given_(std::forward<Given>(given)) {}
    Awaiter operator co_await() const { return Awaiter(given_); }

private:
    Given given_;
};

}  // namespace asyncio::lowlevel
