// Goal: `TaskGroup::start` returns when its child says that it is ready, gets the error of one that
// never was, and leaves nothing running that nobody knows of. Callables live as long as their
// tasks. Method: children that are ready, fail, end or are cancelled before and after; the
// callables are temporaries and are counted.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::task_group;
using asyncio::TaskGroup;
using asyncio::TaskStatus;
using support::how;
using support::run_test;
using support::Ticks;
using support::Tracked;
using namespace std::chrono_literals;

TEST(task_group_start, F18_returns_what_the_child_says_when_it_is_ready_and_the_child_goes_on) {
    run_test([]() -> Coro<> {
        std::string trace;
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            const int port = co_await group.start<int>([&](TaskStatus<int> status) -> Coro<> {
                co_await sleep(1ms);
                trace += "ready ";
                status.started(8080);
                co_await sleep(1ms);
                trace += "served";
            });
            EXPECT_EQ(port, 8080);
            trace += "go on ";
        });
        EXPECT_EQ(trace, "ready go on served");
    });
}

TEST(task_group_start, F18_without_a_value_with_one_that_only_moves_and_with_a_name) {
    run_test([]() -> Coro<> {
        std::string name;
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            co_await group.start(
                [&](TaskStatus<> status) -> Coro<> {
                    name = current_task().get_name();
                    status.started();
                    co_return;
                },
                {.name = "server"});
            const auto value = co_await group.start<std::unique_ptr<int>>(
                [](TaskStatus<std::unique_ptr<int>> status) -> Coro<> {
                    status.started(std::make_unique<int>(7));
                    co_return;
                });
            EXPECT_EQ(*value, 7);
        });
        EXPECT_EQ(name, "server");
    });
}

TEST(task_group_start, F18_the_parent_goes_on_one_iteration_after_its_child_is_ready) {
    run_test([]() -> Coro<> {
        co_await task_group([](TaskGroup& group) -> Coro<> {
            const Ticks ticks;
            int ready_at = 0;
            co_await group.start([&](TaskStatus<> status) -> Coro<> {
                co_await sleep(0s);
                ready_at = ticks.count();
                status.started();
            });
            EXPECT_EQ(ticks.count(), ready_at + 1);
        });
    });
}

