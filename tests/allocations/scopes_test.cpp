// Scopes and combinators, with every allocation failing once: a scope whose memory runs out ends
// its children like one whose body throws. How it is done is told in sweep.cpp.

#include <asyncio/as_completed.h>
#include <asyncio/exit_stack.h>
#include <asyncio/finally.h>
#include <asyncio/gather.h>
#include <asyncio/map_concurrent.h>
#include <asyncio/staggered_race.h>
#include <asyncio/task_group.h>
#include <asyncio/timeout.h>
#include <asyncio/timeout_scope.h>
#include <asyncio/wait.h>

#include "parts.h"
#include "sweep.h"

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

namespace {

Coro<int> failing_part(int milliseconds) {
    co_await sleep(std::chrono::milliseconds(milliseconds));
    throw std::logic_error(long_text);
}

std::vector<Coro<int>> parts(int count) {
    std::vector<Coro<int>> all;
    for (int i = 0; i < count; ++i) all.push_back(part(i));
    return all;
}

/// What a scope has thrown, if it was one of those that the scenario expects.
template <class Scope>
Coro<std::string> error_of(Scope scope) {
    std::string what;
    try {
        co_await std::move(scope);
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const ExceptionGroup& group) {
        for (const std::exception_ptr& error : group.exceptions()) {
            try {
                std::rethrow_exception(error);
            } catch (const std::bad_alloc&) {
                throw;
            } catch (...) {
            }
        }
        what = "group";
    } catch (const std::exception& error) {
        what = "error";
    } catch (const CancelledError&) {
        what = "cancelled";
    }
    co_return what;
}

/// Its places that are left are counted: every one that was entered is left.
struct Place {
    explicit Place(int& inside) noexcept : count(&inside) {}
    Coro<> aenter() {
        co_await sleep(1ms);
        ++*count;
    }
    Coro<> aexit(std::exception_ptr) {
        --*count;
        co_await sleep(1ms);
    }
    int* count;
};

}  // namespace

// gather.

SCENARIO(gather_of_coroutines) {
    const auto [a, b, c] = co_await gather(part(1), part(2), part(3));
    require(a + b + c == 6, "results");
}

SCENARIO(gather_of_a_range) {
    const auto results = co_await gather(parts(5));
    require(results == std::vector<int>{0, 1, 2, 3, 4}, "results");
}

SCENARIO(gather_of_nothing_and_of_what_has_no_value) {
    co_await gather();
    co_await gather(nothing(), sleep(1ms));
    co_await gather(parts(0));
}

SCENARIO(gather_with_a_part_that_fails) {
    require(co_await error_of(gather(part(1), failing_part(0), failing_part(1))) == "error", "end");
    co_await sleep(2ms);
}

SCENARIO(gather_settled_of_both_shapes) {
    const auto outcomes = co_await gather_settled(part(1), part(2));
    const auto more = co_await gather_settled(parts(3));
    for (const auto& outcome : more) outcome.value();
    require(std::get<0>(outcomes).value() + std::get<1>(outcomes).value() == 3, "results");
}

SCENARIO(gather_cancelled_with_a_message) {
    auto all = gather(wait_for_ever(), wait_for_ever());
    co_await sleep(1ms);
    all.cancel(long_text);
    require(co_await error_of(std::move(all)) == "cancelled", "end");
}

SCENARIO(gather_of_gathers_nested) {
    const auto [first, second] = co_await gather(gather(part(1), part(2)), gather(parts(2)));
    require(std::get<0>(first) == 1 && second.size() == 2, "results");
}

// task_group.

SCENARIO(task_group_of_children) {
    int sum = 0;
    const auto add = [&sum](int value) -> Coro<> { sum += co_await part(value); };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        for (int i = 0; i < 4; ++i) group.create_task(add(i), {.name = long_text});
        co_await sleep(0ms);
    });
    require(sum == 6, "sum");
}

