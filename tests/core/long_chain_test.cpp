// Goal: futures, coroutines and generators that hold each other, however many, are destroyed
// without a stack that grows with their number.
// Method: chains of a hundred thousand of each kind, dropped in every place in which a program can
// drop them; what is alive afterwards is counted.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::AsyncGenerator;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::EventLoop;
using asyncio::Future;
using asyncio::gather;
using asyncio::sleep;
using asyncio::Task;
using core_help::end_of;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

constexpr int many = 100'000;

struct Link {
    std::optional<Task<Link>> before;
};

TEST(long_chain, futures_that_hold_each_other_are_destroyed_without_a_stack) {
    run_test([]() -> Coro<> {
        EventLoop& loop = asyncio::get_running_loop();
        // By a callback of the one that holds the next.
        Future<> last = loop.create_future();
        const Future<> kept = last;
        for (int i = 0; i < many; ++i) {
            const Future<> holder = loop.create_future();
            holder.add_done_callback([last] {});
            last = holder;
        }
        last = Future<>();
        EXPECT_TRUE(kept.state()->only_reference());
        // By a gather of it.
        last = gather(kept);
        for (int i = 0; i < many; ++i) last = gather(last);
        kept.set_result();
        co_await last;
        co_await sleep(0s);
        last = Future<>();
        EXPECT_TRUE(kept.state()->only_reference());
        // By a result.
        const auto link = [](std::optional<Task<Link>> before) -> Coro<Link> {
            co_return Link{std::move(before)};
        };
        std::optional<Task<Link>> task;
        for (int i = 0; i < many; ++i) task = create_task(link(std::move(task)));
        co_await sleep(0s);
        task.reset();
    });
}

Coro<> one_after(Coro<> before, Tracked) { co_await std::move(before); }
Coro<> one_after_all(std::vector<Coro<>> before, Tracked) {
    for (Coro<>& one : before) co_await std::move(one);
}

/// Each holds the one before, by turns as an argument and in a container.
Coro<> held_coroutines() {
    Coro<> last = []() -> Coro<> { co_return; }();
    for (int i = 0; i < many / 2; ++i) {
        std::vector<Coro<>> before;
        before.push_back(one_after(std::move(last), Tracked()));
        last = one_after_all(std::move(before), Tracked());
    }
    return last;
}

TEST(long_chain, coroutines_that_hold_each_other_are_destroyed_without_a_stack) {
    {
        const Coro<> outside = held_coroutines();
    }
    EXPECT_EQ(Tracked::alive(), 0) << "where no loop runs";
    std::thread([chain = held_coroutines()]() mutable {
        const Coro<> here = std::move(chain);
    }).join();
    run_test([]() -> Coro<> {
        const Task<> never_begun = create_task(held_coroutines());
        never_begun.cancel();
        EXPECT_EQ(co_await end_of(never_begun), "cancelled: ");
        EXPECT_EQ(Tracked::alive(), 0) << "those of a task that never began";
        {
            const Coro<> inside = held_coroutines();
        }
        EXPECT_EQ(Tracked::alive(), 0) << "in a step";
        const auto ignores = [](Coro<>) -> Coro<> { co_return; };
        co_await ignores(held_coroutines());
        EXPECT_EQ(Tracked::alive(), 0) << "the argument of one that has ended";
        co_await held_coroutines();
        EXPECT_EQ(Tracked::alive(), 0) << "those that have run";
    });
}

AsyncGenerator<int> numbers(Tracked) {
    for (int i = 0;; ++i) co_yield i;
}
AsyncGenerator<int> of_another(AsyncGenerator<int> other, Tracked) {
    while (const auto value = co_await other.next()) co_yield *value + 1;
}
AsyncGenerator<int> held_generators() {
    AsyncGenerator<int> last = numbers(Tracked());
    for (int i = 0; i < many; ++i) last = of_another(std::move(last), Tracked());
    return last;
}

TEST(long_chain, generators_that_hold_each_other_are_destroyed_without_a_stack) {
    {
        const AsyncGenerator<int> outside = held_generators();
    }
    EXPECT_EQ(Tracked::alive(), 0) << "those that never began";
    run_test([]() -> Coro<> {
        AsyncGenerator<int> asked = held_generators();
        EXPECT_EQ(co_await asked.next(), many);
        co_await asked.aclose();
        {
            const AsyncGenerator<int> closed = std::move(asked);
        }
        co_await asyncio::get_running_loop().shutdown_asyncgens();
        EXPECT_EQ(Tracked::alive(), 0) << "each has been closed when the one before had ended";
    });
    EXPECT_EQ(Tracked::alive(), 0);
}

}  // namespace
