#pragma once
// `staggered_race`: several ways to the same end, started one after the other, of which the first
// success wins. Examples are "happy eyeballs" (IPv6 first, IPv4 a little later), and a second
// server that is asked when the first one takes long.
//
// The calling task runs the race. It waits for events, which are numbers in a queue
// (`internal::Completions`): a runner has ended, or the delay since the last start has passed.
// After each event it decides whether to start the next runner or to stop. No runner knows of the
// others. CPython chains the runners instead: each one waits for the one before, and starts the
// next.
//
// At the end all runners that are left are cancelled and waited for, in every case: no runner
// outlives the race. Everything that the end needs (the list of tasks, the room for errors) is
// reserved before the first start, so the end needs no memory.
//
// Thread-safety: loop thread only.

#include <asyncio/gather.h>
#include <asyncio/internal/core/body.h>
#include <asyncio/internal/core/future_watch.h>
#include <asyncio/internal/core/join.h>
#include <asyncio/internal/scopes/completions.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/task.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace asyncio {

/// How a race has ended. Python: a tuple of the same three values.
template <class T>
struct RaceResult {
    /// The result of the winner; empty if no runner has succeeded. `None` if the runners return
    /// nothing.
    std::optional<internal::Element<T>> winner_result;
    /// The number of the winner, counted from 0; empty if no runner has succeeded.
    std::optional<std::size_t> winner_index;
    /// An element for each runner that was started: its error or its CancelledError; null for the
    /// winner, and for a runner that succeeded too late.
    std::vector<std::exception_ptr> exceptions;
};

namespace internal {

/// The events of a race, in the order in which they happen.
class RaceWatch : FutureWatch<RaceWatch>, lowlevel::Alarm<RaceWatch> {
public:
    RaceWatch(lowlevel::Loop& loop, std::size_t count, std::optional<Duration> delay);

    /// A runner has been started. Watches for its end, and starts the delay after which the next
    /// one may start.
    void started(FutureBase& runner);
    /// The next event: the number of a runner that has ended, or a number for which `is_overdue`
    /// may be true.
    Completions::Wait next() noexcept { return events_.next(); }
    /// Whether `event` says that the delay of the runner started last has passed. An event about an
    /// earlier runner is out of date, because another runner has been started since.
    bool is_overdue(std::size_t event) const noexcept { return event == overdue_event(); }

private:
    friend FutureWatch;
    friend Alarm;

    void future_ended(std::size_t index, FutureBase&) noexcept { events_.put(index); }
    void alarm_rings() noexcept { events_.put(overdue_event()); }
    /// The numbers below the count stand for the ends of runners. The numbers above it stand for
    /// their delays.
    std::size_t overdue_event() const noexcept { return watched_count() + started_; }

    std::optional<Duration> delay_;
    std::size_t started_ = 0;
    Completions events_;
};

/// A race in progress, in the frame of `staggered_race`.
template <class T, class Functions>
class Race {
public:
    Race(Functions& functions, std::optional<Duration> delay)
        : next_(std::ranges::begin(functions)),
          end_(std::ranges::end(functions)),
          watch_(running_task("asyncio::staggered_race()").loop(),
                 static_cast<std::size_t>(std::ranges::distance(functions)), delay) {
        // Once a task has been started, keeping track of it must not fail for lack of memory.
        const auto count = static_cast<std::size_t>(std::ranges::distance(functions));
        tasks_.reserve(count);
        result_.exceptions.reserve(count);
    }

    /// Starts the next runner if it is time to. Returns false when the race is over: a runner has
    /// won, no runner is left that could win, or the race has failed with `error`.
    bool go_on(std::exception_ptr& error) noexcept {
        try {
            if (error == nullptr && may_start_ && next_ != end_) start_next();
        } catch (...) {
            error = std::current_exception();
        }
        return error == nullptr && running_ > 0 && !result_.winner_index;
    }

    Completions::Wait next_event() noexcept { return watch_.next(); }

    /// Takes note of `event`. If moving a result throws, the exception becomes `error`.
    void take(std::size_t event, std::exception_ptr& error) noexcept {
        try {
            take(event);
        } catch (...) {
            error = std::current_exception();
        }
    }

