// Goal: cancellation is CPython's: counted, delivered once, at the await, of whatever is awaited.
// Method: traces with the iteration in which things happen.

#include <asyncio.h>

#include "support/run_test.h"
#include "support/tracked.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::Future;
using asyncio::sleep;
using asyncio::Task;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using support::Ticks;
using support::Tracked;
using namespace std::chrono_literals;

template <class T = void>
Future<T> new_future() {
    return asyncio::get_running_loop().create_future<T>();
}

Coro<> sleep_long() { co_await sleep(1h); }

/// Sleeps, and adds to `trace` how that ended.
Coro<> sleep_and_tell(std::string& trace, asyncio::Duration delay = 1h) {
    try {
        co_await sleep(delay);
        trace += "woke ";
    } catch (const CancelledError& cancelled) {
        trace += "cancelled" + (cancelled.message().empty() ? "" : ":" + cancelled.message()) + " ";
        throw;
    }
}

TEST(cancel, CAN_01_a_task_that_sleeps_ends_one_iteration_later) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        std::string trace;
        int ended_at = -1;
        const auto child = [&]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                ended_at = ticks.count();
                throw;
            }
        };
        auto task = create_task(child());
        co_await sleep(0s);
        const int before = ticks.count();
        EXPECT_TRUE(task.cancel());
        EXPECT_FALSE(task.done());
        EXPECT_FALSE(task.cancelled());
        co_await sleep(0s);
        EXPECT_EQ(ended_at, before + 1);
        EXPECT_TRUE(task.done());
        EXPECT_TRUE(task.cancelled());
        EXPECT_FALSE(task.cancel()) << "it is done";
        EXPECT_THROW(task.result(), CancelledError);
        EXPECT_THROW(task.exception(), CancelledError);
    });
}

