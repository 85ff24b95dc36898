// Cancellation: when it comes, what wins, what it passes on to. The twins are in cancel.py.

#include "oracle/oracle.h"

namespace {

using namespace oracle;
using asyncio::current_task;

template <class T>
Coro<T> tell_of(std::string what, Future<T> future) {
    co_return co_await tell(std::move(what), std::move(future));
}
Coro<> wait_and_tell(std::string what, Future<int> future) {
    co_await tell(std::move(what), std::move(future));
}

SCENARIO(cancel, CAN_01_a_sleep_ends_a_tick_after_the_request) {
    const auto task = spawn("a", sleeper());
    co_await turns(2);
    say("cancel " + yes_no(task.cancel()) + ", done " + yes_no(task.done()));
    co_await sleep(0s);
    say("done " + yes_no(task.done()) + ", cancelled " + yes_no(task.cancelled()) + ", again " +
        yes_no(task.cancel()));
}

SCENARIO(cancel, CAN_01_a_task_between_two_turns) {
    const auto turner = []() -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            say("turn " + std::to_string(i));
            co_await sleep(0s);
        }
    };
    const auto task = spawn("a", turner());
    co_await turns(2);
    say("cancel");
    task.cancel();
    co_await end_of("a", task);
}

SCENARIO(cancel, CAN_03_before_its_first_step_a_task_never_runs) {
    const auto worker = []() -> Coro<> {
        say("never");
        co_return;
    };
    const auto task = spawn("a", worker());
    task.cancel("early");
    co_await end_of("a", task);
    say("cancelled " + yes_no(task.cancelled()));
}

SCENARIO(cancel, CAN_04_an_awaited_future_is_cancelled_too) {
    const auto future = new_future<int>();
    const auto task = spawn("a", wait_and_tell("future", future));
    future.add_done_callback([&] { say("future cancelled " + yes_no(future.cancelled())); });
    co_await sleep(0s);
    const bool asked = task.cancel();
    say("cancel " + yes_no(asked) + ", future cancelled " + yes_no(future.cancelled()));
    co_await end_of("a", task);
}

Coro<> link(int depth) {
    if (depth == 0) {
        co_await tell("sleep", sleep(forever));
    } else {
        co_await tell("link", spawn("t" + std::to_string(depth - 1), link(depth - 1)));
    }
}

SCENARIO(cancel, CAN_04_a_chain_of_tasks_ends_from_its_last) {
    const auto task = spawn("t2", link(2));
    co_await turns(5);
    say("cancel");
    task.cancel();
    co_await end_of("t2", task);
}

SCENARIO(cancel, CAN_04_an_inner_task_that_refuses_decides_for_the_outer_one) {
    const auto stubborn = []() -> Coro<int> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("refused");
        }
        co_return 4;
    };
    const auto outer = [&]() -> Coro<int> {
        const int inner = co_await tell("inner", spawn("inner", stubborn()));
        co_return 10 + inner;
    };
    const auto task = spawn("outer", outer());
    co_await turns(3);
    const bool asked = task.cancel();
    say("cancel " + yes_no(asked) + ", cancelling " + std::to_string(task.cancelling()));
    co_await end_of("outer", task);
    say("cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(cancel, CAN_06_task_and_future_cancelled_in_one_tick) {
    const auto future = new_future<int>();
    const auto task = spawn("a", wait_and_tell("future", future));
    co_await sleep(0s);
    const bool first = future.cancel();
    say("future " + yes_no(first) + ", task " + yes_no(task.cancel()));
    co_await end_of("a", task);
    say("cancelling " + std::to_string(task.cancelling()));
}

SCENARIO(cancel, CAN_07_a_task_that_swallows_it_has_a_value) {
    const auto stubborn = []() -> Coro<int> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("swallowed");
        }
        co_await sleep(1s);
        co_return 3;
    };
    const auto task = spawn("a", stubborn());
    co_await sleep(0s);
    task.cancel();
    co_await end_of("a", task);
    say("cancelled " + yes_no(task.cancelled()) + ", cancelling " +
        std::to_string(task.cancelling()) + ", at " + loop_time());
}

