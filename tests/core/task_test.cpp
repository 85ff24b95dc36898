// Goal: tasks start, take turns, end, are named, listed and reported as Python's do, and the loop
// keeps them alive whatever happens to their handles.
// Method: `Ticks` counts the iterations of the loop; the trace of who ran when is compared whole.

#include <asyncio.h>

#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::Task;
using support::LogCapture;
using support::MoveOnly;
using support::run_test;
using support::TestLoop;
using support::Ticks;
using support::Tracked;
using namespace std::chrono_literals;

Coro<> yield_times(int times) {
    for (int i = 0; i < times; ++i) co_await sleep(0s);
}

// --- Ticks
// -----------------------------------------------------------------------------------------

TEST(task, TASK_01_first_steps_come_one_iteration_later_in_the_order_of_creation) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        std::string trace;
        const auto child = [&](char name) -> Coro<> {
            trace += name + std::to_string(ticks.count());
            co_return;
        };
        auto a = create_task(child('a'));
        auto b = create_task(child('b'));
        EXPECT_EQ(trace, "");
        co_await sleep(0s);
        EXPECT_EQ(trace, "a1b1");
        EXPECT_TRUE(a.done() && b.done());
    });
}

TEST(task, TASK_02_a_future_that_is_set_resumes_its_waiter_exactly_one_iteration_later) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        auto future = asyncio::get_running_loop().create_future<int>();
        int resumed_at = -1;
        const auto child = [&]() -> Coro<> {
            co_await future;
            resumed_at = ticks.count();
        };
        auto task = create_task(child());
        co_await yield_times(5);
        future.set_result(1);
        EXPECT_EQ(resumed_at, -1) << "not inside set_result";
        const int set_at = ticks.count();
        co_await task;
        EXPECT_EQ(resumed_at, set_at + 1);
        EXPECT_EQ(ticks.count(), set_at + 2) << "and whoever awaits the task one after that";
    });
}

TEST(task, TASK_03_what_is_done_costs_no_iteration) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        auto future = asyncio::get_running_loop().create_future<int>();
        future.set_result(1);
        auto task = create_task([]() -> Coro<int> { co_return 2; }());
        co_await sleep(0s);
        const int before = ticks.count();
        EXPECT_EQ(co_await future, 1);
        EXPECT_EQ(co_await task, 2);
        co_await yield_times(0);
        EXPECT_EQ(ticks.count(), before);
    });
}

TEST(task, TASK_04_sleep_of_nothing_costs_one_iteration_and_tasks_take_turns) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        std::string trace;
        const auto child = [&](char name) -> Coro<> {
            for (int i = 0; i < 3; ++i) {
                trace += name + std::to_string(ticks.count());
                co_await sleep(i % 2 == 0 ? 0s : -5s);
            }
        };
        auto a = create_task(child('a'));
        auto b = create_task(child('b'));
        co_await a;
        co_await b;
        EXPECT_EQ(trace, "a1b1a2b2a3b3");
    });
}

TEST(task, a_sleep_ends_one_iteration_after_its_timer_as_in_python) {
    // There the timer's callback sets a future, and the future wakes the task.
    const LogCapture log;
    TestLoop loop(asyncio::lowlevel::make_simulated_backend({}), {.debug = false});
    std::string trace;
    const auto sleeper = [&]() -> Coro<> {
        co_await sleep(1ms);
        trace += 's';
    };
    auto task = loop->create_task(sleeper());
    loop->call_soon([&] {
        loop->call_at(loop->time() + 1ms, [&] {
            trace += 't';
            loop->call_soon([&] { trace += 'n'; });
        });
    });
    loop.run_until_idle();
    loop->run_until_complete(task);
    EXPECT_EQ(trace, "tsn");
    loop.expect_idle();
}

TEST(task, TASK_06_a_cancelled_sleep_leaves_no_timer) {
    const LogCapture log;
    TestLoop loop;
    const auto sleeper = []() -> Coro<> { co_await sleep(24h); };
    auto task = loop->create_task(sleeper());
    EXPECT_NE(loop.run_until_idle(), asyncio::internal::never);
    task.cancel();
    EXPECT_EQ(loop.run_until_idle(), asyncio::internal::never);
    EXPECT_TRUE(task.cancelled());
}

