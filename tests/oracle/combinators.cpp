// `as_completed`, asynchronous generators, exit stacks, `finally_`: who runs in which tick. The
// twins are in combinators.py.

#include "oracle/oracle.h"

#include <optional>
#include <vector>

namespace {

using namespace oracle;
using asyncio::as_completed;
using asyncio::AsyncExitStack;
using asyncio::AsyncGenerator;

/// In Python the iteration gives the result or the error at once, here the task.
template <class Done>
Coro<std::optional<int>> next_result(Done& done) {
    auto task = co_await done.next();
    if (!task) co_return std::nullopt;
    co_return co_await std::move(*task);
}

template <class Handle>
Coro<> take_all(std::vector<Handle> tasks, std::optional<Duration> limit = std::nullopt) {
    auto done = as_completed(std::move(tasks), {.timeout = limit});
    while (true) {
        try {
            const std::optional<int> result = co_await next_result(done);
            if (!result) co_return;
            say("next: " + std::to_string(*result));
        } catch (...) {
            say("next: " + text_of(std::current_exception()));
        }
    }
}

Coro<> take_until_error(std::vector<Task<int>> tasks) {
    auto done = as_completed(std::move(tasks));
    try {
        while (const auto result = co_await next_result(done))
            say("next: " + std::to_string(*result));
    } catch (...) {
        say("next: " + text_of(std::current_exception()));
        throw;
    }
}

std::vector<Task<int>> one(Task<int> task) {
    std::vector<Task<int>> tasks;
    tasks.push_back(std::move(task));
    return tasks;
}

SCENARIO(combinators, GATH_16_in_the_order_of_their_ends) {
    std::vector<Task<int>> tasks;
    tasks.push_back(spawn("a", number(3s, 1)));
    tasks.push_back(spawn("b", number(1s, 2)));
    tasks.push_back(spawn("c", number(2s, 3)));
    co_await take_all(tasks);
    say("end");
}

SCENARIO(combinators, GATH_16_of_tasks_that_end_in_one_tick) {
    co_await take_all(one(spawn("a", number(1s, 1))));
    co_await take_all(one(spawn("b", number(0s, 2))));
    co_await end_of("turn", sleep(0s));
}

SCENARIO(combinators, GATH_16_of_one_that_is_done_and_of_one_that_fails) {
    std::vector<Future<int>> done(1, new_future<int>());
    done[0].set_result(1);
    co_await take_all(done);
    co_await take_all(one(spawn("a", failing(1s, "oh"))));
    co_await take_all(std::vector<Task<int>>());
}

SCENARIO(combinators, GATH_17_the_limit_is_felt_at_each_that_is_left) {
    std::vector<Task<int>> tasks;
    tasks.push_back(spawn("a", number(3s, 1)));
    tasks.push_back(spawn("b", number(1s, 2)));
    tasks.push_back(spawn("c", number(5s, 3)));
    co_await take_all(tasks, 2s);
    say("at " + loop_time());
    co_await end_of("rest", sleep(9s));
}

SCENARIO(combinators, GATH_16_a_cancelled_consumer_leaves_the_tasks_alone) {
    const auto child = spawn("child", number(2s, 1));
    const auto consumer = spawn("consumer", take_until_error(one(child)));
    co_await sleep(1s);
    consumer.cancel("why");
    co_await end_of("consumer", consumer);
    co_await end_of("child", child);
}

AsyncGenerator<int> count(int last, int turns_between = 0) {
    for (int value = 1; value <= last; ++value) {
        co_await turns(turns_between);
        co_yield value;
    }
    say("count ends");
}

AsyncGenerator<int> cleaning(int turns_to_clean_up) {
    std::exception_ptr end;
    try {
        co_yield 1;
        say("goes on");
        co_await sleep(forever);
    } catch (...) {
        end = std::current_exception();
    }
    say("cleaning up");
    co_await turns(turns_to_clean_up);
    say("clean");
    if (end) std::rethrow_exception(end);
}

Coro<> say_values(AsyncGenerator<int> generator) {
    while (const auto value = co_await generator.next()) say("value " + std::to_string(*value));
}

Coro<> turns_of_another() {
    for (int i = 0; i < 5; ++i) {
        say("turn");
        co_await sleep(0s);
    }
}

SCENARIO(combinators, values_of_a_generator_cost_no_tick) {
    const auto other = spawn("other", turns_of_another());
    co_await say_values(count(3));
    co_await say_values(count(2, 1));
    co_await other;
}

SCENARIO(combinators, a_generator_is_closed_and_cleans_up) {
    auto generator = cleaning(2);
    say("value " + std::to_string(*co_await generator.next()));
    co_await end_of("aclose", generator.aclose());
    co_await end_of("again", generator.aclose());
}

SCENARIO(combinators, a_cancellation_reaches_the_generator) {
    const auto consumer = spawn("consumer", say_values(cleaning(2)));
    co_await sleep(1s);
    consumer.cancel("why");
    co_await end_of("consumer", consumer);
}

SCENARIO(combinators, an_error_is_thrown_into_a_generator) {
    const auto answer = []() -> AsyncGenerator<int> {
        try {
            co_yield 1;
        } catch (const Error&) {
            say("caught " + text_of(std::current_exception()));
        }
        co_await sleep(0s);
        co_yield 2;
    };
    auto generator = answer();
    say("value " + std::to_string(*co_await generator.next()));
    say("value " + std::to_string(*co_await generator.athrow(Error("in"))));
    const auto through = [&]() -> Coro<> { co_await generator.athrow(Error("through")); };
    co_await end_of("athrow", through());
}

SCENARIO(combinators, a_limit_around_the_next_value) {
    auto generator = cleaning(1);
    say("value " + std::to_string(*co_await generator.next()));
    const auto next = [&]() -> Coro<> { co_await wait_for(generator.next(), 2s); };
    co_await end_of("next", next());
    say("at " + loop_time());
}

SCENARIO(combinators, a_stack_is_undone_in_reverse_order) {
    const auto leave = [](const char* name) -> Coro<> {
        co_await sleep(0s);
        say(std::string("leaves ") + name);
    };
    co_await asyncio::async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
        stack.push_async_callback([&] { return leave("first"); });
        stack.push_async_callback([&] { return leave("second"); });
        stack.callback([] { say("at once"); });
        co_await sleep(1s);
    });
    say("over");
}

SCENARIO(combinators, a_cancelled_body_is_cleaned_up_with_awaits) {
    const auto body = []() -> Coro<> {
        co_await asyncio::finally_([]() -> Coro<> { co_await tell("body", sleep(forever)); },
                                   []() -> Coro<> {
                                       co_await turns(2);
                                       say("clean");
                                   });
    };
    const auto task = spawn("task", body());
    co_await sleep(1s);
    task.cancel("why");
    co_await end_of("task", task);
}

}  // namespace