TEST(cancel, CAN_01_a_task_that_awaits_a_future_ends_one_iteration_later) {
    run_test([]() -> Coro<> {
        const auto future = new_future<>();
        auto task = create_task([](Future<> awaited) -> Coro<> { co_await awaited; }(future));
        co_await sleep(0s);
        EXPECT_TRUE(task.cancel());
        EXPECT_TRUE(future.cancelled()) << "CAN-04: what it awaits is cancelled at once";
        co_await sleep(0s);
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(cancel, CAN_01_a_task_between_two_turns_is_cancelled_at_its_next) {
    run_test([]() -> Coro<> {
        std::string trace;
        auto task = create_task(sleep_and_tell(trace, 0s));
        co_await sleep(0s);
        EXPECT_TRUE(task.cancel());
        co_await sleep(0s);
        EXPECT_EQ(trace, "cancelled ");
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(cancel, CAN_03_before_its_first_step_a_task_never_runs_and_its_arguments_are_destroyed) {
    run_test([]() -> Coro<> {
        bool ran = false;
        auto task = create_task([](bool& flag, Tracked) -> Coro<> {
            flag = true;
            co_return;
        }(ran, Tracked()));
        EXPECT_TRUE(task.cancel("early"));
        EXPECT_EQ(Tracked::alive(), 1);
        co_await sleep(0s);
        EXPECT_EQ(Tracked::alive(), 0);
        EXPECT_TRUE(task.cancelled());
        EXPECT_FALSE(ran);
        std::string message;
        try {
            co_await task;
        } catch (const CancelledError& cancelled) {
            message = cancelled.message();
        }
        EXPECT_EQ(message, "early");
    });
}

TEST(cancel, CAN_04_a_task_that_awaits_a_task_cancels_that_and_ends_with_it) {
    run_test([]() -> Coro<> {
        std::string trace;
        auto inner = create_task(sleep_and_tell(trace));
        const auto outer_body = [&]() -> Coro<> {
            try {
                co_await inner;
            } catch (const CancelledError& cancelled) {
                trace += "outer:" + cancelled.message();
                throw;
            }
        };
        auto outer = create_task(outer_body());
        co_await sleep(0s);
        EXPECT_TRUE(outer.cancel("why"));
        EXPECT_EQ(inner.cancelling(), 1u);
        EXPECT_EQ(outer.cancelling(), 1u);
        co_await sleep(0s);
        EXPECT_TRUE(inner.cancelled());
        EXPECT_FALSE(outer.done()) << "one iteration after the inner one";
        co_await sleep(0s);
        EXPECT_TRUE(outer.cancelled());
        EXPECT_EQ(trace, "cancelled:why outer:why");
    });
}

TEST(cancel, CAN_04_an_inner_task_that_refuses_decides_for_the_outer_one) {
    run_test([]() -> Coro<> {
        auto inner = create_task([]() -> Coro<int> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
            co_return 5;
        }());
        auto outer =
            create_task([](Task<int> awaited) -> Coro<int> { co_return co_await awaited; }(inner));
        co_await sleep(0s);
        outer.cancel();
        EXPECT_EQ(co_await outer, 5);
        EXPECT_EQ(outer.cancelling(), 1u);
    });
}

TEST(cancel, CAN_06_task_and_future_cancelled_in_one_iteration_make_one_cancellation) {
    run_test([]() -> Coro<> {
        for (const bool future_first : {false, true}) {
            const auto future = new_future<>();
            int caught = 0;
            const auto child = [&]() -> Coro<> {
                try {
                    co_await future;
                } catch (const CancelledError&) {
                    ++caught;
                }
                co_await sleep(0s);
            };
            auto task = create_task(child());
            co_await sleep(0s);
            if (future_first) {
                future.cancel();
                task.cancel();
            } else {
                task.cancel();
                future.cancel();
            }
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            EXPECT_EQ(caught, 1);
            EXPECT_TRUE(task.done());
            EXPECT_FALSE(task.cancelled());
        }
    });
}

TEST(cancel, CAN_07_a_task_that_swallows_the_cancellation_has_its_value) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<int> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
            co_return 42;
        }());
        co_await sleep(0s);
        task.cancel();
        EXPECT_EQ(co_await task, 42);
        EXPECT_FALSE(task.cancelled());
        EXPECT_EQ(task.cancelling(), 1u);
    });
}

TEST(cancel, CAN_08_a_cancellation_is_delivered_once) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto child = [&]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                trace += "swallowed ";
            }
            co_await sleep(1ms);
            trace += "slept";
        };
        auto task = create_task(child());
        co_await sleep(0s);
        task.cancel();
        co_await task;
        EXPECT_EQ(trace, "swallowed slept");
    });
}

TEST(cancel, CAN_09_a_task_that_cancels_itself_is_cancelled_at_its_next_await) {
    run_test([]() -> Coro<> {
        const auto future = new_future<>();
        for (int kind = 0; kind < 3; ++kind) {
            const Ticks ticks;
            int ended_at = -1, cancelled_at = -1;
            const auto child = [&]() -> Coro<> {
                current_task().cancel();
                cancelled_at = ticks.count();
                try {
                    if (kind == 0) co_await sleep(0s);
                    if (kind == 1) co_await sleep(1h);
                    if (kind == 2) co_await future;
                } catch (const CancelledError&) {
                    ended_at = ticks.count();
                    throw;
                }
            };
            auto task = create_task(child());
            co_await asyncio::gather_settled(task);
            EXPECT_TRUE(task.cancelled()) << kind;
            EXPECT_EQ(ended_at, cancelled_at + 1) << kind;
        }
        EXPECT_TRUE(future.cancelled());
    });
}