TEST(task_group_start, F18_the_error_of_a_child_that_was_not_ready_is_the_callers_not_the_groups) {
    run_test([]() -> Coro<> {
        bool sibling_ended = false;
        const auto sibling = [&]() -> Coro<> {
            co_await sleep(1ms);
            sibling_ended = true;
        };
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(sibling);
            const std::string end = co_await how(group.start<int>([](TaskStatus<int>) -> Coro<> {
                co_await sleep(0s);
                throw std::runtime_error("address in use");
            }));
            EXPECT_EQ(end, "address in use");
        });
        EXPECT_TRUE(sibling_ended);
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(task_group_start, F18_a_child_that_ends_or_is_cancelled_without_being_ready_is_an_error) {
    run_test([]() -> Coro<> {
        co_await task_group([](TaskGroup& group) -> Coro<> {
            const std::string ended =
                co_await how(group.start([](TaskStatus<>) -> Coro<> { co_return; }));
            EXPECT_EQ(ended, "the task ended before it called TaskStatus::started()");
            const std::string cancelled = co_await how(group.start([](TaskStatus<>) -> Coro<> {
                current_task().cancel("itself");
                co_await sleep(1h);
            }));
            EXPECT_EQ(cancelled, "cancelled: itself");
        });
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(task_group_start, F18_the_error_of_a_child_that_was_ready_is_the_groups) {
    run_test([]() -> Coro<> {
        const std::string end = co_await how(task_group([](TaskGroup& group) -> Coro<> {
            co_await group.start([](TaskStatus<> status) -> Coro<> {
                status.started();
                co_await sleep(0s);
                throw std::runtime_error("later");
            });
            co_await sleep(1h);
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): later");
    });
}

TEST(task_group_start, F18_being_ready_twice_is_refused) {
    run_test([]() -> Coro<> {
        bool refused = false;
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            co_await group.start([&](TaskStatus<> status) -> Coro<> {
                status.started();
                try {
                    status.started();
                } catch (const RuntimeError&) {
                    refused = true;
                }
                co_return;
            });
        });
        EXPECT_TRUE(refused);
    });
}

TEST(task_group_start, F18_cancelled_it_cancels_its_child_and_waits_for_it) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await task_group([&](TaskGroup& group) -> Coro<> {
                try {
                    co_await group.start([&](TaskStatus<> status) -> Coro<> {
                        bool cancelled = false;
                        try {
                            co_await sleep(1h);
                        } catch (const CancelledError&) {
                            cancelled = true;
                        }
                        for (int i = 0; i < 5; ++i) co_await sleep(0s);
                        trace += "child ";
                        status.started();  // nobody waits for that any more
                        if (cancelled) throw CancelledError();
                    });
                } catch (const CancelledError&) {
                    trace += "start ";
                    throw;
                }
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel("why");
        co_await sleep(0s);
        task.cancel("again");
        EXPECT_EQ(co_await how(task), "cancelled: why");
        EXPECT_EQ(trace, "child start ");
    });
}

TEST(task_group_start, F18_cancelled_again_while_its_child_ends_it_leaves_once) {
    run_test([]() -> Coro<> {
        std::string seen;
        const auto ends_slowly = [&](TaskStatus<>) -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                seen += "told ";
            }
            for (int i = 0; i < 5; ++i) co_await sleep(0s);
        };
        const auto starts = [&](TaskGroup& group) -> Coro<> {
            try {
                co_await group.start(ends_slowly);
            } catch (const CancelledError&) {
                seen += "cancelled ";
            }
            co_await sleep(0s);
            seen += "goes on";
        };
        const auto body = [&]() -> Coro<> { co_await task_group(starts); };
        auto task = create_task(body());
        co_await sleep(0s);
        co_await sleep(0s);
        task.cancel();
        for (int i = 0; i < 3; ++i) co_await sleep(0s);
        task.cancel();
        EXPECT_EQ(co_await how(task), "value");
        EXPECT_EQ(seen, "told cancelled goes on");
    });
}

TEST(task_group_start, F18_an_error_in_the_cleanup_of_a_cancelled_child_is_not_lost) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await task_group([](TaskGroup& group) -> Coro<> {
                co_await group.start([](TaskStatus<>) -> Coro<> {
                    try {
                        co_await sleep(1h);
                    } catch (const CancelledError&) {
                        throw std::runtime_error("cleanup");
                    }
                });
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        EXPECT_EQ(co_await how(task), "unhandled errors in a TaskGroup (1 error): cleanup");
    });
}

TEST(task_group_start, F18_cancelled_in_any_iteration_the_child_is_started_or_ends) {
    run_test([]() -> Coro<> {
        for (int turns = 0; turns < 8; ++turns) {
            bool started = false;
            bool child_ended = false;
            const auto body = [&]() -> Coro<> {
                co_await task_group([&](TaskGroup& group) -> Coro<> {
                    co_await group.start([&](TaskStatus<> status) -> Coro<> {
                        const std::unique_ptr<bool, void (*)(bool*)> guard(
                            &child_ended, [](bool* flag) { *flag = true; });
                        co_await sleep(0s);
                        co_await sleep(0s);
                        status.started();
                        co_await sleep(1h);
                    });
                    started = true;
                    co_await sleep(1h);
                });
            };
            auto task = create_task(body());
            for (int i = 0; i < turns; ++i) co_await sleep(0s);
            task.cancel();
            EXPECT_EQ(co_await how(task), "cancelled") << turns;
            EXPECT_EQ(child_ended, turns >= 1) << turns;
            EXPECT_EQ(started, turns >= 4) << turns;
        }
    });
}

