#pragma once
// `map_concurrent`: a coroutine for each of many items, and a limit on how many run at a time. It
// is `gather` with a limit, a rate and second attempts.
//
// A fixed number of workers take the items in turn. The workers are tasks of one task group, as
// many as may run at a time. So a million items need no million tasks: memory grows with the limit
// and not with the number of items, apart from the results. The alternative, a task for each item
// behind a semaphore, starts a million tasks that wait. The group does the rest: an error stops the
// other workers, a cancellation reaches them, and no worker outlives the call.
//
// A worker's item runs inside the worker's task, so an item costs one coroutine frame. The worker
// awaits it as an `Outcome`: an error of an item is a value here, and this file decides what it
// means (try again, keep it, stop the others).
//
// `begun_` is the whole state of the distribution. A worker takes the next item by counting it up,
// with no wait between the question and the step; one thread runs all workers, so no lock is
// needed. `stop()` sets it to the number of items: then no further item begins, whichever way the
// workers are waiting.
//
// Results stand at the place of their item, so their order is that of the items. `map_as_completed`
// needs their order of arrival as well, which is a queue of numbers (`Completions`), and it needs a
// bound: with a slow body, results would accumulate. For this there is a `Semaphore` with twice as
// many places as workers. An item takes a place when it begins and gives it back when the body
// takes its result. So the workers have enough to do while the body is busy, and the number of
// results in memory is bounded.
//
// Cancellations need care, because a group ignores a child that ends as cancelled, and here such a
// child leaves items without a result. `worker_cancelled` and `item_failed` tell the cases apart:
// the map itself has cancelled the worker; the program has cancelled this one worker; an item has
// thrown a CancelledError by itself.
//
// Thread-safety: loop thread only.

#include <asyncio/finally.h>
#include <asyncio/gather.h>
#include <asyncio/internal/core/body.h>
#include <asyncio/internal/scopes/completions.h>
#include <asyncio/semaphore.h>
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

/// Whether the error of an item ends the others.
enum class OnError : std::uint8_t {
    /// The running items are cancelled and waited for. Items that have not begun never begin.
    cancel_rest,
    /// All items run. The errors are thrown at the end.
    carry_on,
};

/// How the items are run.
struct MapOptions {
    /// How many items run at a time; 0 means all.
    std::size_t limit = 0;
    /// How many attempts begin per second, evenly spaced; 0 means any number. Not negative.
    double per_second = 0;
    /// How many more attempts an item gets after it has failed. A cancellation is no failure.
    unsigned retries = 0;
    /// The wait before the second attempt of an item. It doubles before each further attempt. The
    /// item keeps its worker during the wait.
    Delay retry_delay = {};
    /// Whether an item whose last attempt has failed ends the others.
    OnError on_error = OnError::cancel_rest;
};

/// The options of `map_settled`, where errors are results. The members mean the same as in
/// `MapOptions`.
struct SettledMapOptions {
    std::size_t limit = 0;
    double per_second = 0;
    unsigned retries = 0;
    Delay retry_delay = {};
};

/// A result of `map_as_completed`.
template <class T>
struct Mapped {
    /// The number of the item in its range, counted from 0.
    std::size_t index;
    /// The result; `None` if the function returns nothing.
    internal::Element<T> value;
};

template <class T>
class MapResults;

namespace internal {

/// Spaces the beginnings of attempts evenly: each gets the next free time, one period after the one
/// before. Time that passes unused is not saved up, so there are no bursts.
class Pace {
public:
    /// Throws: `std::invalid_argument` if `per_second` is negative or not a number.
    explicit Pace(double per_second);

    /// Takes the next free time. Returns how long the caller has to wait for it.
    Duration next_delay();

private:
    Duration period_ = Duration::zero();
    std::optional<TimePoint> next_;
};

/// Which of the three functions this is: `map_concurrent`, `map_settled`, `map_as_completed`.
enum class MapKind : std::uint8_t { values, outcomes, as_completed };

/// The part of a map that does not depend on the types.
class MapBase {
public:
    MapBase(const MapOptions& options, std::size_t count, MapKind kind);
    MapBase(const MapBase&) = delete;
    MapBase& operator=(const MapBase&) = delete;

    /// How many workers the map needs.
    std::size_t workers() const noexcept;
    /// Waits until an attempt may begin: for the delay before a retry, and for the rate. `attempt`
    /// is 0 for the first attempt of an item.
    Coro<> wait_to_begin(unsigned attempt);
    /// An attempt has failed. Whether the item gets another one.
    bool retry(unsigned attempt) const noexcept { return attempt < options_.retries; }

    /// The last attempt of an item has failed. Returns the error with which its worker has to end;
    /// null if the worker continues with the next item.
    std::exception_ptr item_failed(TaskGroup& group, std::exception_ptr error);
    /// A worker has ended as cancelled. If the map itself has not caused that, items may be left
    /// without a result, so the map ends.
    void worker_cancelled(TaskGroup& group, std::exception_ptr cancellation);
    /// No further item begins, not even in a worker whose item ignores its cancellation.
    void stop() noexcept;
    /// The error to throw at the end; null if there is none.
    std::exception_ptr errors() const;

    /// The numbers of the items that have ended, for `MapResults::next`.
    Completions completions;
    /// A worker takes a permit before it begins an item. The permit is released when the result of
    /// the item has been taken.
    Semaphore room;

protected:
    MapOptions options_;
    std::size_t count_;
    /// How many items have begun; the next item has this number.
    std::size_t begun_ = 0;

private:
    MapKind kind_;
    Pace pace_;
    bool stopped_ = false;
    /// The errors of items that did not stop the others.
    std::vector<std::exception_ptr> errors_;
};

template <class Items>
using ItemOf = std::remove_reference_t<std::ranges::range_reference_t<Items>>&;

template <class Items, class Function>
using MapResult =
    typename BodyResultOf<std::invoke_result_t<std::decay_t<Function>&, ItemOf<Items>>>::type;

/// A map in progress, in the frame of the call. `Items` is a view.
template <class Items, class Function>
class Map final : public MapBase {
public:
    using T = MapResult<Items, Function>;
    static_assert(!std::is_reference_v<T>, "the results are stored, so they cannot be references");

