// Goal: an awaiter that knows nothing of this library can be awaited, cancelled, and given to
// whatever takes an awaitable; its errors come out at the await; what it uses lives as long as it.
// Method: awaiters as other libraries have them: one that hands its coroutine to a callback, one of
// a thread, one that resumes at once, one that gives back a handle, a minimal sender, and a
// coroutine of another library, which awaits ours. Their destructors are counted.

#include <asyncio.h>

#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <coroutine>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::EventLoop;
using asyncio::gather;
using asyncio::get_running_loop;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TimeoutError;
using asyncio::wait_for;
using support::how;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

/// Resumed by whoever has what is put into `kept`. Has a constructor, for g++ 12 destroys a
/// temporary aggregate twice.
class Foreign {
public:
    explicit Foreign(std::coroutine_handle<>& kept, const char* error = nullptr) noexcept
        : kept_(&kept), error_(error) {}

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) noexcept { *kept_ = coroutine; }
    int await_resume() const {
        if (error_ != nullptr) throw std::runtime_error(error_);
        return 42;
    }

private:
    std::coroutine_handle<>* kept_;
    const char* error_;
    Tracked tracked_;
};

/// Resumed by a callback of the loop, `after` from now.
struct Later {
    asyncio::Delay after;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) const {
        get_running_loop().call_later(after, [coroutine] { coroutine.resume(); });
    }
    std::string await_resume() const { return "later"; }
};

struct OnThread {
    std::jthread& thread;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) const {
        thread = std::jthread([coroutine] { coroutine.resume(); });
    }
    std::thread::id await_resume() const noexcept { return std::this_thread::get_id(); }
};

TEST(foreign_awaiter, is_resumed_by_a_callback_and_its_task_waits_on_with_ours) {
    run_test([]() -> Coro<> {
        EXPECT_EQ(co_await Later{1ms}, "later");
        co_await sleep(1ms);
        EXPECT_EQ(co_await Later{0ms}, "later");
    });
}

TEST(foreign_awaiter, is_resumed_by_a_thread_and_its_task_goes_on_where_it_was) {
    run_test([]() -> Coro<> {
        const auto here = std::this_thread::get_id();
        for (int i = 0; i < 100; ++i) {
            std::jthread thread;
            EXPECT_NE(co_await OnThread{thread}, here);
            EXPECT_EQ(std::this_thread::get_id(), here);
        }
    });
}

TEST(foreign_awaiter, one_that_is_ready_and_one_that_resumes_at_once_cost_no_iteration) {
    struct AtOnce {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> coroutine) const { coroutine.resume(); }
        int await_resume() const noexcept { return 1; }
    };
    struct NotAtAll {
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
        int await_resume() const noexcept { return 2; }
    };
    run_test([]() -> Coro<> {
        const support::Ticks ticks;
        co_await std::suspend_never();
        EXPECT_EQ(co_await AtOnce(), 1);
        EXPECT_EQ(co_await NotAtAll(), 2);
        EXPECT_EQ(ticks.count(), 0);
    });
}

TEST(foreign_awaiter, its_errors_come_out_at_the_await) {
    struct CannotSuspend {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<>) const { throw std::runtime_error("suspend"); }
        void await_resume() const noexcept {}
    };
    struct CannotBeAsked {
        bool await_ready() const { throw std::runtime_error("ready"); }
        void await_suspend(std::coroutine_handle<>) const noexcept {}
        void await_resume() const noexcept {}
    };
    run_test([]() -> Coro<> {
        std::coroutine_handle<> kept;
        get_running_loop().call_later(1ms, [&] { kept.resume(); });
        EXPECT_EQ(co_await how(Foreign(kept, "resume")), "resume");
        EXPECT_EQ(co_await how(CannotSuspend()), "suspend");
        EXPECT_EQ(co_await how(CannotBeAsked()), "ready");
    });
}

