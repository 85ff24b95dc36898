// The Future object: a result that is not there yet, code that sets it, and tasks that wait for it.
//
// The program prints every change of state, and every call that is refused.

#include <asyncio.h>

#include <cstdio>
#include <stdexcept>
#include <string_view>

#include <fmt/core.h>

using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::Future;

void describe(std::string_view name, const Future<int>& future) {
    fmt::print("{}: done {}, cancelled {}\n", name, future.done(), future.cancelled());
}

/// Calls `use`, and prints what it throws.
template <class Use>
void attempt(std::string_view what, Use use) {
    try {
        use();
        fmt::print("  {}: fine\n", what);
    } catch (const asyncio::InvalidStateError& error) {
        fmt::print("  {}: InvalidStateError: {}\n", what, error.what());
    } catch (const asyncio::CancelledError&) {
        fmt::print("  {}: CancelledError\n", what);
    } catch (const std::exception& error) {
        fmt::print("  {}: {}\n", what, error.what());
    }
}

// A future that gets a result.
Coro<> with_result() {
    const Future<int> future(asyncio::get_running_loop());
    describe("pending", future);
    attempt("result() of a pending one", [&] { fmt::print("  = {}\n", future.result()); });
    attempt("exception() of a pending one", [&] { static_cast<void>(future.exception()); });

    future.add_done_callback([] { fmt::print("  first callback\n"); });
    const auto second = future.add_done_callback([] { fmt::print("  second callback\n"); });
    future.add_done_callback([](const Future<int>& done) {
        fmt::print("  third callback, result {}\n", done.result());
    });
    fmt::print("  second one removed: {}\n", future.remove_done_callback(second));

    future.set_result(42);
    describe("with a result", future);
    fmt::print("  callbacks run in the next iteration of the loop\n");
    co_await asyncio::sleep(0ms);
    fmt::print("  awaited: {}\n", co_await future);
    attempt("a second set_result", [&] { future.set_result(43); });
    attempt("set_exception after it", [&] { future.set_exception(std::runtime_error("late")); });
    fmt::print("  cancel() after it: {}\n", future.cancel());
    fmt::print("  result() = {}, exception() is null: {}\n", future.result(),
               future.exception() == nullptr);
    future.add_done_callback([] { fmt::print("  a callback of one that is done runs, too\n"); });
    co_await asyncio::sleep(0ms);
}

// A future that gets an error.
void with_exception() {
    const Future<int> future(asyncio::get_running_loop());
    future.set_exception(std::runtime_error("it is broken"));
    describe("with an exception", future);
    attempt("result()", [&] { static_cast<void>(future.result()); });
    fmt::print("  exception() is null: {}\n", future.exception() == nullptr);
}

// A future that is cancelled.
void cancelled() {
    const Future<int> future(asyncio::get_running_loop());
    fmt::print("cancel(): {}\n", future.cancel());
    describe("cancelled", future);
    attempt("result()", [&] { static_cast<void>(future.result()); });
    attempt("set_result", [&] { future.set_result(1); });
    fmt::print("  cancel() again: {}\n", future.cancel());
}

Coro<int> answer() {
    co_await asyncio::sleep(1s);
    co_return 42;
}

// A task is a future as well: the end of its coroutine sets the result.
Coro<> of_a_task() {
    const auto task = asyncio::create_task(answer(), {.name = "answer"});
    task.add_done_callback([](const asyncio::Task<int>& done) {
        fmt::print("  the task {} is done\n", done.get_name());
    });
    fmt::print("task: done {}\n", task.done());
    attempt("result() of a running task", [&] { static_cast<void>(task.result()); });
    fmt::print("  awaited: {}\n", co_await task);
    fmt::print("task: done {}, result {}\n", task.done(), task.result());
}

Coro<> main_coroutine() {
    co_await with_result();
    with_exception();
    cancelled();
    co_await of_a_task();
}

int main() {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    return asyncio::main(main_coroutine());
}