SCENARIO(cancel, CAN_09_a_task_that_cancels_itself) {
    const auto suicidal = []() -> Coro<> {
        say("cancel " + yes_no(current_task().cancel("self")));
        co_await tell("sleep", sleep(0s));
    };
    co_await end_of("a", spawn("a", suicidal()));
}

SCENARIO(cancel, CAN_09_a_task_that_cancels_itself_and_waits_no_more) {
    const auto suicidal = []() -> Coro<int> {
        current_task().cancel();
        co_return 5;
    };
    co_await end_of("a", spawn("a", suicidal()));
}

SCENARIO(cancel, CAN_09_what_is_done_does_not_deliver_a_request) {
    const auto done = new_future<int>();
    done.set_result(1);
    const auto worker = [&]() -> Coro<> {
        current_task().cancel();
        const int value = co_await done;
        say("done future " + std::to_string(value));
        co_await tell("turn", sleep(0s));
    };
    co_await end_of("a", spawn("a", worker()));
}

SCENARIO(cancel, CAN_10_two_requests_before_the_delivery) {
    const auto worker = []() -> Coro<> {
        try {
            co_await sleep(forever);
        } catch (...) {
            say(text_of(std::current_exception()));
        }
        co_await tell("another sleep", sleep(1s));
    };
    const auto task = spawn("a", worker());
    co_await sleep(0s);
    const bool one = task.cancel("one");
    const bool two = task.cancel("two");
    say(yes_no(one) + " " + yes_no(two) + " cancelling " + std::to_string(task.cancelling()));
    co_await end_of("a", task);
}

SCENARIO(cancel, CAN_12_a_request_taken_back_before_the_delivery) {
    const auto future = new_future<int>();
    const auto task = spawn("a", tell_of<int>("future", future));
    co_await sleep(0s);
    future.set_result(7);
    task.cancel();
    say("uncancel " + std::to_string(task.uncancel()));
    co_await end_of("a", task);
}

SCENARIO(cancel, CAN_13_a_request_in_the_tick_of_the_result) {
    const auto future = new_future<int>();
    const auto task = spawn("a", wait_and_tell("future", future));
    co_await sleep(0s);
    future.set_result(7);
    say("set, cancel " + yes_no(task.cancel()));
    co_await end_of("a", task);
    say("future still has " + std::to_string(future.result()));
}

Coro<> sleep_a_second() { co_await tell("sleep", sleep(1s)); }

SCENARIO(cancel, CAN_13_a_request_in_the_tick_of_a_timer) {
    const auto task = spawn("a", sleep_a_second());
    co_await sleep(0s);
    call_later(1s, [&] { say("cancel " + yes_no(task.cancel())); });
    co_await end_of("a", task);
}

SCENARIO(cancel, CAN_13_a_request_a_tick_after_the_timer) {
    const auto worker = []() -> Coro<> {
        co_await tell("sleep", sleep(1s));
        co_await tell("turn", sleep(0s));
    };
    const auto canceller = [](Task<> task) -> Coro<> {
        co_await sleep(1s);
        say("cancel " + yes_no(task.cancel()));
    };
    const auto task = spawn("a", worker());
    co_await spawn("b", canceller(task));
    co_await end_of("a", task);
}

SCENARIO(cancel, CAN_14_the_message_survives_an_error_of_the_future) {
    const auto future = new_future<int>();
    const auto first = spawn("a", wait_and_tell("future", future));
    co_await sleep(0s);
    first.cancel("why");
    co_await end_of("a", first);
    const auto other = new_future<int>();
    const auto second = spawn("b", wait_and_tell("other", other));
    co_await sleep(0s);
    other.set_exception(Error("boom"));
    second.cancel("because");
    co_await end_of("b", second);
    say("other had " + text_of(other.exception()));
}

