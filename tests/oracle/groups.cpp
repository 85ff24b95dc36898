// Task groups: who is cancelled when, and what leaves. The twins are in groups.py.

#include "oracle/oracle.h"

namespace {

using namespace oracle;
using asyncio::current_task;

Coro<> sleeper(Duration delay) { co_await tell("sleep", sleep(delay)); }

Coro<> failing(Duration delay, std::string text) {
    co_await sleep(delay);
    say("fails with " + text);
    throw Error(text);
}

Coro<> failing_cleanup(std::string text) {
    try {
        co_await sleep(forever);
    } catch (const CancelledError&) {
        say("fails with " + text);
        throw Error(text);
    }
}

std::string cancelling() { return "cancelling " + std::to_string(current_task().cancelling()); }

SCENARIO(groups, TG_01_ends_after_its_slowest_task) {
    const auto body = [](TaskGroup& group) -> Coro<int> {
        group.create_task(sleeper(2s), {.name = "a"});
        group.create_task(sleeper(1s), {.name = "b"});
        say("body ends");
        co_return 4;
    };
    co_await end_of("group", task_group(body));
    say("at " + loop_time());
}

SCENARIO(groups, TG_01_without_tasks_costs_nothing) {
    const auto body = [](TaskGroup&) -> Coro<int> { co_return 1; };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_02_a_task_cancelled_by_itself) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        const auto a = group.create_task(sleeper(forever), {.name = "a"});
        group.create_task(sleeper(2s), {.name = "b"});
        co_await sleep(1s);
        a.cancel();
    };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_03_one_error_cancels_the_siblings) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(sleeper(forever), {.name = "a"});
        group.create_task(failing(1s, "boom"), {.name = "b"});
        group.create_task(stubborn(2), {.name = "c"});
        co_return;
    };
    co_await end_of("group", task_group(body));
    say(cancelling());
}

SCENARIO(groups, TG_03_two_errors_in_one_tick) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "one"), {.name = "a"});
        group.create_task(failing(1s, "two"), {.name = "b"});
        group.create_task(sleeper(forever), {.name = "c"});
        co_return;
    };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_04_an_error_cancels_a_body_that_waits) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "boom"), {.name = "a"});
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("body cleans up, " + cancelling());
        }
        co_await tell("cleanup", sleep(1s));
        throw CancelledError();
    };
    co_await end_of("group", task_group(body));
    say("at " + loop_time() + ", " + cancelling());
}

SCENARIO(groups, TG_04_an_error_in_the_tick_in_which_the_body_ends) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(0s, "boom"), {.name = "a"});
        group.create_task(stubborn(1), {.name = "b"});
        co_await turns(2);
        say("body ends");
    };
    co_await end_of("group", task_group(body));
    co_await end_of("turn", sleep(0s));
}

SCENARIO(groups, TG_05_the_parent_cancelled_while_it_waits_at_the_end) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(stubborn(1), {.name = "a"});
        group.create_task(stubborn(3), {.name = "b"});
        co_return;
    };
    const auto worker = [&]() -> Coro<> { co_await tell("group", task_group(body)); };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
}

SCENARIO(groups, TG_05_the_parent_cancelled_twice_while_it_waits_at_the_end) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(stubborn(4), {.name = "a"});
        co_return;
    };
    const auto worker = [&]() -> Coro<> { co_await tell("group", task_group(body)); };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await turns(2);
    say("again");
    task.cancel();
    co_await end_of("worker", task);
    say("cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(groups, TG_06_the_parent_cancelled_in_its_body) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(stubborn(1), {.name = "a"});
        co_await tell("body's sleep", sleep(forever));
    };
    const auto worker = [&]() -> Coro<> { co_await tell("group", task_group(body)); };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
}

