// Goal: a handle that refers to nothing says so, in release builds too: RuntimeError "this Task is
// empty", and for a coroutine Python's "cannot reuse already awaited coroutine".
// Method: every method of every handle, default-constructed where that can be, and moved from.

#include <asyncio.h>

#include "support/how.h"
#include "support/log_capture.h"
#include "support/run_test.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using support::how;
using support::run_test;

constexpr auto reused = "cannot reuse already awaited coroutine: this Coro is empty, because it "
                        "was awaited, made a task, or moved from";

std::string empty(const std::string& type) {
    return "this " + type + " is empty: it was default-constructed or moved from";
}

/// What the use throws; "nothing" if it does not.
template <class Function>
std::string refusal_of(Function use) {
    try {
        use();
    } catch (const RuntimeError& error) {
        return error.what();
    }
    return "nothing";
}

template <class... Functions>
void expect_all(const std::string& end, Functions... uses) {
    const std::vector<std::string> ends{refusal_of(uses)...};
    EXPECT_EQ(ends, std::vector<std::string>(sizeof...(uses), end));
}

Coro<int> seven() { co_return 7; }

template <class Handle>
Coro<> await_it(Handle& handle) {
    co_await handle;
}
template <class Handle>
Coro<> await_moved(Handle& handle) {
    co_await std::move(handle);
}

/// What Future and Task have in common.
template <class Handle>
Coro<> expect_no_future(Handle& handle) {
    const std::string end = empty("Future or Task");
    EXPECT_FALSE(handle);
    expect_all(
        end, [&] { handle.done(); }, [&] { handle.cancelled(); }, [&] { handle.result(); },
        [&] { handle.exception(); }, [&] { handle.cancel(); },
        [&] { handle.add_done_callback([] {}); },
        [&] { handle.remove_done_callback(CallbackId{}); }, [&] { handle.get_loop(); },
        [&] { shield(handle); }, [&] { gather(handle); },
        [&] { gather(std::vector<Handle>{handle}); }, [&] { gather_settled(handle); },
        [&] { as_completed(std::vector<Handle>{handle}); }, [&] { ensure_future(handle); });
    EXPECT_EQ(co_await how(await_it(handle)), end);
    EXPECT_EQ(co_await how(await_moved(handle)), end);
    EXPECT_EQ(co_await how(wait_for(handle, 1s)), end);
    EXPECT_EQ(co_await how(wait_for(handle, 0s)), end);
    const std::vector<Handle> handles(1, handle);
    EXPECT_EQ(co_await how(wait(handles)), end);
    EXPECT_EQ(handle, Handle());
}

TEST(empty_handles, a_future) {
    run_test([]() -> Coro<> {
        Future<int> made;
        co_await expect_no_future(made);
        auto moved = get_running_loop().create_future<int>();
        const auto kept = std::move(moved);
        co_await expect_no_future(moved);
        expect_all(
            empty("Future or Task"), [&] { moved.set_result(1); },
            [&] { moved.set_exception(std::runtime_error("an error")); });
    });
}

TEST(empty_handles, a_task) {
    run_test([]() -> Coro<> {
        Task<int> made;
        co_await expect_no_future(made);
        auto moved = create_task(seven());
        const auto kept = std::move(moved);
        co_await expect_no_future(moved);
        for (Task<int>* task : {&made, &moved}) {
            expect_all(
                empty("Future or Task"), [&] { task->get_name(); },
                [&] { task->set_name("a name"); }, [&] { task->get_context(); },
                [&] { task->cancelling(); }, [&] { task->uncancel(); });
            EXPECT_FALSE(TaskRef(*task));
        }
        co_await kept;
        EXPECT_EQ(co_await how(await_moved(moved)), empty("Future or Task"));
    });
}

TEST(empty_handles, a_task_that_was_awaited_by_the_move_is_empty) {
    run_test([]() -> Coro<> {
        auto task = create_task(seven());
        EXPECT_EQ(co_await std::move(task), 7);
        co_await expect_no_future(task);
    });
}

