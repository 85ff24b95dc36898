// Goal: a task group ends when all of its tasks have, cancels the rest when one fails, loses no
// error, and tells its own requests to cancel from everybody else's.
// Method: the cases of CPython's suite for groups, as children that note what happened to them.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/detached.h"
#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::ExceptionGroup;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::Task;
using asyncio::task_group;
using asyncio::TaskGroup;
using core_help::fail_after;
using core_help::number_after;
using core_help::wait_for_the_end;
using support::how;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using support::Ticks;
using support::Tracked;
using namespace std::chrono_literals;

TEST(task_group, TG_01_ends_after_its_slowest_task_and_results_can_be_read) {
    run_test([]() -> Coro<> {
        Task<int> a, b;
        const int value = co_await task_group([&](TaskGroup& group) -> Coro<int> {
            a = group.create_task(number_after(3ms, 1));
            b = group.create_task(number_after(1ms, 2));
            co_return 3;
        });
        EXPECT_EQ(value, 3);
        EXPECT_EQ(a.result(), 1);
        EXPECT_EQ(b.result(), 2);
    });
}

TEST(task_group, without_tasks_it_is_its_body) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        const int before = ticks.count();
        co_await task_group([](TaskGroup&) -> Coro<> { co_return; });
        const std::unique_ptr<int> value = co_await task_group(
            [](TaskGroup&) -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(3); });
        EXPECT_EQ(*value, 3);
        EXPECT_EQ(ticks.count(), before) << "and costs no iteration";
    });
}

TEST(task_group, TG_02_a_task_that_is_cancelled_by_itself_is_no_error) {
    run_test([]() -> Coro<> {
        std::string trace;
        Task<int> other;
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            auto victim = group.create_task(wait_for_the_end(trace, "victim"));
            other = group.create_task(number_after(2ms, 1));
            co_await sleep(1ms);
            victim.cancel();
        }));
        EXPECT_EQ(end, "value");
        EXPECT_EQ(trace, "victim");
        EXPECT_EQ(other.result(), 1);
    });
}

TEST(task_group, TG_03_one_error_cancels_the_siblings_and_leaves_alone) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(wait_for_the_end(trace, "a"));
            group.create_task(fail_after(1ms, "broken"));
            group.create_task(wait_for_the_end(trace, "b"));
            co_return;
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): broken");
        EXPECT_EQ(trace, "ab");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(task_group, TG_04_an_error_of_a_task_cancels_a_body_that_waits) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(1ms, "broken"));
            co_await wait_for_the_end(trace, "body");
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): broken");
        EXPECT_EQ(trace, "body");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(1ms);
    });
}

TEST(task_group, several_errors_are_all_there_in_the_order_in_which_they_came) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(1h, "never"));
            group.create_task(fail_after(1ms, "first"));
            group.create_task(wait_for_the_end(trace, "", "cleanup a"));
            group.create_task(wait_for_the_end(trace, "", "cleanup b"));
            co_return;
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (3 errors): first; cleanup a; cleanup b");
    });
}

TEST(task_group, TG_05_cancelling_the_parent_while_it_waits_at_the_end_cancels_all) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(wait_for_the_end(trace, "a"));
                group.create_task(wait_for_the_end(trace, "b"));
                co_return;
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel("why");
        const auto [outcome] = co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "ab");
        EXPECT_EQ(asyncio::describe(outcome.error()), "cancelled: why");
        EXPECT_TRUE(task.cancelled());
        EXPECT_EQ(task.cancelling(), 1u);
    });
}

TEST(task_group, TG_06_cancelling_the_parent_in_its_body_cancels_the_body_first) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(wait_for_the_end(trace, "child "));
                co_await wait_for_the_end(trace, "body ");
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "body child ");
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(task_group, TG_08_an_error_of_the_body_cancels_the_tasks_and_is_in_the_group) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(wait_for_the_end(trace, "child"));
            co_await sleep(1ms);
            throw std::runtime_error("body");
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): body");
        EXPECT_EQ(trace, "child");
    });
}

