// Goal: a task group tells its own requests to cancel from everybody else's: it takes its own back,
// eats nobody's, and `cancel` ends it early without an error.
// Method: the request made from inside, from a child and from outside, before and after others.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::ExceptionGroup;
using asyncio::sleep;
using asyncio::task_group;
using asyncio::TaskGroup;
using core_help::fail_after;
using core_help::wait_for_the_end;
using support::how;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

TEST(task_group_requests, TG_20_after_a_group_that_failed_the_parent_is_not_cancelled) {
    run_test([]() -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            const std::string end = co_await how(task_group([](TaskGroup& group) -> Coro<> {
                group.create_task(fail_after(0s, "broken"));
                co_await sleep(1h);
            }));
            EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): broken");
            EXPECT_EQ(current_task().cancelling(), 0u);
            co_await sleep(0s);
            co_await sleep(1ms);
        }
    });
}

TEST(task_group_requests,
     TG_20_an_error_in_the_last_iteration_of_the_body_does_not_leak_a_cancellation) {
    run_test([]() -> Coro<> {
        for (int turns = 0; turns < 6; ++turns) {
            const std::string end = co_await how(task_group([turns](TaskGroup& group) -> Coro<> {
                const auto child = []() -> Coro<> {
                    co_await sleep(0s);
                    co_await sleep(0s);
                    throw std::runtime_error("broken");
                };
                group.create_task(child());
                for (int i = 0; i < turns; ++i) co_await sleep(0s);
            }));
            EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): broken") << turns;
            EXPECT_EQ(current_task().cancelling(), 0u) << turns;
            co_await sleep(0s);
        }
    });
}

TEST(task_group_requests,
     TG_21_inner_and_outer_that_fail_in_one_iteration_each_take_their_own_request) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto raise = [](const char* text) -> Coro<> {
            throw std::runtime_error(text);
            co_return;
        };
        const std::string end = co_await how(task_group([&](TaskGroup& outer) -> Coro<> {
            const auto inner = task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(raise("inner"));
                outer.create_task(raise("outer"));
                co_await sleep(1h);
            });
            trace += co_await how(std::move(const_cast<Coro<>&>(inner)));
            trace += " " + std::to_string(current_task().cancelling());
            co_await sleep(1h);
        }));
        EXPECT_EQ(trace, "unhandled errors in a TaskGroup (1 error): inner 1");
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): outer");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(task_group_requests,
     TG_22_an_error_and_a_cancellation_from_outside_in_one_iteration_are_both_felt) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            trace += co_await how(task_group([](TaskGroup& group) -> Coro<> {
                group.create_task(fail_after(0s, "broken"));
                co_await sleep(1h);
            }));
            trace += " " + std::to_string(current_task().cancelling());
            try {
                co_await sleep(0s);
            } catch (const CancelledError&) {
                trace += " cancelled";
                throw;
            }
        };
        auto task = create_task(body());
        // The child fails in its second step; its group hears of it one iteration later. That is
        // when the parent is cancelled from outside as well.
        for (int i = 0; i < 4; ++i) co_await sleep(0s);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "unhandled errors in a TaskGroup (1 error): broken 1 cancelled");
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(task_group_requests, TG_28_cancel_ends_tasks_and_body_without_an_error) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(wait_for_the_end(trace, "child "));
            asyncio::get_running_loop().call_later(1ms, [&] { group.cancel(); });
            co_await wait_for_the_end(trace, "body ");
        }));
        EXPECT_EQ(end, "value");
        // In the order in which they were told; a group tells its tasks first.
        EXPECT_EQ(trace, "child body ");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(task_group_requests, TG_28_cancel_works_from_a_child_from_the_body_and_at_the_end) {
    run_test([]() -> Coro<> {
        for (int from = 0; from < 3; ++from) {
            std::string trace;
            const auto canceller = [](TaskGroup& group) -> Coro<> {
                co_await sleep(1ms);
                group.cancel();
            };
            const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(wait_for_the_end(trace, "child"));
                if (from == 0) {
                    group.create_task(canceller(group));
                    co_await sleep(1h);
                } else if (from == 1) {
                    co_await sleep(1ms);
                    group.cancel();
                } else {
                    group.create_task(canceller(group));
                }
            }));
            EXPECT_EQ(end, "value") << from;
            EXPECT_EQ(trace, "child") << from;
            EXPECT_EQ(current_task().cancelling(), 0u) << from;
            co_await sleep(0s);
        }
    });
}

TEST(task_group_requests, TG_28_cancel_twice_and_after_the_end_is_harmless) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(wait_for_the_end(trace, "child"));
            co_await sleep(0s);
            group.cancel();
            group.cancel();
            co_return;
        }));
        EXPECT_EQ(end, "value");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(task_group_requests, TG_28_cancel_after_the_last_task_has_ended_changes_nothing) {
    run_test([]() -> Coro<> {
        const auto swallow = [](TaskGroup& group) -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
            // The group hears of the end first, and its parent has not had its turn yet.
            group.create_task(sleep(1ms)).add_done_callback([&] { group.cancel(); });
        };
        const auto body = [&]() -> Coro<> { co_await task_group(swallow); };
        auto task = create_task(body());
        co_await sleep(0s);
        task.cancel();
        EXPECT_EQ(co_await how(task), "value") << "what the body has swallowed stays swallowed";
    });
}

