// Goal: where a cancellation and a result meet in one iteration, what happens is CPython's, except
// that what an operation has already done is never taken away.
// Method: both requests made in one step; an awaitable with an effect of its own.

#include <asyncio.h>

#include "support/run_test.h"

#include <stdexcept>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Future;
using asyncio::sleep;
using support::run_test;
using namespace std::chrono_literals;

template <class T = void>
Future<T> new_future() {
    return asyncio::get_running_loop().create_future<T>();
}

TEST(cancel_race, CAN_12_a_request_taken_back_before_the_delivery_is_withdrawn) {
    run_test([]() -> Coro<> {
        const auto future = new_future<int>();
        auto task = create_task(
            [](Future<int> awaited) -> Coro<int> { co_return co_await awaited; }(future));
        co_await sleep(0s);
        future.set_result(5);
        EXPECT_TRUE(task.cancel());
        EXPECT_EQ(task.uncancel(), 0u);
        EXPECT_EQ(co_await task, 5);
    });
}

TEST(cancel_race,
     CAN_13_a_request_in_the_iteration_of_the_result_wins_and_the_future_keeps_its_value) {
    run_test([]() -> Coro<> {
        const auto future = new_future<int>();
        auto task = create_task(
            [](Future<int> awaited) -> Coro<int> { co_return co_await awaited; }(future));
        co_await sleep(0s);
        future.set_result(5);
        EXPECT_TRUE(task.cancel());
        co_await asyncio::gather_settled(task);
        EXPECT_TRUE(task.cancelled());
        EXPECT_EQ(future.result(), 5);
    });
}

/// An await with an effect: taking one from a store that a callback fills. Written as the library
/// asks for: `resumed_with_effect` returns what has been taken even if a request is pending.
class TakeOne : public asyncio::lowlevel::Waiter {
public:
    struct Store {
        int filled = 0;
        TakeOne* taker = nullptr;

        void fill() {
            if (taker == nullptr) {
                ++filled;
            } else {
                std::exchange(taker, nullptr)->receive();
            }
        }
    };

    explicit TakeOne(Store& store) : store_(store) {}
    bool await_ready() {
        if (store_.filled == 0) return false;
        --store_.filled;
        return true;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        store_.taker = this;
        task();
        park(coroutine, &abort);
    }
    void await_resume() {
        if (parked()) resumed_with_effect();
    }

private:
    void receive() { task().loop().schedule(task()); }
    static Abort abort(Waiter& waiter, std::string_view) noexcept {
        auto& self = static_cast<TakeOne&>(waiter);
        if (self.store_.taker == nullptr) return Abort::too_late;
        self.store_.taker = nullptr;
        return Abort::removed;
    }

    Store& store_;
};

TEST(cancel_race,
     CAN_13_what_has_had_an_effect_is_returned_and_the_request_comes_at_the_next_wait) {
    run_test([]() -> Coro<> {
        TakeOne::Store store;
        std::string trace;
        const auto child = [&]() -> Coro<> {
            co_await TakeOne(store);
            trace += "taken ";
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                trace += "cancelled";
                throw;
            }
        };
        auto task = create_task(child());
        co_await sleep(0s);
        store.fill();
        EXPECT_TRUE(task.cancel());
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "taken cancelled");
        EXPECT_EQ(store.filled, 0);
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(cancel_race, CAN_13_what_a_task_returns_from_an_effect_at_its_end_is_not_lost) {
    run_test([]() -> Coro<> {
        TakeOne::Store store;
        auto task = create_task([](TakeOne::Store& from) -> Coro<int> {
            co_await TakeOne(from);
            co_return 1;
        }(store));
        co_await sleep(0s);
        store.fill();
        EXPECT_TRUE(task.cancel());
        EXPECT_EQ(co_await task, 1);
        EXPECT_FALSE(task.cancelled());
    });
}

TEST(cancel_race, CAN_13_an_effect_that_has_not_happened_is_called_off) {
    run_test([]() -> Coro<> {
        TakeOne::Store store;
        auto task =
            create_task([](TakeOne::Store& from) -> Coro<> { co_await TakeOne(from); }(store));
        co_await sleep(0s);
        EXPECT_TRUE(task.cancel());
        store.fill();
        co_await asyncio::gather_settled(task);
        EXPECT_TRUE(task.cancelled());
        EXPECT_EQ(store.filled, 1) << "what came later is still there";
    });
}

TEST(cancel_race, CAN_14_the_message_survives_a_result_or_an_error_of_the_same_iteration) {
    run_test([]() -> Coro<> {
        for (const bool fails : {false, true}) {
            const auto future = new_future<>();
            auto task = create_task([](Future<> awaited) -> Coro<> { co_await awaited; }(future));
            co_await sleep(0s);
            if (fails) {
                future.set_exception(std::runtime_error("late"));
            } else {
                future.set_result();
            }
            task.cancel("the message");
            const auto [outcome] = co_await asyncio::gather_settled(task);
            EXPECT_EQ(asyncio::describe(outcome.error()), "cancelled: the message");
            EXPECT_TRUE(!fails || future.exception() != nullptr);
        }
    });
}

}  // namespace