TEST(task_group, TG_08_an_error_of_the_body_before_a_task_has_begun) {
    run_test([]() -> Coro<> {
        bool ran = false;
        const auto child = [&](Tracked) -> Coro<> {
            ran = true;
            co_return;
        };
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(child(Tracked()));
            throw std::runtime_error("body");
            co_return;
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): body");
        EXPECT_FALSE(ran);
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(task_group, TG_09_groups_inside_groups_make_groups_inside_groups) {
    run_test([]() -> Coro<> {
        const auto body = [](TaskGroup& outer) -> Coro<> {
            const auto inner = []() -> Coro<> {
                co_await task_group([](TaskGroup& group) -> Coro<> {
                    group.create_task(fail_after(1ms, "deep"));
                    co_return;
                });
            };
            outer.create_task(inner());
            co_return;
        };
        std::string seen;
        try {
            co_await task_group(body);
        } catch (const ExceptionGroup& outer) {
            EXPECT_EQ(outer.exceptions().size(), 1u);
            try {
                std::rethrow_exception(outer.exceptions()[0]);
            } catch (const ExceptionGroup& inner) {
                seen = asyncio::describe(inner.exceptions()[0]);
            }
            EXPECT_EQ(outer.for_each<std::runtime_error>([](const auto&) {}), 1u);
        }
        EXPECT_EQ(seen, "deep");
    });
}

TEST(task_group, TG_09_errors_of_inner_tasks_in_their_cleanup_are_kept) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await task_group([&](TaskGroup&) -> Coro<> {
                co_await task_group([&](TaskGroup& inner) -> Coro<> {
                    inner.create_task(wait_for_the_end(trace, "", "cleanup"));
                    co_await sleep(1h);
                });
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        const std::string end = co_await how(task);
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): unhandled errors in a TaskGroup "
                       "(1 error): cleanup");
    });
}

TEST(task_group, TG_10_an_error_outside_cancels_a_group_inside_and_only_that_error_leaves) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& outer) -> Coro<> {
            outer.create_task(fail_after(1ms, "outer"));
            co_await task_group([&](TaskGroup& inner) -> Coro<> {
                inner.create_task(wait_for_the_end(trace, "inner"));
                co_await sleep(1h);
            });
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): outer");
        EXPECT_EQ(trace, "inner");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(task_group, TG_11_a_task_that_fails_while_the_cancelled_body_cleans_up_makes_a_group) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await task_group([](TaskGroup& group) -> Coro<> {
                group.create_task(fail_after(3ms, "meanwhile"));
                bool cancelled = false;
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    cancelled = true;
                }
                try {
                    co_await sleep(10ms);
                } catch (const CancelledError&) {
                }
                if (cancelled) throw CancelledError();
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        const std::string end = co_await how(task);
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): meanwhile");
        EXPECT_EQ(task.cancelling(), 1u);
    });
}

TEST(task_group, TG_12_a_body_that_answers_the_cancellation_with_an_error_makes_a_group) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await task_group([](TaskGroup& group) -> Coro<> {
                group.create_task(fail_after(1h, "never"));
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    throw std::runtime_error("instead");
                }
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        const std::string end = co_await how(task);
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): instead");
    });
}

TEST(task_group, TG_13_errors_of_a_task_and_of_the_body_are_both_there) {
    run_test([]() -> Coro<> {
        const std::string end = co_await how(task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(1ms, "child"));
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                throw std::runtime_error("body");
            }
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (2 errors): child; body");
    });
}

TEST(task_group, TG_16_tasks_that_beget_tasks_without_end_are_stopped_by_one_error) {
    run_test([]() -> Coro<> {
        int born = 0;
        TaskGroup* shared = nullptr;
        std::function<Coro<>()> beget = [&]() -> Coro<> {
            co_await sleep(0s);
            ++born;
            shared->create_task(beget());
            co_await sleep(0s);
        };
        const auto body = [&](TaskGroup& group) -> Coro<> {
            shared = &group;
            group.create_task(beget());
            for (int i = 0; i < 100; ++i) co_await sleep(0s);
            throw std::runtime_error("enough");
        };
        std::string end;
        try {
            co_await task_group(body);
        } catch (const ExceptionGroup& group) {
            // A birth that came after the error was refused, and is an error of that parent.
            end = asyncio::describe(group.exceptions().back());
        }
        EXPECT_EQ(end, "enough");
        EXPECT_GT(born, 10);
    });
}