SCENARIO(cancel, CAN_16_cleanup_may_wait_and_be_interrupted) {
    const auto worker = []() -> Coro<> {
        try {
            co_await sleep(forever);
        } catch (...) {
            say("cleaning up after " + text_of(std::current_exception()));
        }
        co_await tell("cleanup", sleep(10s));
    };
    const auto task = spawn("a", worker());
    co_await sleep(0s);
    task.cancel("first");
    co_await sleep(1s);
    const bool asked = task.cancel("second");
    say("cancel " + yes_no(asked) + ", cancelling " + std::to_string(task.cancelling()));
    co_await end_of("a", task);
    say("at " + loop_time());
}

SCENARIO(cancel, CAN_17_another_error_during_the_cleanup) {
    const auto worker = []() -> Coro<> {
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            throw Error("cleanup");
        }
    };
    const auto task = spawn("a", worker());
    co_await sleep(0s);
    task.cancel();
    co_await end_of("a", task);
    say("cancelled " + yes_no(task.cancelled()));
}

SCENARIO(cancel, CAN_19_a_task_that_cancelled_itself_cancels_what_it_awaits) {
    const auto future = new_future<int>();
    const auto outer = [&]() -> Coro<> {
        const auto inner = spawn("inner", wait_and_tell("future", future));
        co_await sleep(0s);
        current_task().cancel();
        co_await tell("inner", inner);
    };
    co_await end_of("outer", spawn("outer", outer()));
    say("future cancelled " + yes_no(future.cancelled()));
}

SCENARIO(cancel, CAN_20_from_a_callback_it_is_the_same) {
    const auto task = spawn("a", sleeper());
    co_await sleep(0s);
    call_soon([&] { say("cancel " + yes_no(task.cancel())); });
    co_await end_of("a", task);
}

SCENARIO(cancel, CAN_20_from_a_done_callback_it_is_the_same) {
    const auto future = new_future<int>();
    const auto task = spawn("a", sleeper());
    future.add_done_callback([&] { say("cancel " + yes_no(task.cancel())); });
    co_await sleep(0s);
    future.set_result(1);
    co_await end_of("a", task);
}

SCENARIO(cancel, CAN_10_uncancel_counts_down_and_stops_at_zero) {
    const auto worker = []() -> Coro<> {
        const auto own = current_task();
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("cancelling " + std::to_string(own.cancelling()));
            std::string counts;
            for (int i = 0; i < 3; ++i)
                counts += (i == 0 ? "uncancel " : ", ") + std::to_string(own.uncancel());
            say(counts);
        }
        co_await tell("a short sleep", sleep(1s));
    };
    const auto task = spawn("a", worker());
    co_await sleep(0s);
    task.cancel();
    task.cancel();
    co_await end_of("a", task);
    say("cancelled " + yes_no(task.cancelled()));
}

SCENARIO(cancel, CAN_18_a_scope_of_ones_own) {
    const auto worker = []() -> Coro<> {
        const auto own = current_task();
        call_later(1s, [own] { own.cancel(); });
        const std::size_t before = own.cancelling();
        try {
            co_await sleep(forever);
        } catch (const CancelledError&) {
            say("mine: " + yes_no(own.uncancel() <= before));
        }
        co_await tell("goes on", sleep(1s));
    };
    co_await end_of("a", spawn("a", worker()));
}

SCENARIO(cancel, CAN_08_a_request_is_delivered_once) {
    const auto worker = []() -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            try {
                co_await sleep(1s);
                say("slept " + std::to_string(i));
            } catch (const CancelledError&) {
                say("interrupted " + std::to_string(i));
            }
        }
    };
    const auto task = spawn("a", worker());
    co_await sleep(0s);
    task.cancel();
    co_await end_of("a", task);
    say("at " + loop_time());
}

SCENARIO(cancel, CAN_06_two_who_await_one_task_and_one_is_cancelled) {
    const auto worker = spawn("worker", sleeper());
    const auto waiter = [&]() -> Coro<> { co_await tell("worker", worker); };
    const auto a = spawn("a", waiter());
    const auto b = spawn("b", waiter());
    co_await turns(2);
    say("cancel " + yes_no(a.cancel()));
    co_await end_of("a", a);
    co_await end_of("b", b);
    say("worker " + yes_no(worker.cancelled()) + ", b " + yes_no(b.cancelled()) + ", cancelling " +
        std::to_string(b.cancelling()));
}

}  // namespace
