// `timeout` and `wait_for`: deadlines that meet results, requests and each other. The twins are in
// timeouts.py.

#include "oracle/oracle.h"

#include <optional>

namespace {

using namespace oracle;
using asyncio::current_task;

Coro<> sleep_and_tell(Duration delay) { co_await tell("sleep", sleep(delay)); }

std::string cancelling() { return "cancelling " + std::to_string(current_task().cancelling()); }

SCENARIO(timeouts, TO_02_a_body_that_ends_in_time) {
    const auto body = []() -> Coro<int> {
        co_await sleep(1s);
        co_return 5;
    };
    co_await end_of("limit", timeout(2s, body));
    co_await end_of("rest", sleep(3s));
}

SCENARIO(timeouts, TO_02_a_body_that_does_not) {
    co_await end_of("limit", timeout(2s, sleeper));
    say("at " + loop_time() + ", " + cancelling());
    co_await end_of("turn", sleep(0s));
}

SCENARIO(timeouts, TO_04_a_limit_of_zero_fires_at_the_first_wait) {
    const auto body = []() -> Coro<> {
        say("begins");
        co_await tell("turn", sleep(0s));
        say("never");
    };
    co_await end_of("limit", timeout(0s, body));
}

SCENARIO(timeouts, TO_04_a_limit_in_the_past_lets_what_is_done_through) {
    const auto done = new_future<int>();
    done.set_result(1);
    const auto body = [&]() -> Coro<> {
        co_await tell("done", done);
        co_await tell("sleep", sleep(1s));
    };
    co_await end_of("limit", timeout(-5s, body));
}

SCENARIO(timeouts, TO_05_a_body_that_never_waits) {
    const auto body = []() -> Coro<int> { co_return 8; };
    co_await end_of("limit", timeout(-1s, body));
    co_await end_of("turn", sleep(0s));
}

Coro<> tell_inner(Duration delay) { co_await tell("inner", timeout(delay, sleeper)); }

SCENARIO(timeouts, TO_06_two_limits_with_one_deadline) {
    // Python's clock stands still between two limits; so does this one.
    const auto inner = [] { return tell_inner(2s); };
    co_await end_of("outer", timeout(2s, inner));
    say(cancelling());
}

SCENARIO(timeouts, TO_06_three_limits_with_one_deadline) {
    const auto inner = [] { return tell_inner(2s); };
    const auto middle = [&]() -> Coro<> { co_await tell("middle", timeout(2s, inner)); };
    co_await end_of("outer", timeout(2s, middle));
    co_await end_of("turn", sleep(0s));
}

SCENARIO(timeouts, TO_06_the_inner_limit_is_shorter) {
    const auto body = []() -> Coro<> {
        co_await end_of("inner", timeout(1s, sleeper));
        co_await tell("rest", sleep(5s));
    };
    co_await end_of("outer", timeout(3s, body));
    say("at " + loop_time());
}

SCENARIO(timeouts, TO_07_the_outer_limit_is_shorter) {
    const auto body = [] { return tell_inner(3s); };
    co_await end_of("outer", timeout(1s, body));
    say("at " + loop_time());
}

Coro<> clean_up_for(Duration delay) {
    try {
        co_await sleep(forever);
    } catch (const CancelledError&) {
        say("cleaning up");
    }
    co_await tell("cleanup", sleep(delay));
    throw CancelledError();
}

SCENARIO(timeouts, TO_06_the_inner_ones_cleanup_outlasts_the_outer_deadline) {
    const auto inner = [] { return clean_up_for(5s); };
    const auto body = [&]() -> Coro<> { co_await tell("inner", timeout(1s, inner)); };
    co_await end_of("outer", timeout(2s, body));
    say("at " + loop_time() + ", " + cancelling());
}

SCENARIO(timeouts, TO_10_another_error_leaves) {
    const auto body = []() -> Coro<> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            throw Error("in answer");
        }
    };
    co_await end_of("limit", timeout(1s, body));
    say(cancelling());
}

Coro<> limited(Duration delay) { co_await tell("limit", timeout(delay, sleeper)); }

SCENARIO(timeouts, TO_11_a_request_before_the_deadline) {
    const auto task = spawn("a", limited(5s));
    co_await sleep(1s);
    task.cancel();
    co_await end_of("a", task);
}

