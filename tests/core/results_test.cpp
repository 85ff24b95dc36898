// Goal: a result may be anything that can be moved: containers of what cannot be copied, in each
// other, in tuples and optionals; and what must lie on a wide boundary lies on it.
// Method: for each kind of result every function that hands one on; the addresses of results, and
// of locals in the coroutine that returns them.

#include <asyncio.h>

#include "support/run_test.h"

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace {

using Unique = std::unique_ptr<int>;

/// Says that it can be copied, as the compiler makes it say, and cannot.
struct Page {
    std::vector<Unique> parts;
};

}  // namespace

template <>
inline constexpr bool asyncio::copyable_result<Page> = false;

namespace {

using asyncio::copyable_result;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::gather;
using asyncio::gather_settled;
using asyncio::get_running_loop;
using asyncio::Outcome;
using asyncio::sleep;
using asyncio::Task;
using support::run_test;
using namespace std::chrono_literals;

static_assert(!copyable_result<Unique>);
static_assert(!copyable_result<std::vector<Unique>>);
static_assert(!copyable_result<std::vector<std::vector<Unique>>>);
static_assert(!copyable_result<std::map<int, std::list<Unique>>>);
static_assert(!copyable_result<std::optional<std::vector<Unique>>>);
static_assert(!copyable_result<std::tuple<int, const std::vector<Unique>>>);
static_assert(!copyable_result<std::pair<std::vector<Unique>, int>>);
static_assert(!copyable_result<std::array<std::vector<Unique>, 2>>);
static_assert(!copyable_result<std::variant<int, std::vector<Unique>>>);
static_assert(!copyable_result<std::vector<Page>>);
static_assert(!copyable_result<std::vector<Outcome<std::vector<Unique>>>>);
static_assert(copyable_result<std::vector<std::string>>);
static_assert(copyable_result<std::map<int, std::optional<std::vector<int>>>>);
static_assert(copyable_result<std::vector<Task<Unique>>> && copyable_result<std::string>);
static_assert(copyable_result<std::tuple<int&, std::string>> && copyable_result<std::tuple<>>);

template <class T>
class MovedResults : public testing::Test {};

using Kinds = testing::Types<std::vector<Unique>, std::map<int, std::vector<Unique>>,
                             std::optional<std::vector<Unique>>,
                             std::tuple<int, std::array<std::vector<Unique>, 2>>, Page>;
TYPED_TEST_SUITE(MovedResults, Kinds);

template <class T>
Coro<T> make() {
    co_await sleep(0s);
    co_return T();
}

template <class T>
std::vector<Coro<T>> two_of() {
    std::vector<Coro<T>> coroutines;
    for (int i = 0; i < 2; ++i) coroutines.push_back(make<T>());
    return coroutines;
}

template <class T>
Coro<> hand_on() {
    [[maybe_unused]] T value = co_await create_task(make<T>());
    Task<T> task = create_task(make<T>());
    [[maybe_unused]] const T& seen = co_await task;
    value = co_await std::move(task);
    auto future = get_running_loop().create_future<T>();
    future.set_result(T());
    value = co_await asyncio::shield(future);
    value = co_await asyncio::wait_for(make<T>(), 1h);
    value = co_await asyncio::timeout(1h, [&]() -> Coro<T> { return make<T>(); });
    value = co_await asyncio::to_thread([] { return T(); });
    const std::optional<T> in_time =
        co_await asyncio::move_on_after(1h, [&]() -> Coro<T> { return make<T>(); });
    EXPECT_TRUE(in_time.has_value());
}

TYPED_TEST(MovedResults, are_handed_on_by_tasks_and_futures) {
    run_test(&hand_on<TypeParam>);
    [[maybe_unused]] const auto value = asyncio::run(make<TypeParam>());
}

template <class T>
Coro<> collect() {
    auto [first, number] = co_await gather(make<T>(), make<int>());
    EXPECT_EQ(number, 0);
    auto all = two_of<T>();
    const std::vector<T> values = co_await gather(std::move(all));
    EXPECT_EQ(values.size(), 2u);
    auto settled = two_of<T>();
    const std::vector<Outcome<T>> outcomes = co_await gather_settled(std::move(settled));
    EXPECT_TRUE(outcomes[1].has_value());
    auto [one] = co_await gather_settled(make<T>());
    EXPECT_TRUE(one.has_value());
    const int items[] = {1, 2};
    const auto worker = [](int) { return make<T>(); };
    const std::vector<T> mapped = co_await asyncio::map_concurrent(items, worker);
    EXPECT_EQ(mapped.size(), 2u);
    auto completed = asyncio::as_completed(two_of<T>());
    while (auto task = co_await completed.next()) co_await std::move(*task);
    std::vector<Task<T>> tasks{create_task(make<T>())};
    auto waiting = asyncio::wait(tasks);
    const asyncio::WaitResult<Task<T>> waited = co_await std::move(waiting);
    EXPECT_EQ(waited.done.size(), 1u);
}

TYPED_TEST(MovedResults, are_collected) { run_test(&collect<TypeParam>); }

// Boundaries.

struct alignas(64) Wide {
    double numbers[8] = {};
};

bool lies_well(const Wide& wide) {
    return reinterpret_cast<std::uintptr_t>(&wide) % alignof(Wide) == 0;
}

Coro<Wide> wide_after_a_wait(int& well) {
    Wide wide;
    co_await sleep(0s);
    well += lies_well(wide);
    co_return wide;
}

// Not what the compiler puts into the frame of a coroutine that returns something else: g++ 12 does
// not say what boundary such a frame needs.
TEST(results, what_must_lie_on_a_wide_boundary_does) {
    run_test([]() -> Coro<> {
        int well = 0;
        std::vector<Task<Wide>> tasks;
        for (int i = 0; i < 10; ++i) tasks.push_back(create_task(wide_after_a_wait(well)));
        for (const Task<Wide>& task : tasks) {
            co_await task;
            EXPECT_TRUE(lies_well(task.result()));
            auto future = get_running_loop().create_future<Wide>();
            future.set_result(Wide());
            EXPECT_TRUE(lies_well(future.result()));
        }
        EXPECT_EQ(well, 10);
        const auto both = gather(wide_after_a_wait(well), wide_after_a_wait(well));
        co_await both;
        EXPECT_TRUE(lies_well(std::get<1>(both.result())));
        const auto in_thread = get_running_loop().run_in_executor(nullptr, [] { return Wide(); });
        co_await in_thread;
        EXPECT_TRUE(lies_well(in_thread.result()));
    });
}

/// Counts those of its kind that have ever stood where they must not.
struct alignas(64) Watched {
    Watched() { look(); }
    Watched(Watched&&) noexcept { look(); }
    Watched& operator=(Watched&&) = default;
    void look() const { badly += reinterpret_cast<std::uintptr_t>(this) % alignof(Watched) != 0; }
    static inline int badly = 0;
};

TEST(results, what_must_lie_on_a_wide_boundary_does_on_its_way_through_a_map) {
    run_test([]() -> Coro<> {
        const auto watched = [](int number) -> Coro<Watched> {
            co_await sleep(0s);
            if (number == 3) throw std::runtime_error("three");
            co_return Watched();
        };
        const std::vector<int> few{1, 2};
        const std::vector<int> with_error{1, 2, 3};
        for (int i = 0; i < 10; ++i) {
            const auto values = co_await asyncio::map_concurrent(few, watched);
            EXPECT_EQ(values.size(), 2U);
            const auto outcomes = co_await asyncio::map_settled(with_error, watched);
            EXPECT_TRUE(outcomes[2].failed());
        }
        EXPECT_EQ(Watched::badly, 0);
    });
}

}  // namespace