TEST(empty_handles, a_reference_to_a_task) {
    run_test([]() -> Coro<> {
        TaskRef none;
        TaskRef moved = current_task();
        const TaskRef kept = std::move(moved);
        for (TaskRef* task : {&none, &moved}) {
            EXPECT_FALSE(*task);
            EXPECT_EQ(task->core(), nullptr);
            EXPECT_EQ(*task, TaskRef());
            expect_all(
                empty("FutureRef or TaskRef"), [&] { task->get_name(); },
                [&] { task->set_name("a name"); }, [&] { task->done(); },
                [&] { task->cancelled(); }, [&] { task->get_context(); }, [&] { task->cancel(); },
                [&] { task->cancelling(); }, [&] { task->uncancel(); });
        }
        co_return;
    });
    expect_all(empty("FutureRef or TaskRef"), [] { current_task().cancel(); });
}

TEST(empty_handles, a_coroutine_is_awaited_once) {
    run_test([]() -> Coro<> {
        auto twice = seven();
        EXPECT_EQ(co_await std::move(twice), 7);
        EXPECT_EQ(co_await how(await_moved(twice)), reused);
        EXPECT_EQ(co_await how(await_moved(twice)), reused);
        EXPECT_EQ(co_await how(internal::settle(std::move(twice))), "value");
        const auto outcome = co_await internal::settle(std::move(twice));
        EXPECT_EQ(describe(outcome.error()), reused);
    });
}

TEST(empty_handles, a_coroutine_that_was_handed_over_is_not_run_again) {
    run_test([]() -> Coro<> {
        auto given = seven();
        auto task = create_task(std::move(given));
        expect_all(
            reused, [&] { create_task(std::move(given)); }, [&] { gather(std::move(given)); },
            [&] { ensure_future(std::move(given)); }, [&] { given.frame(); });
        EXPECT_EQ(co_await how(wait_for(std::move(given), 1s)), reused);
        EXPECT_EQ(co_await how(await_moved(given)), reused);
        EXPECT_EQ(co_await task, 7);
        std::string in_group;
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            in_group = refusal_of([&] { group.create_task(std::move(given)); });
            co_return;
        });
        EXPECT_EQ(in_group, reused);
        // A body that returns one that was used before ends its scope like any other error.
        EXPECT_EQ(co_await how(timeout(1s, [&]() -> Coro<int> { return std::move(given); })),
                  reused);
    });
    auto given = seven();
    EXPECT_EQ(run(std::move(given)), 7);
    expect_all(reused, [&] { run(std::move(given)); });
}

TEST(empty_handles, a_coroutine_that_waits_is_not_awaited_by_another_task) {
    run_test([]() -> Coro<> {
        const auto waits = []() -> Coro<int> {
            co_await asyncio::sleep(1ms);
            co_return 7;
        };
        auto shared = waits();
        const auto use = [&]() -> Coro<int> { co_return co_await std::move(shared); };
        auto first = create_task(use());
        auto second = create_task(use());
        EXPECT_EQ(co_await how(second), reused);
        EXPECT_EQ(co_await first, 7);
    });
}

TEST(empty_handles, a_generator) {
    run_test([]() -> Coro<> {
        const auto count = []() -> AsyncGenerator<int> { co_yield 1; };
        auto moved = count();
        auto kept = std::move(moved);
        expect_all(
            empty("AsyncGenerator"), [&] { (void)moved.next(); },
            [&] { (void)moved.athrow(std::runtime_error("")); }, [&] { (void)moved.aclose(); });
        EXPECT_EQ(co_await kept.next(), 1);
        co_await kept.aclose();
    });
}

TEST(empty_handles, an_iteration_over_tasks) {
    run_test([]() -> Coro<> {
        auto moved = as_completed(std::vector<Task<int>>());
        const auto kept = std::move(moved);
        expect_all(empty("AsCompleted"), [&] { (void)moved.next(); });
        EXPECT_FALSE(co_await kept.next());
    });
}

TEST(empty_handles, datagrams) {
    Datagram endpoint;
    expect_all(
        empty("Datagram"), [&] { (void)endpoint.receive(); },
        [&] { (void)endpoint.receive_many(1); }, [&] { (void)endpoint.send("x"); },
        [&] { (void)endpoint.send("x", Address()); },
        [&] { (void)endpoint.send_many(std::vector<std::string>{"x"}); },
        [&] { endpoint.send_nowait("x"); }, [&] { (void)endpoint.drain(); },
        [&] { endpoint.get_write_buffer_size(); }, [&] { (void)endpoint.wait_closed(); },
        [&] { (void)endpoint.aclose(); }, [&] { (void)endpoint.local(); },
        [&] { (void)endpoint.peer(); }, [&] { (void)endpoint.fd(); });
    EXPECT_TRUE(endpoint.is_closing());
    endpoint.close();
    endpoint.abort();
}

