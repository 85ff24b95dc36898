#pragma once
// A coroutine of no library: it starts at once, is no task, and goes on wherever what it awaits
// resumes it. So a test can await in a callback, and where no loop runs.

#include <asyncio/exceptions.h>

#include <coroutine>
#include <exception>
#include <string>

namespace support {

struct Detached {
    struct promise_type {
        Detached get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};

/// Awaits what `make()` gives, outside every task. `end` tells how that ended: "value", or what
/// was thrown; it stays as it is while the coroutine waits.
template <class Make>
Detached await_detached(Make& make, std::string& end) {
    try {
        co_await make();
        end = "value";
    } catch (...) {
        end = asyncio::describe(std::current_exception());
    }
}

}  // namespace support
