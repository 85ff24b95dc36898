// Goal: however long a chain of awaits is, and even if it is closed to a circle, a request to
// cancel finds its way, everything ends, and no stack is used up on the way.
// Method: chains of every kind far beyond what a stack holds; circles of two and of three tasks,
// and through gathers; the numbers of requests and the order of the ends are compared.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::EventLoop;
using asyncio::Future;
using asyncio::gather;
using asyncio::shield;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TaskGroup;
using core_help::end_of;
using support::contains;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using namespace std::chrono_literals;

constexpr int many = 100'000;

Coro<> hour() { co_await sleep(1h); }
Coro<> wait_for_task(Task<> task) { co_await task; }
Coro<> wait_for_future(Future<> future) { co_await future; }

TEST(cancel_chain, a_task_that_a_request_reaches_twice_is_asked_once) {
    run_test([]() -> Coro<> {
        const auto counts_requests = []() -> Coro<int> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
            co_return static_cast<int>(asyncio::current_task().cancelling());
        };
        const Task<int> task = create_task(counts_requests());
        const auto both = gather(gather(task), gather(task), task);
        co_await sleep(0s);
        both.cancel();
        EXPECT_EQ(co_await task, 1);
        co_await asyncio::gather_settled(both);
    });
}

TEST(cancel_chain, CAN_04_a_hundred_thousand_tasks_that_await_each_other) {
    run_test([]() -> Coro<> {
        const Task<> first = create_task(hour());
        Task<> last = first;
        for (int i = 0; i < many; ++i) last = create_task(wait_for_task(last));
        co_await sleep(0s);
        EXPECT_TRUE(last.cancel("all"));
        EXPECT_EQ(first.cancelling(), 1U);
        EXPECT_EQ(co_await end_of(last), "cancelled: all");
        EXPECT_EQ(co_await end_of(first), "cancelled: all");
    });
}

TEST(cancel_chain, gathers_of_gathers) {
    run_test([]() -> Coro<> {
        Future<> outer = gather(create_task(hour()));
        for (int i = 0; i < many; ++i) outer = gather(outer);
        EXPECT_TRUE(outer.cancel("all"));
        EXPECT_EQ(co_await end_of(outer), "cancelled: all");
    });
}

TEST(cancel_chain, tasks_and_gathers_by_turns) {
    run_test([]() -> Coro<> {
        const Task<> first = create_task(hour());
        Future<> outer = gather(first);
        for (int i = 0; i < many / 10; ++i) outer = gather(create_task(wait_for_future(outer)));
        co_await sleep(0s);
        EXPECT_TRUE(outer.cancel("all"));
        EXPECT_EQ(first.cancelling(), 1U);
        EXPECT_EQ(co_await end_of(outer), "cancelled: all");
    });
}

TEST(cancel_chain, gathers_of_gathers_refuse_when_what_is_innermost_has_ended) {
    run_test([]() -> Coro<> {
        const auto quick = create_task([]() -> Coro<> { co_return; });
        Future<> outer = gather(quick);
        for (int i = 0; i < 10; ++i) outer = gather(outer);
        const Task<> waiter = create_task(wait_for_future(outer));
        co_await quick;
        EXPECT_FALSE(outer.done());
        EXPECT_FALSE(outer.cancel());
        // The task is asked, and its gather refuses: so the request stays with the task.
        EXPECT_TRUE(waiter.cancel("late"));
        EXPECT_EQ(co_await end_of(waiter), "cancelled: late");
        EXPECT_EQ(co_await end_of(outer), "value");
    });
}

