#pragma once
// What scenarios are made of.

#include <asyncio/context.h>
#include <asyncio/future.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "sweep.h"

#include <chrono>
#include <string>

namespace allocations {

/// Counts what is alive of it, as arguments of coroutines are.
struct Block {
    Block() : text("longer than what a string keeps inside itself") {}
    std::string text;
};

inline constexpr auto long_text = "a text that is longer than what a string keeps inside itself";

/// Waits once. Its frame has a block of its own.
inline asyncio::Coro<int> part(int value) {
    const Block block;
    co_await asyncio::sleep(std::chrono::milliseconds(1));
    co_return value;
}

/// A task that was cancelled has ended as that, or was short of memory itself.
template <class T>
void require_cancelled(const asyncio::Task<T>& task) {
    if (!task.cancelled()) static_cast<void>(task.result());
    require(task.cancelled(), "ended as cancelled");
}

inline asyncio::Coro<> nothing() { co_return; }

inline asyncio::Coro<> sleep_for(int milliseconds) {
    co_await asyncio::sleep(std::chrono::milliseconds(milliseconds));
}

/// Until it is cancelled.
inline asyncio::Coro<> wait_for_ever() {
    const Block block;
    co_await asyncio::sleep(std::chrono::hours(24 * 365));
}

inline asyncio::Coro<> wait_for_task(asyncio::Task<> task) { co_await task; }

inline asyncio::Coro<int> wait_for_future(asyncio::Future<int> future) {
    co_return co_await future;
}

inline asyncio::Coro<int> current_context_of(asyncio::Task<int> task) {
    asyncio::Context context = task.get_context();
    co_return co_await task;
}

}  // namespace allocations
