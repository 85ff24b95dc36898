// Goal: whatever is cancelled, at whatever moment: every cleanup that is due runs once and to its
// end, every generator ends, nothing that a scope or a combinator has started outlives it.
// Method: random trees of the scopes and combinators, cancelled at random iterations, with counts
// that must meet. The seed is printed; `ASYNCIO_SEED=n` repeats it.

#include <asyncio.h>

#include "support/random.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <functional>
#include <ranges>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::AsyncExitStack;
using asyncio::AsyncGenerator;
using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::Duration;
using asyncio::MapResults;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TaskGroup;
using asyncio::TaskStatus;
using support::Random;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

/// What must be done in the end as often as it was begun.
struct Count {
    int begun = 0;
    int done = 0;
};

/// Counts itself as done, however it goes.
class Counted {
public:
    explicit Counted(Count& count) : count_(count) { ++count_.begun; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { ++count_.done; }

private:
    Count& count_;
};

struct Forest {
    Random& random;
    std::vector<Task<>> tasks{};
    Count cleanups{};
    Count generators{};
    Count children{};

    Duration short_time() { return 1us * static_cast<int>(random.below(20)); }

    Coro<> leaf() {
        const Tracked alive;
        if (random.one_in(5)) throw std::runtime_error("leaf");
        co_await sleep(random.one_in(2) ? Duration(0) : short_time());
    }

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
        if (random.one_in(4)) co_await sleep(short_time());
        throw CancelledError();
    }

    /// Must run to its end, and sometimes fails there.
    Coro<> cleanup() {
        const Tracked alive;
        bool limited = random.one_in(3);
        if (limited) {
            co_await asyncio::move_on_after(short_time(), [&]() -> Coro<> { co_await sleep(1h); });
        } else {
            for (std::uint64_t i = random.below(4); i > 0; --i) co_await sleep(0s);
        }
        ++cleanups.done;
        if (random.one_in(6)) throw std::runtime_error("cleanup");
    }

    AsyncGenerator<int> generator(int depth) {
        const Counted counted(generators);
        std::exception_ptr end;
        try {
            for (std::uint64_t i = random.below(4); i > 0; --i) {
                co_await node(depth - 1);
                co_yield static_cast<int>(i);
            }
        } catch (...) {
            end = std::current_exception();
        }
        if (random.one_in(2)) co_await sleep(short_time());
        if (end) std::rethrow_exception(end);
    }

    Coro<> branch(int depth) {
        if (depth == 0) co_return co_await leaf();
        switch (random.below(8)) {
            case 0:
                co_await asyncio::move_on_after(short_time(),
                                                [&]() -> Coro<> { co_await node(depth - 1); });
                break;
            case 1: co_await with_cleanup(depth); break;
            case 2: co_await with_stack(depth); break;
            case 3: co_await group(depth); break;
            case 4: co_await race(depth); break;
            case 5: co_await map(depth); break;
            case 6: co_await map_to_body(depth); break;
            default: co_await use_generator(depth); break;
        }
    }

    Coro<> with_cleanup(int depth) {
        ++cleanups.begun;
        co_await asyncio::finally_([&]() -> Coro<> { co_await node(depth - 1); },
                                   [&] { return cleanup(); });
    }

