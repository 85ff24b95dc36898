// Goal: what was pushed is undone in reverse order, all of it, however the body ends; every error
// is kept, and a cleanup can deal with one.
// Method: cleanups that note their turn, fail, wait, look at the error, or are cancelled.

#include <asyncio.h>

#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::async_exit_stack;
using asyncio::AsyncExitStack;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::sleep;
using support::how;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using support::Tracked;
using namespace std::chrono_literals;

/// Notes when it is entered and left, and with what.
class Room {
public:
    Room(std::string& trace, std::string name) : trace_(&trace), name_(std::move(name)) {}
    Coro<std::string> aenter() {
        co_await sleep(0s);
        *trace_ += "enter-" + name_ + " ";
        co_return name_;
    }
    Coro<> aexit(std::exception_ptr error) {
        co_await sleep(0s);
        *trace_ += "leave-" + name_ + (error ? "(" + asyncio::describe(error) + ") " : " ");
    }

private:
    std::string* trace_;
    std::string name_;
    Tracked tracked_;
};

TEST(async_exit_stack, runs_what_was_pushed_in_reverse_order) {
    run_test([]() -> Coro<> {
        std::string trace;
        const int value = co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<int> {
            stack.push_async_callback([&]() -> Coro<> {
                co_await sleep(1ms);
                trace += "first ";
            });
            stack.callback([&] { trace += "second "; });
            trace += "body ";
            co_return 3;
        });
        EXPECT_EQ(value, 3);
        EXPECT_EQ(trace, "body second first ");
    });
}

TEST(async_exit_stack, enters_and_leaves_managers_and_keeps_them_alive_meanwhile) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
            const std::string a = co_await stack.enter_async_context(Room(trace, "a"));
            Room named(trace, "b");
            const std::string b = co_await stack.enter_async_context(named);
            EXPECT_EQ(a + b, "ab");
            EXPECT_EQ(Tracked::alive(), 3);
            throw std::runtime_error("oh");
        }));
        EXPECT_EQ(end, "oh");
        EXPECT_EQ(trace, "enter-a enter-b leave-b(oh) leave-a(oh) ");
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(async_exit_stack, one_that_fails_to_be_entered_is_not_left) {
    run_test([]() -> Coro<> {
        struct Broken {
            explicit Broken(bool& flag) : left(&flag) {}
            Coro<> aenter() {
                co_await sleep(0s);
                throw std::runtime_error("locked");
            }
            Coro<> aexit(std::exception_ptr) {
                *left = true;
                co_return;
            }
            bool* left;
        };
        bool left = false;
        const std::string end = co_await how(async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
            co_await stack.enter_async_context(Broken(left));
        }));
        EXPECT_EQ(end, "locked");
        EXPECT_FALSE(left);
    });
}

TEST(async_exit_stack, closes_what_can_be_closed) {
    run_test([]() -> Coro<> {
        struct Closable {
            explicit Closable(std::string& text) : trace(&text) {}
            Coro<> aclose() {
                co_await sleep(0s);
                *trace += "closed";
            }
            std::string* trace;
        };
        std::string trace;
        co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
            Closable& resource = stack.push_closing(Closable(trace));
            EXPECT_EQ(resource.trace, &trace);
            co_return;
        });
        EXPECT_EQ(trace, "closed");
    });
}

TEST(async_exit_stack, all_cleanups_run_and_all_errors_are_there) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
            stack.callback([&] { trace += "last"; });
            stack.push_async_callback([]() -> Coro<> {
                co_await sleep(0s);
                throw std::runtime_error("two");
            });
            stack.callback([] { throw std::runtime_error("one"); });
            throw std::runtime_error("body");
            co_return;
        }));
        EXPECT_EQ(end, "errors of a body and of its cleanups (3 errors): body; one; two");
        EXPECT_EQ(trace, "last");
    });
}

TEST(async_exit_stack, a_cleanup_can_deal_with_the_error) {
    run_test([]() -> Coro<> {
        std::string seen;
        co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
            stack.push_async_exit([&](std::exception_ptr error) -> Coro<bool> {
                seen += error == nullptr ? "nothing left" : "?";
                co_return false;
            });
            stack.push_async_exit([&](std::exception_ptr error) -> Coro<bool> {
                seen += asyncio::describe(error) + ", then ";
                co_return true;
            });
            throw std::runtime_error("body");
            co_return;
        });
        EXPECT_EQ(seen, "body, then nothing left");
        const std::string end =
            co_await how(async_exit_stack([](AsyncExitStack& stack) -> Coro<int> {
                stack.push_async_exit([](std::exception_ptr) -> Coro<bool> { co_return true; });
                throw std::runtime_error("body");
                co_return 1;
            }));
        EXPECT_TRUE(support::contains(end, "a cleanup suppressed the error")) << end;
    });
}

TEST(async_exit_stack, a_cleanup_that_lets_the_error_go_on_does_not_double_it) {
    run_test([]() -> Coro<> {
        const std::string end = co_await how(async_exit_stack([](AsyncExitStack& stack) -> Coro<> {
            stack.push_async_exit([](std::exception_ptr error) -> Coro<bool> {
                if (error) std::rethrow_exception(error);
                co_return false;
            });
            throw std::runtime_error("body");
            co_return;
        }));
        EXPECT_EQ(end, "body");
    });
}

TEST(async_exit_stack, cancellations_do_not_cut_the_cleanups_short) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
                for (const char* name : {"a", "b"}) {
                    stack.push_async_callback([&trace, name]() -> Coro<> {
                        co_await sleep(1ms);
                        trace += name;
                    });
                }
                co_await sleep(1h);
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        for (int i = 0; i < 4; ++i) {
            task.cancel();
            co_await sleep(0s);
        }
        EXPECT_EQ(co_await how(task), "cancelled");
        EXPECT_EQ(trace, "ba");
    });
}

TEST(async_exit_stack, pop_all_takes_the_cleanups_away_for_later) {
    run_test([]() -> Coro<> {
        std::string trace;
        AsyncExitStack kept =
            co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<AsyncExitStack> {
                stack.callback([&] { trace += "closed"; });
                co_return stack.pop_all();
            });
        EXPECT_EQ(trace, "");
        co_await kept.aclose();
        EXPECT_EQ(trace, "closed");
        co_await kept.aclose();
        EXPECT_EQ(trace, "closed");
    });
}

TEST(async_exit_stack, CPP_10_one_that_is_dropped_with_cleanups_left_says_so) {
    const LogCapture log;
    TestLoop loop;
    loop->run_until_complete(async_exit_stack([](AsyncExitStack& stack) -> Coro<> {
        stack.callback([] { ADD_FAILURE(); });
        const AsyncExitStack dropped = stack.pop_all();
        co_return;
    }));
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(support::contains(lines[0], "before 1 of its cleanups had run")) << lines[0];
}

}  // namespace
