// Goal: a task or a future may be held longer than its loop lives. What needs no loop works then;
// what does, throws a RuntimeError that names itself. And no identity is an address that somebody
// else may have been given meanwhile.
// Method: handles of every state taken out of their loop, and a second loop at the address of the
// first.

#include <asyncio.h>

#include "support/how.h"
#include "support/log_capture.h"
#include "support/run_test.h"

#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::CallbackId;
using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::EventLoop;
using asyncio::Future;
using asyncio::gather;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::Task;
using support::contains;
using support::LogCapture;
using support::run_test;
using namespace std::chrono_literals;

template <class Function>
std::string refusal_of(Function function) {
    try {
        function();
        return "none";
    } catch (const RuntimeError& error) {
        return error.what();
    }
}

struct Handles {
    Task<int> done;
    Task<> cancelled;
    Future<int> pending;
    Future<int> pending_heard;
    Future<int> set;
    Future<> all;
};

Coro<int> four() { co_return 4; }
Coro<> hour() { co_await sleep(1h); }

Coro<Handles> make_handles() {
    EventLoop& loop = asyncio::get_running_loop();
    Handles made{.done = create_task(four()),
                 .cancelled = create_task(hour()),
                 .pending = loop.create_future<int>(),
                 .pending_heard = loop.create_future<int>(),
                 .set = loop.create_future<int>(),
                 .all = {}};
    made.set.set_result(5);
    made.pending_heard.add_done_callback([] {});
    made.all = gather(loop.create_future());
    co_await made.done;
    made.cancelled.cancel("over");
    co_await sleep(0s);
    co_await sleep(0s);
    co_return made;
}

Handles handles_of_a_loop_that_is_gone() {
    EventLoop loop;
    return loop.run_until_complete(make_handles());
}

TEST(loop_gone, what_needs_no_loop_works) {
    const Handles left = handles_of_a_loop_that_is_gone();
    EXPECT_EQ(left.done.result(), 4);
    EXPECT_EQ(left.set.result(), 5);
    EXPECT_FALSE(left.done.cancel());
    EXPECT_FALSE(left.set.cancel());
    EXPECT_FALSE(left.cancelled.cancel());
    EXPECT_TRUE(left.cancelled.cancelled());
    EXPECT_THROW(left.cancelled.result(), CancelledError);
    EXPECT_FALSE(left.pending.done());
    EXPECT_THROW(left.pending.result(), asyncio::InvalidStateError);
    EXPECT_EQ(left.done.cancelling(), 0U);
    EXPECT_EQ(left.cancelled.cancelling(), 1U);
    EXPECT_EQ(left.cancelled.uncancel(), 0U);
    left.done.set_name("later");
    EXPECT_EQ(left.done.get_name(), "later");
    const asyncio::TaskRef as_any = left.done;
    EXPECT_TRUE(as_any.done());
    EXPECT_FALSE(as_any.cancel());
    EXPECT_FALSE(left.done.remove_done_callback(CallbackId()));
    EXPECT_FALSE(left.pending_heard.remove_done_callback(CallbackId()));
    // Awaited in another loop: what is done gives its value.
    EXPECT_EQ(asyncio::run([](Task<int> task) -> Coro<int> { co_return co_await task; }(left.done)),
              4);
}

TEST(loop_gone, what_needs_one_throws_and_names_itself) {
    const Handles left = handles_of_a_loop_that_is_gone();
    const char* const gone = "(): the event loop of this future has been destroyed";
    EXPECT_EQ(refusal_of([&] { left.pending.cancel(); }), "cancel" + std::string(gone));
    EXPECT_EQ(refusal_of([&] { left.all.cancel(); }), "cancel" + std::string(gone));
    EXPECT_EQ(refusal_of([&] { left.pending_heard.set_result(1); }),
              "set_result" + std::string(gone));
    EXPECT_EQ(refusal_of([&] { left.pending.set_exception(std::runtime_error("x")); }),
              "set_exception" + std::string(gone));
    EXPECT_EQ(refusal_of([&] { left.pending.add_done_callback([] {}); }),
              "add_done_callback" + std::string(gone));
    EXPECT_EQ(refusal_of([&] { left.done.add_done_callback([] {}); }),
              "add_done_callback" + std::string(gone));
    EXPECT_EQ(refusal_of([&] { left.done.get_loop(); }), "get_loop" + std::string(gone));
    EXPECT_FALSE(left.pending.done());
    const auto awaits = [&]() -> Coro<> { co_await left.pending; };
    EXPECT_TRUE(contains(refusal_of([&] { asyncio::run(awaits()); }), "another event loop"));
}