TEST(task_group, TG_17_a_hundred_thousand_tasks_one_after_the_other_leave_nothing_behind) {
    run_test([]() -> Coro<> {
        co_await task_group([](TaskGroup& group) -> Coro<> {
            for (int i = 0; i < 100'000; ++i) {
                group.create_task([](Tracked) -> Coro<> { co_return; }(Tracked(i)));
                if (i % 64 == 0) {
                    co_await sleep(0s);
                    EXPECT_LE(Tracked::alive(), 64);
                }
            }
        });
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(task_group, TG_19_outside_a_task_it_is_an_error) {
    const LogCapture log;
    TestLoop loop;
    std::string end;
    const auto group = [] { return asyncio::task_group([](TaskGroup&) -> Coro<> { co_return; }); };
    loop->call_soon([&] { support::await_detached(group, end); });
    loop.run_until_idle();
    EXPECT_TRUE(support::contains(end, "asyncio::task_group()")) << end;
    end.clear();
    support::await_detached(group, end);
    EXPECT_TRUE(support::contains(end, "asyncio::task_group()")) << end;
}

TEST(task_group, TG_23_an_inner_scope_that_fails_on_its_way_out_adds_its_error) {
    run_test([]() -> Coro<> {
        const std::string end = co_await how(task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(fail_after(0s, "child"));
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                throw std::logic_error("exit");
            }
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (2 errors): child; exit");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(task_group, TG_24_a_task_made_while_the_group_shuts_down_is_refused_and_nothing_hangs) {
    run_test([]() -> Coro<> {
        bool ran = false;
        std::string refusal;
        const auto late = [&](Tracked) -> Coro<> {
            ran = true;
            co_return;
        };
        const auto child = [&](TaskGroup& group) -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                try {
                    group.create_task(late(Tracked()));
                } catch (const RuntimeError& error) {
                    refusal = error.what();
                }
                throw;
            }
        };
        const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(child(group));
            group.create_task(fail_after(1ms, "broken"));
            co_await sleep(1h);
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): broken");
        EXPECT_TRUE(support::contains(refusal, "shutting down")) << refusal;
        EXPECT_FALSE(ran);
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(task_group, tasks_may_be_made_while_the_group_waits_for_its_last_ones) {
    run_test([]() -> Coro<> {
        std::string trace;
        // The closure of a child must outlive the child; the body of the group ends before it.
        const auto child = [&](TaskGroup& group) -> Coro<> {
            co_await sleep(1ms);
            group.create_task(number_after(1ms, 1));
            trace += "child ";
        };
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(child(group));
            trace += "body ";
            co_return;
        });
        EXPECT_EQ(trace, "body child ");
    });
}

TEST(task_group, TASK_12_a_group_that_is_over_takes_no_task_and_destroys_the_coroutine) {
    run_test([]() -> Coro<> {
        const auto unused = [](Tracked) -> Coro<> { co_return; };
        std::string refusal;
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            auto last = group.create_task(number_after(1ms, 1));
            // The last child has ended, and the group learns of it in the next iteration.
            last.add_done_callback([&] {
                try {
                    group.create_task(unused(Tracked()));
                } catch (const RuntimeError& error) {
                    refusal = error.what();
                }
                EXPECT_EQ(Tracked::alive(), 0);
            });
            co_return;
        });
        EXPECT_EQ(refusal, "the task group has ended");
    });
}

TEST(task_group, TG_25_a_name_given_to_create_task_is_the_tasks) {
    run_test([]() -> Coro<> {
        co_await task_group([](TaskGroup& group) -> Coro<> {
            auto named = group.create_task(number_after(0s, 1), {.name = "given"});
            EXPECT_EQ(named.get_name(), "given");
            co_return;
        });
    });
}

TEST(task_group, its_parent_resumes_two_iterations_after_the_last_task_has_ended) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        int ended_at = 0;
        const auto child = [&]() -> Coro<> {
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            ended_at = ticks.count();
        };
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(child());
            co_return;
        });
        EXPECT_EQ(ticks.count(), ended_at + 2);
    });
}

TEST(task_group, many_groups_run_beside_each_other) {
    run_test([]() -> Coro<> {
        const char* const broken = "unhandled errors in a TaskGroup (1 error): broken";
        int sum = 0;
        const auto one = [&](int number) -> Coro<> {
            const std::string end = co_await how(task_group([&](TaskGroup& group) -> Coro<> {
                for (int i = 0; i < 10; ++i) group.create_task(number_after(i * 10us, i));
                if (number % 3 == 0) group.create_task(fail_after(20us, "broken"));
                co_await sleep(50us);
            }));
            if (end == (number % 3 == 0 ? broken : "value")) ++sum;
        };
        std::vector<Coro<>> all;
        for (int i = 0; i < 200; ++i) all.push_back(one(i));
        co_await asyncio::gather(std::move(all));
        EXPECT_EQ(sum, 200);
    });
}

}  // namespace