void cancel_and_tell(const Task<>& task) {
    const bool asked = task.cancel();
    say("cancel " + yes_no(asked) + ", cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(timeouts, TO_11_a_request_in_the_tick_of_the_deadline_after_it) {
    const auto task = spawn("a", limited(1s));
    co_await sleep(0s);
    call_later(1s, [&] { cancel_and_tell(task); });
    co_await end_of("a", task);
    say("cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(timeouts, TO_11_a_request_in_the_tick_of_the_deadline_before_it) {
    const auto worker = []() -> Coro<> {
        co_await sleep(0s);
        co_await limited(1s);
    };
    const auto task = spawn("a", worker());
    call_later(1s, [&] { cancel_and_tell(task); });
    co_await end_of("a", task);
    say("cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(timeouts, TO_11_a_request_a_tick_after_the_deadline) {
    const auto worker = []() -> Coro<> {
        co_await limited(1s);
        co_await tell("turn", sleep(0s));
    };
    const auto task = spawn("a", worker());
    const auto canceller = [&]() -> Coro<> {
        co_await sleep(1s);
        cancel_and_tell(task);
    };
    co_await spawn("b", canceller());
    co_await end_of("a", task);
}

SCENARIO(timeouts, TO_12_another_task_moves_the_deadline) {
    Timeout* limit = nullptr;
    const auto body = [&](Timeout& own) -> Coro<> {
        limit = &own;
        co_await tell("sleep", sleep(10s));
    };
    const auto mover = [&]() -> Coro<> {
        co_await sleep(1s);
        limit->reschedule(asyncio::get_running_loop().time() + 2s);
        say("moved");
    };
    const auto task = spawn("b", mover());
    co_await end_of("limit", timeout(5s, body));
    say("at " + loop_time());
    co_await task;
}

SCENARIO(timeouts, TO_12_another_task_takes_the_deadline_away) {
    Timeout* limit = nullptr;
    const auto body = [&](Timeout& own) -> Coro<> {
        limit = &own;
        co_await tell("sleep", sleep(10s));
    };
    const auto mover = [&]() -> Coro<> {
        co_await sleep(1s);
        limit->reschedule(std::nullopt);
    };
    const auto task = spawn("b", mover());
    co_await end_of("limit", timeout(5s, body));
    say("at " + loop_time());
    co_await task;
}

SCENARIO(timeouts, TO_15_a_limit_on_the_cleanup_after_a_cancellation) {
    const auto worker = []() -> Coro<> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {  // goes on below
        }
        co_await end_of("cleanup", timeout(1s, sleeper));
        say(cancelling());
        throw CancelledError();
    };
    const auto task = spawn("a", worker());
    co_await sleep(0s);
    task.cancel();
    co_await end_of("a", task);
    say("at " + loop_time());
}

SCENARIO(timeouts, TO_16_a_second_request_inside_that_limit) {
    const auto worker = []() -> Coro<> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {  // goes on below
        }
        co_await tell("cleanup", timeout(5s, sleeper));
    };
    const auto task = spawn("a", worker());
    co_await sleep(0s);
    task.cancel();
    co_await sleep(1s);
    task.cancel();
    co_await end_of("a", task);
    say("at " + loop_time() + ", cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(timeouts, TO_17_a_request_that_was_pending_at_entry) {
    const auto worker = []() -> Coro<> {
        say("cancel " + yes_no(current_task().cancel()));
        co_await limited(0s);
    };
    co_await end_of("a", spawn("a", worker()));
}

SCENARIO(timeouts, TO_21_a_group_that_fails_in_a_limit_behind_a_swallowed_request) {
    const auto child = []() -> Coro<> {
        bool cancelled = false;
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        if (cancelled) co_await tell("cleanup", sleep(2s));
    };
    const auto body = [&](TaskGroup& group) -> Coro<> {
        group.create_task(child(), {.name = "child"});
        co_await sleep(0s);
        throw Error("body");
    };
    const auto limited = [&]() -> Coro<> { co_await task_group(body); };
    const auto worker = [&]() -> Coro<> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("swallowed");
        }
        co_await end_of("limit", timeout(1s, limited));
        co_await end_of("turn", sleep(0s));
        co_await end_of("another sleep", sleep(1s));
        say(cancelling());
    };
    const auto task = spawn("worker", worker());
    co_await sleep(1s);
    task.cancel();
    co_await end_of("worker", task);
}

SCENARIO(timeouts, TO_18_a_body_that_swallows_the_expiry) {
    const auto body = [](Timeout& limit) -> Coro<int> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("swallowed, expired " + yes_no(limit.expired()));
        }
        co_return 2;
    };
    co_await end_of("limit", timeout(1s, body));
    say(cancelling());
    co_await end_of("turn", sleep(0s));
}