TEST(loop_gone, a_loop_at_the_same_address_is_another_one) {
    const LogCapture log;
    alignas(EventLoop) static unsigned char place[sizeof(EventLoop)];
    auto* const first = new (place) EventLoop;
    const Handles left = first->run_until_complete(make_handles());
    first->~EventLoop();
    auto* const second = new (place) EventLoop;
    const auto inside = [&]() -> Coro<> {
        co_await sleep(0s);
        EXPECT_TRUE(
            contains(refusal_of([&] { left.pending.set_result(1); }), "has been destroyed"));
        EXPECT_TRUE(contains(refusal_of([&] { left.done.get_loop(); }), "has been destroyed"));
        EXPECT_TRUE(
            contains(refusal_of([&] { asyncio::ensure_future(left.done); }), "has been destroyed"));
        std::string refused;
        try {
            co_await left.pending;
        } catch (const RuntimeError& error) {
            refused = error.what();
        }
        EXPECT_TRUE(contains(refused, "another event loop")) << refused;
    };
    second->run_until_complete(inside());
    second->~EventLoop();
}

TEST(loop_gone, a_closed_loop_calls_nobody_and_says_so) {
    const LogCapture log;
    EventLoop loop;
    const Future<> future = loop.create_future();
    loop.close();
    EXPECT_EQ(refusal_of([&] { future.add_done_callback([] {}); }),
              "add_done_callback(): the event loop of this future is closed");
    // Nobody waits for it, so it can be set.
    future.set_result();
    EXPECT_TRUE(future.done());
    EXPECT_EQ(&future.get_loop(), &loop);
}

TEST(future, FUT_05_the_id_of_a_callback_that_is_gone_stands_for_no_other_one) {
    run_test([]() -> Coro<> {
        const Future<> future = asyncio::get_running_loop().create_future();
        std::string trace;
        const CallbackId first = future.add_done_callback([&] { trace += '1'; });
        EXPECT_TRUE(future.remove_done_callback(first));
        // In the memory of the first one, as it happens.
        const CallbackId second = future.add_done_callback([&] { trace += '2'; });
        EXPECT_NE(first, second);
        EXPECT_FALSE(future.remove_done_callback(first));
        const Future<> other = asyncio::get_running_loop().create_future();
        other.add_done_callback([&] { trace += 'o'; });
        EXPECT_FALSE(other.remove_done_callback(second)) << "of another future";
        EXPECT_NE(first, CallbackId());
        future.set_result();
        other.set_result();
        co_await sleep(0s);
        EXPECT_EQ(trace, "2o");
        // One that has run stands for none either.
        future.add_done_callback([&] { trace += '3'; });
        EXPECT_FALSE(future.remove_done_callback(second));
        co_await sleep(0s);
        EXPECT_EQ(trace, "2o3");
    });
}

TEST(future, an_exception_that_is_null_is_refused) {
    run_test([]() -> Coro<> {
        const Future<int> future = asyncio::get_running_loop().create_future<int>();
        EXPECT_TRUE(contains(refusal_of([&] { future.set_exception(std::exception_ptr()); }),
                             "set_exception(): the exception_ptr is null"));
        EXPECT_FALSE(future.done());
        future.set_result(3);
        EXPECT_EQ(co_await future, 3);
    });
}

TEST(ThreadPromise, an_exception_that_is_null_is_refused) {
    asyncio::ThreadPromise<int> promise;
    asyncio::ThreadFuture<int> future = promise.future();
    EXPECT_TRUE(contains(refusal_of([&] { promise.set_exception(std::exception_ptr()); }),
                         "set_exception(): the exception_ptr is null"));
    promise.set_result(3);
    EXPECT_EQ(future.get(), 3);
}