TEST(cancel_chain, shields_waits_groups_and_limits_one_inside_the_other) {
    run_test([]() -> Coro<> {
        const Task<> first = create_task(hour());
        Future<> outer = shield(first);
        for (int i = 0; i < many; ++i) outer = shield(outer);
        Task<> last = create_task(wait_for_future(outer));
        for (int i = 0; i < many / 50; ++i) {
            const auto by_wait = [before = last]() -> Coro<> {
                const std::vector<Task<>> tasks(1, before);
                co_await asyncio::wait(tasks);
            };
            last = create_task(by_wait);
            const auto by_group = [before = last]() -> Coro<> {
                co_await asyncio::task_group([&](asyncio::TaskGroup& group) -> Coro<> {
                    group.create_task(wait_for_task(before));
                    co_return;
                });
            };
            last = create_task(by_group);
            const auto by_limit = [before = last]() -> Coro<> {
                co_await asyncio::wait_for(before, 100h);
            };
            last = create_task(by_limit);
            const auto one_by_one = [before = last]() -> Coro<> {
                auto ends = asyncio::as_completed(std::vector<Task<>>(1, before));
                co_await ends.next();
            };
            last = create_task(one_by_one);
        }
        co_await sleep(1ms);
        last.cancel("x");
        EXPECT_EQ(co_await end_of(last), "cancelled: x");
        // Those that were only waited for, and what they wait for in turn, until all have begun.
        for (int round = 0; round < 10'000 && asyncio::all_tasks().size() > 1; ++round) {
            for (const asyncio::TaskRef& task : asyncio::all_tasks()) {
                if (task != asyncio::current_task()) task.cancel();
            }
            co_await sleep(1ms);
        }
        EXPECT_EQ(asyncio::all_tasks().size(), 1U);
    });
}

Coro<> nest(int levels) {
    if (levels == 0) {
        co_await sleep(1h);
    } else {
        co_await nest(levels - 1);
    }
}

TEST(cancel_chain, coroutines_that_await_each_other) {
    run_test([]() -> Coro<> {
        const Task<> task = create_task(nest(many));
        co_await sleep(0s);
        task.cancel("deep");
        EXPECT_EQ(co_await end_of(task), "cancelled: deep");
    });
}

TEST(cancel_chain, CAN_24_who_shares_what_is_awaited_is_asked_once_however_many_ways_lead_there) {
    run_test([]() -> Coro<> {
        const Task<> first = create_task(hour());
        Future<> outer = gather(first);
        std::vector<Task<>> waiters;
        // 2^60 ways.
        for (int i = 0; i < 60; ++i) {
            waiters.push_back(create_task(wait_for_future(outer)));
            waiters.push_back(create_task(wait_for_future(outer)));
            outer = gather(waiters[waiters.size() - 2], waiters.back());
        }
        co_await sleep(0s);
        EXPECT_TRUE(outer.cancel());
        EXPECT_EQ(first.cancelling(), 1U);
        for (const Task<>& waiter : waiters) EXPECT_EQ(waiter.cancelling(), 1U);
        EXPECT_EQ(co_await end_of(outer), "cancelled: ");
        // The marks of the walk are gone: the next one goes the same way.
        const Task<> second = create_task(hour());
        const Task<> again = create_task(wait_for_task(second));
        co_await sleep(0s);
        again.cancel();
        EXPECT_EQ(second.cancelling(), 1U);
        co_await end_of(again);
    });
}

TEST(cancel_chain, a_request_reaches_a_task_again_with_the_next_cancel) {
    run_test([]() -> Coro<> {
        const auto stubborn = []() -> Coro<> {
            for (int i = 0; i < 2; ++i) {
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                }
            }
        };
        const Task<> inner = create_task(stubborn());
        const Future<> outer = gather(create_task(wait_for_task(inner)));
        co_await sleep(0s);
        EXPECT_TRUE(outer.cancel());
        co_await sleep(0s);
        EXPECT_FALSE(inner.done());
        EXPECT_TRUE(outer.cancel());
        EXPECT_EQ(inner.cancelling(), 2U);
        EXPECT_EQ(co_await end_of(inner), "value");
        co_await end_of(outer);
    });
}

