// `gather`, `wait`, `shield`: who is waited for, and what is heard of the others. The twins are in
// gather_wait.py.

#include "oracle/oracle.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace {

using namespace oracle;
using asyncio::Outcome;

// The same as `sleeper` and `stubborn`, for lists of tasks with an int.

Coro<int> sleeping_int() {
    co_await sleeper();
    co_return 0;
}

Coro<int> stubborn_int(int count) {
    co_await stubborn(count);
    co_return 0;
}

std::string names(const std::vector<Task<int>>& tasks) {
    std::vector<std::string> sorted;
    for (const Task<int>& task : tasks) sorted.push_back(task.get_name());
    std::sort(sorted.begin(), sorted.end());
    std::string text;
    for (const std::string& name : sorted) text += (text.empty() ? "" : " ") + name;
    return text;
}

std::string done_and_pending(const asyncio::WaitResult<Task<int>>& result) {
    return "done " + names(result.done) + ", pending " + names(result.pending);
}

std::string text_of_part(int value) { return std::to_string(value); }
std::string text_of_part(const Outcome<int>& outcome) {
    return outcome.failed() ? text_of(outcome.error()) : std::to_string(outcome.value());
}

/// Of a future of a tuple.
template <class Given>
Coro<> say_results(std::string what, Given gathered) {
    const auto values = co_await std::move(gathered);
    std::string text;
    std::apply(
        [&](const auto&... value) {
            ((text += (text.empty() ? "" : ", ") + text_of_part(value)), ...);
        },
        values);
    say(what + ": " + text);
}

/// Awaits a gather, of whose results nothing is said.
template <class Given>
Coro<> without_value(Given gathered) {
    co_await std::move(gathered);
}

SCENARIO(gather_wait, GATH_01_results_come_in_the_order_of_the_arguments) {
    const auto a = spawn("a", number(3s, 1));
    const auto b = spawn("b", number(1s, 2));
    const auto c = spawn("c", number(2s, 3));
    co_await say_results("gather", gather(a, b, c));
}

SCENARIO(gather_wait, GATH_01_of_parts_that_end_in_one_tick) {
    const auto a = spawn("a", number(1s, 1));
    const auto b = spawn("b", number(1s, 2));
    co_await say_results("gather", gather(a, b));
}

SCENARIO(gather_wait, GATH_02_of_nothing) {
    const auto gathered = gather();
    co_await sleep(0s);
    say("done " + yes_no(gathered.done()));
}

SCENARIO(gather_wait, GATH_03_of_one_task_twice) {
    const auto task = spawn("a", number(1s, 7));
    co_await say_results("gather", gather(task, task));
}

SCENARIO(gather_wait, GATH_04_the_first_error_leaves_and_the_others_go_on) {
    const auto a = spawn("a", number(3s, 1));
    const auto b = spawn("b", failing(1s, "boom"));
    const auto c = spawn("c", failing(2s, "late"));
    co_await end_of("gather", without_value(gather(a, b, c)));
    say("a done " + yes_no(a.done()));
    co_await end_of("a", a);
}

SCENARIO(gather_wait, GATH_05_errors_as_values) {
    const auto a = spawn("a", number(2s, 1));
    const auto b = spawn("b", failing(1s, "boom"));
    const auto c = spawn("c", sleeping_int());
    call_later(1s, [&] { c.cancel(); });
    co_await say_results("gather", gather_settled(a, b, c));
}

SCENARIO(gather_wait, GATH_06_a_part_that_is_cancelled) {
    const auto a = spawn("a", sleeping_int());
    const auto b = spawn("b", number(2s, 1));
    const auto gathered = gather(a, b);
    call_later(1s, [&] { a.cancel(); });
    co_await end_of("gather", without_value(gathered));
    say("cancelled " + yes_no(gathered.cancelled()) + ", main " +
        std::to_string(asyncio::current_task().cancelling()));
    co_await b;
}

SCENARIO(gather_wait, GATH_07_cancelling_it_cancels_the_parts) {
    const auto a = spawn("a", sleeping_int());
    const auto b = spawn("b", number(0s, 2));
    const auto worker = [&]() -> Coro<> { co_await tell("gather", without_value(gather(a, b))); };
    const auto task = spawn("worker", worker());
    co_await turns(4);
    say("cancel " + yes_no(task.cancel()));
    co_await end_of("worker", task);
    say("a " + yes_no(a.cancelled()) + ", b " + yes_no(b.cancelled()));
}

SCENARIO(gather_wait, GATH_07_when_the_parts_have_ended_the_results_stand) {
    const auto a = spawn("a", number(0s, 1));
    const auto b = spawn("b", number(0s, 2));
    const auto gathered = gather(a, b);
    co_await turns(2);
    say("parts " + yes_no(a.done()) + " " + yes_no(b.done()) + ", gather " +
        yes_no(gathered.done()));
    say("cancel " + yes_no(gathered.cancel()));
    co_await say_results("gather", gathered);
}

SCENARIO(gather_wait, GATH_08_errors_as_values_and_the_caller_is_cancelled) {
    const auto a = spawn("a", sleeping_int());
    const auto b = spawn("b", stubborn_int(2));
    const auto worker = [&]() -> Coro<> {
        co_await tell("gather", without_value(gather_settled(a, b)));
    };
    const auto task = spawn("worker", worker());
    co_await turns(2);
    task.cancel();
    co_await end_of("worker", task);
}