TEST(foreign_awaiter, a_cancelled_wait_ends_at_once_and_what_it_used_goes_when_it_is_resumed) {
    run_test([]() -> Coro<> {
        const int before = Tracked::alive();
        std::coroutine_handle<> kept;
        Task<int> task = create_task([&]() -> Coro<int> {
            Foreign awaiter(kept, "nobody hears of this");
            co_return co_await std::move(awaiter);
        });
        co_await sleep(0s);
        EXPECT_TRUE(task.cancel("enough"));
        EXPECT_EQ(co_await how(std::move(task)), "cancelled: enough");
        EXPECT_GT(Tracked::alive(), before) << "the other side still needs it";
        kept.resume();
        EXPECT_EQ(Tracked::alive(), before);
    });
}

TEST(foreign_awaiter, one_given_by_name_is_waited_for_and_the_request_comes_after_it) {
    run_test([]() -> Coro<> {
        std::coroutine_handle<> kept;
        std::string trace;
        Task<> task = create_task([&]() -> Coro<> {
            Foreign awaiter(kept);
            trace += std::to_string(co_await awaiter);
            co_await sleep(1h);
        });
        co_await sleep(0s);
        task.cancel();
        co_await sleep(1ms);
        EXPECT_FALSE(task.done());
        kept.resume();
        EXPECT_EQ(co_await how(task), "cancelled");
        EXPECT_EQ(trace, "42");
    });
}

TEST(foreign_awaiter, a_result_that_crosses_a_cancellation_is_returned) {
    run_test([]() -> Coro<> {
        std::coroutine_handle<> kept;
        std::string trace;
        Task<> task = create_task([&]() -> Coro<> {
            trace += std::to_string(co_await Foreign(kept));
            co_await sleep(1h);
        });
        co_await sleep(0s);
        kept.resume();
        task.cancel();
        EXPECT_EQ(co_await how(task), "cancelled");
        EXPECT_EQ(trace, "42");
    });
}

TEST(foreign_awaiter, a_task_that_is_cancelled_while_a_thread_resumes_it_ends_once) {
    run_test([]() -> Coro<> {
        for (int i = 0; i < 200; ++i) {
            std::jthread thread;
            Task<> task = create_task([&]() -> Coro<> { co_await OnThread{thread}; });
            co_await sleep(0s);
            if (i % 2 != 0) std::this_thread::yield();
            task.cancel();
            const std::string end = co_await how(std::move(task));
            EXPECT_TRUE(end == "value" || end == "cancelled") << end;
        }
    });
}

TEST(foreign_awaiter, is_taken_by_whatever_takes_an_awaitable) {
    run_test([]() -> Coro<> {
        auto [first, number] = co_await gather(Later{1ms}, []() -> Coro<int> { co_return 3; }());
        EXPECT_EQ(first + std::to_string(number), "later3");
        EXPECT_EQ(co_await wait_for(Later{1ms}, 1h), "later");
        EXPECT_EQ(co_await asyncio::ensure_future(Later{1ms}), "later");
        std::coroutine_handle<> kept;
        EXPECT_EQ(co_await how(wait_for(Foreign(kept), 1ms)),
                  asyncio::describe(std::make_exception_ptr(TimeoutError())));
        kept.resume();
        std::vector<Later> many(3, Later{1ms});
        auto all = gather(std::move(many));
        EXPECT_EQ((co_await std::move(all)).size(), 3u);
    });
}

TEST(foreign_awaiter, a_loop_that_closes_ends_the_wait_and_a_late_thread_finds_nothing_of_it) {
    std::coroutine_handle<> kept;
    const int before = Tracked::alive();
    {
        const support::LogCapture log;
        support::TestLoop loop;
        Task<> task = loop->create_task(
            [](std::coroutine_handle<>& to) -> Coro<> { co_await Foreign(to); }(kept));
        loop->stop();
        loop->run_forever();
        loop->close();
        EXPECT_TRUE(task.cancelled());
    }
    EXPECT_GT(Tracked::alive(), before);
    std::thread([&] { kept.resume(); }).join();
    EXPECT_EQ(Tracked::alive(), before);
}

