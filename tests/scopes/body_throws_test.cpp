// Goal: a body, a cleanup or an item that throws before it returns its coroutine ends its scope as
// if the coroutine had thrown: children are cancelled and waited for, cleanups run, limits go.
// Method: ordinary functions in place of coroutines, which start things and then throw.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/how.h"
#include "support/log_capture.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <array>
#include <coroutine>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::AsyncExitStack;
using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::MapResults;
using asyncio::sleep;
using asyncio::TaskGroup;
using asyncio::TaskStatus;
using asyncio::Timeout;
using asyncio::TimeoutError;
using core_help::number_after;
using core_help::wait_for_the_end;
using support::how;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

[[noreturn]] void refuse() { throw std::invalid_argument("refused"); }

Coro<> refused() { refuse(); }
Coro<int> refused_number() { refuse(); }

TEST(body_throws, the_children_of_a_group_are_cancelled_and_waited_for) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(asyncio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(wait_for_the_end(trace, "one "), {.eager_start = true});
            group.create_task(wait_for_the_end(trace, "two "), {.eager_start = true});
            refuse();
        }));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): refused");
        EXPECT_EQ(trace, "one two ");
        EXPECT_EQ(asyncio::current_task().cancelling(), 0U);
    });
}

TEST(body_throws, a_group_whose_body_has_a_value_ends_so_too) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&](TaskGroup& group) -> Coro<int> {
            group.create_task(wait_for_the_end(trace, "child ", "child failed"),
                              {.eager_start = true});
            refuse();
        };
        EXPECT_EQ(co_await how(asyncio::task_group(body)),
                  "unhandled errors in a TaskGroup (2 errors): child failed; refused");
        EXPECT_EQ(trace, "child ");
    });
}

TEST(body_throws, a_cancelled_error_leaves_a_group_as_a_cancellation) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(asyncio::task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(wait_for_the_end(trace, "child "), {.eager_start = true});
            throw CancelledError("by hand");
        }));
        EXPECT_EQ(end, "cancelled: by hand");
        EXPECT_EQ(trace, "child ");
    });
}

TEST(body_throws, a_started_child_fails_in_start_and_not_in_the_group) {
    run_test([]() -> Coro<> {
        co_await asyncio::task_group([](TaskGroup& group) -> Coro<> {
            EXPECT_EQ(co_await how(group.start([](TaskStatus<>) -> Coro<> { return refused(); })),
                      "refused");
            EXPECT_EQ(co_await how(group.start<int>([](TaskStatus<int>) -> Coro<> { refuse(); })),
                      "refused");
        });
    });
}

TEST(body_throws, a_task_made_of_a_callable_fails) {
    run_test([]() -> Coro<> {
        EXPECT_EQ(co_await how(create_task([]() -> Coro<int> { return refused_number(); })),
                  "refused");
        EXPECT_EQ(co_await how(asyncio::task_group([](TaskGroup& group) -> Coro<> {
                      group.create_task([]() -> Coro<> { return refused(); });
                      co_return;
                  })),
                  "unhandled errors in a TaskGroup (1 error): refused");
    });
}

TEST(body_throws, a_limit_goes_with_its_body) {
    run_test([]() -> Coro<> {
        const auto no_value = []() -> Coro<> { return refused(); };
        const auto with_limit = [](Timeout& limit) -> Coro<int> {
            limit.reschedule(asyncio::get_running_loop().time() + 2h);
            refuse();
        };
        const auto when = asyncio::get_running_loop().time() + 1h;
        EXPECT_EQ(co_await how(asyncio::timeout(1h, no_value)), "refused");
        EXPECT_EQ(co_await how(asyncio::timeout(1h, with_limit)), "refused");
        EXPECT_EQ(co_await how(asyncio::timeout_at(when, no_value)), "refused");
        EXPECT_EQ(co_await how(asyncio::move_on_after(1h, no_value)), "refused");
        EXPECT_EQ(co_await how(asyncio::move_on_after(1h, with_limit)), "refused");
        EXPECT_EQ(co_await how(asyncio::move_on_at(when, no_value)), "refused");
        // A limit that has passed cancels at a wait, and there was none.
        EXPECT_EQ(co_await how(asyncio::timeout(0s, no_value)), "refused");
        co_await sleep(0s);
        EXPECT_EQ(asyncio::current_task().cancelling(), 0U);
    });
}

