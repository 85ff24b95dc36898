// Goal: futures change state once, tell everyone in order, one iteration later, and lose neither
// values nor errors nor callbacks.
// Method: `Ticks` counts iterations; callbacks and tasks leave their mark in one trace.

#include <asyncio.h>

#include "support/random.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Future;
using asyncio::InvalidStateError;
using asyncio::sleep;
using support::Fragile;
using support::LogCapture;
using support::MoveOnly;
using support::run_test;
using support::TestLoop;
using support::Ticks;
using support::Tracked;
using namespace std::chrono_literals;

template <class T = void>
Future<T> new_future() {
    return asyncio::get_running_loop().create_future<T>();
}

TEST(future, FUT_01_one_that_is_pending_has_neither_result_nor_exception) {
    run_test([]() -> Coro<> {
        const auto future = new_future<int>();
        EXPECT_FALSE(future.done());
        EXPECT_FALSE(future.cancelled());
        EXPECT_THROW(future.result(), InvalidStateError);
        EXPECT_THROW(future.exception(), InvalidStateError);
        co_return;
    });
}

TEST(future, FUT_01_one_that_was_cancelled_throws_that) {
    run_test([]() -> Coro<> {
        const auto future = new_future<int>();
        EXPECT_TRUE(future.cancel("why"));
        EXPECT_FALSE(future.cancel());
        EXPECT_TRUE(future.done());
        EXPECT_TRUE(future.cancelled());
        EXPECT_THROW(future.result(), CancelledError);
        EXPECT_THROW(future.exception(), CancelledError);
        std::string message;
        try {
            co_await future;
        } catch (const CancelledError& cancelled) {
            message = cancelled.message();
        }
        EXPECT_EQ(message, "why");
    });
}

TEST(future, FUT_02_is_set_once) {
    run_test([]() -> Coro<> {
        const auto value = new_future<int>();
        value.set_result(1);
        EXPECT_THROW(value.set_result(2), InvalidStateError);
        EXPECT_THROW(value.set_exception(std::runtime_error("x")), InvalidStateError);
        EXPECT_EQ(value.result(), 1);
        const auto error = new_future<>();
        error.set_exception(std::runtime_error("broken"));
        EXPECT_THROW(error.set_result(), InvalidStateError);
        EXPECT_THROW(error.result(), std::runtime_error);
        const auto cancelled = new_future<>();
        cancelled.cancel();
        EXPECT_THROW(cancelled.set_result(), InvalidStateError);
        EXPECT_THROW(cancelled.set_exception(std::runtime_error("x")), InvalidStateError);
        co_return;
    });
}

TEST(future, a_cancellation_set_as_an_exception_is_an_exception) {
    run_test([]() -> Coro<> {
        const auto future = new_future<>();
        future.set_exception(CancelledError("as an error"));
        EXPECT_FALSE(future.cancelled());
        EXPECT_TRUE(future.done());
        EXPECT_NE(future.exception(), nullptr);
        EXPECT_THROW(future.result(), CancelledError);
        co_return;
    });
}

TEST(future, CPP_08_holds_any_kind_of_value) {
    run_test([]() -> Coro<> {
        int target = 0;
        const auto reference = new_future<int&>();
        reference.set_result(target);
        EXPECT_EQ(&reference.result(), &target);
        int& awaited = co_await reference;
        EXPECT_EQ(&awaited, &target);
        auto move_only = new_future<MoveOnly>();
        move_only.set_result(MoveOnly(5));
        EXPECT_EQ(move_only.result().number, 5);
        const MoveOnly taken = co_await std::move(move_only);
        EXPECT_EQ(taken.number, 5);
    });
}

TEST(future, CPP_09_is_still_pending_when_its_value_could_not_be_stored) {
    run_test([]() -> Coro<> {
        const auto future = new_future<Fragile>();
        bool resumed = false;
        const auto waiter = [&]() -> Coro<> {
            const Fragile& value = co_await future;
            resumed = value.number == 2;
        };
        auto task = create_task(waiter());
        co_await sleep(0s);
        const Fragile breaks(1, 0, 9);
        EXPECT_THROW(future.set_result(breaks), std::runtime_error);
        EXPECT_FALSE(future.done());
        co_await sleep(0s);
        EXPECT_FALSE(resumed);
        future.set_result(Fragile(2, 9, 9));
        co_await task;
        EXPECT_TRUE(resumed);
    });
}

