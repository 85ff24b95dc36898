// Goal: a done-callback is given the future, and handles can stand in sets and maps.
// Method: callables of every shape on futures and tasks; what they hold is counted.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::Future;
using asyncio::FutureRef;
using asyncio::get_running_loop;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TaskRef;
using core_help::fail_after;
using core_help::number_after;
using support::run_test;
using namespace std::chrono_literals;

void note(std::string& trace, const Future<int>& future) {
    trace += std::to_string(future.result());
}

TEST(done_callback, is_given_the_future) {
    run_test([]() -> Coro<> {
        std::string trace;
        const Future<int> future(get_running_loop());
        future.add_done_callback([&](Future<int> ended) {
            EXPECT_EQ(ended, future);
            trace += 'a' + std::to_string(ended.result());
        });
        future.add_done_callback([&](const Future<int>& ended) { note(trace, ended); });
        future.add_done_callback([&](FutureRef ended) { trace += ended == future ? 'b' : '?'; });
        future.add_done_callback([&](auto ended) { note(trace, ended); });
        future.add_done_callback([&] { trace += 'c'; });
        future.set_result(7);
        EXPECT_EQ(trace, "");
        co_await sleep(0ms);
        EXPECT_EQ(trace, "a77b7c");
    });
}

TEST(done_callback, of_a_task_is_given_the_task) {
    run_test([]() -> Coro<> {
        std::string trace;
        const Task<int> task = create_task(number_after(1ms, 7), {.name = "seven"});
        task.add_done_callback([&](Task<int> ended) {
            EXPECT_EQ(ended, task);
            trace += ended.get_name();
        });
        task.add_done_callback([&](const TaskRef& ended) { trace += ' ' + ended.get_name(); });
        task.add_done_callback([&](const Future<int>& ended) { note(trace += ' ', ended); });
        task.add_done_callback([&](FutureRef ended) { trace += ended.done() ? " done" : " ?"; });
        task.add_done_callback([&](auto ended) { trace += ' ' + ended.get_name(); });
        task.add_done_callback([&] { trace += " nothing"; });
        co_await task;
        co_await sleep(0ms);
        EXPECT_EQ(trace, "seven seven 7 done seven nothing");
    });
}

TEST(done_callback, sees_how_the_future_ended) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto tell = [&](const FutureRef& ended) {
            if (ended.cancelled()) {
                EXPECT_THROW(ended.exception(), asyncio::CancelledError);
                trace += "cancelled ";
            } else {
                trace += asyncio::describe(ended.exception()) + ' ';
            }
        };
        const auto good = create_task(number_after(0ms, 1));
        const auto bad = create_task(fail_after(0ms, "broken"));
        const auto stopped = create_task(number_after(1h, 1));
        EXPECT_THROW(FutureRef(good).exception(), asyncio::InvalidStateError);
        for (const TaskRef& task : {TaskRef(good), TaskRef(bad), TaskRef(stopped)})
            task.add_done_callback(tell);
        stopped.cancel();
        co_await sleep(2ms);
        EXPECT_EQ(trace, "cancelled no error broken ");
    });
}

TEST(done_callback, that_wants_the_future_does_not_keep_it) {
    run_test([]() -> Coro<> {
        std::weak_ptr<int> watched;
        {
            const auto token = std::make_shared<int>(1);
            watched = token;
            const Future<int> never(get_running_loop());
            never.add_done_callback([token](const Future<int>&) {});
        }
        EXPECT_TRUE(watched.expired()) << "the future, and with it the callback, has gone";
        co_return;
    });
}

TEST(done_callback, may_hold_the_last_handle_of_what_has_ended) {
    run_test([]() -> Coro<> {
        std::vector<Future<int>> kept;
        {
            const Future<int> future(get_running_loop());
            future.add_done_callback([&](Future<int> ended) { kept.push_back(std::move(ended)); });
            future.set_result(3);
        }
        co_await sleep(0ms);
        EXPECT_EQ(kept.at(0).result(), 3);
    });
}

