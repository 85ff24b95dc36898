// Tasks, futures, cancellation, generators, contexts, and the end of a run, with every allocation
// failing once. How it is done is told in sweep.cpp.

#include <asyncio/context.h>
#include <asyncio/generator.h>
#include <asyncio/shield.h>
#include <asyncio/sleep.h>
#include <asyncio/timeout.h>

#include "failing_memory.h"
#include "parts.h"
#include "sweep.h"

#include <coroutine>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

namespace {

Coro<int> nested(int depth) {
    if (depth == 0) {
        co_await sleep(1ms);
        co_return 0;
    }
    co_return 1 + co_await nested(depth - 1);
}

Coro<> fail(const char* what) {
    co_await sleep(1ms);
    throw std::logic_error(what);
}

AsyncGenerator<int> numbers(int count) {
    for (int i = 0; i < count; ++i) {
        co_await sleep(1ms);
        co_yield i;
    }
}

/// Cleans up with an await.
AsyncGenerator<int> tidy_numbers(bool& has_ended) {
    std::exception_ptr error;
    try {
        for (int i = 0;; ++i) co_yield i;
    } catch (...) {
        error = std::current_exception();
    }
    co_await part(1);
    has_ended = true;
    if (error != nullptr) std::rethrow_exception(error);
}

/// Awaits a task that was cancelled with `long_text`. Where there was no memory for that, the
/// cancellation has no reason.
template <class Handle>
Coro<> require_reason(const Handle& task) {
    std::string reason = "none";
    try {
        co_await task;
    } catch (const CancelledError& cancelled) {
        reason = cancelled.message();
    }
    require(reason == long_text || reason.empty(), "reason");
}

}  // namespace

// Runs and tasks.

SCENARIO(run_of_nothing) { co_return; }

SCENARIO(run_of_a_chain_of_awaits) { require(co_await nested(12) == 12, "depth"); }

SCENARIO(sleep_many_timers) {
    std::vector<Task<>> tasks;
    for (int i = 0; i < 80; ++i) tasks.push_back(create_task(sleep_for(i * 7 % 50)));
    for (const Task<>& task : tasks) co_await task;
}

SCENARIO(task_with_a_name_and_a_context) {
    Context context = copy_context();
    auto task = create_task(part(4), {.name = long_text, .context = &context});
    require(task.get_name() == long_text, "name");
    require(co_await std::move(task) == 4, "result");
}

SCENARIO(task_of_a_callable_and_of_an_awaitable) {
    const std::string text = long_text;
    const auto closure = [text]() -> Coro<std::string> {
        co_await sleep(1ms);
        co_return text;
    };
    auto first = create_task(closure);
    auto second = create_task(sleep(1ms));
    require(co_await first == text, "result");
    co_await second;
}

SCENARIO(task_started_eagerly) {
    auto task = create_task(part(4), {.eager_start = true});
    auto other = create_task(nothing(), {.eager_start = true});
    require(other.done(), "done");
    require(co_await task == 4, "result");
}

SCENARIO(task_set_name_and_format_tasks) {
    auto task = create_task(part(1));
    task.set_name(long_text);
    require(format_tasks().find(long_text) != std::string::npos, "name in the tree");
    co_await task;
}

SCENARIO(ensure_future_and_a_set_of_tasks) {
    std::set<Task<int>> tasks;
    for (int i = 0; i < 3; ++i) tasks.insert(ensure_future(part(i)));
    int sum = 0;
    for (const auto& task : tasks) sum += co_await task;
    require(sum == 3, "sum");
}

SCENARIO(all_tasks_and_their_end_by_the_run) {
    for (int i = 0; i < 3; ++i) create_task(wait_for_ever());
    create_task([]() -> Coro<> {
        try {
            co_await wait_for_ever();
        } catch (const CancelledError&) {
        }
        throw std::logic_error(long_text);
    });
    co_await sleep(1ms);
    require(!all_tasks().empty(), "tasks");
}

SCENARIO(chain_of_tasks_cancelled_at_its_head) {
    std::vector<Task<>> chain{create_task(wait_for_ever())};
    for (int i = 0; i < 20; ++i) chain.push_back(create_task(wait_for_task(chain.back())));
    co_await sleep(1ms);
    chain.back().cancel(long_text);
    co_await require_reason(chain.back());
    require(chain.front().cancelled(), "cancelled");
}