    Map(Items& items, Function& function, const MapOptions& options, MapKind kind)
        : MapBase(options, static_cast<std::size_t>(std::ranges::distance(items)), kind),
          next_(std::ranges::begin(items)),
          function_(function),
          outcomes(count_) {}

    void start_workers(TaskGroup& group) {
        // A worker that starts eagerly may have run all items, or have ended the map, when
        // `create_task` returns.
        for (std::size_t i = 0; i < workers() && begun_ < count_; ++i)
            group.create_task(work(group));
    }

private:
    // A worker. The coroutine returns an outcome that holds nothing, instead of `void`. The reason
    // is alignment: only a frame whose own result has the type `Outcome<T>` is aligned for the
    // results of T that pass through it.
    Coro<Outcome<T>> work(TaskGroup& group) {
        Outcome<Outcome<T>> end = co_await settle(work_through(group));
        if (end.cancelled()) worker_cancelled(group, end.error());
        co_return std::move(end);
    }

    /// Takes items until there are none left.
    Coro<Outcome<T>> work_through(TaskGroup& group) {
        while (begun_ < count_) {
            Held<Semaphore> permit = co_await room.acquire();
            // The last item may have begun during the wait. The permit then goes back, to the next
            // worker in line, so that this one sees it, too.
            if (begun_ == count_) break;
            permit.keep();
            const std::size_t index = begun_++;
            // The iterator moves on before the first wait, since other workers use it during the
            // wait.
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

    /// Runs one item: the first attempt and the retries.
    Coro<Outcome<T>> attempts(ItemOf<Items> item) {
        for (unsigned attempt = 0;; ++attempt) {
            co_await wait_to_begin(attempt);
            Outcome<T> outcome = co_await settled_call(function_, item);
            const bool again = outcome.failed() && !outcome.cancelled() && retry(attempt);
            if (!again) co_return outcome;
        }
    }

    std::ranges::iterator_t<Items> next_;
    Function& function_;

public:
    /// The result of each item, at the place of the item. Public, since the scope moves it out at
    /// the end.
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

/// The results of `map_as_completed`, as its body takes them.
template <class T>
class MapResults {
public:
    /// Waits for the next item that is done, and returns its result. Returns an empty optional
    /// after the last one. Items that have failed are left out.
    /// Cancellation: a cancellation point if no result is there. When cancelled, no result is lost.
    Coro<std::optional<Mapped<T>>> next() {
        internal::running_task("MapResults::next()");
        while (true) {
            const std::size_t index = co_await map_.completions.next();
            if (index == internal::Completions::none) co_return std::nullopt;
            map_.room.release();
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
        // The body is over, so no more results will be taken. A body that has failed cancels the
        // group by its error.
        if (!end.failed()) group.cancel();
        co_return co_await leave_with(end);
    };
    Outcome<T> outcome = co_await settle(task_group(with_group));
    if (!outcome.failed()) {
        if (std::exception_ptr error = map.errors()) outcome.fail(std::move(error));
    }
    co_return co_await leave_with(outcome);
}

template <class Items, class Function>
concept MapsItems = std::ranges::forward_range<Items> &&
                    CoroutineFunction<Function, ItemOf<std::views::all_t<Items>>>;

}  // namespace internal

namespace no_adl {

/// Calls `function(item)`, which returns a coroutine, for every item, and collects the results in
/// the order of the items: `co_await map_concurrent(urls, fetch, {.limit = 10})`.
///
/// Items are passed by reference. An item that is tried again is passed again.
/// Returns a vector of results, or `void` if the function returns nothing.
/// Throws: an ExceptionGroup with the errors of the items whose last attempt has failed (see
/// `OnError`); `std::invalid_argument` for a negative rate.
/// Cancellation: cancels the running items, waits for them, and then throws CancelledError, or the
/// ExceptionGroup if there are errors.
/// Lifetime: a range that is given by name must live until the await returns, and so must
/// everything that the closure captures by reference.
/// Cost: one task for each item that may run at a time, and one result for each item.
/// Python: none in asyncio; `gather` with a `Semaphore`.
template <class Items, class Function>
    requires internal::MapsItems<Items, Function>
auto map_concurrent(Items&& items, Function&& function, MapOptions options = {}) {
    internal::require_safe_closure<Function>();
    return internal::map_values<std::views::all_t<Items>, std::decay_t<Function>>(
        std::views::all(std::forward<Items>(items)), std::forward<Function>(function), options);
}

/// As `map_concurrent`, but an error of an item is a result: returns an `Outcome` for each item.
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

/// As `map_concurrent`, but a body takes each result as soon as it is there, while other items run:
/// `co_await map_as_completed(urls, fetch, [&](MapResults<Page>& results) -> Coro<> { while (auto
/// page = co_await results.next()) … }, {.limit = 10})`.
///
/// Results are kept until the body takes them. With a limit, at most twice `limit` items are
/// running or waiting to be taken; then no further item begins until the body takes a result. So a
/// slow body slows the items down, and a body that takes no result must not wait for all items.
/// When the body ends, the items that still run are cancelled and waited for.
/// Returns the value of the body.
/// Throws: as `task_group`. With `OnError::carry_on`, the errors of the items after the body has
/// ended.
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

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