TEST(task_group_start, TG_28_cancel_of_the_group_ends_a_child_that_is_being_started) {
    run_test([]() -> Coro<> {
        std::string trace;
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            asyncio::get_running_loop().call_later(1ms, [&] { group.cancel(); });
            co_await group.start([&](TaskStatus<>) -> Coro<> {
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    trace += "cancelled";
                    throw;
                }
            });
            trace += "not reached";
        });
        EXPECT_EQ(trace, "cancelled");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(task_group_start, F18_the_error_of_a_sibling_cancels_a_child_that_is_being_started_once) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto sibling = []() -> Coro<> {
            co_await sleep(1ms);
            throw std::runtime_error("sibling");
        };
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(sibling);
            co_await group.start([&](TaskStatus<>) -> Coro<> {
                bool cancelled = false;
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    cancelled = true;
                }
                for (int i = 0; i < 5; ++i) co_await sleep(0s);
                trace += "cleaned up, " + std::to_string(current_task().cancelling());
                if (cancelled) throw CancelledError();
            });
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): sibling");
        EXPECT_EQ(trace, "cleaned up, 1");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(task_group_start, F18_in_a_group_that_is_over_it_is_refused) {
    run_test([]() -> Coro<> {
        std::string end;
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            auto last = group.create_task(core_help::number_after(1ms, 1));
            // The last child has ended, and the group learns of it in the next iteration.
            last.add_done_callback([&] {
                create_task(
                    [](TaskGroup& over, std::string& told) -> Coro<> {
                        told = co_await how(over.start([](TaskStatus<>) -> Coro<> { co_return; }));
                    }(group, end),
                    {.eager_start = true});
            });
            co_return;
        });
        EXPECT_EQ(end, "the task group has ended");
    });
}

TEST(create_task, CPP_06_a_callable_lives_as_long_as_its_task) {
    run_test([]() -> Coro<> {
        std::string trace;
        {
            const Tracked tracked(7);
            auto closure = [tracked, &trace]() -> Coro<int> {
                co_await sleep(1ms);
                trace += "ran ";
                co_return tracked.number();
            };
            auto task = create_task(closure, {.name = "given"});
            EXPECT_EQ(task.get_name(), "given");
            create_task(closure);
        }
        EXPECT_EQ(Tracked::alive(), 2);
        while (asyncio::all_tasks().size() > 1) co_await sleep(1ms);
        EXPECT_EQ(trace, "ran ran ");
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(create_task, CPP_06_what_was_captured_goes_with_a_task_that_never_began) {
    run_test([]() -> Coro<> {
        auto closure = [tracked = Tracked()]() -> Coro<> { co_return; };
        EXPECT_EQ(Tracked::alive(), 1);
        auto task = create_task(closure);
        EXPECT_EQ(Tracked::alive(), 2);
        task.cancel();
        EXPECT_EQ(co_await how(task), "cancelled");
        EXPECT_EQ(Tracked::alive(), 1);
    });
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(create_task, CPP_06_a_temporary_closure_in_an_await_is_destroyed_once) {
    run_test([]() -> Coro<> {
        int number = 3;
        const int value = co_await create_task([&number, four = 4]() -> Coro<int> {
            co_await sleep(0s);
            co_return number + four;
        });
        EXPECT_EQ(value, 7);
    });
}

TEST(task_group, CPP_06_a_callable_lives_as_long_as_the_groups_task) {
    run_test([]() -> Coro<> {
        int sum = 0;
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            for (int i = 1; i <= 3; ++i) {
                const Tracked tracked(i);
                const auto child = [tracked, &sum]() -> Coro<> {
                    co_await sleep(1ms);
                    sum += tracked.number();
                };
                group.create_task(child);
            }
            co_return;
        });
        EXPECT_EQ(sum, 6);
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

}  // namespace