SCENARIO(task_group_leaves_no_child_behind) {
    int inside = 0;
    struct Inside {
        explicit Inside(int& number) noexcept : count(++number) {}
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;
        ~Inside() { --count; }
        int& count;
    };
    const auto child = [&inside]() -> Coro<> {
        const Inside here(inside);
        co_await sleep(1ms);
    };
    std::exception_ptr error;
    try {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            for (int i = 0; i < 3; ++i) group.create_task(child());
            co_await sleep(0ms);
        });
    } catch (...) {
        error = std::current_exception();
    }
    // A task that is not the group's would take its first step now.
    co_await sleep(0ms);
    require(inside == 0, "nobody inside");
    if (error != nullptr) std::rethrow_exception(error);
}

SCENARIO(task_group_of_eager_children_and_callables) {
    const std::string text = long_text;
    int ended = 0;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        const auto child = [&ended, text]() -> Coro<> {
            co_await sleep(1ms);
            ++ended;
        };
        group.create_task(child, {.eager_start = true});
        group.create_task(child);
        group.create_task(sleep(1ms));
        group.create_task(nothing(), {.eager_start = true});
        co_return;
    });
    require(ended == 2, "ended");
}

SCENARIO(task_group_whose_children_fail) {
    require(co_await error_of(task_group([&](TaskGroup& group) -> Coro<> {
                for (int i = 0; i < 3; ++i) group.create_task(failing_part(0));
                group.create_task(wait_for_ever());
                co_await wait_for_ever();
            })) == "group",
            "end");
}

SCENARIO(task_group_whose_body_fails) {
    require(co_await error_of(task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(wait_for_ever());
                group.create_task(failing_part(0));
                co_await sleep(0ms);
                throw std::logic_error(long_text);
            })) == "group",
            "end");
}

SCENARIO(task_group_whose_task_is_cancelled) {
    const auto inside = std::make_shared<int>(0);
    const auto scope = [inside]() -> Coro<> {
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            const auto child = [inside]() -> Coro<> {
                ++*inside;
                std::exception_ptr error;
                try {
                    co_await wait_for_ever();
                } catch (...) {
                    error = std::current_exception();
                }
                co_await sleep(1ms);
                --*inside;
                std::rethrow_exception(error);
            };
            for (int i = 0; i < 3; ++i) group.create_task(child);
            co_return;
        });
    };
    auto task = create_task(scope);
    co_await sleep(1ms);
    task.cancel(long_text);
    const std::string end = co_await error_of(task);
    require(end == "cancelled" && *inside == 0, "end");
}

SCENARIO(task_group_that_cancels_itself) {
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(wait_for_ever());
        co_await sleep(1ms);
        group.cancel();
        co_await wait_for_ever();
    });
}

SCENARIO(task_group_start) {
    int port = 0;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        port = co_await group.start<int>([](TaskStatus<int> status) -> Coro<> {
            co_await part(1);
            status.started(80);
            co_await wait_for_ever();
        });
        co_await group.start([](TaskStatus<> status) -> Coro<> {
            status.started();
            co_return;
        });
        group.cancel();
    });
    require(port == 80, "port");
}

SCENARIO(task_group_start_of_what_fails_or_is_cancelled) {
    std::string first;
    std::string second;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        first = co_await error_of(group.start([](TaskStatus<>) -> Coro<> {
            co_await part(1);
            throw std::logic_error(long_text);
        }));
        const auto start = [&group]() -> Coro<> {
            co_await group.start([](TaskStatus<>) -> Coro<> { co_await wait_for_ever(); });
        };
        auto task = group.create_task(start);
        co_await sleep(1ms);
        task.cancel();
        second = co_await error_of(std::move(task));
    });
    require(first == "error" && second == "cancelled", "ends");
}

SCENARIO(task_groups_nested) {
    int sum = 0;
    const auto add = [&sum](int value) -> Coro<> { sum += co_await part(value); };
    co_await task_group([&](TaskGroup& outer) -> Coro<> {
        const auto inner = [&add]() -> Coro<> {
            co_await task_group([&](TaskGroup& group) -> Coro<> {
                group.create_task(add(1));
                group.create_task(add(2));
                co_return;
            });
        };
        outer.create_task(inner);
        outer.create_task(inner);
        co_return;
    });
    require(sum == 6, "sum");
}