TEST(cancel_chain, parts_are_woken_in_their_order_however_deep_each_waits) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto note = [&trace](char name) -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                trace += name;
                throw;
            }
        };
        const Task<> a = create_task(note('a'));
        const Task<> deep = create_task(wait_for_task(create_task(wait_for_task(a))));
        const Task<> b = create_task(note('b'));
        const auto c = asyncio::get_running_loop().create_future();
        const Task<> d = create_task(note('d'));
        c.add_done_callback([&trace] { trace += 'c'; });
        const Future<> outer = gather(deep, b, c, d);
        co_await sleep(0s);
        outer.cancel();
        co_await end_of(outer);
        EXPECT_EQ(trace, "abcd");
    });
}

// Circles.

/// Tasks that wait for each other in a circle; `trace` tells in which order they end.
std::vector<Task<>> circle_of(EventLoop& loop, int count, std::vector<Task<>>& tasks,
                              std::string& trace) {
    for (int i = 0; i < count; ++i) {
        const auto waits = [&tasks, &trace, i, count]() -> Coro<> {
            try {
                co_await tasks[static_cast<std::size_t>((i + 1) % count)];
            } catch (const CancelledError&) {
                trace += std::to_string(i);
                throw;
            }
        };
        // Each is kept alive with its closure until it has ended.
        tasks.push_back(
            loop.create_task([](auto function) -> Coro<> { co_await function(); }(waits)));
    }
    return tasks;
}

TEST(cancel_circle, CAN_25_a_circle_ends_from_the_innermost_outwards) {
    for (int count = 2; count < 5; ++count) {
        run_test([count]() -> Coro<> {
            std::vector<Task<>> tasks;
            std::string trace;
            circle_of(asyncio::get_running_loop(), count, tasks, trace);
            co_await sleep(0s);
            co_await sleep(0s);
            EXPECT_TRUE(tasks[0].cancel("out"));
            for (const Task<>& task : tasks) {
                EXPECT_EQ(task.cancelling(), 1U);
                EXPECT_EQ(co_await end_of(task), "cancelled: out");
            }
            EXPECT_EQ(trace, std::string("3210").substr(static_cast<std::size_t>(4 - count)));
        });
    }
}

TEST(cancel_circle, one_outside_that_waits_for_a_circle_ends_with_it) {
    run_test([]() -> Coro<> {
        std::vector<Task<>> tasks;
        std::string trace;
        circle_of(asyncio::get_running_loop(), 3, tasks, trace);
        const Task<> outside = create_task(wait_for_task(tasks[1]));
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_TRUE(outside.cancel("out"));
        EXPECT_EQ(co_await end_of(outside), "cancelled: out");
        EXPECT_EQ(trace, "021") << "the way was 1, 2, 0";
    });
}

TEST(cancel_circle, CAN_25_a_gather_that_contains_the_task_that_awaits_it) {
    for (const bool by_gather : {false, true}) {
        run_test([by_gather]() -> Coro<> {
            std::optional<Task<>> self;
            Future<> all;
            const Task<> other = create_task(hour());
            const auto waits = [&]() -> Coro<> {
                all = gather(*self, other);
                co_await all;
            };
            self = create_task(waits);
            co_await sleep(0s);
            co_await sleep(0s);
            EXPECT_TRUE(by_gather ? all.cancel("out") : self->cancel("out"));
            EXPECT_EQ(co_await end_of(*self), "cancelled: out");
            EXPECT_EQ(co_await end_of(other), "cancelled: out");
            EXPECT_EQ(co_await end_of(all), "cancelled: out");
            EXPECT_EQ(self->cancelling(), 1U);
        });
    }
}

TEST(cancel_circle, a_task_that_cancels_itself_and_then_closes_the_circle_is_not_held_in_it) {
    run_test([]() -> Coro<> {
        std::vector<Task<>> tasks;
        const auto first = [&tasks]() -> Coro<> { co_await tasks[1]; };
        const auto second = [&tasks]() -> Coro<> {
            co_await sleep(1ms);
            tasks[1].cancel("self");
            co_await tasks[0];
        };
        tasks.push_back(create_task(first));
        tasks.push_back(create_task(second));
        EXPECT_EQ(co_await end_of(tasks[0]), "cancelled: self");
        EXPECT_EQ(co_await end_of(tasks[1]), "cancelled: self");
    });
}