SCENARIO(groups, TG_08_an_error_of_the_body) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(sleeper(forever), {.name = "a"});
        co_await sleep(1s);
        throw Error("body");
    };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_08_an_error_of_the_body_before_a_task_has_begun) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(sleeper(forever), {.name = "a"});
        throw Error("body");
        co_return;
    };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_09_errors_of_inner_tasks_in_their_cleanup) {
    const auto inner = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing_cleanup("inner"), {.name = "a"});
        co_await sleep(forever);
    };
    const auto outer = [&](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "outer"), {.name = "b"});
        co_await tell("inner group", task_group(inner));
    };
    co_await end_of("outer group", task_group(outer));
    say(cancelling());
}

SCENARIO(groups, TG_10_an_error_outside_cancels_the_group_inside) {
    const auto inner = [](TaskGroup& group) -> Coro<> {
        group.create_task(sleeper(forever), {.name = "a"});
        co_return;
    };
    const auto outer = [&](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "outer"), {.name = "b"});
        co_await tell("inner group", task_group(inner));
    };
    co_await end_of("outer group", task_group(outer));
}

SCENARIO(groups, TG_11_a_task_fails_while_the_cancelled_body_cleans_up) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(3s, "boom"), {.name = "a"});
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("body cleans up");
        }
        co_await tell("cleanup", sleep(5s));
        throw CancelledError();
    };
    const auto worker = [&]() -> Coro<> { co_await tell("group", task_group(body)); };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
    say("at " + loop_time());
}

SCENARIO(groups, TG_12_a_body_answers_the_cancellation_with_an_error) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "boom"), {.name = "a"});
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            throw Error("answer");
        }
    };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_13_errors_of_a_task_and_of_the_body) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(0s, "task"), {.name = "a"});
        co_await turns(2);
        throw Error("body");
    };
    co_await end_of("group", task_group(body));
}

Coro<> begetting(TaskGroup& group, int generation) {
    if (generation == 4) throw Error("enough");
    co_await sleep(0s);
    group.create_task(begetting(group, generation + 1),
                      {.name = "g" + std::to_string(generation + 1)});
    co_await tell("sleep", sleep(forever));
}

SCENARIO(groups, TG_16_tasks_that_beget_tasks_are_stopped_by_one_error) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(begetting(group, 0), {.name = "g0"});
        co_return;
    };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_20_after_a_group_that_failed_the_parent_is_not_cancelled) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(0s, "boom"), {.name = "a"});
        co_await tell("body's sleep", sleep(forever));
    };
    co_await end_of("group", task_group(body));
    say(cancelling());
    co_await end_of("sleep", sleep(1s));
}

SCENARIO(groups, TG_21_inner_and_outer_fail_in_one_tick) {
    const auto inner = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "inner"), {.name = "a"});
        co_await tell("inner body", sleep(forever));
    };
    const auto outer = [&](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "outer"), {.name = "b"});
        co_await end_of("inner group", task_group(inner));
        say(cancelling());
        co_await tell("outer body", sleep(forever));
    };
    co_await end_of("outer group", task_group(outer));
    say(cancelling());
    co_await end_of("turn", sleep(0s));
}

SCENARIO(groups, TG_22_an_error_and_a_request_from_outside_in_one_tick) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "boom"), {.name = "a"});
        co_await tell("body's sleep", sleep(forever));
    };
    const auto worker = [&]() -> Coro<> {
        co_await end_of("group", task_group(body));
        say(cancelling());
        co_await tell("next wait", sleep(1s));
    };
    const auto task = spawn("worker", worker());
    co_await turns(2);
    call_later(1s, [&] { say("cancel " + yes_no(task.cancel())); });
    co_await end_of("worker", task);
}

