// Goal: callbacks take arguments, and handlers and sinks are any callables, with a state of their
// own, and may be changed at any time.
// Method: each way to schedule, with functions, closures and members; sinks changed under fire.

#include <asyncio/debug.h>
#include <asyncio/event_loop.h>

#include "support/log_capture.h"
#include "support/run_test.h"

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::ErrorContext;
using asyncio::EventLoop;
using asyncio::LogLevel;
using support::LogCapture;
using support::TestLoop;
using namespace std::chrono_literals;

void append(std::string& text, const std::string& more) { text += more; }

TEST(callback_arguments, are_handed_on_by_every_way_to_schedule) {
    const LogCapture log;
    TestLoop loop;
    std::string text;
    loop->call_soon(append, std::ref(text), "a");
    loop->call_soon_threadsafe(append, std::ref(text), "b");
    loop->call_later(0ms, append, std::ref(text), "c");
    loop->call_at(loop->time(), append, std::ref(text), "d");
    loop->call_later(0ms, &EventLoop::stop, &*loop);
    loop->run_forever();
    EXPECT_EQ(text, "abcd");
}

TEST(callback_arguments, are_copied_or_moved) {
    const LogCapture log;
    TestLoop loop;
    std::string given = "first";
    std::string seen;
    loop->call_soon([&](const std::string& text) { seen = text; }, given);
    given = "second";
    int number = 0;
    loop->call_soon([&](std::unique_ptr<int> held) { number = *held; }, std::make_unique<int>(7));
    loop.run_until_idle();
    EXPECT_EQ(seen, "first");
    EXPECT_EQ(number, 7);
}

TEST(callback_arguments, go_when_the_callback_is_cancelled) {
    const LogCapture log;
    TestLoop loop;
    const auto token = std::make_shared<int>(1);
    asyncio::Handle handle = loop->call_soon([](const std::shared_ptr<int>&) {}, token);
    asyncio::TimerHandle timer = loop->call_later(1h, [](const std::shared_ptr<int>&) {}, token);
    EXPECT_EQ(token.use_count(), 3);
    handle.cancel();
    timer.cancel();
    EXPECT_EQ(token.use_count(), 1);
    loop.run_until_idle();
}

TEST(exception_handler, has_a_state_of_its_own) {
    const LogCapture log;
    TestLoop loop;
    std::vector<std::string> told;
    const auto token = std::make_shared<int>(1);
    loop->set_exception_handler(
        [&told, token, count = 0](EventLoop&, const ErrorContext& context) mutable {
            told.push_back(std::to_string(++count) + asyncio::describe(context.exception));
        });
    EXPECT_EQ(token.use_count(), 2);
    for (int i = 0; i < 2; ++i) loop->call_soon([] { throw std::runtime_error(" broken"); });
    loop.run_until_idle();
    EXPECT_EQ(told, (std::vector<std::string>{"1 broken", "2 broken"}));
    EXPECT_TRUE(loop->get_exception_handler());
    loop->set_exception_handler(nullptr);
    EXPECT_EQ(token.use_count(), 1);
    EXPECT_FALSE(loop->get_exception_handler());
}

TEST(exception_handler, may_replace_itself) {
    const LogCapture log;
    TestLoop loop;
    const auto token = std::make_shared<int>(1);
    int used = 0;
    loop->set_exception_handler([&used, token](EventLoop& own, const ErrorContext&) {
        own.set_exception_handler(nullptr);
        used = *token;  // what it holds is there until it returns
    });
    loop->call_soon([] { throw std::runtime_error("first"); });
    loop.run_until_idle();
    EXPECT_EQ(used, 1);
    EXPECT_EQ(token.use_count(), 1);
}

TEST(exception_handler, may_fall_back_on_the_default) {
    const LogCapture log;
    TestLoop loop;
    loop->set_exception_handler([](EventLoop& own, const ErrorContext& context) {
        own.default_exception_handler(context);
    });
    loop->call_soon([] { throw std::runtime_error("passed on"); });
    loop.run_until_idle();
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(support::contains(lines[0], "passed on"));
}

/// Says something through the sink, as the library does.
void say() {
    asyncio::EventLoop({.backend = asyncio::lowlevel::BackendKind::simulated, .debug = true});
}

TEST(log_sink, has_a_state_of_its_own_which_goes_with_it) {
    const auto token = std::make_shared<std::atomic<int>>(0);
    auto before = asyncio::set_log_sink([token](LogLevel, std::string_view) { ++*token; });
    say();
    EXPECT_EQ(token.use_count(), 2);
    asyncio::set_log_sink(before);
    EXPECT_EQ(*token, 1);
    EXPECT_EQ(token.use_count(), 1);
}

TEST(log_sink, gives_back_the_one_before) {
    int first = 0;
    auto original = asyncio::set_log_sink([&](LogLevel, std::string_view) { ++first; });
    auto given_back = asyncio::set_log_sink([](LogLevel, std::string_view) {});
    given_back(LogLevel::info, "directly");
    EXPECT_EQ(first, 1);
    asyncio::set_log_sink(std::move(original));
}

TEST(log_sink, that_throws_loses_its_line_and_nothing_else) {
    auto before =
        asyncio::set_log_sink([](LogLevel, std::string_view) { throw std::runtime_error("full"); });
    say();
    asyncio::set_log_sink(before);
}

TEST(log_sink, may_replace_itself) {
    auto before = asyncio::set_log_sink(nullptr);
    int lines = 0;
    const auto token = std::make_shared<int>(1);
    asyncio::set_log_sink([&lines, &before, token](LogLevel, std::string_view) {
        asyncio::set_log_sink(before);
        lines += *token;
    });
    say();
    EXPECT_EQ(lines, 1);
    EXPECT_EQ(token.use_count(), 1);
}

TEST(log_sink, is_changed_while_other_threads_use_it) {
    std::atomic<int> lines{0};
    std::atomic<bool> end{false};
    const auto sink = [&](int weight) {
        return [&lines, held = std::make_shared<int>(weight)](LogLevel, std::string_view) {
            lines += *held;
        };
    };
    auto before = asyncio::set_log_sink(sink(1));
    std::vector<std::thread> speakers;
    for (int i = 0; i < 2; ++i)
        speakers.emplace_back([&] {
            while (!end) say();
        });
    for (int i = 0; i < 200; ++i) asyncio::set_log_sink(sink(1));
    while (lines == 0) std::this_thread::yield();
    end = true;
    for (std::thread& speaker : speakers) speaker.join();
    asyncio::set_log_sink(before);
    EXPECT_GT(lines, 0);
}

}  // namespace
