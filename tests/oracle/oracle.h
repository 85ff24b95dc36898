#pragma once
// What the scenarios of this folder are written with. Each has a twin of the same name in Python,
// in the file of the same stem; both print "tick task: event", line by line, and the lines must be
// equal. What Python says is asked of the system's `python3`, once per file.
//
// A tick is an iteration of the loop in which something ran. Time is virtual on every back-end:
// where the loop would wait for a timer, it is that time (see `clock.h`).
//
// A scenario whose trace CPython could not give is told apart by the Python side (`oracle.py`).

#include <asyncio.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

namespace oracle {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::Duration;
using asyncio::EventLoop;
using asyncio::Future;
using asyncio::gather;
using asyncio::gather_settled;
using asyncio::Runner;
using asyncio::shield;
using asyncio::sleep;
using asyncio::Task;
using asyncio::task_group;
using asyncio::TaskGroup;
using asyncio::timeout;
using asyncio::Timeout;
using asyncio::wait_for;
using namespace std::chrono_literals;

inline constexpr Duration forever = 1'000'000s;

/// What scenarios throw.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Adds a line to the trace.
void say(const std::string& event);

/// "Error boom", "CancelledError", "ExceptionGroup[Error a, Error b]": as the Python side says it.
std::string text_of(const std::exception_ptr& error);

template <class T>
std::string text_of_value(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        return value ? "True" : "False";
    } else if constexpr (std::is_arithmetic_v<T>) {
        return std::to_string(value);
    } else {
        return std::string(value);
    }
}

inline std::string yes_no(bool value) { return text_of_value(value); }

template <class T>
Task<T> spawn(std::string_view name, Coro<T> coroutine) {
    return asyncio::create_task(std::move(coroutine), {.name = name});
}

template <class T = void>
Future<T> new_future() {
    return asyncio::get_running_loop().create_future<T>();
}

/// In seconds, since the scenario began.
std::string loop_time();

inline asyncio::Handle call_soon(asyncio::internal::UniqueFunction<void()> callback) {
    return asyncio::get_running_loop().call_soon(std::move(callback));
}
inline asyncio::TimerHandle call_later(Duration delay,
                                       asyncio::internal::UniqueFunction<void()> callback) {
    return asyncio::get_running_loop().call_later(delay, std::move(callback));
}

/// Awaits, says how the awaitable ended, and ends in the same way.
template <class Given>
Coro<asyncio::internal::AwaitResult<Given>> tell(std::string what, Given awaitable) {
    using T = asyncio::internal::AwaitResult<Given>;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(awaitable);
            say(what + ": done");
            co_return;
        } else {
            T value = co_await std::move(awaitable);
            say(what + ": " + text_of_value(value));
            co_return value;
        }
    } catch (...) {
        say(what + ": " + text_of(std::current_exception()));
        throw;
    }
}

/// As `tell`, but neither returns nor throws what came out.
template <class Given>
Coro<> end_of(std::string what, Given awaitable) {
    try {
        co_await tell(std::move(what), std::move(awaitable));
    } catch (...) {  // said already
    }
}

/// Waits this number of ticks.
Coro<> turns(int count);

// Coroutines that most scenarios run.

/// Sleeps, and returns the value.
Coro<int> number(Duration delay, int value);
/// Sleeps, and throws an Error.
Coro<int> failing(Duration delay, std::string text);
/// Sleeps until it is cancelled, and says how that ended.
Coro<> sleeper();
/// Sleeps until it is cancelled, and needs this number of ticks to end then.
Coro<> stubborn(int count);

/// Runs the scenario and compares its trace with that of its twin in `theme`.py.
void compare(const char* theme, const char* name, Coro<> (*scenario)());
/// The same for a scenario that starts loops itself.
void compare(const char* theme, const char* name, void (*scenario)());
/// For scenarios that start loops themselves: reports go into the trace.
void trace_reports(EventLoop& loop);

// For scenarios that compare by themselves.

/// What a command prints; its exit status goes to `status`.
std::string output_of(const std::string& command, int& status);
/// python3, not older than 3.11.
bool python_is_here();
void clear_trace();
/// What lines begin with; null: the number of the tick.
void set_position(std::string (*position)(EventLoop& loop));
std::string trace_so_far();

}  // namespace oracle

/// `SCENARIO(cancel, name) { … }`: a coroutine that runs as the task "main". The Python side is in
/// cancel.py.
#define SCENARIO(theme, name)                                                       \
    static oracle::Coro<> theme##_##name();                                         \
    TEST(oracle_##theme, name) { oracle::compare(#theme, #name, &theme##_##name); } \
    static oracle::Coro<> theme##_##name()

/// The same for a plain function, which calls `run` itself.
#define RUN_SCENARIO(theme, name)                                                   \
    static void theme##_##name();                                                   \
    TEST(oracle_##theme, name) { oracle::compare(#theme, #name, &theme##_##name); } \
    static void theme##_##name()