SCENARIO(gather_wait, GATH_09_a_cancelled_gather_and_a_part_that_cleans_up) {
    const auto a = spawn("a", sleeping_int());
    const auto b = spawn("b", stubborn_int(2));
    const auto worker = [&]() -> Coro<> {
        try {
            co_await tell("gather", without_value(gather(a, b)));
        } catch (...) {
            say("b is done " + yes_no(b.done()));
            throw;
        }
    };
    const auto task = spawn("worker", worker());
    co_await turns(2);
    say("cancel");
    task.cancel();
    co_await end_of("worker", task);
    while (!b.done()) co_await sleep(0s);
}

SCENARIO(gather_wait, GATH_12_an_expired_timeout_cancels_nobody) {
    std::vector<Task<int>> tasks{spawn("a", number(1s, 1)), spawn("b", number(3s, 2))};
    const auto result = co_await asyncio::wait(tasks, {.timeout = 2s});
    say(done_and_pending(result) + ", at " + loop_time());
    co_await tasks[1];
}

SCENARIO(gather_wait, GATH_13_all_that_end_in_one_tick_are_done) {
    std::vector<Task<int>> tasks{spawn("a", number(1s, 1)), spawn("b", number(1s, 2)),
                                 spawn("c", number(2s, 3))};
    const auto result = co_await asyncio::wait(tasks, {.return_when = asyncio::FIRST_COMPLETED});
    say(done_and_pending(result));
    co_await tasks[2];
}

SCENARIO(gather_wait, GATH_13_the_first_error_ends_the_wait) {
    std::vector<Task<int>> tasks{spawn("a", number(1s, 1)), spawn("b", failing(2s, "boom")),
                                 spawn("c", number(3s, 3))};
    const auto result = co_await asyncio::wait(tasks, {.return_when = asyncio::FIRST_EXCEPTION});
    say(done_and_pending(result));
    co_await tasks[2];
    say(text_of(tasks[1].exception()));
}

SCENARIO(gather_wait, GATH_13_a_wait_for_what_is_done) {
    std::vector<Task<int>> tasks{spawn("a", number(0s, 1)), spawn("b", number(0s, 2))};
    co_await turns(3);
    const auto result = co_await asyncio::wait(tasks, {.return_when = asyncio::ALL_COMPLETED});
    say("done " + names(result.done) + ", pending " + std::to_string(result.pending.size()));
}

SCENARIO(gather_wait, GATH_15_a_cancelled_wait_leaves_the_tasks_alone) {
    std::vector<Task<int>> tasks{spawn("a", number(2s, 1))};
    const auto worker = [&]() -> Coro<> {
        co_await tell("wait", without_value(asyncio::wait(tasks)));
    };
    const auto waiting = spawn("worker", worker());
    co_await sleep(1s);
    waiting.cancel();
    co_await end_of("worker", waiting);
    co_await end_of("a", tasks[0]);
}

SCENARIO(gather_wait, GATH_19_the_waiter_is_cancelled_and_the_inner_task_goes_on) {
    const auto inner = spawn("inner", number(2s, 5));
    const auto worker = [&]() -> Coro<> { co_await tell("shield", shield(inner)); };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
    co_await end_of("inner", inner);
}

SCENARIO(gather_wait, GATH_19_the_inner_task_is_cancelled) {
    const auto inner = spawn("inner", sleeping_int());
    const auto worker = [&]() -> Coro<> { co_await tell("shield", shield(inner)); };
    const auto task = spawn("worker", worker());
    co_await turns(2);
    inner.cancel();
    co_await end_of("worker", task);
    say("cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(gather_wait, GATH_19_a_result_and_a_request_in_one_tick) {
    const auto inner = new_future<int>();
    const auto worker = [&]() -> Coro<> { co_await tell("shield", shield(inner)); };
    const auto task = spawn("worker", worker());
    co_await turns(2);
    inner.set_result(3);
    task.cancel();
    co_await end_of("worker", task);
    say("inner " + std::to_string(inner.result()));
}

SCENARIO(gather_wait, GATH_21_an_error_after_the_waiter_is_gone_is_reported_once) {
    const auto inner = spawn("inner", failing(2s, "late"));
    const auto worker = [&]() -> Coro<> { co_await tell("shield", shield(inner)); };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
    co_await sleep(3s);
    say("done " + yes_no(inner.done()));
}

SCENARIO(gather_wait, GATH_23_a_shield_inside_a_gather) {
    const auto a = spawn("a", number(2s, 1));
    const auto b = spawn("b", sleeping_int());
    const auto worker = [&]() -> Coro<> {
        co_await tell("gather", without_value(gather(shield(a), b)));
    };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
    co_await end_of("a", a);
}

SCENARIO(gather_wait, GATH_23_a_shield_around_a_gather) {
    const auto a = spawn("a", number(2s, 1));
    const auto b = spawn("b", number(3s, 2));
    const auto gathered = gather(a, b);
    const auto worker = [&]() -> Coro<> {
        co_await tell("shield", without_value(shield(gathered)));
    };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
    co_await say_results("gather", gathered);
}

SCENARIO(gather_wait, GATH_22_a_shield_of_what_is_done) {
    const auto future = new_future<int>();
    future.set_result(1);
    co_await end_of("shield", shield(future));
}

SCENARIO(gather_wait, GATH_19_a_limit_around_a_shield) {
    const auto inner = spawn("inner", number(3s, 5));
    const auto body = [&]() -> Coro<int> { co_return co_await tell("shield", shield(inner)); };
    co_await end_of("limit", timeout(1s, body));
    co_await end_of("inner", inner);
    say("at " + loop_time());
}

}  // namespace