TEST(cancel, CAN_09_awaiting_what_is_done_does_not_deliver_it) {
    run_test([]() -> Coro<> {
        const auto done = new_future<int>();
        done.set_result(1);
        int got = 0;
        const auto child = [&]() -> Coro<> {
            current_task().cancel();
            got = co_await done;
            co_await sleep(0s);
            got = -1;
        };
        auto task = create_task(child());
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(got, 1);
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(cancel, CAN_09_without_another_await_the_task_still_ends_cancelled) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<int> {
            co_await sleep(0s);
            current_task().cancel("at the end");
            co_return 1;
        }());
        const auto [outcome] = co_await asyncio::gather_settled(task);
        EXPECT_TRUE(task.cancelled());
        EXPECT_TRUE(outcome.cancelled());
        std::string message;
        try {
            task.result();
        } catch (const CancelledError& cancelled) {
            message = cancelled.message();
        }
        EXPECT_EQ(message, "at the end");
        // An error is more than a request.
        auto failing = create_task([]() -> Coro<int> {
            current_task().cancel();
            throw std::runtime_error("broken");
            co_return 1;
        }());
        const auto [error] = co_await asyncio::gather_settled(failing);
        EXPECT_FALSE(error.cancelled());
        EXPECT_TRUE(error.failed());
    });
}

TEST(cancel, CAN_10_two_requests_before_the_delivery_count_twice_and_are_delivered_once) {
    run_test([]() -> Coro<> {
        int caught = 0;
        const auto child = [&]() -> Coro<> {
            for (int i = 0; i < 2; ++i) {
                try {
                    co_await sleep(1ms);
                } catch (const CancelledError&) {
                    ++caught;
                }
            }
        };
        auto task = create_task(child());
        EXPECT_EQ(task.cancelling(), 0u);
        co_await sleep(0s);
        EXPECT_TRUE(task.cancel());
        EXPECT_TRUE(task.cancel());
        EXPECT_EQ(task.cancelling(), 2u);
        co_await task;
        EXPECT_EQ(caught, 1);
        EXPECT_EQ(task.uncancel(), 1u);
        EXPECT_EQ(task.uncancel(), 0u);
        EXPECT_EQ(task.uncancel(), 0u) << "below nothing there is nothing";
    });
}

TEST(cancel, CAN_16_cleanup_may_wait_and_a_second_request_interrupts_it) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto child = [&]() -> Coro<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            EXPECT_TRUE(cancelled);
            trace += "cleanup ";
            co_await sleep_and_tell(trace);
        };
        auto task = create_task(child());
        co_await sleep(0s);
        task.cancel("first");
        co_await sleep(0s);
        EXPECT_EQ(trace, "cleanup ");
        task.cancel("second");
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "cleanup cancelled:second ");
        EXPECT_EQ(task.cancelling(), 2u);
    });
}

TEST(cancel, CAN_17_another_error_during_the_cleanup_is_how_the_task_ends) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                throw std::runtime_error("cleanup failed");
            }
        }());
        co_await sleep(0s);
        task.cancel();
        std::string seen;
        try {
            co_await task;
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "cleanup failed");
        EXPECT_FALSE(task.cancelled());
    });
}

TEST(cancel, CAN_18_a_scope_of_ones_own_counts_requests) {
    // The rule of Python's documentation: a scope that made one request takes it back, and the
    // CancelledError is its own only if no request is left.
    run_test([]() -> Coro<> {
        for (const bool from_outside_too : {false, true}) {
            std::string trace;
            const auto child = [&]() -> Coro<> {
                const asyncio::TaskRef self = current_task();
                asyncio::get_running_loop().call_soon([self] { self.cancel(); });
                bool cancelled = false;
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    cancelled = true;
                }
                trace += cancelled ? "caught " : "not ";
                if (self.uncancel() > 0) throw CancelledError();
                trace += "own ";
                co_await sleep(0s);
                trace += "on";
            };
            auto task = create_task(child());
            co_await sleep(0s);
            if (from_outside_too) task.cancel();
            co_await asyncio::gather_settled(task);
            EXPECT_EQ(trace, from_outside_too ? "caught " : "caught own on");
            EXPECT_EQ(task.cancelled(), from_outside_too);
        }
    });
}

