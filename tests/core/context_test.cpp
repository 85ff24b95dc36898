// Goal: a context variable has a value per task and per callback, inherited at creation and not
// shared after it, unless a context is given.
// Method: values are set and read on both sides of an await, of a creation, of a registration.

#include <asyncio.h>

#include "support/run_test.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Context;
using asyncio::ContextVar;
using asyncio::copy_context;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::sleep;
using asyncio::Task;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using namespace std::chrono_literals;

const ContextVar<std::string> name("name", "nobody");
const ContextVar<int> number("number");

Coro<std::string> read_name() { co_return name.get(); }

Coro<std::string> set_and_read(std::string value) {
    name.set(value);
    co_await sleep(0ms);
    co_return name.get();
}

TEST(ContextVar, has_a_default_or_throws) {
    EXPECT_EQ(name.get(), "nobody");
    EXPECT_EQ(name.get("fallback"), "fallback");
    EXPECT_EQ(name.name(), "name");
    EXPECT_THROW(number.get(), asyncio::LookupError);
    EXPECT_EQ(number.get(3), 3);
}

TEST(ContextVar, gives_back_what_was_before) {
    Context().run([] {
        auto first = number.set(1);
        auto second = number.set(2);
        EXPECT_EQ(first.old_value(), std::nullopt);
        EXPECT_EQ(second.old_value(), 1);
        number.reset(second);
        EXPECT_EQ(number.get(), 1);
        number.reset(first);
        EXPECT_THROW(number.get(), asyncio::LookupError);
        EXPECT_THROW(number.reset(first), asyncio::RuntimeError) << "used already";
    });
}

TEST(ContextVar, refuses_the_token_of_another_variable_or_context) {
    const ContextVar<int> other("other");
    Context().run([&] {
        auto token = number.set(1);
        EXPECT_THROW(other.reset(token), std::invalid_argument);
        Context().run([&] { EXPECT_THROW(number.reset(token), std::invalid_argument); });
        number.reset(token);
    });
}

TEST(ContextVar, that_lies_where_another_one_lay_has_no_value) {
    Context().run([] {
        alignas(ContextVar<int>) unsigned char place[sizeof(ContextVar<int>)];
        auto* first = new (place) ContextVar<int>("first");
        first->set(1);
        first->~ContextVar();
        auto* second = new (place) ContextVar<int>("second");
        EXPECT_THROW(second->get(), asyncio::LookupError);
        second->~ContextVar();
    });
}

TEST(Context, keeps_what_is_set_in_it) {
    const Context context;
    context.run([] { name.set("inside"); });
    EXPECT_EQ(name.get(), "nobody");
    EXPECT_EQ(context.run([] { return name.get(); }), "inside");
    const Context copy = context.run([] { return copy_context(); });
    copy.run([] { name.set("copy"); });
    EXPECT_EQ(context.run([] { return name.get(); }), "inside");
}

TEST(Context, is_entered_once_at_a_time_and_left_by_an_error) {
    const Context context;
    context.run([&] { EXPECT_THROW(context.run([] {}), asyncio::RuntimeError); });
    EXPECT_THROW(context.run([] { throw std::logic_error("broken"); }), std::logic_error);
    EXPECT_NO_THROW(context.run([] {}));
}

TEST(Context, belongs_to_its_thread) {
    Context().run([] {
        name.set("here");
        std::thread([] { EXPECT_EQ(name.get(), "nobody"); }).join();
        EXPECT_EQ(name.get(), "here");
    });
}

TEST(Context, CTX_01_a_task_inherits_a_copy_at_its_creation) {
    run_test([]() -> Coro<> {
        name.set("parent");
        const Task<std::string> child = create_task(set_and_read("child"));
        const Task<std::string> reader = create_task(read_name());
        name.set("parent later");
        EXPECT_EQ(co_await child, "child");
        EXPECT_EQ(co_await reader, "parent") << "as it was when the task was created";
        EXPECT_EQ(name.get(), "parent later");
    });
}