TEST(done_callback, of_a_reference_can_be_removed_and_may_throw) {
    run_test([]() -> Coro<> {
        const support::LogCapture log;
        const Future<int> future(get_running_loop());
        bool called = false;
        const auto id = future.add_done_callback([&](const Future<int>&) { called = true; });
        future.add_done_callback(
            [](const Future<int>&) { throw std::runtime_error("in a callback"); });
        EXPECT_TRUE(future.remove_done_callback(id));
        future.set_result(1);
        co_await sleep(0ms);
        EXPECT_FALSE(called);
        const auto lines = support::LogCapture::take();
        EXPECT_EQ(lines.size(), 1u);
        EXPECT_TRUE(support::contains(lines.at(0), "in a callback"));
    });
}

TEST(handles, a_set_of_background_tasks_empties_itself) {
    run_test([]() -> Coro<> {
        std::set<Task<int>> ordered;
        std::unordered_set<Task<int>> hashed;
        for (int i = 0; i < 5; ++i) {
            const auto task = create_task(number_after(i * 1ms, i));
            ordered.insert(task);
            hashed.insert(task);
            task.add_done_callback([&](const Task<int>& ended) { ordered.erase(ended); });
            task.add_done_callback([&](const Task<int>& ended) { hashed.erase(ended); });
            EXPECT_TRUE(ordered.contains(task));
        }
        EXPECT_EQ(ordered.size(), 5u);
        EXPECT_EQ(hashed.size(), 5u);
        co_await asyncio::wait(ordered);
        co_await sleep(0ms);
        EXPECT_TRUE(ordered.empty());
        EXPECT_TRUE(hashed.empty());
    });
}

TEST(handles, of_unlike_tasks_stand_in_one_set_and_one_map) {
    run_test([]() -> Coro<> {
        const auto number = create_task(number_after(0ms, 1));
        const auto nothing = create_task(sleep(0ms));
        const Future<std::string> future(get_running_loop());
        const std::set<TaskRef> tasks{number, nothing, number};
        EXPECT_EQ(tasks.size(), 2u);
        EXPECT_TRUE(tasks.contains(nothing));
        const std::unordered_set<FutureRef> all{number, nothing, future, nothing};
        EXPECT_EQ(all.size(), 3u);
        std::unordered_map<TaskRef, std::string> names;
        names[number] = "number";
        names[nothing] = "nothing";
        EXPECT_EQ(names.at(number), "number");
        co_await number;
        co_await nothing;
    });
}

TEST(handles, are_equal_when_they_are_of_one_future) {
    run_test([]() -> Coro<> {
        const auto task = create_task(number_after(0ms, 1));
        const auto other = create_task(number_after(0ms, 1));
        const Task<int> copy = task;
        EXPECT_EQ(task, copy);
        EXPECT_NE(task, other);
        EXPECT_EQ(TaskRef(task), task);
        EXPECT_EQ(FutureRef(task), task);
        EXPECT_EQ(FutureRef(task), TaskRef(copy));
        EXPECT_NE(FutureRef(other), task);
        EXPECT_TRUE((task < other) != (other < task));
        EXPECT_FALSE(task < copy);
        EXPECT_TRUE((TaskRef(task) < TaskRef(other)) == (task < other));
        EXPECT_EQ(std::hash<Task<int>>()(task), std::hash<TaskRef>()(task));
        EXPECT_EQ(TaskRef(), TaskRef());
        EXPECT_FALSE(FutureRef());
        co_await task;
        co_await other;
    });
}

TEST(handles, a_future_is_made_as_an_object) {
    asyncio::EventLoop loop;
    const Future<int> future(loop);
    loop.call_soon([](const Future<int>& set, int value) { set.set_result(value); }, future, 5);
    EXPECT_EQ(&future.get_loop(), &loop);
    EXPECT_EQ(loop.run_until_complete(future), 5);
}

TEST(handles, a_future_without_a_loop_is_none) {
    const Future<int> none;
    EXPECT_FALSE(none);
}

}  // namespace
