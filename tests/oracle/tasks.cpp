// Tasks, futures and callbacks: who runs in which tick. The twins are in tasks.py.

#include "oracle/oracle.h"

#include <functional>
#include <optional>
#include <vector>

namespace {

using namespace oracle;

SCENARIO(tasks, TASK_01_first_steps_come_a_tick_later_in_order) {
    const auto worker = []() -> Coro<> {
        say("first step");
        co_return;
    };
    std::vector<Task<>> tasks;
    for (const char* name : {"a", "b", "c"}) tasks.push_back(spawn(name, worker()));
    say("created");
    for (const Task<>& task : tasks) co_await task;
    say("all done");
}

SCENARIO(tasks, TASK_02_a_future_that_is_set_resumes_its_waiter_one_tick_later) {
    const auto future = new_future<int>();
    const auto waiter = [&]() -> Coro<> {
        const int value = co_await future;
        say("got " + std::to_string(value));
    };
    const auto task = spawn("a", waiter());
    co_await turns(3);
    future.set_result(7);
    say("set");
    co_await sleep(0s);
    say("after one turn");
    co_await task;
}

SCENARIO(tasks, TASK_03_what_is_done_costs_no_tick) {
    const auto at_once = []() -> Coro<int> { co_return 5; };
    const auto future = new_future<int>();
    future.set_result(6);
    const auto task = spawn("a", at_once());
    co_await turns(2);
    say("before");
    const int first = co_await at_once();
    say("coroutine " + std::to_string(first));
    const int second = co_await future;
    say("future " + std::to_string(second));
    const int third = co_await task;
    say("task " + std::to_string(third));
}

SCENARIO(tasks, TASK_04_sleep_of_nothing_costs_a_tick_and_takes_turns) {
    const auto worker = [](int count) -> Coro<> {
        for (int i = 0; i < count; ++i) {
            say("turn " + std::to_string(i));
            co_await sleep(i % 2 == 0 ? 0s : -1s);
        }
        say("end");
    };
    const auto a = spawn("a", worker(3));
    const auto b = spawn("b", worker(2));
    const auto c = spawn("c", worker(4));
    co_await a;
    co_await b;
    co_await c;
    say("end");
}

Coro<> link_of_tasks(int depth) {
    if (depth > 0) {
        co_await spawn("link" + std::to_string(depth - 1), link_of_tasks(depth - 1));
    }
    say("end");
}

SCENARIO(tasks, TASK_02_a_chain_of_tasks_costs_a_tick_per_link) {
    co_await spawn("link3", link_of_tasks(3));
    say("end");
}

Coro<> link_of_coroutines(int depth) {
    if (depth > 0) {
        co_await link_of_coroutines(depth - 1);
    } else {
        co_await sleep(0s);
    }
    say("end of " + std::to_string(depth));
}

SCENARIO(tasks, TASK_03_a_chain_of_coroutines_costs_none) { co_await link_of_coroutines(4); }

SCENARIO(tasks, TASK_13_callbacks_belong_to_no_task) {
    call_soon([] { say("callback"); });
    const auto worker = []() -> Coro<> {
        say("step");
        call_soon([] { say("callback of a task"); });
        co_await sleep(0s);
        say("step again");
    };
    co_await spawn("a", worker());
}

SCENARIO(tasks, TASK_07_a_task_that_awaits_itself_fails) {
    Task<> task;
    const auto worker = [&]() -> Coro<> {
        co_await end_of("itself", task);
        co_await sleep(0s);
        say("goes on");
    };
    task = spawn("a", worker());
    co_await task;
}

SCENARIO(tasks, TASK_15_an_error_nobody_asks_for_is_reported_once) {
    const auto failing = []() -> Coro<> {
        throw Error("lost");
        co_return;
    };
    std::optional<Task<>> task = spawn("a", failing());
    co_await turns(2);
    say("dropping it");
    task.reset();
    say("dropped");
    task = spawn("b", failing());
    co_await turns(2);
    say("seen " + text_of(task->exception()));
    task.reset();
    say("dropped");
}

SCENARIO(tasks, TASK_02_several_who_await_one_task) {
    const auto worker = []() -> Coro<int> {
        co_await sleep(1s);
        co_return 9;
    };
    const auto task = spawn("worker", worker());
    const auto waiter = [&]() -> Coro<> {
        const int value = co_await task;
        say("got " + std::to_string(value));
    };
    std::vector<Task<>> waiters;
    for (const char* name : {"a", "b", "c"}) waiters.push_back(spawn(name, waiter()));
    for (const Task<>& each : waiters) co_await each;
}

/// Says what `ask` throws.
void say_error_of(const std::function<void()>& ask) {
    try {
        ask();
    } catch (...) {
        say(text_of(std::current_exception()));
    }
}

SCENARIO(tasks, FUT_01_asking_too_early) {
    const auto future = new_future<int>();
    say_error_of([&] { future.result(); });
    say_error_of([&] { future.exception(); });
    future.cancel();
    say_error_of([&] { future.result(); });
    say_error_of([&] { future.exception(); });
    co_return;
}

SCENARIO(tasks, FUT_02_setting_twice) {
    const auto future = new_future<int>();
    future.set_result(1);
    say_error_of([&] { future.set_result(2); });
    say_error_of([&] { future.set_exception(Error("late")); });
    say("cancel " + yes_no(future.cancel()) + ", result " + std::to_string(future.result()));
    co_return;
}

SCENARIO(tasks, FUT_04_a_callback_of_a_done_future_comes_through_the_loop) {
    const auto future = new_future<int>();
    future.set_result(1);
    future.add_done_callback([] { say("called"); });
    say("added");
    co_await sleep(0s);
    say("a turn later");
}

SCENARIO(tasks, FUT_05_a_callback_removed_during_the_delivery_still_runs) {
    const auto future = new_future<int>();
    asyncio::CallbackId second;
    // Python counts what it removes.
    const auto remove = [&](asyncio::CallbackId id) {
        return std::string(future.remove_done_callback(id) ? "1" : "0");
    };
    future.add_done_callback([&] { say("first removes " + remove(second)); });
    second = future.add_done_callback([] { say("second"); });
    const asyncio::CallbackId never = future.add_done_callback([] { say("never"); });
    say("removes " + remove(never));
    future.set_result(1);
    co_await turns(2);
}

SCENARIO(tasks, FUT_06_waiters_and_callbacks_in_the_order_of_registration) {
    const auto future = new_future<int>();
    const auto waiter = [&]() -> Coro<> {
        const int value = co_await future;
        say("got " + std::to_string(value));
    };
    const auto a = spawn("a", waiter());
    co_await sleep(0s);
    future.add_done_callback([] { say("callback"); });
    const auto b = spawn("b", waiter());
    co_await sleep(0s);
    future.set_result(3);
    say("set");
    co_await a;
    co_await b;
}

SCENARIO(tasks, FUT_06_an_error_reaches_every_waiter) {
    const auto future = new_future<int>();
    const auto waiter = [&]() -> Coro<> { co_await end_of("future", future); };
    const auto a = spawn("a", waiter());
    const auto b = spawn("b", waiter());
    co_await sleep(0s);
    future.set_exception(Error("boom"));
    co_await a;
    co_await b;
    co_await end_of("later", future);
}

SCENARIO(tasks, LOOP_01_callbacks_and_tasks_share_one_queue) {
    const auto worker = []() -> Coro<> {
        say("step");
        co_return;
    };
    call_soon([] { say("first"); });
    const auto a = spawn("a", worker());
    call_soon([] { say("second"); });
    const auto b = spawn("b", worker());
    call_soon([] { say("third"); });
    co_await a;
    co_await b;
}

void call_in_chain(int left) {
    say("left " + std::to_string(left));
    if (left > 0) call_soon([left] { call_in_chain(left - 1); });
}

SCENARIO(tasks, LOOP_02_a_callback_made_by_a_callback_waits_a_tick) {
    call_soon([] { call_in_chain(3); });
    call_soon([] { say("beside it"); });
    co_await turns(5);
}

SCENARIO(tasks, LOOP_03_a_callback_cancelled_by_another_of_its_tick) {
    asyncio::Handle handle;
    call_soon([&] { handle.cancel(); });
    handle = call_soon([] { say("never"); });
    call_soon([&] { say("cancelled " + yes_no(handle.cancelled())); });
    co_await turns(2);
}

SCENARIO(tasks, LOOP_04_of_two_overdue_timers_the_more_overdue_comes_first) {
    call_later(-1s, [] { say("one second late"); });
    call_later(-2s, [] { say("two seconds late"); });
    say("armed");
    co_await turns(2);
}

SCENARIO(tasks, LOOP_05_timers_of_one_deadline) {
    // One reading of the clock, as there is no time between two in Python.
    const auto when = asyncio::get_running_loop().time() + 1s;
    for (int number = 0; number < 6; ++number) {
        asyncio::get_running_loop().call_at(when,
                                            [number] { say("timer " + std::to_string(number)); });
    }
    co_await sleep(1s);
    say("end");
}

SCENARIO(tasks, LOOP_10_a_sleep_ends_a_tick_after_a_timer_of_its_deadline) {
    const auto sleeper = []() -> Coro<> {
        co_await sleep(1s);
        say("slept");
    };
    const auto task = spawn("a", sleeper());
    co_await sleep(0s);
    call_later(1s, [] { say("timer"); });
    co_await sleep(0s);
    say("rest");
    co_await task;
}

SCENARIO(tasks, TASK_06_a_cancelled_sleep_holds_nobody_up) {
    const auto sleeper = []() -> Coro<> { co_await end_of("sleep", sleep(100s)); };
    const auto task = spawn("a", sleeper());
    co_await sleep(1s);
    task.cancel();
    co_await task;
    co_await sleep(1s);
    say("at " + loop_time());
}

}  // namespace
