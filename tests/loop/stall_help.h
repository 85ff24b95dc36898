#pragma once
// What the tests of slow steps share: the log they read, and a limit for the steps of a loop.

#include <asyncio.h>

#include "machine/call_stack.h"

#include <csignal>
#include <mutex>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>

namespace stall_test {

using namespace std::chrono_literals;
using asyncio::Duration;

inline constexpr Duration limit = 5ms;

inline std::mutex logged_mutex;
inline std::vector<std::string> logged;

inline void collect(asyncio::LogLevel level, std::string_view line) noexcept {
    if (level != asyncio::LogLevel::warning) return;
    const std::lock_guard lock(logged_mutex);
    logged.emplace_back(line);
}

/// While it lives, the watcher's signal is blocked in this thread, and in those it starts; or let
/// in, and then a look may come anywhere in that time.
class SignalMask {
public:
    explicit SignalMask(int how) {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGURG);
        ::pthread_sigmask(how, &signals, &before_);
    }
    ~SignalMask() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalMask(const SignalMask&) = delete;
    SignalMask& operator=(const SignalMask&) = delete;

private:
    sigset_t before_;
};

/// Collects what is logged while a test runs.
class Stall : public testing::Test {
protected:
    void SetUp() override {
        if (!asyncio::internal::knows_lines()) GTEST_SKIP() << "this build has no libbacktrace";
        logged.clear();
        asyncio::set_log_sink(&collect);
    }
    void TearDown() override { asyncio::set_log_sink(nullptr); }

private:
    const SignalMask unseen_{SIG_BLOCK};
};

using Line = decltype(std::source_location{}.line());

inline std::string place(Line line) { return "stall_test.cpp:" + std::to_string(line); }

inline testing::AssertionResult says(const std::string& report, const std::string& part) {
    if (report.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "\"" << report << "\" does not say \"" << part << "\"";
}

inline std::string all_reports() {
    std::string text = "reported was:";
    for (const std::string& report : logged) text += "\n  " + report;
    return text;
}

/// Runs `body` as a coroutine whose steps have the limit.
template <class Body>
void run_watched(Body body) {
    const auto with_limit = [&]() -> asyncio::Coro<> {
        asyncio::get_running_loop().slow_callback_duration = limit;
        co_await asyncio::sleep(0s);  // the next step has it
        co_await body();
    };
    asyncio::run(with_limit(), {.debug = true});
}

}  // namespace stall_test
