// Goal: whatever is cancelled, at whatever moment, every task ends, every count of requests of a
// scope returns to what it was, and nothing is left: no task, no timer, no frame.
// Method: random trees of sleeps, futures, gathers, shields, limits and groups; tasks picked at
// random are cancelled at random iterations. The seed is printed; `ASYNCIO_SEED=n` repeats it.

#include <asyncio.h>

#include "support/random.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <optional>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::Duration;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TaskGroup;
using support::Random;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

struct Forest {
    Random& random;
    /// Every task that is not a main one, to be cancelled at random.
    std::vector<Task<>> tasks;

    Duration short_time() { return 1us * static_cast<int>(random.below(20)); }

    Coro<> leaf() {
        const Tracked alive;
        switch (random.below(4)) {
            case 0: co_await sleep(0s); break;
            case 1: co_await sleep(short_time()); break;
            case 2: {
                auto future = asyncio::get_running_loop().create_future();
                asyncio::get_running_loop().call_later(short_time(), [future] {
                    if (!future.done()) future.set_result();
                });
                co_await future;
                break;
            }
            default: throw std::runtime_error("leaf");
        }
    }

    /// A node that answers a cancellation in one of the legal ways. Whatever it is, the scopes
    /// below it have taken their own requests back by then.
    Coro<> node(int depth) {
        const Tracked alive;
        bool cancelled = false;
        try {
            co_await branch(depth);
        } catch (const CancelledError&) {
            cancelled = true;
        } catch (const std::exception&) {
            if (random.one_in(2)) throw;
        }
        if (!cancelled) co_return;
        if (random.one_in(4)) {
            const std::size_t before = current_task().cancelling();
            co_await sleep(short_time());
            EXPECT_GE(current_task().cancelling(), before);
        }
        if (random.one_in(8)) throw std::runtime_error("cleanup");
        throw CancelledError();
    }

    Coro<> branch(int depth) {
        if (depth == 0) co_return co_await leaf();
        switch (random.below(7)) {
            case 0: co_await node(depth - 1); break;
            case 1: co_await asyncio::gather(node(depth - 1), node(depth - 1)); break;
            case 2: co_await asyncio::gather_settled(node(depth - 1), node(depth - 1)); break;
            case 3: co_await asyncio::wait_for(node(depth - 1), short_time()); break;
            case 4: {
                auto inner = create_task(node(depth - 1));
                tasks.push_back(inner);
                co_await asyncio::shield(inner);
                break;
            }
            case 5:
                co_await asyncio::timeout(short_time(),
                                          [&]() -> Coro<> { co_await node(depth - 1); });
                break;
            default: co_await group(depth); break;
        }
    }

    Coro<> group(int depth) {
        co_await asyncio::task_group([&](TaskGroup& group) -> Coro<> {
            for (std::uint64_t i = random.below(3); i > 0; --i) {
                tasks.push_back(group.create_task(node(depth - 1)));
            }
            if (random.one_in(5)) group.cancel();
            co_await node(depth - 1);
        });
    }
};

Coro<> storm(Random& random) {
    Forest forest{random, {}};
    for (int i = 0; i < 6; ++i) forest.tasks.push_back(create_task(forest.node(4)));
    for (int turn = 0; turn < 60; ++turn) {
        if (random.one_in(3)) forest.tasks[random.below(forest.tasks.size())].cancel();
        co_await sleep(random.one_in(4) ? forest.short_time() : Duration(0));
    }
    // Tasks may still beget tasks, so the list is walked while it grows.
    for (std::size_t i = 0; i < forest.tasks.size(); ++i) {
        const Task<> task = forest.tasks[i];
        co_await asyncio::gather_settled(task);
        EXPECT_TRUE(task.done());
    }
    EXPECT_EQ(current_task().cancelling(), 0u);
}

TEST(cancel_fuzz, every_task_ends_and_nothing_is_left) {
    const std::uint64_t first = support::seed_or(1);
    for (std::uint64_t seed = first; seed < first + 30; ++seed) {
        Random random(seed);
        SCOPED_TRACE(random.name());
        run_test([&]() -> Coro<> {
            co_await storm(random);
            // Errors of tasks nobody asked for are reported as they should be.
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            support::LogCapture::take();
        });
        ASSERT_EQ(Tracked::alive(), 0);
        if (testing::Test::HasFailure()) return;
    }
}

}  // namespace
