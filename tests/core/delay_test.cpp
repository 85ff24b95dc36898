// Goal: wherever the library takes a time, it takes every `std::chrono` value: floating ones, any
// unit, and what is longer than can be counted, which then never ends.
// Method: the conversion by itself, at the borders of each kind of number; then each function that
// takes a time, once with half a second in floating point, in virtual time, and once with times
// beyond 292 years.

#include <asyncio.h>

#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <chrono>
#include <limits>
#include <optional>
#include <ratio>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::Deadline;
using asyncio::Delay;
using asyncio::Duration;
using asyncio::EventLoop;
using asyncio::get_running_loop;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TimePoint;
using support::how;
using support::LogCapture;
using support::run_simulated;
using support::run_test;
using support::TestLoop;
using support::Tracked;
using namespace std::chrono_literals;
using std::chrono::duration;
using std::chrono::hours;
using std::chrono::years;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr Duration longest = Duration::max();
constexpr Duration shortest = Duration::min();

constexpr Duration converted(Delay delay) { return delay.duration(); }

TEST(delay, every_unit_and_every_kind_of_number_becomes_nanoseconds) {
    static_assert(converted({}) == 0ns);
    static_assert(converted(5min) == 300s);
    static_assert(converted(-5ms) == -5'000'000ns);
    static_assert(converted(0.5s) == 500ms);
    static_assert(converted(duration<float, std::milli>(1.5F)) == 1'500us);
    static_assert(converted(duration<double>(0.1)) == 100ms);
    static_assert(converted(duration<unsigned>(7)) == 7s);
    static_assert(converted(duration<signed char, std::ratio<3600>>(-2)) == -2h);
    static_assert(converted(duration<int, std::ratio<1, 3>>(2)) == 666'666'667ns);
    static_assert(converted(std::chrono::days(2)) == 48h);
}

TEST(delay, what_is_finer_than_a_nanosecond_becomes_the_nearest_one) {
    using Picoseconds = duration<std::int64_t, std::pico>;
    static_assert(converted(Picoseconds(1'499)) == 1ns);
    static_assert(converted(Picoseconds(1'500)) == 2ns);
    static_assert(converted(Picoseconds(-1'500)) == -2ns);
    static_assert(converted(duration<double, std::nano>(0.4)) == 0ns);
    static_assert(converted(duration<double, std::nano>(-0.6)) == -1ns);
}

TEST(delay, what_is_too_long_to_be_counted_stops_at_the_longest_time) {
    static_assert(converted(longest) == longest);
    static_assert(converted(shortest) == shortest);
    static_assert(converted(years(292)) < longest);
    static_assert(converted(years(293)) == longest);
    static_assert(converted(years(-293)) == shortest);
    static_assert(converted(hours::max()) == longest);
    static_assert(converted(hours::min()) == shortest);
    static_assert(converted(duration<std::uint64_t, std::nano>(~0ULL)) == longest);
    static_assert(converted(duration<std::uint64_t>(~0ULL)) == longest);
    static_assert(converted(duration<std::int64_t, std::pico>::max()) < 107 * 24h);
    static_assert(converted(duration<int, std::exa>(1)) == longest);
    static_assert(converted(duration<int, std::exa>(-1)) == shortest);
    static_assert(converted(duration<double>(infinity)) == longest);
    static_assert(converted(duration<double>(-infinity)) == shortest);
    static_assert(converted(duration<double>(1e300)) == longest);
    static_assert(converted(duration<float, std::ratio<3600>>(-1e30F)) == shortest);
    static_assert(converted(duration<double, std::nano>(9.2e18)) < longest);
}

TEST(delay, two_are_compared_and_one_is_part_of_arithmetic) {
    static_assert(Delay(0.5s) == 500ms);
    static_assert(Delay(1h) > 59min);
    const Duration sum = Delay(1.5s).duration() + 500ms;
    EXPECT_EQ(sum, 2s);
    const std::optional<Duration> limit = std::optional<Delay>(0.25s);
    EXPECT_EQ(limit, 250ms);
}

TEST(delay, a_deadline_takes_any_time_point_of_the_clock) {
    constexpr TimePoint start{};
    static_assert(Deadline(start + 0.5s).time_point() == start + 500ms);
    static_assert(Deadline(std::chrono::time_point<asyncio::Clock, hours>(hours(3))).time_point() ==
                  start + 3h);
    static_assert(Deadline(std::chrono::time_point<asyncio::Clock, hours>::max()).time_point() ==
                  TimePoint::max());
}

TEST(delay, TASK_05_what_is_no_number_is_refused_wherever_it_is_given) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const duration<double> none(not_a_number);
        EXPECT_THROW((void)sleep(none), std::invalid_argument);
        EXPECT_THROW((void)asyncio::wait_for(sleep(0s), none), std::invalid_argument);
        EXPECT_THROW(loop.call_later(none, [] {}), std::invalid_argument);
        EXPECT_THROW(loop.call_at(loop.time() + none, [] {}), std::invalid_argument);
        EXPECT_THROW((void)asyncio::WaitOptions{.timeout = none}, std::invalid_argument);
        EXPECT_THROW((void)asyncio::MapOptions{.retry_delay = none}, std::invalid_argument);
        co_return;
    });
}

/// How long `awaitable` takes.
template <class Awaitable>
Coro<Duration> time_of(Awaitable awaitable) {
    const TimePoint start = get_running_loop().time();
    co_await asyncio::internal::settle(std::move(awaitable));
    co_return get_running_loop().time() - start;
}

TEST(delay, half_a_second_in_floating_point_is_taken_by_whatever_waits) {
    run_simulated([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const auto for_ever = [] { return sleep(longest); };
        const auto body = [&]() -> Coro<> { co_await for_ever(); };
        EXPECT_EQ(co_await time_of(sleep(0.5s)), 500ms);
        EXPECT_EQ(co_await time_of(asyncio::timeout(0.5s, body)), 500ms);
        EXPECT_EQ(co_await time_of(asyncio::timeout_at(loop.time() + 0.5s, body)), 500ms);
        EXPECT_EQ(co_await time_of(asyncio::move_on_after(0.5s, body)), 500ms);
        EXPECT_EQ(co_await time_of(asyncio::move_on_at(loop.time() + 0.5s, body)), 500ms);
        EXPECT_EQ(co_await time_of(asyncio::wait_for(for_ever(), 0.5s)), 500ms);
        EXPECT_EQ(co_await time_of(asyncio::timeout(1h,
                                                    [&](asyncio::Timeout& limit) -> Coro<> {
                                                        limit.reschedule(loop.time() + 0.5s);
                                                        co_await for_ever();
                                                    })),
                  500ms);
        Task<> task = create_task(body);
        const std::vector<Task<>> tasks{task};
        auto waiting = asyncio::wait(tasks, {.timeout = 0.5s});
        EXPECT_EQ(co_await time_of(std::move(waiting)), 500ms);
        auto completed = asyncio::as_completed(tasks, {.timeout = 0.5s});
        EXPECT_EQ(co_await time_of(completed.next()), 500ms);
        task.cancel();
        co_await asyncio::internal::settle(task);
    });
}

TEST(delay, half_a_second_in_floating_point_is_taken_by_callbacks_and_mappings) {
    run_simulated([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        loop.slow_callback_duration = 0.5s;
        EXPECT_EQ(loop.slow_callback_duration, 500ms);
        auto called = loop.create_future<>();
        loop.call_later(0.5s, [=] { called.set_result(); });
        EXPECT_EQ(co_await time_of(called), 500ms);
        called = loop.create_future<>();
        const auto handle = loop.call_at(loop.time() + 0.5s, [=] { called.set_result(); });
        EXPECT_EQ(handle.when(), loop.time() + 500ms);
        EXPECT_EQ(co_await time_of(called), 500ms);

        const int items[] = {1};
        int failures = 0;
        const auto fails_once = [&](int) -> Coro<> {
            if (failures++ == 0) throw std::runtime_error("once");
            co_return;
        };
        auto mapping =
            asyncio::map_concurrent(items, fails_once, {.retries = 1, .retry_delay = 0.5s});
        EXPECT_EQ(co_await time_of(std::move(mapping)), 500ms);
        std::vector<Coro<> (*)()> runners(2, +[]() -> Coro<> { co_await sleep(0.75s); });
        EXPECT_EQ(co_await time_of(asyncio::staggered_race(runners, 0.5s)), 750ms);
    });
}

/// Runs `function(time)` for times that are too long to be counted.
template <class Function>
void for_long_times(Function function) {
    function(Delay(hours::max()));
    function(Delay(years(1000)));
    function(Delay(duration<double>(infinity)));
    function(Delay(longest));
}

TEST(delay, a_sleep_longer_than_can_be_counted_lasts_until_it_is_cancelled) {
    for_long_times([](Delay long_time) {
        run_simulated([&]() -> Coro<> {
            Task<> sleeper = create_task([&]() -> Coro<> { co_await sleep(long_time); });
            co_await sleep(290 * 365 * 24h);
            EXPECT_FALSE(sleeper.done());
            EXPECT_TRUE(sleeper.cancel());
            EXPECT_EQ(co_await how(sleeper), "cancelled");
        });
    });
}

TEST(delay, a_limit_longer_than_can_be_counted_never_cuts) {
    for_long_times([](Delay long_time) {
        run_simulated([&]() -> Coro<> {
            const auto body = [&]() -> Coro<> { co_await sleep(200 * 365 * 24h); };
            EXPECT_FALSE(co_await asyncio::move_on_after(long_time, body));
            co_await asyncio::timeout(long_time, [&]() -> Coro<> { co_await sleep(1ms); });
            co_await asyncio::wait_for(sleep(1ms), long_time);
            Task<> task = create_task([]() -> Coro<> { co_await sleep(1ms); });
            const std::vector<Task<>> tasks{task};
            auto waiting = asyncio::wait(tasks, {.timeout = long_time});
            EXPECT_EQ((co_await std::move(waiting)).done.size(), 1u);
        });
    });
}

TEST(delay, many_sleeps_without_end_are_called_off_in_any_order) {
    run_simulated([]() -> Coro<> {
        std::vector<Task<>> sleepers;
        for (int i = 0; i < 100; ++i)
            sleepers.push_back(create_task([]() -> Coro<> { co_await sleep(longest); }));
        co_await sleep(1s);
        for (std::size_t i = 0; i < sleepers.size(); ++i) sleepers[i * 37 % 100].cancel();
        for (Task<>& sleeper : sleepers) EXPECT_EQ(co_await how(sleeper), "cancelled");
    });
}

TEST(delay, a_callback_that_never_comes_is_released_when_it_is_cancelled_or_the_loop_closes) {
    const LogCapture log;
    TestLoop loop;
    const int before = Tracked::alive();
    auto first = loop->call_later(years(1000), [tracked = Tracked()] {});
    auto second = loop->call_at(TimePoint::max(), [tracked = Tracked()] {});
    loop->call_later(hours::max(), [tracked = Tracked()] {});
    EXPECT_EQ(Tracked::alive(), before + 3);
    EXPECT_EQ(second.when(), TimePoint::max());
    first.cancel();
    EXPECT_EQ(Tracked::alive(), before + 2);
    loop->close();
    EXPECT_EQ(Tracked::alive(), before);
    second.cancel();
}

}  // namespace