TEST(task, a_sleep_lasts_as_long_as_it_should) {
    run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        const bool exact = std::string_view(loop.backend_name()) == "simulated";
        for (const asyncio::Duration delay :
             {asyncio::Duration(1ns), asyncio::Duration(1us), asyncio::Duration(3ms)}) {
            const asyncio::TimePoint start = loop.time();
            co_await sleep(delay);
            EXPECT_GE(loop.time() - start, delay);
            EXPECT_TRUE(!exact || loop.time() - start == delay);
        }
    });
}

TEST(task, years_of_sleep_pass_in_no_time_on_the_simulated_clock) {
    const LogCapture log;
    TestLoop loop;
    if (!loop.simulated()) GTEST_SKIP() << "real years are too long";
    const asyncio::TimePoint start = loop->time();
    loop->run_until_complete(sleep(24h * 365 * 10));
    EXPECT_EQ(loop->time() - start, 24h * 365 * 10);
}

// --- What may be awaited
// ---------------------------------------------------------------------------

TEST(task, TASK_07_awaiting_itself_is_an_error_and_no_hang) {
    run_test([]() -> Coro<> {
        Task<> self;
        std::string seen;
        const auto child = [&]() -> Coro<> {
            try {
                co_await self;
            } catch (const RuntimeError& error) {
                seen = error.what();
            }
            co_await sleep(0s);
        };
        self = create_task(child());
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_TRUE(support::contains(seen, "itself")) << seen;
        EXPECT_TRUE(self.done());
        self.cancel();
    });
}

TEST(task, TASK_08_CPP_16_awaiting_a_future_of_another_loop_is_an_error) {
    TestLoop other;
    run_test([&]() -> Coro<> {
        auto foreign = other->create_future<int>();
        std::string seen;
        try {
            co_await foreign;
        } catch (const RuntimeError& error) {
            seen = error.what();
        }
        EXPECT_TRUE(support::contains(seen, "another event loop")) << seen;
        foreign.set_result(1);
        EXPECT_EQ(co_await foreign, 1) << "one that is done can be read anywhere";
    });
}

TEST(task, CPP_13_a_sleep_outside_a_task_is_an_error) {
    const LogCapture log;
    EXPECT_THROW(asyncio::get_running_loop(), RuntimeError);
    EXPECT_THROW(create_task([]() -> Coro<> { co_return; }()), RuntimeError);
}

TEST(task, any_awaitable_can_become_a_task) {
    run_test([]() -> Coro<> {
        auto sleeping = asyncio::ensure_future(sleep(1ms));
        EXPECT_FALSE(sleeping.done());
        co_await sleeping;
        auto same = asyncio::ensure_future(sleeping);
        EXPECT_TRUE(same == sleeping);
        auto future = asyncio::get_running_loop().create_future<int>();
        auto same_future = asyncio::ensure_future(future);
        EXPECT_TRUE(same_future == future);
    });
}

// --- Values
// ----------------------------------------------------------------------------------------

TEST(task, gives_its_value_to_everyone_who_awaits_it) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<std::string> {
            co_await sleep(0s);
            co_return "value";
        }());
        const auto reader = [&]() -> Coro<std::string> { co_return co_await task; };
        auto [a, b] = co_await asyncio::gather(reader(), reader());
        EXPECT_EQ(a, "value");
        EXPECT_EQ(b, "value");
        EXPECT_EQ(task.result(), "value");
        EXPECT_EQ(task.exception(), nullptr);
    });
}

TEST(task, CPP_08_of_a_reference_and_of_what_can_only_be_moved) {
    run_test([]() -> Coro<> {
        int target = 1;
        auto reference = create_task([](int& to) -> Coro<int&> { co_return to; }(target));
        int& seen = co_await reference;
        EXPECT_EQ(&seen, &target);
        auto unique = create_task([]() -> Coro<MoveOnly> { co_return MoveOnly(3); }());
        const MoveOnly value = co_await std::move(unique);
        EXPECT_EQ(value.number, 3);
        auto kept = create_task([]() -> Coro<MoveOnly> { co_return MoveOnly(4); }());
        const MoveOnly& looked_at = co_await kept;
        EXPECT_EQ(looked_at.number, 4);
        EXPECT_EQ(kept.result().number, 4);
    });
}

TEST(task, a_value_that_can_only_be_moved_is_taken_once_and_that_is_said) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<MoveOnly> { co_return MoveOnly(4); }());
        Task<MoveOnly> copy = task;
        const MoveOnly value = co_await std::move(copy);
        EXPECT_EQ(value.number, 4);
        EXPECT_TRUE(task.done());
        EXPECT_FALSE(task.cancelled());
        EXPECT_THROW(task.result(), asyncio::InvalidStateError);
        bool refused = false;
        try {
            co_await std::move(task);
        } catch (const asyncio::InvalidStateError&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
    });
}