TEST(cancel, CAN_19_a_task_that_cancelled_itself_cancels_what_it_then_awaits) {
    run_test([]() -> Coro<> {
        const auto future = new_future<>();
        auto nested = create_task([](Future<> awaited) -> Coro<> { co_await awaited; }(future));
        co_await sleep(0s);
        const auto child = [&]() -> Coro<> {
            current_task().cancel();
            co_await nested;
        };
        auto task = create_task(child());
        co_await sleep(0s);
        EXPECT_TRUE(future.cancelled());
        co_await asyncio::gather_settled(task);
        EXPECT_TRUE(nested.cancelled());
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(cancel, CAN_20_from_a_callback_it_is_the_same) {
    run_test([]() -> Coro<> {
        std::string trace;
        auto soon = create_task(sleep_and_tell(trace));
        auto done = create_task(sleep_and_tell(trace));
        asyncio::get_running_loop().call_soon([soon] { soon.cancel(); });
        const auto future = new_future<>();
        future.add_done_callback([done] { done.cancel(); });
        future.set_result();
        for (int i = 0; i < 3; ++i) co_await sleep(0s);
        EXPECT_EQ(trace, "cancelled cancelled ");
        EXPECT_TRUE(soon.cancelled() && done.cancelled());
    });
}

TEST(cancel, CAN_22_a_handler_of_std_exception_lets_it_pass) {
    run_test([]() -> Coro<> {
        bool eaten = false;
        const auto child = [&]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const std::exception&) {
                eaten = true;
            }
        };
        auto task = create_task(child());
        co_await sleep(0s);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_FALSE(eaten);
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(cancel, destructors_run_from_the_inside_out_and_catch_blocks_too) {
    struct Noter {
        std::string& trace;
        char name;
        ~Noter() { trace += name; }
    };
    run_test([]() -> Coro<> {
        std::string trace;
        const auto inner = [&]() -> Coro<> {
            const Noter noter{trace, 'a'};
            co_await sleep(1h);
        };
        const auto middle = [&]() -> Coro<> {
            const Noter noter{trace, 'c'};
            try {
                co_await inner();
            } catch (const CancelledError&) {
                trace += 'b';
                throw;
            }
        };
        auto task = create_task([](auto& body, std::string& to) -> Coro<> {
            const Noter noter{to, 'd'};
            co_await body();
        }(middle, trace));
        co_await sleep(0s);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "abcd");
    });
}

TEST(cancel, a_thousand_tasks_are_cancelled_in_order) {
    run_test([]() -> Coro<> {
        std::vector<Task<>> tasks;
        std::vector<int> order;
        const auto child = [&](int number) -> Coro<> {
            try {
                co_await sleep_long();
            } catch (const CancelledError&) {
                order.push_back(number);
                throw;
            }
        };
        for (int i = 0; i < 1000; ++i) tasks.push_back(create_task(child(i)));
        co_await sleep(0s);
        for (const Task<>& task : tasks) EXPECT_TRUE(task.cancel());
        co_await sleep(0s);
        for (int i = 0; i < 1000; ++i) EXPECT_EQ(order.at(static_cast<std::size_t>(i)), i);
        for (const Task<>& task : tasks) EXPECT_TRUE(task.cancelled());
    });
}

TEST(cancel, from_the_destructor_of_an_argument_it_comes_too_late) {
    struct Canceller {
        Task<>* task;
        explicit Canceller(Task<>& given) : task(&given) {}
        Canceller(Canceller&& other) noexcept : task(std::exchange(other.task, nullptr)) {}
        ~Canceller() {
            if (task != nullptr) task->cancel();
        }
    };
    run_test([]() -> Coro<> {
        Task<> task;
        task = create_task([](Canceller) -> Coro<> { co_await sleep(0s); }(Canceller(task)));
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_TRUE(task.done());
        EXPECT_FALSE(task.cancelled());
    });
}

}  // namespace
