// What crosses threads, with every allocation failing once, on whichever thread it is made. How it
// is done is told in sweep.cpp.

#include <asyncio/context.h>
#include <asyncio/executor.h>
#include <asyncio/loop_handle.h>
#include <asyncio/process_pool.h>
#include <asyncio/task_group.h>
#include <asyncio/thread_future.h>
#include <asyncio/thread_queue.h>
#include <asyncio/timeout.h>

#include "parts.h"
#include "sweep.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

namespace {

std::string text_of(int number) { return std::string(long_text) + std::to_string(number); }

/// A thread that is joined whatever happens, and whose own lack of memory is told.
class Thread {
public:
    template <class Function>
    explicit Thread(Function function)
        : thread_([this, function] {
              try {
                  function();
              } catch (...) {
                  error_ = std::current_exception();
              }
          }) {}
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread() {
        if (thread_.joinable()) thread_.join();
    }
    void join() {
        thread_.join();
        if (error_ != nullptr) std::rethrow_exception(error_);
    }

private:
    std::exception_ptr error_;
    std::thread thread_;
};

}  // namespace

SCENARIO_EVERYWHERE(to_thread_several_at_once) {
    auto first = create_task(to_thread(text_of, 1));
    auto second = create_task(to_thread(text_of, 2));
    require(co_await first == text_of(1), "first");
    require(co_await second == text_of(2), "second");
}

SCENARIO(to_thread_that_fails_or_is_cancelled) {
    std::string what;
    try {
        co_await to_thread([] { throw std::logic_error(long_text); });
    } catch (const std::logic_error& error) {
        what = error.what();
    }
    require(what == long_text, "error");
    auto task = create_task(to_thread([] { return std::string(long_text); }));
    co_await sleep(0ms);
    task.cancel();
    co_await sleep(1ms);
    require(task.done(), "done");
}

SCENARIO(run_in_executor_of_its_own) {
    ThreadPoolExecutor pool({.max_workers = 2, .thread_name_prefix = long_text});
    EventLoop& loop = get_running_loop();
    auto first = loop.run_in_executor(pool, text_of, 1);
    auto second = loop.run_in_executor(pool, text_of, 2);
    auto third = loop.run_in_executor(nullptr, text_of, 3);
    require(co_await first == text_of(1), "first");
    require(co_await second == text_of(2), "second");
    require(co_await third == text_of(3), "third");
    pool.shutdown();
}

SCENARIO(executor_shut_down_with_jobs_queued) {
    ThreadPoolExecutor pool({.max_workers = 1});
    EventLoop& loop = get_running_loop();
    std::vector<Future<std::string>> futures;
    for (int i = 0; i < 3; ++i) futures.push_back(loop.run_in_executor(pool, text_of, i));
    pool.shutdown({.wait = true, .cancel_futures = true});
    for (const auto& future : futures) {
        while (!future.done()) co_await sleep(1ms);
        if (!future.cancelled()) future.result();
    }
}

SCENARIO(default_executor_set_and_shut_down) {
    EventLoop& loop = get_running_loop();
    loop.set_default_executor(ThreadPoolExecutor({.max_workers = 1}));
    require(co_await to_thread(text_of, 1) == text_of(1), "result");
    co_await loop.shutdown_default_executor(10s);
}

SCENARIO_EVERYWHERE(run_coroutine_threadsafe_from_a_thread) {
    EventLoop& loop = get_running_loop();
    // On the simulated back-end the loop must know that somebody will come.
    const std::string text = co_await to_thread([&loop] {
        auto future = run_coroutine_threadsafe(part(4), loop);
        return text_of(future.get());
    });
    require(text == text_of(4), "result");
}

SCENARIO(run_coroutine_threadsafe_cancelled) {
    EventLoop& loop = get_running_loop();
    co_await to_thread([&loop] {
        auto future = run_coroutine_threadsafe(wait_for_ever(), loop);
        future.cancel();
    });
    co_await sleep(1ms);
}

