#pragma once
// One coroutine for each of many items, not more at a time than is good: `gather` with a limit, a
// rate and second attempts.
//
// A fixed number of workers, tasks of one group, take the items in turn. So a million items need no
// million tasks, an error stops the rest, and nothing outlives the call.
//
// Thread-safety: loop thread only.

#include <asyncio/finally.h>
#include <asyncio/gather.h>
#include <asyncio/internal/body.h>
#include <asyncio/internal/completions.h>
#include <asyncio/sleep.h>
#include <asyncio/task_group.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace asyncio {

/// What the error of one item means for the others.
enum class OnError : std::uint8_t {
    /// They are cancelled and waited for; items that have not begun never do.
    cancel_rest,
    /// Nothing: all are done, and then the errors are thrown.
    carry_on,
};

struct MapOptions {
    /// How many run at a time; 0: all.
    std::size_t limit = 0;
    /// How many begin per second, evenly spaced and counting second attempts; 0: any number. Not
    /// negative.
    double per_second = 0;
    /// How often one that has failed is tried again. A cancellation is no failure.
    unsigned retries = 0;
    /// The wait before the first of these; it doubles with each further one.
    Delay retry_delay = {};
    OnError on_error = OnError::cancel_rest;
};

/// For `map_settled`, where errors are results: as `MapOptions`.
struct SettledMapOptions {
    std::size_t limit = 0;
    double per_second = 0;
    unsigned retries = 0;
    Delay retry_delay = {};
};

/// One result of `map_as_completed`.
template <class T>
struct Mapped {
    /// The item's place, counted from 0.
    std::size_t index;
    internal::Element<T> value;
};

template <class T>
class MapResults;

namespace internal {

/// Spaces beginnings evenly.
class Pace {
public:
    /// Throws: `std::invalid_argument` for what is no rate.
    explicit Pace(double per_second);

    /// Takes the next place in the sequence; returns how long that is to wait for.
    Duration take_place();

private:
    Duration period_ = Duration::zero();
    std::optional<TimePoint> next_;
};

/// What is made of the results.
enum class MapKind : std::uint8_t { values, outcomes, as_completed };

/// What does not depend on the types.
class MapBase {
public:
    MapBase(const MapOptions& options, std::size_t count, MapKind kind);
    MapBase(const MapBase&) = delete;
    MapBase& operator=(const MapBase&) = delete;

    std::size_t workers() const noexcept;
    /// Waits for the turn of the next attempt, the `attempt`th retry if that is not 0.
    Coro<> wait_turn(unsigned attempt);
    /// An attempt has ended in an error. Whether there is another.
    bool retry(unsigned attempt) const noexcept { return attempt < options_.retries; }

    /// An item has ended in `error` for good. What its worker has to throw; null: it goes on.
    std::exception_ptr item_failed(TaskGroup& group, std::exception_ptr error);
    /// A worker has been cancelled, and with it what it was to do.
    void worker_cancelled(TaskGroup& group, std::exception_ptr cancellation);
    /// No further item begins, not even in a worker whose item makes light of its cancellation.
    void stop() noexcept;
    /// What is to be thrown in the end; null if nothing.
    std::exception_ptr errors() const;

    /// What ended with a value, for those who take results as they come.
    Completions completions;
    /// For what has begun and has not been taken. Who takes makes room.
    Room room;

protected:
    MapOptions options_;
    std::size_t count_;
    std::size_t begun_ = 0;

private:
    MapKind kind_;
    Pace pace_;
    bool stopped_ = false;
    /// Of items whose errors did not stop the rest.
    std::vector<std::exception_ptr> errors_;
};

template <class Items>
using ItemOf = std::remove_reference_t<std::ranges::range_reference_t<Items>>&;

template <class Items, class Function>
using MapResult =
    typename BodyResultOf<std::invoke_result_t<std::decay_t<Function>&, ItemOf<Items>>>::type;

/// One mapping in progress, in the frame of the call. `Items` is a view.
template <class Items, class Function>
class Map final : public MapBase {
public:
    using T = MapResult<Items, Function>;
    static_assert(!std::is_reference_v<T>, "results are kept, so they cannot be references");

    Map(Items& items, Function& function, const MapOptions& options, MapKind kind)
        : MapBase(options, static_cast<std::size_t>(std::ranges::distance(items)), kind),
          next_(std::ranges::begin(items)),
          function_(function),
          outcomes(count_) {}