TEST(future, CPP_08_an_error_while_its_value_is_copied_goes_to_the_one_that_copies) {
    run_test([]() -> Coro<> {
        auto future = new_future<Fragile>();
        future.set_result(Fragile(1, 0, 9));
        auto copy = future;
        bool caught = false;
        try {
            // Two handles, so the value must be copied.
            [[maybe_unused]] const Fragile value = co_await std::move(copy);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        EXPECT_TRUE(caught);
        EXPECT_EQ(future.result().number, 1) << "the value is unharmed";
    });
}

TEST(future, FUT_06_all_who_wait_get_the_value_in_the_order_in_which_they_came) {
    run_test([]() -> Coro<> {
        const auto future = new_future<int>();
        std::string trace;
        const auto waiter = [&](char name) -> Coro<> {
            const int value = co_await future;
            trace += name + std::to_string(value);
        };
        auto a = create_task(waiter('a'));
        auto b = create_task(waiter('b'));
        co_await sleep(0s);
        future.add_done_callback([&] { trace += "callback "; });
        auto c = create_task(waiter('c'));
        co_await sleep(0s);
        future.set_result(7);
        co_await sleep(0s);
        EXPECT_EQ(trace, "a7b7callback c7");
        co_await asyncio::gather(a, b, c);
    });
}

TEST(future, FUT_10_one_error_can_be_awaited_many_times) {
    run_test([]() -> Coro<> {
        const auto future = new_future<>();
        future.set_exception(std::runtime_error("broken"));
        for (int i = 0; i < 5; ++i) {
            std::string seen;
            try {
                co_await future;
            } catch (const std::runtime_error& error) {
                seen = error.what();
            }
            EXPECT_EQ(seen, "broken");
        }
    });
}

TEST(future, an_error_nobody_asks_for_is_reported_when_the_last_handle_goes) {
    run_test([]() -> Coro<> {
        {
            const auto future = new_future<>();
            future.set_exception(std::runtime_error("broken"));
        }
        const std::vector<std::string> lines = LogCapture::take();
        EXPECT_EQ(lines.size(), 1u);
        co_return;
    });
}

TEST(future, a_value_nobody_asks_for_is_not_reported) {
    run_test([]() -> Coro<> {
        new_future<int>().set_result(1);
        new_future<int>().cancel();
        static_cast<void>(new_future<int>());
        co_return;
    });
}

TEST(future, an_error_may_go_unseen_after_its_loop_is_gone) {
    const LogCapture log;
    Future<> orphan;
    {
        TestLoop loop;
        orphan = loop->create_future();
        orphan.set_exception(std::runtime_error("broken"));
    }
    orphan = {};
    EXPECT_EQ(LogCapture::take().size(), 1u);
}

// --- Callbacks
// -------------------------------------------------------------------------------------

TEST(future, FUT_04_callbacks_come_through_the_loop_never_from_inside) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        const auto future = new_future<int>();
        std::vector<int> called_at;
        future.add_done_callback([&] { called_at.push_back(ticks.count()); });
        co_await sleep(0s);
        future.set_result(1);
        EXPECT_TRUE(called_at.empty());
        future.add_done_callback([&] { called_at.push_back(ticks.count()); });
        EXPECT_TRUE(called_at.empty()) << "nor from inside a future that is done";
        const int before = ticks.count();
        co_await sleep(0s);
        EXPECT_EQ(called_at, (std::vector{before + 1, before + 1}));
    });
}

TEST(future, FUT_05_a_callback_that_was_removed_is_not_called) {
    run_test([]() -> Coro<> {
        const auto future = new_future<>();
        std::string trace;
        future.add_done_callback([&] { trace += 'a'; });
        asyncio::CallbackId removed =
            future.add_done_callback([&, tracked = Tracked()] { trace += 'b'; });
        future.add_done_callback([&] { trace += 'c'; });
        EXPECT_EQ(Tracked::alive(), 1);
        EXPECT_TRUE(future.remove_done_callback(removed));
        EXPECT_EQ(Tracked::alive(), 0);
        EXPECT_FALSE(future.remove_done_callback(removed));
        EXPECT_FALSE(future.remove_done_callback({}));
        future.set_result();
        co_await sleep(0s);
        EXPECT_EQ(trace, "ac");
    });
}

TEST(future, FUT_05_removing_a_callback_during_the_delivery_is_too_late) {
    run_test([]() -> Coro<> {
        const auto future = new_future<>();
        std::string trace;
        asyncio::CallbackId second;
        future.add_done_callback([&] {
            trace += 'a';
            EXPECT_FALSE(future.remove_done_callback(second));
        });
        second = future.add_done_callback([&] { trace += 'b'; });
        future.set_result();
        co_await sleep(0s);
        EXPECT_EQ(trace, "ab");
    });
}