SCENARIO(call_soon_threadsafe_from_a_thread) {
    const LoopHandle handle(get_running_loop());
    EventLoop& loop = get_running_loop();
    const auto count = std::make_shared<int>(0);
    const auto call = [&handle, &loop, count] {
        handle.call_soon_threadsafe([count, text = text_of(1)] { ++*count; });
        loop.call_soon_threadsafe([count, text = text_of(1)] { ++*count; });
    };
    co_await to_thread(call);
    co_await sleep(1ms);
    require(*count == 2, "calls");
}

SCENARIO(wrap_future_of_a_promise) {
    ThreadPromise<std::string> promise;
    auto future = wrap_future(promise.future());
    Thread thread([&promise] {
        try {
            promise.set_result(text_of(1));
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    });
    require(co_await std::move(future) == text_of(1), "result");
    thread.join();
}

SCENARIO(thread_promise_broken_and_cancelled) {
    Future<int> broken;
    {
        ThreadPromise<int> promise;
        broken = wrap_future(promise.future());
    }
    std::string end;
    try {
        co_await broken;
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& error) {
        end = "error";
    } catch (const CancelledError&) {
        end = "cancelled";
    }
    require(!end.empty(), "end");
    ThreadPromise<int> other;
    auto future = wrap_future(other.future());
    future.cancel();
    require(other.cancelled(), "cancelled");
}

SCENARIO(thread_queue_from_thread_to_task) {
    ThreadQueue<std::string> queue(2);
    Thread thread([&queue] {
        try {
            for (int i = 0; i < 5; ++i) queue.put_blocking(text_of(i));
        } catch (const QueueShutDown&) {
        } catch (...) {
            queue.shutdown();
            throw;
        }
        queue.shutdown();
    });
    int taken = 0;
    std::exception_ptr error;
    try {
        while (auto item = co_await queue.next()) ++taken;
    } catch (...) {
        error = std::current_exception();
    }
    queue.shutdown();
    thread.join();
    if (error != nullptr) std::rethrow_exception(error);
    require(taken == 5, "taken");
}

SCENARIO(thread_queue_from_task_to_task) {
    ThreadQueue<std::string> queue(1);
    const auto produce = [&queue]() -> Coro<> {
        std::exception_ptr error;
        try {
            for (int i = 0; i < 200; ++i) co_await queue.put(text_of(i));
        } catch (...) {
            error = std::current_exception();
        }
        queue.shutdown();
        if (error != nullptr) std::rethrow_exception(error);
    };
    int taken = 0;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(produce());
        while (auto item = co_await queue.next()) {
            require(*item == text_of(taken), "order");
            ++taken;
        }
    });
    require(taken == 200, "taken");
}

SCENARIO(process_pool_with_calls_that_return_and_throw) {
    ProcessPoolExecutor pool({.max_workers = 1});
    EventLoop& loop = get_running_loop();
    std::exception_ptr error;
    try {
        auto text = loop.run_in_executor(pool, text_of, 1);
        require(co_await std::move(text) == text_of(1), "result");
    } catch (const std::bad_alloc&) {
        error = std::current_exception();
    }
    // An answer for which there was no memory is not taken for that of the next call.
    auto next = loop.run_in_executor(pool, text_of, 2);
    require(co_await std::move(next) == text_of(2), "result of the next call");
    if (error != nullptr) std::rethrow_exception(error);
    auto failing = loop.run_in_executor(pool, +[] { throw std::invalid_argument(long_text); });
    std::string what;
    try {
        co_await failing;
    } catch (const std::invalid_argument& error) {
        what = error.what();
    }
    require(what == long_text, "error");
    pool.shutdown();
}

SCENARIO(context_seen_on_a_thread) {
    static ContextVar<std::string> variable("a variable");
    variable.set(long_text);
    const auto read = [] { return variable.get("none"); };
    require(co_await to_thread(read) == long_text, "value");
}
