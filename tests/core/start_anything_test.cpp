// Goal: a task, a group and a run take whatever can be awaited, and a function for its coroutine.
// Method: each kind of awaitable made a task; programs run as their `main` would.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::Event;
using asyncio::Future;
using asyncio::get_running_loop;
using asyncio::Queue;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TaskGroup;
using core_help::number_after;
using support::run_simulated;
using support::run_test;
using namespace std::chrono_literals;

Coro<int> amain() {
    co_await sleep(0ms);
    co_return 7;
}
Coro<> nothing() { co_await sleep(0ms); }
Coro<> failing() {
    co_await sleep(0ms);
    throw std::runtime_error("broken");
}

TEST(create_task, takes_whatever_can_be_awaited) {
    run_simulated([]() -> Coro<> {
        const auto start = get_running_loop().time();
        const auto asleep = create_task(sleep(1s));
        static_assert(std::is_same_v<decltype(asleep), const Task<>>);
        Event event;
        const auto waiting = create_task(event.wait(), {.name = "waiting"});
        Queue<std::string> queue;
        const auto taking = create_task(queue.get());
        static_assert(std::is_same_v<decltype(taking), const Task<std::string>>);
        const auto put = create_task(queue.put("text"));
        EXPECT_EQ(waiting.get_name(), "waiting");
        co_await sleep(0ms);
        EXPECT_FALSE(waiting.done());
        event.set();
        co_await waiting;
        co_await put;
        EXPECT_EQ(co_await taking, "text");
        co_await asleep;
        EXPECT_EQ(get_running_loop().time() - start, 1s);
    });
}

TEST(create_task, of_an_awaitable_is_cancelled_where_it_waits) {
    run_test([]() -> Coro<> {
        Event event;
        const auto waiting = create_task(event.wait());
        co_await sleep(0ms);
        waiting.cancel();
        co_await asyncio::wait(waiting);
        EXPECT_TRUE(waiting.cancelled());
    });
}

TEST(create_task, of_the_loop_takes_the_same) {
    asyncio::EventLoop loop;
    const auto asleep = loop.create_task(sleep(0ms));
    const auto called = loop.create_task(amain);
    const std::string text = "kept";
    const auto closure = [text]() -> Coro<std::string> {
        co_await sleep(0ms);
        co_return text;
    };
    const auto kept = loop.create_task(closure, {.name = "closure"});
    EXPECT_EQ(kept.get_name(), "closure");
    loop.run_until_complete(asleep);
    EXPECT_EQ(loop.run_until_complete(called), 7);
    EXPECT_EQ(loop.run_until_complete(kept), "kept");
}

TEST(task_group, takes_whatever_can_be_awaited) {
    run_test([]() -> Coro<> {
        Event event;
        Queue<int> queue;
        int taken = 0;
        co_await asyncio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(sleep(1ms));
            group.create_task(event.wait());
            const auto taking = group.create_task(queue.get(), {.name = "taking"});
            group.create_task(nothing);
            EXPECT_EQ(taking.get_name(), "taking");
            event.set();
            queue.put_nowait(3);
            taken = co_await taking;
        });
        EXPECT_EQ(taken, 3);
    });
}

TEST(task_group, cancels_a_child_that_is_an_awaitable) {
    run_test([]() -> Coro<> {
        Event event;
        bool failed = false;
        try {
            co_await asyncio::task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(event.wait());
                group.create_task(failing());
                co_return;
            });
        } catch (const asyncio::ExceptionGroup&) {
            failed = true;
        }
        EXPECT_TRUE(failed);
    });
}

TEST(run, takes_a_function_for_its_coroutine) {
    EXPECT_EQ(asyncio::run(amain), 7);
    asyncio::run(nothing);
    int seen = 0;
    asyncio::run([&]() -> Coro<> { seen = co_await amain(); });
    EXPECT_EQ(seen, 7);
    const std::string text = "kept";
    EXPECT_EQ(asyncio::run([text]() -> Coro<std::string> {
                  co_await sleep(0ms);
                  co_return text;
              }),
              "kept");
    EXPECT_THROW(asyncio::run(failing), std::runtime_error);
}

TEST(run, takes_whatever_can_be_awaited) {
    asyncio::run(sleep(0ms));
    Queue<int> queue;
    queue.put_nowait(1);
    EXPECT_EQ(asyncio::run(queue.get()), 1);
}

TEST(main, gives_the_exit_status) {
    EXPECT_EQ(asyncio::main(amain()), 7);
    EXPECT_EQ(asyncio::main(amain), 7);
    EXPECT_EQ(asyncio::main(nothing()), 0);
    EXPECT_EQ(asyncio::main(nothing, {.debug = false}), 0);
    EXPECT_THROW(asyncio::main(failing()), std::runtime_error);
}

}  // namespace
