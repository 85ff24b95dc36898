#pragma once
// What the tests of this room share: coroutines that end in a known way after a known time.

#include <asyncio/exceptions.h>
#include <asyncio/future.h>
#include <asyncio/generator.h>
#include <asyncio/sleep.h>

#include "support/tracked.h"

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

namespace core_help {

inline asyncio::Coro<int> number_after(asyncio::Duration delay, int number) {
    co_await asyncio::sleep(delay);
    co_return number;
}

template <class T = void>
asyncio::Coro<T> fail_after(asyncio::Duration delay, const char* text) {
    co_await asyncio::sleep(delay);
    throw std::runtime_error(text);
}

/// Sleeps for ever; when cancelled, notes it, and fails if it has a text to fail with.
inline asyncio::Coro<> wait_for_the_end(std::string& trace, const char* note,
                                        const char* error = nullptr) {
    try {
        co_await asyncio::sleep(std::chrono::hours(1));
    } catch (const asyncio::CancelledError&) {
        trace += note;
        if (error != nullptr) throw std::runtime_error(error);
        throw;
    }
}

/// How `handle` ends: "value", "cancelled: …" with the reason, "timeout" or "error".
template <class Handle>
asyncio::Coro<std::string> end_of(Handle handle) {
    try {
        co_await handle;
    } catch (const asyncio::CancelledError& cancelled) {
        co_return "cancelled: " + cancelled.message();
    } catch (const asyncio::TimeoutError&) {
        co_return "timeout";
    } catch (const std::exception&) {
        co_return "error";
    }
    co_return "value";
}

/// A future that nobody sets. `watched` expires when it goes.
inline asyncio::Future<int> unset_future(std::weak_ptr<int>& watched) {
    auto never = asyncio::get_running_loop().create_future<int>();
    const auto token = std::make_shared<int>(1);
    watched = token;
    never.add_done_callback([token] {});
    return never;
}

/// Counts for ever; notes how it ends, after a wait.
inline asyncio::AsyncGenerator<int> count(std::string& trace,
                                          support::Tracked = support::Tracked()) {
    std::exception_ptr end;
    try {
        for (int i = 1;; ++i) co_yield i;
    } catch (const asyncio::GeneratorExit&) {
        end = std::current_exception();
        trace += "closing ";
    } catch (...) {
        end = std::current_exception();
        trace += asyncio::describe(end) + " ";
    }
    co_await asyncio::sleep(std::chrono::milliseconds(1));
    trace += "cleaned ";
    std::rethrow_exception(end);
}

}  // namespace core_help
