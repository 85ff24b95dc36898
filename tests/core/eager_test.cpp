// Goal: a task that starts eagerly runs up to its first wait before `create_task` returns, and from
// there on is a task like any other.
// Method: the order of events is written down and compared.

#include <asyncio.h>

#include "support/run_test.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TaskOptions;
using support::run_test;
using support::TestLoop;
using support::Ticks;
using namespace std::chrono_literals;

constexpr TaskOptions eagerly{.eager_start = true};

using Events = std::vector<std::string>;

Coro<int> no_wait(Events& events) {
    events.emplace_back("runs");
    co_return 7;
}

Coro<int> one_wait(Events& events) {
    events.emplace_back("starts");
    co_await sleep(0ms);
    events.emplace_back("goes on");
    co_return 7;
}

TEST(eager_start, TASK_18_a_task_that_never_waits_is_done_at_once) {
    run_test([]() -> Coro<> {
        Events events;
        const Task<int> task = create_task(no_wait(events), eagerly);
        EXPECT_TRUE(task.done());
        EXPECT_EQ(events, Events{"runs"});
        const Ticks ticks;
        EXPECT_EQ(co_await task, 7);
        EXPECT_EQ(ticks.count(), 0);
        EXPECT_EQ(asyncio::all_tasks().size(), 1U) << "only this one";
    });
}

TEST(eager_start, TASK_19_a_task_that_waits_goes_on_in_the_loop) {
    run_test([]() -> Coro<> {
        Events events;
        const Task<int> task = create_task(one_wait(events), eagerly);
        events.emplace_back("created");
        EXPECT_FALSE(task.done());
        EXPECT_EQ(asyncio::all_tasks().size(), 2U);
        EXPECT_EQ(co_await task, 7);
        EXPECT_EQ(events, (Events{"starts", "created", "goes on"}));
    });
}

TEST(eager_start, TASK_19_is_the_tasks_own_step) {
    run_test([]() -> Coro<> {
        const asyncio::TaskRef creator = asyncio::current_task();
        std::string seen;
        const auto body = [&]() -> Coro<> {
            seen = asyncio::current_task().get_name();
            co_return;
        };
        create_task(body(), {.name = "child", .eager_start = true});
        EXPECT_EQ(seen, "child");
        EXPECT_TRUE(asyncio::current_task() == creator);
        co_return;
    });
}

TEST(eager_start, an_error_and_a_cancellation_stay_in_the_task) {
    run_test([]() -> Coro<> {
        const auto fails = []() -> Coro<> {
            throw std::runtime_error("broken");
            co_return;
        };
        const Task<> failed = create_task(fails(), eagerly);
        EXPECT_TRUE(failed.done());
        EXPECT_THROW(co_await failed, std::runtime_error);

        const auto cancels_itself = []() -> Coro<> {
            asyncio::current_task().cancel();
            co_await sleep(1s);
        };
        const Task<> cancelled = create_task(cancels_itself(), eagerly);
        EXPECT_FALSE(cancelled.done()) << "the request is delivered one iteration later";
        EXPECT_THROW(co_await cancelled, CancelledError);
        EXPECT_EQ(asyncio::current_task().cancelling(), 0U);
    });
}

TEST(eager_start, TASK_20_the_first_step_sees_a_copy_of_the_context) {
    static const asyncio::ContextVar<int> number("number", 0);
    run_test([]() -> Coro<> {
        number.set(1);
        int seen = 0;
        const auto body = [&seen]() -> Coro<> {
            seen = number.get();
            number.set(2);
            co_return;
        };
        create_task(body(), eagerly);
        EXPECT_EQ(seen, 1);
        EXPECT_EQ(number.get(), 1) << "what it sets is its own";
        co_return;
    });
}

TEST(eager_start, TASK_21_one_that_waits_can_be_cancelled_and_one_that_is_done_refuses) {
    run_test([]() -> Coro<> {
        Events events;
        const Task<int> waits = create_task(one_wait(events), eagerly);
        EXPECT_TRUE(waits.cancel());
        EXPECT_THROW(co_await waits, CancelledError);
        EXPECT_EQ(events, Events{"starts"});
        const Task<int> done = create_task(no_wait(events), eagerly);
        EXPECT_FALSE(done.cancel());
        EXPECT_EQ(co_await done, 7);
    });
}