    /// For the end: cancel all runners, wait for each, and collect its error. The walk begins at
    /// the calling task, so that a runner that waits for the calling task does not make a circle
    /// that never ends.
    void cancel_all() {
        for (const Task<T>& task : tasks_) CancelWalk({}).ask_for(*here.task, *task.state());
    }
    std::size_t started() const noexcept { return tasks_.size(); }
    Join end_of(std::size_t index) const noexcept { return Join(*tasks_[index].state()); }
    void take_error_of(std::size_t index) {
        if (!tasks_[index].state()->succeeded())
            result_.exceptions[index] = tasks_[index].state()->hand_over().error();
    }

    RaceResult<T> result() { return std::move(result_); }

private:
    void start_next() {
        result_.exceptions.emplace_back();
        tasks_.push_back(face_of(*here.loop).create_task(keep_and_call(std::ref(*next_))));
        ++running_;
        may_start_ = false;
        watch_.started(*tasks_.back().state());
        ++next_;
    }

    void take(std::size_t event) {
        if (event >= tasks_.size()) {
            // Not the end of a runner, but of a delay.
            if (watch_.is_overdue(event)) may_start_ = true;
            return;
        }
        --running_;
        Outcome<T> outcome = tasks_[event].state()->hand_over();
        if (outcome.failed()) {
            result_.exceptions[event] = outcome.error();
            // Only the failure of the runner started last lets the next one start before its time.
            // After the failure of an earlier runner, the later one still gets its whole delay.
            if (event + 1 == tasks_.size()) may_start_ = true;
            return;
        }
        result_.winner_index = event;
        if constexpr (std::is_void_v<T>) {
            result_.winner_result.emplace();
        } else {
            result_.winner_result.emplace(std::move(outcome).value());
        }
    }

    std::ranges::iterator_t<Functions> next_;
    std::ranges::sentinel_t<Functions> end_;
    RaceWatch watch_;
    std::vector<Task<T>> tasks_;
    RaceResult<T> result_;
    std::size_t running_ = 0;
    bool may_start_ = true;
};

template <class Functions>
using RunnerResult =
    typename BodyResultOf<std::invoke_result_t<std::ranges::range_reference_t<Functions>>>::type;

template <class Functions>
Coro<RaceResult<RunnerResult<Functions>>> race_scope(Functions functions,
                                                     std::optional<Duration> delay) {
    using T = RunnerResult<Functions>;
    static_assert(!std::is_reference_v<T>,
                  "a runner must not return a reference: a race without a winner has no result");
    Race<T, Functions> race(functions, delay);
    // A cancellation of the race, or an exception of the range, of a move, or of an allocation.
    std::exception_ptr error;
    while (race.go_on(error)) {
        const Outcome<std::size_t> event = co_await settle(race.next_event());
        if (event.failed()) {
            error = event.error();
        } else {
            race.take(event.value(), error);
        }
    }
    // No runner outlives the race.
    race.cancel_all();
    for (std::size_t index = 0; index < race.started(); ++index) {
        co_await race.end_of(index);
        race.take_error_of(index);
    }
    if (error != nullptr) {
        // This cancellation stands for all requests that have come while the runners were ending.
        if (is_cancellation(error)) here.task->withdraw();
        co_return Outcome<RaceResult<T>>::failure(std::move(error));
    }
    co_return race.result();
}

}  // namespace internal

namespace no_adl {

/// Starts the elements of `functions`, a range of callables that return coroutines, one after the
/// other: the next one when the one before has failed, or when `delay` has passed since its start.
/// The first one that succeeds wins. All others are cancelled, and have ended when this returns.
///
/// A `delay` of zero or less starts one in every iteration. `std::nullopt` means no delay: the next
/// one starts only when the one before has failed.
/// Returns the result and the number of the winner, and the errors of all others. There is no
/// winner if all have failed, or if the range is empty.
/// Cancellation: cancels all runners, waits for them, and throws CancelledError. If the race is
/// decided when the request comes, it returns its result, and the request stays pending until the
/// next await that waits.
/// Lifetime: a range that is given by name must live until the await returns.
/// Python: `asyncio.staggered.staggered_race`.
template <std::ranges::forward_range Functions>
    requires internal::CoroutineFunction<std::ranges::range_reference_t<Functions>>
auto staggered_race(Functions&& functions, std::optional<Delay> delay) {
    return internal::race_scope<std::views::all_t<Functions>>(
        std::views::all(std::forward<Functions>(functions)), delay);
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