TEST(body_throws, the_cleanups_of_a_stack_run_and_see_the_error) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end =
            co_await how(asyncio::async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
                stack.callback([&] { trace += "first "; });
                stack.push_async_exit([&](std::exception_ptr error) -> Coro<bool> {
                    trace += asyncio::describe(error) + " ";
                    co_return false;
                });
                stack.push_async_callback([&]() -> Coro<> {
                    co_await sleep(1ms);
                    trace += "last ";
                });
                refuse();
            }));
        EXPECT_EQ(end, "refused");
        EXPECT_EQ(trace, "last refused first ");
    });
}

TEST(body_throws, a_stack_whose_cleanups_throw_at_once_runs_the_others) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end =
            co_await how(asyncio::async_exit_stack([&](AsyncExitStack& stack) -> Coro<int> {
                stack.callback([&] { trace += "ran "; });
                stack.callback([] { throw std::runtime_error("callback"); });
                stack.push_async_callback(
                    []() -> Coro<> { throw std::runtime_error("async callback"); });
                stack.push_async_exit(
                    [](std::exception_ptr) -> Coro<bool> { throw std::runtime_error("exit"); });
                refuse();
            }));
        EXPECT_EQ(end, "errors of a body and of its cleanups (4 errors): refused; exit; async "
                       "callback; callback");
        EXPECT_EQ(trace, "ran ");
    });
}

TEST(body_throws, a_cleanup_runs_under_a_mask_and_the_two_errors_are_joined) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto cleanup = [&]() -> Coro<> {
            co_await sleep(1ms);
            trace += "cleaned ";
        };
        const auto failing = []() -> Coro<> { throw std::runtime_error("cleanup"); };
        EXPECT_EQ(co_await how(asyncio::finally_([]() -> Coro<> { return refused(); }, cleanup)),
                  "refused");
        EXPECT_EQ(trace, "cleaned ");
        EXPECT_EQ(co_await how(
                      asyncio::finally_([]() -> Coro<int> { return refused_number(); }, failing)),
                  "errors of a body and of its cleanup (2 errors): refused; cleanup");
        EXPECT_EQ(co_await how(asyncio::finally_([]() -> Coro<> { co_return; }, failing)),
                  "cleanup");
        // The mask has gone with the cleanup.
        asyncio::current_task().cancel("felt");
        EXPECT_EQ(co_await how(sleep(1h)), "cancelled: felt");
        asyncio::current_task().uncancel();
    });
}

TEST(body_throws, an_item_of_a_map_fails_and_the_others_are_waited_for) {
    run_test([]() -> Coro<> {
        const std::array<int, 3> items{1, 2, 3};
        std::string trace;
        const auto visit = [&](int item) -> Coro<int> {
            if (item == 2) refuse();
            return [](std::string& notes, int number) -> Coro<int> {
                co_await wait_for_the_end(notes, "item ");
                co_return number;
            }(trace, item);
        };
        EXPECT_EQ(co_await how(asyncio::map_concurrent(items, visit)),
                  "unhandled errors in a TaskGroup (1 error): refused");
        EXPECT_EQ(trace, "item ");  // the third has not begun

        const auto two_fail = [](int item) -> Coro<int> {
            if (item != 2) refuse();
            return number_after(1ms, item);
        };
        const auto ends = co_await asyncio::map_settled(items, two_fail);
        EXPECT_EQ(asyncio::describe(ends[0].error()), "refused");
        EXPECT_EQ(ends[1].value(), 2);
        EXPECT_EQ(asyncio::describe(ends[2].error()), "refused");
    });
}

TEST(body_throws, the_body_of_a_map_ends_what_runs) {
    run_test([]() -> Coro<> {
        const std::array<int, 3> items{1, 2, 3};
        std::string trace;
        const auto visit = [&](int) -> Coro<> { return wait_for_the_end(trace, "item "); };
        const auto body = [](MapResults<void>&) -> Coro<> { return refused(); };
        EXPECT_EQ(co_await how(asyncio::map_as_completed(items, visit, body)),
                  "unhandled errors in a TaskGroup (1 error): refused");
        // Cancelled before their first steps.
        EXPECT_EQ(trace, "");
    });
}