TEST(Context, CTX_02_a_value_is_still_there_after_an_await) {
    run_test([]() -> Coro<> {
        std::vector<Coro<std::string>> tasks;
        for (int index = 0; index < 10; ++index)
            tasks.push_back(set_and_read(std::to_string(index)));
        const auto read = co_await asyncio::gather(std::move(tasks));
        for (int index = 0; index < 10; ++index) EXPECT_EQ(read.at(index), std::to_string(index));
        EXPECT_EQ(name.get(), "nobody");
    });
}

TEST(Context, CTX_02_an_awaited_coroutine_runs_in_the_context_of_its_task) {
    run_test([]() -> Coro<> {
        co_await set_and_read("set by the child");
        EXPECT_EQ(name.get(), "set by the child");
    });
}

TEST(Context, CTX_03_a_given_context_is_shared_with_the_task) {
    run_test([]() -> Coro<> {
        const Context context = copy_context();
        co_await create_task(set_and_read("set by the task"), {.context = &context});
        EXPECT_EQ(name.get(), "nobody");
        EXPECT_EQ(context.run([] { return name.get(); }), "set by the task");
        EXPECT_EQ(co_await create_task(read_name(), {.context = &context}), "set by the task");
    });
}

TEST(Context, CTX_03_a_given_context_reaches_the_child_of_a_group) {
    run_test([]() -> Coro<> {
        const Context context = copy_context();
        co_await asyncio::task_group([&](asyncio::TaskGroup& group) -> Coro<> {
            group.create_task(set_and_read("set by the child"), {.context = &context});
            co_return;
        });
        EXPECT_EQ(context.run([] { return name.get(); }), "set by the child");
    });
}

TEST(Context, CTX_03_a_task_tells_its_context) {
    run_test([]() -> Coro<> {
        asyncio::current_task().get_context().run([] {});
        const Task<std::string> task = create_task(set_and_read("set by the task"));
        const Context context = task.get_context();
        co_await task;
        EXPECT_EQ(context.run([] { return name.get(); }), "set by the task");
    });
}

TEST(Context, CTX_04_callbacks_run_in_the_context_in_which_they_were_registered) {
    run_test([]() -> Coro<> {
        std::vector<std::string> read;
        const auto reader = [&read] {
            read.push_back(name.get());
            name.set("set by a callback");
        };
        asyncio::EventLoop& loop = asyncio::get_running_loop();
        const asyncio::Future<> future = loop.create_future();
        name.set("registered");
        loop.call_soon(reader);
        loop.call_later(1ms, reader);
        loop.call_soon_threadsafe(reader);
        future.add_done_callback(reader);
        name.set("later");
        future.set_result();
        co_await sleep(10ms);
        EXPECT_EQ(read, (std::vector<std::string>(4, "registered")));
        EXPECT_EQ(name.get(), "later") << "what callbacks set is theirs";
    });
}

std::string seen_by_handler;

TEST(Context, LOOP_21_the_exception_handler_runs_in_the_context_of_what_failed) {
    run_test([]() -> Coro<> {
        asyncio::EventLoop& loop = asyncio::get_running_loop();
        loop.set_exception_handler([](asyncio::EventLoop&, const asyncio::ErrorContext&) {
            seen_by_handler = name.get();
        });
        name.set("callback");
        loop.call_soon([] { throw std::runtime_error("broken"); });
        name.set("main");
        co_await sleep(0ms);
        EXPECT_EQ(seen_by_handler, "callback");

        const auto fails = []() -> Coro<> {
            name.set("task");
            throw std::runtime_error("broken");
            co_return;
        };
        create_task(fails());
        co_await sleep(0ms);
        co_await sleep(0ms);
        EXPECT_EQ(seen_by_handler, "task");
        EXPECT_EQ(name.get(), "main");
        loop.set_exception_handler(nullptr);
    });
}

TEST(Context, of_a_runner_lasts_from_run_to_run) {
    asyncio::Runner runner;
    EXPECT_EQ(runner.run(set_and_read("first")), "first");
    EXPECT_EQ(runner.run(read_name()), "first");
    const Context other;
    EXPECT_EQ(runner.run(read_name(), &other), "nobody");
    EXPECT_EQ(name.get(), "nobody");
}

}  // namespace