TEST(foreign_awaiter, what_it_returns_by_reference_is_that_object) {
    struct Reference {
        int* number;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
        int& await_resume() const noexcept { return *number; }
    };
    run_test([]() -> Coro<> {
        int number = 1;
        ++co_await Reference{&number};
        EXPECT_EQ(number, 2);
    });
}

/// A sender as P2300 has it, reduced: `connect` with a receiver, `start`, and one of three ends.
template <class Receiver>
struct JustLater {
    EventLoop& loop;
    Receiver receiver;
    void start() {
        loop.call_later(1ms, [this] { receiver.set_value(7); });
    }
};

/// What makes a sender awaitable: the receiver puts the end away and resumes the coroutine.
struct SenderAwaiter {
    struct Receiver {
        SenderAwaiter* awaiter;
        void set_value(int value) const {
            awaiter->value = value;
            awaiter->waiting.resume();
        }
    };
    EventLoop& loop;
    std::coroutine_handle<> waiting = nullptr;
    std::optional<int> value = std::nullopt;
    std::optional<JustLater<Receiver>> operation = std::nullopt;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
        waiting = coroutine;
        operation.emplace(loop, Receiver{this}).start();
    }
    int await_resume() const { return *value; }
};

TEST(foreign_awaiter, a_sender_is_awaited_and_abandoned) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        EXPECT_EQ(co_await SenderAwaiter{loop}, 7);
        Task<int> task =
            create_task([&]() -> Coro<int> { co_return co_await SenderAwaiter{loop}; });
        co_await sleep(0s);
        task.cancel();
        EXPECT_EQ(co_await how(std::move(task)), "cancelled");
        co_await sleep(2ms);
    });
}

/// The task type of another library: lazy, continued by a handle that `await_suspend` returns.
class OtherTask {
public:
    struct promise_type {
        std::coroutine_handle<> continuation = std::noop_coroutine();
        std::exception_ptr error;
        OtherTask get_return_object() {
            return OtherTask(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        auto final_suspend() const noexcept {
            struct Final {
                bool await_ready() const noexcept { return false; }
                std::coroutine_handle<>
                await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
                    return self.promise().continuation;
                }
                void await_resume() const noexcept {}
            };
            return Final();
        }
        void return_void() const noexcept {}
        void unhandled_exception() noexcept { error = std::current_exception(); }
    };

    explicit OtherTask(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    OtherTask(OtherTask&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    ~OtherTask() {
        if (frame_) frame_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> continuation) const noexcept {
        frame_.promise().continuation = continuation;
        return frame_;
    }
    void await_resume() const {
        if (frame_.promise().error) std::rethrow_exception(frame_.promise().error);
    }

private:
    std::coroutine_handle<promise_type> frame_;
};

OtherTask other_library(std::string& trace) {
    trace += "begins ";
    co_await sleep(0s);
    trace += "yielded ";
    co_await sleep(1ms);
    trace += "slept ";
    co_await [](std::string& into) -> Coro<> {
        co_await sleep(1ms);
        into += "child ";
    }(trace);
    co_await Later{1ms};
    trace += "ends";
}

TEST(foreign_awaiter, a_coroutine_of_another_library_awaits_ours_in_the_tasks_steps) {
    run_test([]() -> Coro<> {
        std::string trace;
        co_await other_library(trace);
        EXPECT_EQ(trace, "begins yielded slept child ends");
        co_await sleep(1ms);
        trace.clear();
        Task<> task = create_task([&]() -> Coro<> { co_await other_library(trace); });
        co_await sleep(0s);
        co_await sleep(0s);
        task.cancel();
        EXPECT_EQ(co_await how(task), "cancelled");
        EXPECT_EQ(trace, "begins yielded ");
    });
}

}  // namespace