    void start_workers(TaskGroup& group) {
        // A worker that starts eagerly may have done everything when it returns, or have ended the
        // map.
        for (std::size_t i = 0; i < workers() && begun_ < count_; ++i)
            group.create_task(work(group));
    }

private:
    // A worker returns an empty outcome. Only a frame that returns one lies on the boundary on
    // which results pass through it.
    Coro<Outcome<T>> work(TaskGroup& group) {
        Outcome<Outcome<T>> end = co_await settle(work_through(group));
        if (end.cancelled()) worker_cancelled(group, end.error());
        co_return std::move(end);
    }

    Coro<Outcome<T>> work_through(TaskGroup& group) {
        while (begun_ < count_) {
            co_await room.enter();
            // The last item may have begun meanwhile. Whoever waits in line shall see that, too.
            if (begun_ == count_) {
                room.leave();
                break;
            }
            const std::size_t index = begun_++;
            // The iterator moves on before anybody else looks at it.
            auto&& item = *next_;
            ++next_;
            outcomes[index] = co_await attempts(item);
            if (!outcomes[index].failed()) {
                completions.put(index);
                continue;
            }
            if (std::exception_ptr error = item_failed(group, outcomes[index].error()))
                co_return Outcome<Outcome<T>>::failure(std::move(error));
            completions.put(index);
        }
        co_return Outcome<T>();
    }

    Coro<Outcome<T>> attempts(ItemOf<Items> item) {
        for (unsigned attempt = 0;; ++attempt) {
            co_await wait_turn(attempt);
            Outcome<T> outcome = co_await settled_call(function_, item);
            const bool again = outcome.failed() && !outcome.cancelled() && retry(attempt);
            if (!again) co_return outcome;
        }
    }

    std::ranges::iterator_t<Items> next_;
    Function& function_;

public:
    std::vector<Outcome<T>> outcomes;
};

template <class Items, class Function>
Coro<std::vector<Outcome<MapResult<Items, Function>>>> map_scope(Items items, Function function,
                                                                 MapOptions options, MapKind kind) {
    using Result = std::vector<Outcome<MapResult<Items, Function>>>;
    Map<Items, Function> map(items, function, options, kind);
    const auto body = [&map](TaskGroup& group) -> Coro<> {
        map.start_workers(group);
        co_return;
    };
    const Outcome<void> ended = co_await settle(task_group(body));
    if (ended.failed()) co_return Outcome<Result>::failure(ended.error());
    if (std::exception_ptr error = map.errors())
        co_return Outcome<Result>::failure(std::move(error));
    co_return std::move(map.outcomes);
}

template <class T>
using MapValues = std::conditional_t<std::is_void_v<T>, void, std::vector<Element<T>>>;

template <class Items, class Function>
Coro<MapValues<MapResult<Items, Function>>> map_values(Items items, Function function,
                                                       MapOptions options) {
    auto outcomes = co_await map_scope<Items, Function>(std::move(items), std::move(function),
                                                        options, MapKind::values);
    if constexpr (!std::is_void_v<MapResult<Items, Function>>) {
        std::vector<MapResult<Items, Function>> values;
        values.reserve(outcomes.size());
        for (auto& outcome : outcomes) values.push_back(std::move(outcome).value());
        co_return values;
    }
}

template <class Items, class Function, class Body>
Coro<BodyResult<Body, MapResults<MapResult<Items, Function>>>>
map_with_body(Items items, Function function, Body body, MapOptions options);

}  // namespace internal

/// The results of `map_as_completed`, inside its body.
template <class T>
class MapResults {
public:
    /// Waits for the next item that is done; nothing after the last one. Items that have failed are
    /// left out.
    /// Cancellation: waits only if nothing is done; when cancelled, no result is lost.
    Coro<std::optional<Mapped<T>>> next() {
        internal::running_task("MapResults::next()");
        while (true) {
            const std::size_t index = co_await map_.completions.next();
            if (index == internal::Completions::none) co_return std::nullopt;
            map_.room.leave();
            Outcome<T> outcome = std::move(outcomes_[index]);
            if (outcome.failed()) continue;
            if constexpr (std::is_void_v<T>) {
                co_return Mapped<T>{index, None{}};
            } else {
                co_return Mapped<T>{index, std::move(outcome).value()};
            }
        }
    }

private:
    template <class Items, class Function, class Body>
    friend Coro<internal::BodyResult<Body, MapResults<internal::MapResult<Items, Function>>>>
    internal::map_with_body(Items items, Function function, Body body, MapOptions options);

    MapResults(internal::MapBase& map, std::vector<Outcome<T>>& outcomes) noexcept
        : map_(map), outcomes_(outcomes) {}