// Cancellation.

SCENARIO(cancel_with_a_message) {
    auto task = create_task(wait_for_ever());
    co_await sleep(1ms);
    task.cancel(long_text);
    co_await require_reason(task);
}

SCENARIO(cancel_before_the_first_step_and_of_itself) {
    auto task = create_task(part(1));
    task.cancel(long_text);
    auto other = create_task([]() -> Coro<> {
        current_task().cancel(long_text);
        co_return;
    });
    co_await sleep(1ms);
    require_cancelled(task);
    require_cancelled(other);
}

SCENARIO(cancel_a_future_and_those_who_wait) {
    auto future = get_running_loop().create_future<int>();
    auto task = create_task(wait_for_future(future));
    co_await sleep(1ms);
    future.cancel(long_text);
    co_await require_reason(task);
}

SCENARIO(shield_and_its_waiter_cancelled) {
    auto inner = create_task(part(7));
    const auto wait = [inner]() -> Coro<int> { co_return co_await shield(inner); };
    auto waiter = create_task(wait);
    co_await sleep(0ms);
    waiter.cancel();
    require(co_await shield(inner) == 7, "result");
    require_cancelled(waiter);
}

SCENARIO(shield_of_a_task_that_fails_unseen) {
    auto inner = create_task(fail(long_text));
    const auto wait = [inner]() -> Coro<> { co_await shield(inner); };
    auto waiter = create_task(wait);
    co_await sleep(0ms);
    waiter.cancel();
    co_await sleep(2ms);
}

// Futures.

SCENARIO(future_set_by_hand) {
    Future<std::string> future(get_running_loop());
    get_running_loop().call_soon([future] {
        try {
            future.set_result(long_text);
        } catch (...) {
            future.set_exception(std::current_exception());
        }
    });
    require(co_await future == long_text, "result");
}

SCENARIO(future_set_to_an_error) {
    Future<int> future(get_running_loop());
    future.set_exception(std::logic_error(long_text));
    std::string what;
    try {
        co_await future;
    } catch (const std::logic_error& error) {
        what = error.what();
    }
    require(what == long_text, "error");
}

SCENARIO(done_callbacks_added_and_removed) {
    Future<int> future(get_running_loop());
    const auto calls = std::make_shared<int>(0);
    const std::string text = long_text;
    future.add_done_callback([calls, text] { ++*calls; });
    const auto id = future.add_done_callback([calls](const Future<int>&) { *calls += 10; });
    future.remove_done_callback(id);
    auto task = create_task(part(1));
    task.add_done_callback([calls, text](const Task<int>&) { ++*calls; });
    future.set_result(1);
    co_await task;
    co_await sleep(1ms);
    require(*calls == 2, "calls");
}

SCENARIO(done_callback_that_throws) {
    Future<int> future(get_running_loop());
    future.add_done_callback([] { throw std::logic_error(long_text); });
    future.set_result(1);
    co_await sleep(1ms);
}

SCENARIO(future_error_never_retrieved) {
    Future<int>(get_running_loop()).set_exception(std::logic_error(long_text));
    create_task(fail(long_text), {.name = long_text});
    co_await sleep(2ms);
}

SCENARIO(future_dropped_with_its_callbacks) {
    Future<int> future(get_running_loop());
    const std::string text = long_text;
    future.add_done_callback([text] { require(false, "called"); });
    co_return;
}

SCENARIO(error_handler_of_the_program) {
    const auto told = std::make_shared<std::string>();
    get_running_loop().set_exception_handler(
        [told, text = std::string(long_text)](EventLoop&, const ErrorContext& context) {
            *told = std::string(context.message) + text;
        });
    create_task(fail(long_text));
    co_await sleep(2ms);
    get_running_loop().set_exception_handler(nullptr);
}

SCENARIO(error_handler_that_throws) {
    get_running_loop().set_exception_handler(
        [](EventLoop&, const ErrorContext&) { throw std::logic_error(long_text); });
    create_task(fail(long_text), {.name = long_text});
    co_await sleep(2ms);
    get_running_loop().set_exception_handler(nullptr);
}

