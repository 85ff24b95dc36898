#pragma once
// Several ways to one end, tried one after the other but not one by one: happy eyeballs, and asking
// a second server when the first one takes long.
//
// Thread-safety: loop thread only.

#include <asyncio/gather.h>
#include <asyncio/internal/body.h>
#include <asyncio/internal/completions.h>
#include <asyncio/internal/future_watch.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/task.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace asyncio {

/// How a race has ended. Python: the tuple of the same three.
template <class T>
struct RaceResult {
    /// Nothing if nobody has won. `None` stands for what returns nothing.
    std::optional<internal::Element<T>> winner_result;
    std::optional<std::size_t> winner_index;
    /// One for each that was started: its error, a CancelledError included; null for the winner,
    /// and for one that succeeded too late.
    std::vector<std::exception_ptr> exceptions;
};

namespace internal {

/// What happens in a race, in its order.
class RaceWatch : FutureWatch<RaceWatch>, lowlevel::Alarm<RaceWatch> {
public:
    RaceWatch(EventLoop& loop, std::size_t count, std::optional<Duration> delay);

    /// Another one has been started, and its delay begins.
    void started(FutureBase& runner);
    /// Gives the number of one that has ended, or something else: see `is_overdue`.
    Completions::Wait next() noexcept { return events_.next(); }
    /// Whether `event` says that the runner started last takes long. One that said so about an
    /// earlier one has been overtaken by events.
    bool is_overdue(std::size_t event) const noexcept { return event == overdue_event(); }

private:
    friend FutureWatch;
    friend Alarm;

    void future_ended(std::size_t index, FutureBase&) noexcept { events_.put(index); }
    void alarm_rings() noexcept { events_.put(overdue_event()); }
    /// The numbers behind those of the runners stand for their delays.
    std::size_t overdue_event() const noexcept { return watched_count() + started_; }

    std::optional<Duration> delay_;
    std::size_t started_ = 0;
    Completions events_;
};

/// One race in progress, in the frame of `staggered_race`.
template <class T, class Functions>
class Race {
public:
    Race(Functions& functions, std::optional<Duration> delay)
        : next_(std::ranges::begin(functions)),
          end_(std::ranges::end(functions)),
          watch_(running_task("asyncio::staggered_race()").loop(),
                 static_cast<std::size_t>(std::ranges::distance(functions)), delay) {
        // From the first task on nothing may fail that keeps track of them.
        const auto count = static_cast<std::size_t>(std::ranges::distance(functions));
        tasks_.reserve(count);
        result_.exceptions.reserve(count);
    }

    /// Starts the next one if it is time to. False if nobody is left who could win, or the race has
    /// failed: `error` says why, then and afterwards.
    bool go_on(std::exception_ptr& error) noexcept {
        try {
            if (error == nullptr && may_start_ && next_ != end_) start_next();
        } catch (...) {
            error = std::current_exception();
        }
        return error == nullptr && running_ > 0 && !result_.winner_index;
    }

    Completions::Wait next_event() noexcept { return watch_.next(); }

    /// `event` has happened. What a result throws while it moves becomes the `error`.
    void take(std::size_t event, std::exception_ptr& error) noexcept {
        try {
            take(event);
        } catch (...) {
            error = std::current_exception();
        }
    }

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
        tasks_.push_back(here.loop->create_task(keep_and_call(std::ref(*next_))));
        ++running_;
        may_start_ = false;
        watch_.started(*tasks_.back().state());
        ++next_;
    }

    void take(std::size_t event) {
        if (event >= tasks_.size()) {
            if (watch_.is_overdue(event)) may_start_ = true;
            return;
        }
        --running_;
        Outcome<T> outcome = tasks_[event].state()->hand_over();
        if (outcome.failed()) {
            result_.exceptions[event] = outcome.error();
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
    static_assert(!std::is_reference_v<T>, "what may not be there cannot be a reference");
    Race<T, Functions> race(functions, delay);
    // A cancellation, or what the range or the memory has thrown.
    std::exception_ptr error;
    while (race.go_on(error)) {
        const Outcome<std::size_t> event = co_await settle(race.next_event());
        if (event.failed()) {
            error = event.error();
        } else {
            race.take(event.value(), error);
        }
    }
    // Nobody outlives the race.
    race.cancel_all();
    for (std::size_t index = 0; index < race.started(); ++index) {
        co_await race.end_of(index);
        race.take_error_of(index);
    }
    if (error != nullptr) {
        // It stands for all requests that have come meanwhile.
        if (is_cancellation(error)) here.task->withdraw();
        co_return Outcome<RaceResult<T>>::failure(std::move(error));
    }
    co_return race.result();
}

}  // namespace internal

/// Starts what `functions` hold, a range of callables that return coroutines, one after the other:
/// the next one when the one before has failed, or when `delay` has passed since that began. The
/// first that succeeds wins; all others are cancelled, and have ended when this returns.
///
/// `delay` zero or less starts one in every iteration; nothing (`std::nullopt`): only when one has
/// failed.
/// Returns the winner's result and number, and the errors of all others; of none if all have failed
/// or there are none.
/// Cancellation: cancels all of them and waits for them. A race that is decided when the request
/// comes returns its result, and the request is felt at the next wait.
/// Lifetime: a range given by name must live until the await returns.
/// Python: `asyncio.staggered.staggered_race`.
template <std::ranges::forward_range Functions>
    requires internal::CoroutineFunction<std::ranges::range_reference_t<Functions>>
auto staggered_race(Functions&& functions, std::optional<Delay> delay) {
    return internal::race_scope<std::views::all_t<Functions>>(
        std::views::all(std::forward<Functions>(functions)), delay);
}

}  // namespace asyncio