    internal::MapBase& map_;
    std::vector<Outcome<T>>& outcomes_;
};

namespace internal {

template <class Items, class Function, class Body>
Coro<BodyResult<Body, MapResults<MapResult<Items, Function>>>>
map_with_body(Items items, Function function, Body body, MapOptions options) {
    using Results = MapResults<MapResult<Items, Function>>;
    using T = BodyResult<Body, Results>;
    Map<Items, Function> map(items, function, options, MapKind::as_completed);
    Results results(map, map.outcomes);
    const auto with_group = [&](TaskGroup& group) -> Coro<T> {
        map.start_workers(group);
        Outcome<T> end = co_await settled_body(body, results);
        map.stop();
        // Nobody will ask for the rest.
        if (!end.failed()) group.cancel();
        if constexpr (std::is_void_v<T>) {
            co_await LeaveWith{end};
            co_return;
        } else {
            co_return std::move(end);
        }
    };
    Outcome<T> outcome = co_await settle(task_group(with_group));
    if (!outcome.failed()) {
        if (std::exception_ptr error = map.errors()) outcome.fail(std::move(error));
    }
    if constexpr (std::is_void_v<T>) {
        co_await LeaveWith{outcome};
        co_return;
    } else {
        co_return std::move(outcome);
    }
}

template <class Items, class Function>
concept MapsItems = std::ranges::forward_range<Items> &&
                    CoroutineFunction<Function, ItemOf<std::views::all_t<Items>>>;

}  // namespace internal

/// Calls `function(item)`, which returns a coroutine, for every item, and collects the results in
/// the order of the items: `co_await map_concurrent(urls, fetch, {.limit = 10})`.
///
/// Items are passed by reference, and again when they are tried again.
/// Returns a vector of results, or nothing if the function returns nothing.
/// Throws: an ExceptionGroup with the errors of the items that had failed for good; see `OnError`.
/// `std::invalid_argument` for a negative rate.
/// Cancellation: cancels what runs, waits for it, and leaves as CancelledError, unless there are
/// errors.
/// Lifetime: a range given by name must live until the await returns; so must what the closure
/// captures by reference.
/// Cost: one task for each that runs at a time.
/// Python: none in asyncio; `gather` with a `Semaphore`.
template <class Items, class Function>
    requires internal::MapsItems<Items, Function>
auto map_concurrent(Items&& items, Function&& function, MapOptions options = {}) {
    internal::require_safe_closure<Function>();
    return internal::map_values<std::views::all_t<Items>, std::decay_t<Function>>(
        std::views::all(std::forward<Items>(items)), std::forward<Function>(function), options);
}

/// As `map_concurrent`, but never fails for an item: gives an `Outcome` of each.
/// Python: `gather(…, return_exceptions=True)`.
template <class Items, class Function>
    requires internal::MapsItems<Items, Function>
auto map_settled(Items&& items, Function&& function, SettledMapOptions options = {}) {
    internal::require_safe_closure<Function>();
    return internal::map_scope<std::views::all_t<Items>, std::decay_t<Function>>(
        std::views::all(std::forward<Items>(items)), std::forward<Function>(function),
        MapOptions{options.limit, options.per_second, options.retries, options.retry_delay,
                   OnError::carry_on},
        internal::MapKind::outcomes);
}

/// As `map_concurrent`, but gives each result as soon as it is there, to a body that runs
/// meanwhile: `co_await map_as_completed(urls, fetch, [&](MapResults<Page>& results) -> Coro<> {
/// while (auto page = co_await results.next()) … }, {.limit = 10})`.
///
/// Results nobody has asked for yet are kept. With a limit, not more than twice as many items are
/// running or wait to be asked for: then no further one begins until the body takes a result. So a
/// slow body holds up the items, and one that asks for nothing must not wait for all of them. When
/// the body ends, what still runs is cancelled and waited for.
/// Returns what the body returns. Throws: as `task_group`, and with `OnError::carry_on` after the
/// body the errors of the items.
/// Cancellation: reaches the body and the items.
template <class Items, class Function, class Body>
    requires internal::MapsItems<Items, Function>
auto map_as_completed(Items&& items, Function&& function, Body&& body, MapOptions options = {}) {
    internal::require_safe_closure<Function>();
    internal::require_safe_closure<Body>();
    return internal::map_with_body<std::views::all_t<Items>, std::decay_t<Function>,
                                   std::decay_t<Body>>(std::views::all(std::forward<Items>(items)),
                                                       std::forward<Function>(function),
                                                       std::forward<Body>(body), options);
}

}  // namespace asyncio
