// Goal: a limit made as an object is `timeout` with a body, and can be asked behind its scope.
// Method: bodies that end in every way, before and behind the deadline, on the simulated clock.

#include <asyncio.h>

#include "support/run_test.h"

#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::get_running_loop;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::timeout;
using asyncio::timeout_at;
using asyncio::TimeoutError;
using support::run_simulated;
using namespace std::chrono_literals;

TEST(timeout_scope, tells_behind_its_end_that_it_has_expired) {
    run_simulated([]() -> Coro<> {
        auto limit = timeout(1s);
        EXPECT_FALSE(limit.expired());
        bool late = false;
        try {
            co_await limit([&]() -> Coro<> { co_await sleep(1h); });
        } catch (const TimeoutError&) {
            late = true;
        }
        EXPECT_TRUE(late);
        EXPECT_TRUE(limit.expired());
        EXPECT_THROW(limit.reschedule(std::nullopt), RuntimeError);
    });
}

TEST(timeout_scope, that_was_in_time_has_not_expired) {
    run_simulated([]() -> Coro<> {
        auto limit = timeout(1s);
        const auto deadline = get_running_loop().time() + 1s;
        EXPECT_EQ(limit.when(), deadline);
        const int value = co_await limit([&]() -> Coro<int> {
            co_await sleep(10ms);
            EXPECT_FALSE(limit.expired());
            co_return 7;
        });
        EXPECT_EQ(value, 7);
        EXPECT_FALSE(limit.expired());
        EXPECT_EQ(limit.when(), deadline);
        EXPECT_THROW(limit.reschedule(std::nullopt), RuntimeError);
    });
}

TEST(timeout_scope, counts_from_when_it_was_made) {
    run_simulated([]() -> Coro<> {
        const auto start = get_running_loop().time();
        auto limit = timeout(2s);
        co_await sleep(1s);
        try {
            co_await limit([&]() -> Coro<> { co_await sleep(1h); });
        } catch (const TimeoutError&) {
        }
        EXPECT_EQ(get_running_loop().time() - start, 2s);
    });
}

TEST(timeout_scope, is_moved_while_it_runs) {
    run_simulated([]() -> Coro<> {
        const auto start = get_running_loop().time();
        auto limit = timeout(std::nullopt);
        EXPECT_THROW(limit.reschedule(start + 1s), RuntimeError) << "not entered";
        try {
            co_await limit([&]() -> Coro<> {
                limit.reschedule(start + 3s);
                EXPECT_EQ(limit.when(), start + 3s);
                co_await sleep(1h);
            });
        } catch (const TimeoutError&) {
        }
        EXPECT_EQ(get_running_loop().time() - start, 3s);
        EXPECT_TRUE(limit.expired());
        EXPECT_EQ(limit.when(), start + 3s);
    });
}

TEST(timeout_scope, has_expired_also_if_the_body_made_nothing_of_it) {
    run_simulated([]() -> Coro<> {
        auto limit = timeout_at(get_running_loop().time());
        co_await limit([&]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const asyncio::CancelledError&) {
            }
        });
        EXPECT_TRUE(limit.expired());
    });
}

TEST(timeout_scope, is_entered_once) {
    run_simulated([]() -> Coro<> {
        auto limit = timeout(1s);
        const auto body = [&]() -> Coro<> { co_return; };
        co_await limit(body);
        bool refused = false;
        try {
            co_await limit(body);
        } catch (const RuntimeError&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
    });
}

TEST(timeout_scope, lets_errors_and_cancellations_pass) {
    run_simulated([]() -> Coro<> {
        auto limit = timeout(1s);
        std::string text;
        try {
            co_await limit([&]() -> Coro<> {
                throw std::runtime_error("broken");
                co_return;
            });
        } catch (const std::runtime_error& error) {
            text = error.what();
        }
        EXPECT_EQ(text, "broken");
        EXPECT_FALSE(limit.expired());

        auto other = timeout(1h);
        const auto task = asyncio::create_task(other([&]() -> Coro<> { co_await sleep(1h); }));
        co_await sleep(1ms);
        task.cancel();
        co_await asyncio::wait(task);
        EXPECT_TRUE(task.cancelled());
        EXPECT_FALSE(other.expired());
    });
}

TEST(timeout_scope, may_go_before_its_scope) {
    run_simulated([]() -> Coro<> {
        const auto body = [](asyncio::Timeout& limit) -> Coro<bool> {
            co_await sleep(1ms);
            co_return limit.expired();
        };
        const auto task = asyncio::create_task(timeout(1s)(body));
        EXPECT_FALSE(co_await task);
    });
}

TEST(timeout_scope, needs_a_loop) { EXPECT_THROW(timeout(1s), RuntimeError); }

}  // namespace