TEST(empty_handles, streams) {
    StreamReader reader;
    expect_all(
        empty("StreamReader"), [&] { (void)reader.read(1); }, [&] { (void)reader.read(); },
        [&] { (void)reader.readline(); }, [&] { (void)reader.readexactly(1); },
        [&] { (void)reader.readuntil("x"); }, [&] { reader.take_buffered(); },
        [&] { (void)reader.at_eof(); }, [&] { (void)reader.is_closing(); });
    reader.close();
    StreamWriter writer;
    expect_all(
        empty("StreamWriter"), [&] { writer.write("x"); }, [&] { writer.write(std::string("x")); },
        [&] { writer.writelines(std::vector<std::string>{"x"}); }, [&] { (void)writer.drain(); },
        [&] { (void)writer.send("x"); }, [&] { (void)writer.wait_closed(); },
        [&] { (void)writer.is_closing(); }, [&] { writer.get_write_buffer_size(); },
        [&] { writer.set_write_buffer_limits(2, 1); });
    writer.close();
    writer.write_eof();
    writer.abort();
}

TEST(empty_handles, a_process) {
    const support::LogCapture log;
    run([]() -> Coro<> {
        auto moved = co_await create_subprocess_exec("true");
        const auto kept = std::move(moved);
        expect_all(
            empty("Process"), [&] { moved.pid(); }, [&] { moved.returncode(); },
            [&] { (void)moved.wait(); }, [&] { (void)moved.communicate(); },
            [&] { moved.take_output(); }, [&] { moved.send_signal(0); }, [&] { moved.terminate(); },
            [&] { moved.kill(); }, [&] { moved.send_signal_to_group(0); },
            [&] { (void)moved.end_group(0s); });
        EXPECT_EQ(co_await kept.wait(), 0);
    }());
}

TEST(empty_handles, what_is_held) {
    run_test([]() -> Coro<> {
        Lock lock;
        Held<Lock> none;
        auto moved = co_await lock.acquire();
        auto kept = std::move(moved);
        EXPECT_FALSE(moved);
        expect_all(empty("Held"), [&] { none.release(); }, [&] { moved.release(); });
        kept.release();
        expect_all(empty("Held"), [&] { kept.release(); });
    });
}

TEST(empty_handles, the_two_sides_of_a_promise) {
    ThreadPromise<int> moved;
    ThreadPromise<int> promise = std::move(moved);
    expect_all(
        empty("ThreadPromise"), [&] { (void)moved.future(); }, [&] { moved.set_result(1); },
        [&] { moved.set_exception(std::runtime_error("")); }, [&] { moved.cancelled(); },
        [&] { moved.cancel(); });
    ThreadFuture<int> given = promise.future();
    ThreadFuture<int> future = std::move(given);
    EventLoop loop;
    expect_all(
        empty("ThreadFuture"), [&] { given.done(); }, [&] { given.cancelled(); },
        [&] { given.wait(); }, [&] { given.wait_for(1s); }, [&] { given.get(); },
        [&] { given.get(1s); }, [&] { given.cancel(); },
        [&] { wrap_future(std::move(given), loop); });
    promise.set_result(7);
    EXPECT_EQ(future.get(), 7);
}

TEST(empty_handles, the_word_of_a_task_that_starts) {
    run_test([]() -> Coro<> {
        co_await task_group([](TaskGroup& group) -> Coro<> {
            co_await group.start([](TaskStatus<> status) -> Coro<> {
                const auto kept = std::move(status);
                expect_all(empty("TaskStatus"), [&] { status.started(); });
                kept.started();
                co_return;
            });
        });
    });
}

TEST(empty_handles, callbacks_and_contexts) {
    Handle handle;
    handle.cancel();
    EXPECT_FALSE(handle.cancelled());
    TimerHandle timer;
    timer.cancel();
    expect_all(empty("TimerHandle"), [&] { timer.when(); });
    Context moved;
    const Context kept = std::move(moved);
    expect_all(empty("Context"), [&] { moved.run([] {}); });
    kept.run([] {});
}

}  // namespace