TEST(body_throws, a_runner_of_a_race_loses_and_the_next_one_begins) {
    run_test([]() -> Coro<> {
        const std::vector<std::function<Coro<int>()>> ways{
            []() -> Coro<int> { return refused_number(); }, [] { return number_after(1ms, 7); }};
        const auto race = co_await asyncio::staggered_race(ways, std::nullopt);
        EXPECT_EQ(race.winner_result, 7);
        EXPECT_EQ(asyncio::describe(race.exceptions.at(0)), "refused");
    });
}

/// Callables in a range whose iterator throws when it comes to the second one.
struct Ways {
    struct iterator {
        using value_type = std::function<Coro<int>()>;
        using difference_type = std::ptrdiff_t;
        const value_type* way = nullptr;
        int place = 0;

        const value_type& operator*() const {
            if (place == 1) refuse();
            return *way;
        }
        iterator& operator++() {
            ++place;
            return *this;
        }
        iterator operator++(int) {
            iterator before = *this;
            ++place;
            return before;
        }
        bool operator==(const iterator& other) const { return place == other.place; }
    };

    std::function<Coro<int>()> way;
    iterator begin() const { return {&way, 0}; }
    iterator end() const { return {&way, 3}; }
};

TEST(body_throws, a_race_whose_range_throws_ends_those_that_run) {
    run_test([]() -> Coro<> {
        std::string trace;
        const Ways ways{[&]() -> Coro<int> {
            co_await wait_for_the_end(trace, "ended ");
            co_return 1;
        }};
        EXPECT_EQ(co_await how(asyncio::staggered_race(ways, 1ms)), "refused");
        EXPECT_EQ(trace, "ended ");
        EXPECT_EQ(asyncio::all_tasks().size(), 1U);
    });
}

TEST(body_throws, nothing_of_a_body_that_throws_is_left) {
    run_test([]() -> Coro<> {
        for (int round = 0; round < 3; ++round) {
            const Tracked tracked;
            const auto body = [&, copy = tracked](TaskGroup& group) -> Coro<Tracked> {
                const auto child = [copy]() -> Coro<Tracked> {
                    co_await sleep(1h);
                    co_return copy;
                };
                group.create_task(child);
                refuse();
            };
            EXPECT_EQ(co_await how(asyncio::task_group(body)),
                      "unhandled errors in a TaskGroup (1 error): refused");
        }
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

// --- What is awaited may throw before it waits ---------------------------------------------------

enum class Where : std::uint8_t { ready, suspend, making };

template <class Suspended>
struct Refusing {
    Where where;
    bool await_ready() const {
        if (where == Where::ready) refuse();
        return false;
    }
    Suspended await_suspend(std::coroutine_handle<>) const { refuse(); }
    int await_resume() const { return 1; }
};

template <class Suspended>
struct Refuses {
    Where where;
    Refusing<Suspended> operator co_await() const {
        if (where == Where::making) refuse();
        return {where};
    }
};

template <class Suspended>
Coro<> expect_refusals_are_outcomes() {
    for (const Where where : {Where::ready, Where::suspend}) {
        const auto outcome = co_await asyncio::internal::settle(Refuses<Suspended>{where});
        EXPECT_EQ(asyncio::describe(outcome.error()), "refused");
    }
    for (const Where where : {Where::ready, Where::suspend, Where::making}) {
        const auto call = [where] { return Refuses<Suspended>{where}; };
        const auto outcome = co_await asyncio::internal::settled_call(call);
        EXPECT_EQ(asyncio::describe(outcome.error()), "refused");
    }
}

TEST(body_throws, an_await_that_is_refused_is_an_outcome) {
    run_test([]() -> Coro<> {
        co_await expect_refusals_are_outcomes<void>();
        co_await expect_refusals_are_outcomes<bool>();
        co_await expect_refusals_are_outcomes<std::coroutine_handle<>>();
    });
}

TEST(body_throws, a_call_may_return_a_reference_to_what_is_awaited) {
    run_test([]() -> Coro<> {
        auto task = create_task(number_after(1ms, 5));
        const auto call = [&]() -> asyncio::Task<int>& { return task; };
        const auto outcome = co_await asyncio::internal::settled_call(call);
        EXPECT_EQ(outcome.value(), 5);
        EXPECT_EQ(task.result(), 5);
    });
}

}  // namespace