// Limits.

SCENARIO(timeout_that_is_kept_and_one_that_is_not) {
    require(co_await timeout(1s, []() -> Coro<int> { co_return co_await part(3); }) == 3, "value");
    require(co_await error_of(timeout(1ms, [] { return wait_for_ever(); })) == "error", "end");
}

SCENARIO(timeout_rescheduled_and_asked_afterwards) {
    auto limit = timeout(1s);
    const std::string end = co_await error_of(limit([](Timeout& running) -> Coro<> {
        running.reschedule(get_running_loop().time() + 1ms);
        co_await wait_for_ever();
    }));
    require(end == "error" && limit.expired(), "end");
}

SCENARIO(wait_for_in_time_and_not) {
    require(co_await wait_for(part(5), 1s) == 5, "value");
    require(co_await error_of(wait_for(wait_for_ever(), 1ms)) == "error", "end");
    auto task = create_task(wait_for_ever());
    require(co_await error_of(wait_for(task, 0s)) == "error", "expired");
}

SCENARIO(move_on_after_and_at) {
    require(co_await move_on_after(1ms, [] { return wait_for_ever(); }), "cut short");
    const auto value = co_await move_on_at(get_running_loop().time() + 1s,
                                           []() -> Coro<int> { co_return co_await part(2); });
    require(value == 2, "value");
}

// Maps and races.

SCENARIO(map_concurrent_with_a_limit) {
    const std::vector<int> items{1, 2, 3, 4, 5};
    const auto results =
        co_await map_concurrent(items, [](const int& item) { return part(item); }, {.limit = 2});
    require(results == items, "results");
}

SCENARIO(map_concurrent_whose_items_fail) {
    const std::vector<int> items{0, 1, 0};
    const auto fail = [](const int& item) { return failing_part(item); };
    require(co_await error_of(map_concurrent(items, fail)) == "group", "end");
    const MapOptions all{.limit = 2, .retries = 1, .on_error = OnError::carry_on};
    require(co_await error_of(map_concurrent(items, fail, all)) == "group", "end of all");
}

SCENARIO(map_settled_with_retries) {
    std::vector<int> items{0, 1, 2};
    int calls = 0;
    const auto outcomes =
        co_await map_settled(items,
                             [&calls](int& item) -> Coro<int> {
                                 if (item == 1 && ++calls < 2) throw std::logic_error(long_text);
                                 co_return co_await part(item);
                             },
                             {.limit = 2, .per_second = 1000, .retries = 2, .retry_delay = 1ms});
    for (const auto& outcome : outcomes) outcome.value();
    require(calls > 0, "calls");
}

SCENARIO(map_as_completed_with_a_body) {
    const std::vector<int> items{1, 2, 3, 4, 5};
    int sum = 0;
    co_await map_as_completed(
        items, [](const int& item) { return part(item); },
        [&sum](MapResults<int>& results) -> Coro<> {
            while (auto result = co_await results.next()) sum += result->value;
        },
        {.limit = 2});
    require(sum == 15, "sum");
}

SCENARIO(map_as_completed_left_early) {
    const std::vector<int> items{1, 2, 3, 4, 5};
    co_await map_as_completed(
        items, [](const int&) { return wait_for_ever(); },
        [](MapResults<void>&) -> Coro<> { co_await sleep(1ms); }, {.limit = 2});
}

SCENARIO(staggered_race_that_is_won) {
    const std::vector<std::function<Coro<int>()>> ways{
        [] { return failing_part(1); }, [] { return part(2); }, [] { return part(3); }};
    const auto result = co_await staggered_race(ways, 5ms);
    // The first may have failed of the memory.
    require(result.winner_result.has_value(), "winner");
}

SCENARIO(staggered_race_that_nobody_wins) {
    const std::vector<std::function<Coro<int>()>> ways(3, [] { return failing_part(2); });
    const auto result = co_await staggered_race(ways, 1ms);
    require(!result.winner_index && result.exceptions.size() == 3, "no winner");
}