TEST(future, a_callback_that_throws_is_reported_and_the_others_are_called) {
    run_test([]() -> Coro<> {
        const auto future = new_future<>();
        bool called = false;
        future.add_done_callback([] { throw std::runtime_error("broken"); });
        future.add_done_callback([&] { called = true; });
        future.set_result();
        co_await sleep(0s);
        EXPECT_TRUE(called);
        EXPECT_EQ(LogCapture::take().size(), 1u);
    });
}

TEST(future, a_callback_keeps_the_future_until_its_turn_and_may_drop_the_last_handle) {
    run_test([]() -> Coro<> {
        auto future = std::make_unique<Future<Tracked>>(new_future<Tracked>());
        bool called = false;
        future->add_done_callback([&] { called = true; });
        future->set_result(Tracked(1));
        future.reset();
        EXPECT_EQ(Tracked::alive(), 1);
        co_await sleep(0s);
        EXPECT_TRUE(called);
        EXPECT_EQ(Tracked::alive(), 0);
        auto other = std::make_shared<Future<>>(new_future<>());
        other->add_done_callback([&] { other.reset(); });
        other->set_result();
        co_await sleep(0s);
        EXPECT_FALSE(other);
    });
}

TEST(future, one_that_dies_pending_destroys_its_callbacks_uncalled) {
    run_test([]() -> Coro<> {
        bool called = false;
        {
            const auto future = new_future<>();
            future.add_done_callback([&called, tracked = Tracked()] { called = true; });
        }
        EXPECT_EQ(Tracked::alive(), 0);
        EXPECT_FALSE(called);
        co_return;
    });
}

TEST(future, FUT_11_callbacks_may_do_anything_to_the_future_they_belong_to) {
    // The captures' destructors touch the list of callbacks while it is being taken down, so one
    // removal may bring others with it. Whatever was not removed in time runs exactly once.
    struct Meddler {
        Future<> future;
        asyncio::CallbackId victim;
        int* removed;
        Meddler(Future<> given, asyncio::CallbackId id, int& count)
            : future(std::move(given)), victim(id), removed(&count) {}
        Meddler(Meddler&&) = default;
        ~Meddler() {
            if (future && future.remove_done_callback(victim)) ++*removed;
        }
    };
    run_test([]() -> Coro<> {
        support::Random random(support::seed_or(1));
        SCOPED_TRACE(random.name());
        for (int round = 0; round < 300; ++round) {
            auto future = new_future<>();
            std::vector<asyncio::CallbackId> ids;
            int called = 0, removed = 0;
            for (int i = 0; i < 8; ++i) {
                asyncio::CallbackId victim =
                    ids.empty() ? asyncio::CallbackId() : ids[random.below(ids.size())];
                Meddler meddler(random.one_in(2) ? future : Future<>(), victim, removed);
                ids.push_back(future.add_done_callback([&, meddler = std::move(meddler)] {
                    ++called;
                    if (random.one_in(3)) future.add_done_callback([] {});
                    if (random.one_in(3)) future.cancel();
                    if (random.one_in(3)) future.remove_done_callback(ids[random.below(8)]);
                }));
            }
            for (int i = 0; i < 3; ++i) {
                if (future.remove_done_callback(ids[random.below(8)])) ++removed;
            }
            const int registered = 8 - removed;
            if (random.one_in(3)) {
                future.cancel();
            } else {
                future.set_result();
            }
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            EXPECT_EQ(called, registered);
        }
    });
}

TEST(future, callbacks_that_never_had_their_turn_are_released_when_the_loop_closes) {
    const LogCapture log;
    bool called = false;
    {
        TestLoop loop;
        const auto future = loop->create_future();
        future.add_done_callback([&called, tracked = Tracked()] { called = true; });
        future.set_result();
        loop->close();
        EXPECT_EQ(Tracked::alive(), 0);
    }
    EXPECT_FALSE(called);
}

TEST(future, handles_compare_and_convert) {
    run_test([]() -> Coro<> {
        const auto a = new_future<>();
        const auto b = a;
        const auto c = new_future<>();
        EXPECT_TRUE(a == b);
        EXPECT_FALSE(a == c);
        EXPECT_TRUE(static_cast<bool>(a));
        EXPECT_FALSE(static_cast<bool>(Future<>()));
        EXPECT_EQ(&a.get_loop(), &asyncio::get_running_loop());
        co_return;
    });
}

}  // namespace