// What is not ours.

namespace {

/// Resumes at once, and knows nothing of the library.
struct Foreign {
    std::string text;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) const { waiting.resume(); }
    std::string await_resume() { return std::move(text); }
};

}  // namespace

static Coro<std::string> foreign_text() {
    Foreign foreign{long_text};
    co_return co_await std::move(foreign);
}

SCENARIO(awaiter_of_another_library) {
    Foreign foreign{long_text};
    require(co_await std::move(foreign) == long_text, "result");
    auto task = create_task(foreign_text());
    require(co_await task == long_text, "result of a task");
}

// Generators.

SCENARIO(generator_asked_to_its_end) {
    auto generator = numbers(3);
    int sum = 0;
    while (auto value = co_await generator.next()) sum += *value;
    require(sum == 3, "sum");
}

SCENARIO(generator_closed_with_a_cleanup) {
    // It outlives the coroutine, for the loop ends what that leaves.
    static bool has_ended;
    has_ended = false;
    auto generator = tidy_numbers(has_ended);
    co_await generator.next();
    co_await generator.aclose();
    require(has_ended, "cleaned up");
}

SCENARIO(generator_thrown_into) {
    // It outlives the coroutine, for the loop ends what that leaves.
    static bool has_ended;
    has_ended = false;
    auto generator = tidy_numbers(has_ended);
    co_await generator.next();
    std::string what;
    try {
        co_await generator.athrow(std::logic_error(long_text));
    } catch (const std::logic_error& error) {
        what = error.what();
    }
    require(what == long_text && has_ended, "error");
}

PROGRAM(generators_dropped_before_their_end) {
    // They outlive the coroutine that drops the generators.
    static bool ended[3];
    ended[0] = ended[1] = ended[2] = false;
    run([]() -> Coro<> {
        for (bool& has_ended : ended) {
            auto generator = tidy_numbers(has_ended);
            co_await generator.next();
        }
        co_await sleep(2ms);
    });
}

PROGRAM(generators_left_to_the_end_of_the_run) {
    static bool ended[2];
    ended[0] = ended[1] = false;
    std::vector<AsyncGenerator<int>> left;
    const auto begin = [&left]() -> Coro<> {
        for (bool& has_ended : ended) left.push_back(tidy_numbers(has_ended));
        for (auto& generator : left) co_await generator.next();
    };
    run(begin);
}

PROGRAM(generators_left_are_closed_at_a_second_attempt) {
    static int begun;
    static int closed;
    begun = closed = 0;
    const auto noting = []() -> AsyncGenerator<int> {
        try {
            for (int i = 0;; ++i) co_yield i;
        } catch (const GeneratorExit&) {
            ++closed;
            throw;
        }
    };
    std::vector<AsyncGenerator<int>> left;
    const auto begin = [&]() -> Coro<> {
        for (int i = 0; i < 2; ++i) {
            left.push_back(noting());
            co_await left.back().next();
            ++begun;
        }
    };
    std::exception_ptr error;
    try {
        run(begin);
    } catch (...) {
        error = std::current_exception();
    }
    // An allocation that fails alone is followed by others that do not fail.
    if (memory::failing() == 1) require(closed == begun, "all closed");
    if (error != nullptr) std::rethrow_exception(error);
}

PROGRAM(generator_that_fails_while_it_is_closed) {
    run([]() -> Coro<> {
        auto generator = []() -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const GeneratorExit&) {
            }
            co_await part(1);
            throw std::logic_error(long_text);
        }();
        co_await generator.next();
    });
}

// Contexts.

SCENARIO(context_variables_set_reset_and_inherited) {
    static ContextVar<std::string> variable("a variable");
    auto token = variable.set(long_text);
    const auto read = []() -> Coro<std::string> {
        co_await sleep(1ms);
        co_return variable.get();
    };
    require(co_await create_task(read) == long_text, "inherited");
    require(co_await current_context_of(create_task(part(1))) == 1, "context");
    variable.reset(token);
    require(variable.get("none") == "none", "reset");
    Context context;
    context.run([] { variable.set(long_text); });
}