SCENARIO(staggered_race_that_is_cancelled) {
    const auto race = []() -> Coro<> {
        const std::vector<std::function<Coro<>()>> ways(3, [] { return wait_for_ever(); });
        co_await staggered_race(ways, 0ms);
    };
    auto task = create_task(race);
    co_await sleep(1ms);
    task.cancel();
    require(co_await error_of(std::move(task)) == "cancelled", "end");
}

// wait and as_completed.

SCENARIO(wait_for_all_of_a_list) {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(create_task(part(i)));
    const auto result = co_await wait(tasks, {.timeout = 1s});
    for (const Task<int>& task : result.done) task.result();
    require(result.done.size() == 3 && result.pending.empty(), "done");
}

SCENARIO(wait_for_the_first_of_unlike_ones) {
    auto slow = create_task(wait_for_ever());
    const auto result = co_await wait(part(1), slow, {.return_when = FIRST_COMPLETED});
    slow.cancel();
    require(!result.done.empty(), "done");
}

SCENARIO(wait_until_its_time_is_over) {
    const auto result = co_await wait(wait_for_ever(), wait_for_ever(), {.timeout = 1ms});
    for (const auto& task : result.pending) task.cancel();
}

SCENARIO(as_completed_to_its_end) {
    auto results = as_completed(parts(3), {.timeout = 1s});
    int sum = 0;
    while (auto next = co_await results.next()) sum += co_await *next;
    require(sum == 3, "sum");
}

SCENARIO(as_completed_of_unlike_ones_left_early) {
    auto results = as_completed(part(1), create_task(wait_for_ever()));
    co_await results.next();
}

// Cleanups.

SCENARIO(finally_after_a_value_an_error_and_a_cancellation) {
    const auto cleanups = std::make_shared<int>(0);
    const auto cleanup = [cleanups]() -> Coro<> {
        ++*cleanups;
        co_await sleep(1ms);
    };
    require(co_await finally_([] { return part(1); }, cleanup) == 1, "value");
    require(co_await error_of(finally_([] { return failing_part(0); }, cleanup)) == "error", "end");
    const auto both = [cleanup]() -> Coro<> {
        co_await finally_([] { return wait_for_ever(); }, cleanup);
    };
    auto task = create_task(both);
    co_await sleep(1ms);
    task.cancel(long_text);
    co_await sleep(0ms);
    task.cancel(long_text);
    require(co_await error_of(std::move(task)) == "cancelled" && *cleanups == 3, "cancelled");
}

SCENARIO(finally_whose_cleanup_fails_too) {
    require(co_await error_of(finally_([] { return failing_part(0); },
                                       []() -> Coro<> { co_await failing_part(0); })) == "group",
            "end");
}

SCENARIO(exit_stack_of_all_kinds) {
    int inside = 0;
    std::string text = long_text;
    std::exception_ptr error;
    try {
        co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
            Place place(inside);
            co_await stack.enter_async_context(place);
            ++inside;
            stack.callback([&inside, text] { --inside; });
            ++inside;
            stack.push_async_callback([&inside, text]() -> Coro<> {
                --inside;
                co_await sleep(1ms);
            });
            stack.push_async_exit([](std::exception_ptr) -> Coro<bool> { co_return false; });
            co_await part(1);
        });
    } catch (const std::bad_alloc&) {
        error = std::current_exception();
    }
    // Without memory for its registration, or for its own frame, a cleanup does not run.
    if (error != nullptr) std::rethrow_exception(error);
    require(inside == 0, "all left");
}

SCENARIO(exit_stack_whose_cleanups_fail) {
    require(co_await error_of(async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
                for (int i = 0; i < 2; ++i)
                    stack.callback([] { throw std::logic_error(long_text); });
                co_await failing_part(0);
            })) == "group",
            "end");
}

SCENARIO(exit_stack_that_hands_its_cleanups_over) {
    std::vector<AsyncExitStack> later;
    co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
        stack.push_async_callback([]() -> Coro<> { co_await part(1); });
        later.push_back(stack.pop_all());
        co_return;
    });
    co_await later.front().aclose();
}
