#pragma once
// What the tests of threads share.

#include <asyncio/internal/core/awaitable.h>
#include <asyncio/sleep.h>

#include <atomic>
#include <chrono>
#include <semaphore>
#include <utility>

namespace threads_test {

using Semaphore = std::counting_semaphore<1000>;

/// Counts its living instances, on whatever thread they live.
class Counted {
public:
    Counted() { ++count(); }
    Counted(const Counted&) { ++count(); }
    Counted& operator=(const Counted&) = default;
    ~Counted() { --count(); }

    static int alive() { return count(); }

private:
    static std::atomic<int>& count() {
        static std::atomic<int> instances = 0;
        return instances;
    }
};

/// For an executor.
inline int square(int number) { return number * number; }

/// A coroutine for another loop.
inline asyncio::Coro<int> add(int a, int b) {
    co_await asyncio::sleep(std::chrono::milliseconds(1));
    co_return a + b;
}

/// Waits, and lets the loop run, until `condition` holds.
inline asyncio::Coro<> until(const std::atomic<bool>& condition) {
    while (!condition) co_await asyncio::sleep(std::chrono::milliseconds(1));
}

/// Awaits the end of a future, a task or a coroutine. Whether it was cancelled.
template <class Awaitable>
asyncio::Coro<bool> ends_cancelled(Awaitable awaitable) {
    const auto outcome = co_await asyncio::internal::settle(std::move(awaitable));
    co_return outcome.cancelled();
}

}  // namespace threads_test