TEST(cancel_circle, one_that_swallows_its_cancellation_lets_the_others_go_on) {
    run_test([]() -> Coro<> {
        std::vector<Task<>> tasks;
        const auto first = [&tasks]() -> Coro<> { co_await tasks[1]; };
        const auto second = [&tasks]() -> Coro<> {
            try {
                co_await tasks[0];
            } catch (const CancelledError&) {
            }
        };
        tasks.push_back(create_task(first));
        tasks.push_back(create_task(second));
        co_await sleep(0s);
        EXPECT_TRUE(tasks[0].cancel());
        EXPECT_EQ(co_await end_of(tasks[1]), "value");
        EXPECT_EQ(co_await end_of(tasks[0]), "value") << "as in any chain, the end decides";
    });
}

TEST(cancel_circle, CAN_25_closing_the_loop_ends_a_circle) {
    const LogCapture log;
    for (const int count : {2, 3}) {
        std::vector<Task<>> tasks;
        std::string trace;
        TestLoop loop;
        circle_of(*loop, count, tasks, trace);
        loop->call_later(1ms, [&] { loop->stop(); });
        loop->run_forever();
        loop->close();
        for (const Task<>& task : tasks) EXPECT_TRUE(task.cancelled());
    }
    LogCapture::take();  // that tasks were left
}

/// Scopes whose child waits for `other`, which waits for the task of the scope.
Coro<> in_group(Task<> other) {
    co_await asyncio::task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(wait_for_task(other));
        co_return;
    });
}
Coro<> in_start(Task<> other) {
    const auto starts = [&](asyncio::TaskStatus<>) -> Coro<> { co_await other; };
    co_await asyncio::task_group([&](TaskGroup& group) -> Coro<> { co_await group.start(starts); });
}
Coro<> in_map(Task<> other) {
    const std::vector<int> items{1, 2, 3};
    const auto wait = [&](int) -> Coro<> { co_await other; };
    co_await asyncio::map_concurrent(items, wait, {.limit = 2});
}
Coro<> in_race(Task<> other) {
    const auto wait = [&]() -> Coro<> { co_await other; };
    const std::vector both{wait, wait};
    co_await asyncio::staggered_race(both, 1ms);
}
constexpr std::array scopes{&in_group, &in_start, &in_map, &in_race};

/// The task of the scope stands first, the other second.
void circle_through(Coro<> (*scope)(Task<>), EventLoop& loop, std::vector<Task<>>& tasks) {
    const auto first = [&tasks, scope]() -> Coro<> { co_await scope(tasks[1]); };
    const auto second = [&tasks]() -> Coro<> { co_await tasks[0]; };
    tasks.push_back(loop.create_task(first));
    tasks.push_back(loop.create_task(second));
}

TEST(cancel_circle, CAN_25_a_child_that_waits_for_the_task_of_its_scope) {
    for (const auto scope : scopes) {
        for (const std::size_t asked : {0U, 1U}) {
            run_test([scope, asked]() -> Coro<> {
                std::vector<Task<>> tasks;
                circle_through(scope, asyncio::get_running_loop(), tasks);
                co_await sleep(5ms);
                EXPECT_TRUE(tasks[asked].cancel());
                for (const Task<>& task : tasks) EXPECT_EQ(co_await end_of(task), "cancelled: ");
            });
        }
    }
}

TEST(cancel_circle, a_child_that_waits_for_the_task_of_its_scope_ends_with_the_loop) {
    const LogCapture log;
    for (const auto scope : scopes) {
        std::vector<Task<>> tasks;
        TestLoop loop;
        circle_through(scope, *loop, tasks);
        loop->call_later(5ms, [&] { loop->stop(); });
        loop->run_forever();
        loop->close();
        for (const Task<>& task : tasks) EXPECT_TRUE(task.cancelled());
    }
    LogCapture::take();  // that tasks were left
}