    Coro<> with_stack(int depth) {
        co_await asyncio::async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
            for (std::uint64_t i = random.below(3); i > 0; --i) {
                ++cleanups.begun;
                stack.push_async_callback([this] { return cleanup(); });
                co_await node(depth - 1);
            }
        });
    }

    Coro<> group(int depth) {
        const auto child = [&, this](TaskStatus<int> status) -> Coro<> {
            const Counted counted(children);
            co_await node(depth - 1);
            if (!random.one_in(4)) status.started(1);
            co_await node(depth - 1);
        };
        co_await asyncio::task_group([&](TaskGroup& group) -> Coro<> {
            for (std::uint64_t i = random.below(3); i > 0; --i) {
                try {
                    EXPECT_EQ(co_await group.start<int>(child), 1);
                } catch (const std::exception&) {
                }
            }
        });
    }

    Coro<> race(int depth) {
        Count runners;
        std::vector<std::function<Coro<int>()>> functions;
        for (int i = 0; i < 3; ++i) {
            functions.emplace_back([&, i]() -> Coro<int> {
                const Counted counted(runners);
                co_await node(depth - 1);
                if (random.one_in(2)) throw std::runtime_error("runner");
                co_return i;
            });
        }
        const auto meet = [&]() -> Coro<> {
            EXPECT_EQ(runners.begun, runners.done);
            co_return;
        };
        const auto run = [&]() -> Coro<> {
            const auto result = co_await asyncio::staggered_race(functions, short_time());
            EXPECT_EQ(result.winner_result.has_value(), result.winner_index.has_value());
        };
        co_await asyncio::finally_(run, meet);
    }

    asyncio::MapOptions map_options() {
        return {.limit = random.below(4),
                .retries = static_cast<unsigned>(random.below(2)),
                .on_error =
                    random.one_in(2) ? asyncio::OnError::carry_on : asyncio::OnError::cancel_rest};
    }

    Coro<> map(int depth) {
        Count items;
        const auto work = [&](int item) -> Coro<int> {
            const Counted counted(items);
            co_await node(depth - 1);
            co_return item;
        };
        const auto meet = [&]() -> Coro<> {
            EXPECT_EQ(items.begun, items.done);
            co_return;
        };
        const auto run = [&]() -> Coro<> {
            const auto values =
                co_await asyncio::map_concurrent(std::views::iota(0, 4), work, map_options());
            EXPECT_EQ(values.size(), 4u);
        };
        co_await asyncio::finally_(run, meet);
    }

    Coro<> map_to_body(int depth) {
        Count items;
        const auto work = [&](int item) -> Coro<int> {
            const Counted counted(items);
            co_await node(depth - 1);
            co_return item;
        };
        const auto meet = [&]() -> Coro<> {
            EXPECT_EQ(items.begun, items.done);
            co_return;
        };
        const auto body = [&](MapResults<int>& results) -> Coro<> {
            while (auto result = co_await results.next()) {
                if (random.one_in(3)) break;
                co_await node(depth - 1);
            }
        };
        const auto run = [&]() -> Coro<> {
            co_await asyncio::map_as_completed(std::views::iota(0, 4), work, body, map_options());
        };
        co_await asyncio::finally_(run, meet);
    }

    Coro<> use_generator(int depth) {
        auto numbers = generator(depth);
        while (auto number = co_await numbers.next()) {
            if (random.one_in(4)) break;  // leaves the rest to the loop
            if (random.one_in(4)) co_await numbers.aclose();
        }
    }
};

Coro<> storm(Forest& forest) {
    Random& random = forest.random;
    for (int i = 0; i < 6; ++i) forest.tasks.push_back(create_task(forest.node(4)));
    for (int turn = 0; turn < 60; ++turn) {
        if (random.one_in(2)) forest.tasks[random.below(forest.tasks.size())].cancel();
        co_await sleep(random.one_in(4) ? forest.short_time() : Duration(0));
    }
    for (const Task<>& task : forest.tasks) co_await asyncio::gather_settled(task);
    // Generators that were left are being closed.
    while (asyncio::all_tasks().size() > 1) co_await sleep(10us);
    EXPECT_EQ(current_task().cancelling(), 0u);
}

TEST(scopes_fuzz, cleanups_run_once_generators_end_and_nothing_is_left) {
    const std::uint64_t first = support::seed_or(1);
    for (std::uint64_t seed = first; seed < first + 40; ++seed) {
        Random random(seed);
        SCOPED_TRACE(random.name());
        Forest forest{random};
        run_test([&]() -> Coro<> {
            co_await storm(forest);
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            support::LogCapture::take();
        });
        ASSERT_EQ(forest.cleanups.begun, forest.cleanups.done);
        ASSERT_EQ(forest.generators.begun, forest.generators.done);
        ASSERT_EQ(forest.children.begun, forest.children.done);
        ASSERT_EQ(Tracked::alive(), 0);
        if (::testing::Test::HasFailure()) return;
    }
}

}  // namespace