TEST(task, an_error_can_be_seen_by_everyone_even_where_the_value_could_only_be_moved) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<MoveOnly> {
            co_await sleep(0s);
            throw std::runtime_error("broken");
        }());
        for (int i = 0; i < 3; ++i) {
            Task<MoveOnly> copy = task;
            bool caught = false;
            try {
                co_await std::move(copy);
            } catch (const std::runtime_error&) {
                caught = true;
            }
            EXPECT_TRUE(caught);
        }
        EXPECT_NE(task.exception(), nullptr);
    });
}

TEST(task, the_value_is_destroyed_with_the_last_handle) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<Tracked> { co_return Tracked(1); }());
        co_await sleep(0s);
        EXPECT_EQ(Tracked::alive(), 1);
        auto other = task;
        task = {};
        EXPECT_EQ(Tracked::alive(), 1);
        other = {};
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(task, CPP_05_arguments_are_destroyed_when_the_task_has_ended_not_with_its_handle) {
    run_test([]() -> Coro<> {
        auto task = create_task([](Tracked) -> Coro<> { co_await sleep(0s); }(Tracked(1)));
        co_await sleep(0s);
        EXPECT_EQ(Tracked::alive(), 1);
        co_await task;
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

// --- Life
// ------------------------------------------------------------------------------------------

TEST(task, TASK_14_CPP_01_a_hundred_thousand_without_a_handle_all_run_to_their_end) {
    run_test([]() -> Coro<> {
        int ended = 0;
        const auto child = [&](int turns) -> Coro<> {
            const Tracked alive(turns);
            co_await yield_times(turns);
            ++ended;
        };
        for (int i = 0; i < 100'000; ++i) create_task(child(i % 4));
        co_await yield_times(6);
        EXPECT_EQ(ended, 100'000);
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(task, TASK_12_a_coroutine_that_could_not_be_scheduled_is_destroyed_without_having_run) {
    const LogCapture log;
    TestLoop loop;
    loop->close();
    bool ran = false;
    const auto child = [&](Tracked) -> Coro<> {
        ran = true;
        co_return;
    };
    EXPECT_THROW(loop->create_task(child(Tracked())), RuntimeError);
    EXPECT_EQ(Tracked::alive(), 0);
    EXPECT_FALSE(ran);
}

TEST(task, TASK_13_current_task_is_the_one_that_steps) {
    run_test([]() -> Coro<> {
        EXPECT_EQ(asyncio::all_tasks().size(), 1u);
        const asyncio::TaskRef self = current_task();
        EXPECT_TRUE(static_cast<bool>(self));
        bool none_in_callback = false;
        asyncio::get_running_loop().call_soon([&] { none_in_callback = !current_task(); });
        Task<> a, b;
        const auto child = [](const Task<>& own) -> Coro<> {
            for (int i = 0; i < 3; ++i) {
                EXPECT_TRUE(current_task() == static_cast<asyncio::TaskRef>(own));
                co_await sleep(0s);
            }
        };
        a = create_task(child(a));
        b = create_task(child(b));
        EXPECT_EQ(asyncio::all_tasks().size(), 3u);
        co_await a;
        co_await b;
        EXPECT_TRUE(current_task() == self);
        EXPECT_TRUE(none_in_callback);
        EXPECT_EQ(asyncio::all_tasks().size(), 1u);
    });
    EXPECT_FALSE(static_cast<bool>(current_task()));
}

TEST(task, TASK_11_names_are_unique_or_given_and_may_change) {
    run_test([]() -> Coro<> {
        const auto nothing = []() -> Coro<> { co_return; };
        std::set<std::string> names;
        for (int i = 0; i < 100; ++i) {
            auto task = create_task(nothing());
            EXPECT_EQ(task.get_name().rfind("Task-", 0), 0u) << task.get_name();
            names.insert(task.get_name());
        }
        EXPECT_EQ(names.size(), 100u);
        Task<> named;
        {
            std::string given = "a name that is gone when the task is asked for it";
            named = create_task(nothing(), {.name = given});
            given.assign(given.size(), 'x');
        }
        EXPECT_EQ(named.get_name(), "a name that is gone when the task is asked for it");
        named.set_name("new");
        EXPECT_EQ(named.get_name(), "new");
        EXPECT_EQ(static_cast<asyncio::TaskRef>(named).get_name(), "new");
        co_await named;
        EXPECT_EQ(named.get_name(), "new");
    });
}

TEST(task, all_tasks_lists_those_that_have_not_ended_in_order_of_creation) {
    run_test([]() -> Coro<> {
        const auto wait = []() -> Coro<> { co_await sleep(1ms); };
        std::vector<Task<>> made;
        for (int i = 0; i < 3; ++i)
            made.push_back(create_task(wait(), {.name = std::to_string(i)}));
        made[1].cancel();
        co_await sleep(0s);
        std::string names;
        for (const asyncio::TaskRef& task : asyncio::all_tasks()) {
            if (!(task == current_task())) names += task.get_name();
        }
        EXPECT_EQ(names, "02");
        co_await asyncio::gather(made[0], made[2]);
    });
}

// --- Errors nobody asks for
// ------------------------------------------------------------------------

Coro<> fail_with(const char* text) {
    co_await sleep(0s);
    throw std::runtime_error(text);
}

TEST(task, TASK_15_an_error_nobody_asks_for_is_reported_once_when_the_last_handle_goes) {
    run_test([]() -> Coro<> {
        auto task = create_task(fail_with("broken"), {.name = "the culprit"});
        auto copy = task;
        co_await yield_times(3);
        EXPECT_TRUE(LogCapture::take().empty());
        task = {};
        EXPECT_TRUE(LogCapture::take().empty());
        copy = {};
        const std::vector<std::string> lines = LogCapture::take();
        EXPECT_EQ(lines.size(), 1u);
        if (lines.empty()) co_return;
        EXPECT_TRUE(support::contains(lines[0], "broken")) << lines[0];
        EXPECT_TRUE(support::contains(lines[0], "the culprit")) << lines[0];
    });
}

TEST(task, TASK_15_an_error_of_a_task_without_handle_is_reported_when_it_ends) {
    run_test([]() -> Coro<> {
        create_task(fail_with("broken"));
        co_await yield_times(3);
        EXPECT_EQ(LogCapture::take().size(), 1u);
    });
}

TEST(task, TASK_15_asking_for_the_error_or_cancelling_silences_the_report) {
    run_test([]() -> Coro<> {
        auto asked = create_task(fail_with("a"));
        auto thrown = create_task(fail_with("b"));
        auto awaited = create_task(fail_with("c"));
        auto cancelled = create_task(fail_with("d"));
        co_await yield_times(3);
        EXPECT_NE(asked.exception(), nullptr);
        EXPECT_THROW(thrown.result(), std::runtime_error);
        EXPECT_FALSE(cancelled.cancel());
        bool caught = false;
        try {
            co_await awaited;
        } catch (const std::runtime_error&) {
            caught = true;
        }
        EXPECT_TRUE(caught);
    });
}

TEST(task, TASK_15_a_cancelled_task_is_no_error) {
    run_test([]() -> Coro<> {
        create_task(fail_with("never")).cancel();
        co_await yield_times(3);
    });
}

TEST(task, TASK_16_errors_of_any_type_are_kept_and_rethrown) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<> {
            co_await sleep(0s);
            throw 42;
        }());
        int seen = 0;
        try {
            co_await task;
        } catch (const int number) {
            seen = number;
        }
        EXPECT_EQ(seen, 42);
    });
}

TEST(task, TASK_16_a_keyboard_interrupt_thrown_by_a_task_is_kept_like_any_error) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<> {
            co_await sleep(0s);
            throw asyncio::KeyboardInterrupt();
        }());
        co_await sleep(1ms);
        EXPECT_TRUE(task.done()) << "and the loop goes on";
        EXPECT_FALSE(task.cancelled());
        EXPECT_THROW(task.result(), asyncio::KeyboardInterrupt);
    });
}

TEST(task, its_state_is_told_at_every_stage) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<int> {
            co_await sleep(0s);
            co_return 1;
        }());
        EXPECT_FALSE(task.done());
        EXPECT_FALSE(task.cancelled());
        EXPECT_THROW(task.result(), asyncio::InvalidStateError);
        EXPECT_THROW(task.exception(), asyncio::InvalidStateError);
        co_await task;
        EXPECT_TRUE(task.done());
        EXPECT_EQ(task.result(), 1);
        EXPECT_EQ(&task.get_loop(), &asyncio::get_running_loop());
    });
}

}  // namespace