TEST(cancel_circle, a_child_that_fails_ends_one_that_waits_for_the_task_of_the_group) {
    run_test([]() -> Coro<> {
        std::vector<Task<>> tasks;
        const auto scope = [&]() -> Coro<> {
            co_await asyncio::task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(wait_for_task(tasks[0]));
                group.create_task(core_help::fail_after(1ms, "failed"));
                co_return;
            });
        };
        tasks.push_back(create_task(scope));
        EXPECT_EQ(co_await end_of(tasks[0]), "error");
        EXPECT_EQ(tasks[0].cancelling(), 0U);
    });
}

TEST(cancel_circle, the_end_of_run_ends_a_circle) {
    const LogCapture log;
    std::vector<Task<>> tasks;
    std::string trace;
    const auto main = [&]() -> Coro<> {
        circle_of(asyncio::get_running_loop(), 3, tasks, trace);
        co_await sleep(1ms);
    };
    asyncio::run(main());
    EXPECT_EQ(trace.size(), 3U);
}

TEST(cancel_circle,
     where_nobody_cancels_it_the_simulated_world_names_it_and_the_loop_can_be_closed) {
    const LogCapture log;
    std::vector<Task<>> tasks;
    std::string trace;
    TestLoop loop({.backend = asyncio::lowlevel::BackendKind::simulated, .debug = false});
    circle_of(*loop, 2, tasks, trace);
    tasks[0].get_name();
    std::string said;
    try {
        loop->run_until_complete(tasks[0]);
    } catch (const asyncio::DeadlockError& deadlock) {
        said = deadlock.what();
    }
    EXPECT_TRUE(contains(said, tasks[0].get_name() + " waits for " + tasks[1].get_name())) << said;
    EXPECT_TRUE(contains(said, tasks[1].get_name() + " waits for " + tasks[0].get_name())) << said;
    loop->close();
    EXPECT_EQ(trace.size(), 2U);
    LogCapture::take();
}

TEST(cancel_circle, debug_mode_names_the_tasks_and_the_places_when_it_forms) {
    const LogCapture log;
    TestLoop loop({.debug = true});
    const auto body = []() -> Coro<> {
        std::vector<Task<>> tasks;
        std::string trace;
        circle_of(asyncio::get_running_loop(), 3, tasks, trace);
        co_await sleep(1ms);
        std::string said;
        for (const std::string& line : LogCapture::take()) said += line + "\n";
        EXPECT_TRUE(contains(said, "in a circle")) << said;
        EXPECT_TRUE(contains(said, "cancel_chain_test.cpp:")) << said;
        for (const Task<>& task : tasks)
            EXPECT_TRUE(contains(said, "waits for " + task.get_name())) << said;
        tasks[0].cancel();
        for (const Task<>& task : tasks) co_await end_of(task);

        // Through a gather.
        std::optional<Task<>> self;
        const auto waits = [&]() -> Coro<> { co_await gather(*self, hour()); };
        self = create_task(waits);
        co_await sleep(1ms);
        said.clear();
        for (const std::string& line : LogCapture::take()) said += line + "\n";
        EXPECT_TRUE(contains(said, "waits for " + self->get_name())) << said;
        self->cancel();
        co_await end_of(*self);
        co_await sleep(1ms);
        LogCapture::take();

        // What is no circle is none: a chain, and two that wait for one.
        const Task<> first = create_task(hour());
        const Task<> second = create_task(wait_for_task(first));
        const Future<> both =
            gather(create_task(wait_for_task(second)), create_task(wait_for_task(second)));
        co_await sleep(1ms);
        both.cancel();
        EXPECT_EQ(co_await end_of(both), "cancelled: ");
        EXPECT_TRUE(LogCapture::take().empty());
    };
    loop->run_until_complete(body());
    loop->close();
}

}  // namespace