TEST(AsyncGenerator, an_exception_that_is_null_is_refused) {
    run_test([]() -> Coro<> {
        auto generator = []() -> asyncio::AsyncGenerator<int> {
            co_yield 1;
            co_yield 2;
        }();
        EXPECT_EQ(co_await generator.next(), 1);
        EXPECT_TRUE(
            contains(refusal_of([&] { static_cast<void>(generator.athrow(std::exception_ptr())); }),
                     "athrow(): the exception_ptr is null"));
        EXPECT_EQ(co_await generator.next(), 2) << "it stands where it stood";
        co_await generator.aclose();
    });
}

TEST(outcome, one_that_failed_without_an_error_says_so) {
    run_test([]() -> Coro<> {
        const auto fails = []() -> Coro<int> { co_return asyncio::Outcome<int>::failure(nullptr); };
        EXPECT_TRUE(contains(co_await support::how(fails()), "without an error"));
        EXPECT_TRUE(contains(co_await support::how(create_task(fails())), "without an error"));
    });
}

// Closing inside another loop.

Coro<> note_end(std::string& trace) {
    try {
        co_await sleep(1h);
    } catch (const CancelledError&) {
        trace += "cancelled ";
        throw;
    }
}

TEST(nested_close, LOOP_26_a_loop_that_has_tasks_can_be_closed_or_destroyed_inside_another_one) {
    run_test([]() -> Coro<> {
        for (const bool close : {true, false}) {
            std::string trace;
            auto second = std::make_unique<EventLoop>();
            const Task<> left = second->create_task(note_end(trace));
            if (close) second->close();
            second.reset();
            EXPECT_TRUE(left.cancelled());
            // The outer loop is what it was.
            EXPECT_EQ(&asyncio::get_running_loop(), &asyncio::current_task().core()->loop());
            co_await sleep(1ms);
            EXPECT_TRUE(asyncio::current_task());
        }
        LogCapture::take();
    });
}

TEST(nested_close, LOOP_26_its_tasks_unwind_with_awaits_and_the_outer_ones_wait_meanwhile) {
    const LogCapture log;
    std::string trace;
    auto second = std::make_unique<EventLoop>();
    const auto cleans_up = [&]() -> Coro<> {
        co_await asyncio::finally_([&]() -> Coro<> { co_await note_end(trace); },
                                   [&]() -> Coro<> {
                                       co_await sleep(1ms);
                                       EXPECT_EQ(&asyncio::get_running_loop(), second.get());
                                       trace += "cleaned ";
                                   });
    };
    const Task<> left = second->create_task(cleans_up());
    second->call_later(1ms, [&] { second->stop(); });
    second->run_forever();
    const auto outer = [&]() -> Coro<> {
        EventLoop& own = asyncio::get_running_loop();
        own.call_soon([&] { trace += "outer"; });
        second->close();
        EXPECT_EQ(trace, "cancelled cleaned ");
        EXPECT_EQ(&asyncio::get_running_loop(), &own);
        EXPECT_TRUE(asyncio::current_task());
        co_await sleep(1ms);
    };
    asyncio::run(outer());
    EXPECT_EQ(trace, "cancelled cleaned outer");
    EXPECT_TRUE(left.cancelled());
    LogCapture::take();
}

TEST(nested_close, LOOP_26_a_runner_as_well_with_generators_and_its_executor) {
    const LogCapture log;
    std::string trace;
    auto runner = std::make_unique<asyncio::Runner>();
    const auto before = [&]() -> Coro<> {
        create_task(note_end(trace));
        co_await asyncio::to_thread([] {});
        co_await sleep(1ms);
    };
    runner->run(before());
    const auto outer = [&]() -> Coro<> {
        runner.reset();
        EXPECT_EQ(trace, "cancelled ");
        co_await sleep(1ms);
    };
    asyncio::run(outer());
}

TEST(nested_close, to_run_a_loop_inside_another_one_stays_refused) {
    run_test([]() -> Coro<> {
        EventLoop second;
        EXPECT_TRUE(contains(refusal_of([&] { second.run_forever(); }),
                             "while another event loop runs on this thread"));
        co_return;
    });
}

}  // namespace