SCENARIO(timeouts, TO_13_rescheduling_what_is_expiring) {
    const auto body = [](Timeout& limit) -> Coro<> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            try {
                limit.reschedule(std::nullopt);
            } catch (...) {
                say(text_of(std::current_exception()));
            }
            throw;
        }
    };
    co_await end_of("limit", timeout(1s, body));
}

SCENARIO(timeouts, TO_08_a_result_in_the_tick_of_the_deadline_before_it) {
    const auto future = new_future<int>();
    call_later(1s, [&] { future.set_result(6); });
    const auto body = [&]() -> Coro<int> {
        co_await sleep(0s);
        co_return co_await tell("future", future);
    };
    const auto worker = [&]() -> Coro<> {
        co_await sleep(0s);
        co_await tell("limit", timeout(1s, body));
    };
    co_await end_of("a", spawn("a", worker()));
}

SCENARIO(timeouts, TO_08_a_sleep_that_ends_at_the_deadline) {
    const auto body = [] { return sleep_and_tell(1s); };
    co_await end_of("limit", timeout(1s, body));
}

SCENARIO(timeouts, WF_01_in_time) {
    co_await end_of("wait_for", wait_for(sleep_and_tell(1s), 2s));
    const auto task = spawn("a", sleep_and_tell(1s));
    co_await end_of("a task", wait_for(task, 2s));
    co_await end_of("without limit", wait_for(sleep_and_tell(1s), std::nullopt));
}

SCENARIO(timeouts, WF_03_a_limit_of_nothing_returns_what_is_done) {
    const auto future = new_future<int>();
    future.set_result(4);
    co_await end_of("done", wait_for(future, 0s));
}

SCENARIO(timeouts, WF_04_a_limit_of_nothing_cancels_a_task_and_waits_for_it) {
    const auto task = spawn("a", stubborn(2));
    co_await sleep(0s);
    co_await end_of("wait_for", wait_for(task, 0s));
    say("cancelled " + yes_no(task.cancelled()));
}

SCENARIO(timeouts, WF_05_it_returns_when_what_it_cancelled_has_cleaned_up) {
    const auto task = spawn("a", stubborn(3));
    co_await end_of("wait_for", wait_for(task, 1s));
    say("cancelled " + yes_no(task.cancelled()));
}

SCENARIO(timeouts, WF_06_what_refuses_has_its_value_returned) {
    const auto refusing = []() -> Coro<int> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("refused");
        }
        co_return 3;
    };
    co_await end_of("coroutine", wait_for(refusing(), 1s));
    co_await end_of("task", wait_for(spawn("a", refusing()), 1s));
}

SCENARIO(timeouts, WF_08_a_future_set_in_the_tick_of_the_deadline) {
    const auto future = new_future<int>();
    call_later(1s, [&] { future.set_result(5); });
    co_await sleep(0s);
    co_await end_of("wait_for", wait_for(future, 1s));
    say("future " + std::to_string(future.result()));
}

SCENARIO(timeouts, WF_09_a_request_in_the_tick_of_the_result) {
    const auto future = new_future<int>();
    const auto worker = [&]() -> Coro<> { co_await tell("wait_for", wait_for(future, 5s)); };
    const auto task = spawn("a", worker());
    co_await sleep(0s);
    future.set_result(5);
    say("cancel " + yes_no(task.cancel()));
    co_await end_of("a", task);
}

SCENARIO(timeouts, WF_10_cancelling_the_caller_cancels_what_it_waits_for) {
    const auto inner = spawn("inner", stubborn(2));
    const auto worker = [&]() -> Coro<> { co_await tell("wait_for", wait_for(inner, 5s)); };
    const auto task = spawn("a", worker());
    co_await turns(2);
    task.cancel();
    co_await end_of("a", task);
    say("inner " + yes_no(inner.cancelled()));
}

SCENARIO(timeouts, WF_12_its_own_timeout_error_passes) {
    const auto impatient = []() -> Coro<> {
        co_await sleep(1s);
        throw asyncio::TimeoutError();
    };
    co_await end_of("wait_for", wait_for(impatient(), 5s));
    say("at " + loop_time());
}

SCENARIO(timeouts, WF_05_nested_with_the_outer_deadline_during_the_cleanup) {
    const auto body = []() -> Coro<> { co_await tell("inner", wait_for(clean_up_for(3s), 1s)); };
    co_await end_of("outer", wait_for(body(), 2s));
    say("at " + loop_time());
}

}  // namespace
