#pragma once
// How awaiting something ended, in words.

#include <asyncio/coro.h>
#include <asyncio/exceptions.h>

#include <exception>
#include <string>
#include <utility>

namespace support {

/// Awaits. "value", or what `describe` says of what was thrown: "cancelled: why", an error's text.
template <class Awaitable>
asyncio::Coro<std::string> how(Awaitable awaitable) {
    std::string end = "value";
    try {
        co_await std::move(awaitable);
    } catch (...) {
        end = asyncio::describe(std::current_exception());
    }
    co_return end;
}

}  // namespace support