TEST(task_group_requests, TG_28_a_request_from_before_the_group_is_not_swallowed_with_its_own) {
    run_test([]() -> Coro<> {
        const auto swallow = [](TaskGroup& group) -> Coro<> {
            group.cancel();
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
        };
        const auto body = [&]() -> Coro<> {
            current_task().cancel();
            co_await task_group(swallow);
        };
        EXPECT_EQ(co_await how(create_task(body())), "cancelled");
    });
}

TEST(task_group_requests, TG_28_errors_of_tasks_in_their_cleanup_leave_after_cancel_too) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(wait_for_the_end(trace, "", "cleanup"));
            co_await sleep(1ms);
            group.cancel();
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): cleanup");
    });
}

TEST(task_group_requests, TG_28_a_cancellation_from_outside_is_not_eaten_by_cancel) {
    run_test([]() -> Coro<> {
        // The body waits, or has ended and the group waits; the other request comes before, in the
        // same iteration, or while the group is winding up.
        for (const bool in_body : {true, false}) {
            for (int delay = 0; delay < 4; ++delay) {
                for (const bool outside_first : {true, false}) {
                    TaskGroup* shared = nullptr;
                    std::string trace;
                    const auto slow = []() -> Coro<> {
                        bool cancelled = false;
                        try {
                            co_await sleep(1h);
                        } catch (const CancelledError&) {
                            cancelled = true;
                        }
                        for (int i = 0; i < 6; ++i) co_await sleep(0s);
                        if (cancelled) throw CancelledError();
                    };
                    const auto body = [&]() -> Coro<> {
                        co_await task_group([&](TaskGroup& group) -> Coro<> {
                            shared = &group;
                            group.create_task(slow());
                            if (in_body) co_await sleep(1h);
                        });
                        trace += "on ";
                        co_await sleep(1ms);
                        trace += "and on";
                    };
                    auto task = create_task(body());
                    co_await sleep(1ms);
                    if (outside_first) {
                        task.cancel();
                        for (int i = 0; i < delay; ++i) co_await sleep(0s);
                        shared->cancel();
                    } else {
                        shared->cancel();
                        for (int i = 0; i < delay; ++i) co_await sleep(0s);
                        task.cancel();
                    }
                    co_await asyncio::gather_settled(task);
                    EXPECT_TRUE(task.cancelled()) << in_body << delay << outside_first << trace;
                    EXPECT_EQ(task.cancelling(), 1u);
                    EXPECT_NE(trace, "on and on");
                }
            }
        }
    });
}

TEST(task_group_requests, TG_28_a_body_with_a_value_that_was_stopped_has_none) {
    run_test([]() -> Coro<> {
        const std::string stopped = co_await how(task_group([&](TaskGroup& group) -> Coro<int> {
            asyncio::get_running_loop().call_soon([&] { group.cancel(); });
            co_await sleep(1h);
            co_return 1;
        }));
        EXPECT_TRUE(support::contains(stopped, "before its body returned a value")) << stopped;
        std::string trace;
        const int value = co_await task_group([&](TaskGroup& group) -> Coro<int> {
            group.create_task(wait_for_the_end(trace, "child"));
            co_await sleep(0s);
            group.cancel();
            co_return 7;
        });
        EXPECT_EQ(value, 7);
        EXPECT_EQ(trace, "child");
    });
}

TEST(task_group_errors, TG_26_what_has_left_a_group_is_kept_by_nobody) {
    struct Heavy {
        Tracked weight;
    };
    run_test([]() -> Coro<> {
        bool caught = false;
        try {
            co_await task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task([]() -> Coro<> {
                    throw Heavy();
                    co_return;
                }());
                co_await sleep(1h);
            });
        } catch (const ExceptionGroup& group) {
            caught = true;
            EXPECT_EQ(group.exceptions().size(), 1U);
            EXPECT_EQ(Tracked::alive(), 1);
        }
        EXPECT_TRUE(caught);
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(task_group_errors, TG_27_no_error_is_dropped_whatever_its_type) {
    run_test([]() -> Coro<> {
        std::string trace;
        std::size_t interrupts = 0;
        std::size_t numbers = 0;
        std::size_t others = 0;
        try {
            co_await task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(wait_for_the_end(trace, "a", "in its cleanup"));
                group.create_task([]() -> Coro<> {
                    throw asyncio::KeyboardInterrupt();
                    co_return;
                }());
                group.create_task([]() -> Coro<> {
                    throw 42;
                    co_return;
                }());
                co_await sleep(1h);
            });
        } catch (const ExceptionGroup& group) {
            interrupts = group.for_each<asyncio::KeyboardInterrupt>(
                [](const asyncio::KeyboardInterrupt&) {});
            numbers = group.for_each<int>([](int) {});
            others = group.for_each<std::runtime_error>([](const std::runtime_error&) {});
        }
        EXPECT_EQ(interrupts, 1U);
        EXPECT_EQ(numbers, 1U);
        EXPECT_EQ(others, 1U);
        EXPECT_EQ(trace, "a");
    });
}

}  // namespace