SCENARIO(groups, TG_24_a_task_made_while_the_group_shuts_down) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        const auto late = [](TaskGroup& own) -> Coro<> {
            try {
                co_await sleep(forever);
            } catch (const CancelledError&) {
                try {
                    own.create_task(sleeper(forever));
                } catch (...) {
                    say(text_of(std::current_exception()));
                }
                throw;
            }
        };
        group.create_task(late(group), {.name = "late"});
        group.create_task(failing(1s, "boom"), {.name = "b"});
        co_return;
    };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_23_an_inner_scope_fails_on_its_way_out) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "task"), {.name = "a"});
        try {
            co_await sleep(forever);
        } catch (...) {
            throw Error("exit");
        }
    };
    co_await end_of("group", task_group(body));
    say(cancelling());
}

SCENARIO(groups, TO_19_a_limit_around_a_group_whose_task_fails_in_its_cleanup) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing_cleanup("late"), {.name = "a"});
        co_return;
    };
    const auto limited = [&]() -> Coro<> { co_await tell("group", task_group(body)); };
    co_await end_of("limit", timeout(1s, limited));
    say(cancelling());
}

SCENARIO(groups, TO_19_a_limit_around_a_group_that_ends_quietly) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(stubborn(2), {.name = "a"});
        co_return;
    };
    const auto limited = [&]() -> Coro<> { co_await tell("group", task_group(body)); };
    co_await end_of("limit", timeout(1s, limited));
    say(cancelling());
}

SCENARIO(groups, TO_19_a_task_fails_in_the_tick_of_the_deadline) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "boom"), {.name = "a"});
        group.create_task(sleeper(forever), {.name = "b"});
        co_return;
    };
    const auto limited = [&]() -> Coro<> { co_await tell("group", task_group(body)); };
    co_await end_of("limit", timeout(1s, limited));
    say(cancelling());
    co_await end_of("turn", sleep(0s));
}

SCENARIO(groups, TG_03_a_limit_in_one_task_fails_the_group) {
    const auto limited = []() -> Coro<> {
        const auto long_sleep = [] { return sleeper(forever); };
        co_await tell("limit", timeout(1s, long_sleep));
    };
    const auto body = [&](TaskGroup& group) -> Coro<> {
        group.create_task(limited(), {.name = "a"});
        group.create_task(sleeper(forever), {.name = "b"});
        co_return;
    };
    co_await end_of("group", task_group(body));
}

SCENARIO(groups, TG_20_two_groups_and_two_limits_nested) {
    const auto inner = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "boom"), {.name = "a"});
        co_await tell("innermost", sleep(forever));
    };
    const auto inner_limited = [&]() -> Coro<> { co_await tell("inner group", task_group(inner)); };
    const auto outer = [&](TaskGroup& group) -> Coro<> {
        group.create_task(sleeper(forever), {.name = "b"});
        co_await tell("inner limit", timeout(3s, inner_limited));
    };
    const auto outer_limited = [&]() -> Coro<> { co_await tell("outer group", task_group(outer)); };
    co_await end_of("outer limit", timeout(2s, outer_limited));
    say("at " + loop_time() + ", " + cancelling());
}

SCENARIO(groups, TG_04_a_body_that_swallows_the_cancellation) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(failing(1s, "boom"), {.name = "a"});
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("swallowed");
        }
        co_await tell("another sleep", sleep(1s));
    };
    co_await end_of("group", task_group(body));
    say("at " + loop_time() + ", " + cancelling());
}

SCENARIO(groups, CAN_08_a_body_that_swallows_a_request_from_outside) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(sleeper(3s), {.name = "a"});
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("swallowed");
        }
    };
    const auto worker = [&]() -> Coro<> {
        co_await tell("group", task_group(body));
        co_await tell("another sleep", sleep(1s));
    };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
    say("at " + loop_time() + ", cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(groups, TG_28_cancel_ends_body_and_tasks_without_an_error) {
    const auto body = [](TaskGroup& group) -> Coro<> {
        group.create_task(sleeper(forever), {.name = "a"});
        co_await turns(2);
        say("cancel");
        group.cancel();
        co_await tell("body's turn", sleep(0s));
    };
    co_await end_of("group", task_group(body));
    say(cancelling());
    co_await end_of("turn", sleep(0s));
}

}  // namespace
