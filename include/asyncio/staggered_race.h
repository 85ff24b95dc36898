#pragma once
// Several ways to one end, tried one after the other but not one by one: happy eyeballs, and asking
// a second server when the first one takes long.
//
// Thread-safety: loop thread only.

#include <asyncio/gather.h>
#include <asyncio/internal/body.h>
#include <asyncio/internal/completions.h>
#include <asyncio/task.h>

#include <cstddef>
#include <functional>
#include <memory>
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
class RaceWatch {
public:
    RaceWatch(EventLoop& loop, std::size_t count, std::optional<Duration> delay);
    RaceWatch(const RaceWatch&) = delete;
    RaceWatch& operator=(const RaceWatch&) = delete;
    ~RaceWatch();

    /// Another one has been started, and its delay begins.
    void started(FutureBase& runner) noexcept;
    /// Gives the number of one that has ended, or something else: see `is_overdue`.
    Completions::Wait next() noexcept { return events_.next(); }
    /// Whether `event` says that the runner started last takes long. One that said so about an
    /// earlier one has been overtaken by events.
    bool is_overdue(std::size_t event) const noexcept { return event == count_ + started_; }

private:
    struct Part : Ready {
        RaceWatch* race;
        std::size_t event;
    };

    static void happened(Ready& node) noexcept;

    EventLoop& loop_;
    std::size_t count_;
    std::optional<Duration> delay_;
    std::size_t started_ = 0;
    Completions events_;
    std::unique_ptr<Part[]> parts_;
    Timer timer_;
    Part overdue_;
};

/// One race in progress, in the frame of `staggered_race`.
template <class T, class Functions>
class Race {
public:
    Race(Functions& functions, std::optional<Duration> delay)
        : next_(std::ranges::begin(functions)),
          end_(std::ranges::end(functions)),
          watch_(get_running_loop(), static_cast<std::size_t>(std::ranges::distance(functions)),
                 delay) {}

    /// Starts the next one if it is time to. False if nobody is left who could win.
    bool go_on() {
        if (may_start_ && next_ != end_) {
            tasks_.push_back(get_running_loop().create_task(keep_and_call(std::ref(*next_))));
            result_.exceptions.emplace_back();
            watch_.started(*tasks_.back().state());
            ++running_;
            ++next_;
            may_start_ = false;
        }
        return running_ > 0 && !result_.winner_index;
    }

    Completions::Wait next_event() noexcept { return watch_.next(); }

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

    /// Nobody outlives the race.
    Coro<> end_losers() {
        for (const Task<T>& task : tasks_) task.cancel();
        for (std::size_t index = 0; index < tasks_.size(); ++index) {
            co_await Join(*tasks_[index].state());
            if (!tasks_[index].state()->succeeded())
                result_.exceptions[index] = tasks_[index].state()->hand_over().error();
        }
    }

    RaceResult<T> result() { return std::move(result_); }

private:
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
    std::exception_ptr cancellation;
    while (cancellation == nullptr && race.go_on()) {
        const Outcome<std::size_t> event = co_await settle(race.next_event());
        if (event.failed()) {
            cancellation = event.error();
        } else {
            race.take(event.value());
        }
    }
    co_await race.end_losers();
    if (cancellation != nullptr) {
        // It stands for all that have come meanwhile.
        running_task().withdraw();
        co_return Outcome<RaceResult<T>>::failure(std::move(cancellation));
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