TEST(eager_start, tasks_create_tasks_as_deep_as_they_like) {
    run_test([]() -> Coro<> {
        int created = 0;
        const auto nest = [&created](auto& self, int depth) -> Coro<> {
            ++created;
            if (depth > 0) co_await create_task(self(self, depth - 1), eagerly);
        };
        // Nested in one another, these steps would need more than a stack has.
        co_await create_task(nest(nest, 200'000), eagerly);
        EXPECT_EQ(created, 200'001);
    });
}

TEST(eager_start, can_be_the_rule_of_a_loop) {
    TestLoop loop({.debug = false, .eager_tasks = true});
    Events events;
    loop->run_until_complete([](Events& events) -> Coro<> {
        create_task(no_wait(events));
        events.emplace_back("created");
        const Task<int> later = create_task(no_wait(events), {.eager_start = false});
        events.emplace_back("created");
        co_await later;
    }(events));
    EXPECT_EQ(events, (Events{"runs", "created", "created", "runs"}));
    loop.expect_idle();
}

TEST(eager_start, waits_for_the_loop_to_run) {
    TestLoop loop;
    Events events;
    const Task<int> task = loop->create_task(no_wait(events), eagerly);
    EXPECT_FALSE(task.done());
    EXPECT_EQ(loop->run_until_complete(task), 7);
}

TEST(eager_start, of_a_groups_child_that_fails_at_once_cancels_the_body_at_its_next_wait) {
    run_test([]() -> Coro<> {
        Events events;
        const auto fails = []() -> Coro<> {
            throw std::runtime_error("broken");
            co_return;
        };
        try {
            co_await asyncio::task_group([&](asyncio::TaskGroup& group) -> Coro<> {
                group.create_task(fails(), eagerly);
                events.emplace_back("body goes on");
                group.create_task(one_wait(events), eagerly);
                co_await sleep(1s);
                events.emplace_back("never");
            });
        } catch (const asyncio::ExceptionGroup& group) {
            events.emplace_back(std::to_string(group.exceptions().size()) + " error");
        }
        EXPECT_EQ(events, (Events{"body goes on", "starts", "1 error"}));
    });
}

TEST(eager_start, under_debug_mode_is_the_same) {
    TestLoop loop({.debug = true});
    Events events;
    loop->run_until_complete([](Events& events) -> Coro<> {
        EXPECT_EQ(co_await create_task(one_wait(events), eagerly), 7);
    }(events));
    EXPECT_EQ(events, (Events{"starts", "goes on"}));
}

TEST(eager_start, a_group_knows_its_child_before_that_takes_its_first_step) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto first = [&](asyncio::TaskGroup& group) -> Coro<> {
            group.cancel();
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                trace += "cancelled";
                throw;
            }
        };
        co_await asyncio::task_group([&](asyncio::TaskGroup& group) -> Coro<> {
            const auto child = [&]() -> Coro<> { co_await first(group); };
            group.create_task(child, eagerly);
            co_return;
        });
        EXPECT_EQ(trace, "cancelled");
        // A child that has failed when `create_task` returns.
        std::string error;
        try {
            co_await asyncio::task_group([&](asyncio::TaskGroup& group) -> Coro<> {
                const auto child = []() -> Coro<> {
                    throw std::runtime_error("at once");
                    co_return;
                };
                EXPECT_TRUE(group.create_task(child, eagerly).done());
                co_await sleep(1h);
            });
        } catch (const asyncio::ExceptionGroup& errors) {
            error = errors.what();
        }
        EXPECT_TRUE(support::contains(error, "at once")) << error;
        // One that is started, and ends its group before it is ready.
        const auto unready = [&](asyncio::TaskGroup& group) -> Coro<> {
            const auto child = [&](asyncio::TaskStatus<>) -> Coro<> { co_await first(group); };
            co_await group.start(child, eagerly);
        };
        trace.clear();
        co_await asyncio::task_group(
            [&](asyncio::TaskGroup& group) -> Coro<> { co_await unready(group); });
        EXPECT_EQ(trace, "cancelled");
    });
}

TEST(eager_start, a_map_whose_item_is_cancelled_in_its_first_step_says_so) {
    const support::LogCapture log;
    const auto main = []() -> Coro<> {
        int items[] = {1, 2, 3};
        std::string end = "value";
        try {
            co_await asyncio::map_concurrent(items, [](int& item) -> Coro<> {
                if (item == 1) throw CancelledError("x");
                co_await sleep(1ms);
            });
        } catch (const CancelledError&) {
            end = "cancelled";
        } catch (const std::exception& error) {
            end = error.what();
        }
        EXPECT_EQ(end, "cancelled");
    };
    asyncio::run(main(), {.eager_tasks = true});
    asyncio::run(main());
}

}  // namespace
