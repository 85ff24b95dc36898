#pragma once
// `as_completed`: taking results in the order in which they come.
//
// The iteration watches all futures (`internal::FutureWatch`). When a future is done, the iteration
// writes the number of the future into a queue (`internal::Completions`), and `next()` takes the
// numbers out. So any number of tasks may call `next()`, and each number goes to exactly one of
// them, in the order of the calls. A number that was handed to a waiting task stays with it, even
// if a cancellation follows in the same iteration: the await returns it, and no result is lost.
// (CPython loses one there.)
//
// The iteration does not own the tasks that it watches. When the iteration is dropped, its watch
// ends, and the tasks continue.
//
// Thread-safety: loop thread only.

#include <asyncio/gather.h>
#include <asyncio/internal/core/future_watch.h>
#include <asyncio/internal/core/handles.h>
#include <asyncio/internal/scopes/completions.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/task.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace asyncio {

/// The options of `as_completed`.
struct AsCompletedOptions {
    /// The limit for the whole iteration, counted from the call of `as_completed`. Without a value
    /// there is no limit.
    std::optional<Delay> timeout = std::nullopt;
};

namespace internal {

/// The part that does not depend on the types. It watches each future until the future has been
/// reported, the time is over, or the iteration is destroyed.
class AsCompletedBase : FutureWatch<AsCompletedBase>, lowlevel::Alarm<AsCompletedBase> {
public:
    AsCompletedBase(EventLoop& loop, const AsCompletedOptions& options, std::size_t count);

    using FutureWatch::watch;

    /// The numbers of the futures that are done and have not been taken.
    Completions completions;

private:
    friend FutureWatch;
    friend Alarm;

    void future_ended(std::size_t index, FutureBase& future) noexcept;
    /// The limit has come.
    void alarm_rings() noexcept;

    std::size_t unfinished_;
};

template <class Handle>
class AsCompletedState final : public AsCompletedBase {
public:
    AsCompletedState(EventLoop& loop, const AsCompletedOptions& options,
                     std::vector<Handle> handles)
        : AsCompletedBase(loop, options, handles.size()), handles_(std::move(handles)) {
        for (std::size_t index = 0; index < handles_.size(); ++index)
            watch(index, *handles_[index].state());
    }

    /// The handle with the given number, moved out: each is given away once. Throws: TimeoutError
    /// for a number that stands for "too late".
    std::optional<Handle> item(std::size_t number) {
        if (number == Completions::none) return std::nullopt;
        if (number == Completions::late) throw TimeoutError();
        return std::move(handles_[number]);
    }

private:
    std::vector<Handle> handles_;
};

template <class Handle>
class AsCompletedAwaiter : public Completions::Next {
public:
    explicit AsCompletedAwaiter(std::shared_ptr<AsCompletedState<Handle>> state) noexcept
        : Next(state->completions), state_(std::move(state)) {}

    std::optional<Handle> await_resume() { return state_->item(Next::await_resume()); }

    Outcome<std::optional<Handle>> take_outcome() {
        using Result = Outcome<std::optional<Handle>>;
        const Outcome<std::size_t> number = Next::take_outcome();
        if (number.failed()) return Result::failure(number.error());
        if (number.value() == Completions::late)
            return Result::failure(std::make_exception_ptr(TimeoutError()));
        Result result;
        result.emplace(state_->item(number.value()));
        return result;
    }

private:
    std::shared_ptr<AsCompletedState<Handle>> state_;
};

template <class Handle>
using AsCompletedNext =
    lowlevel::Awaiting<AsCompletedAwaiter<Handle>, std::shared_ptr<AsCompletedState<Handle>>>;

/// The handles without duplicates, in the order of the first occurrence. Sorting finds out in O(n
/// log n) whether there are any; only then the slow way is taken.
template <class Handle>
std::vector<Handle> distinct(std::vector<Handle> handles) {
    std::vector<const void*> seen;
    seen.reserve(handles.size());
    for (const Handle& handle : handles) seen.push_back(handle.state().get());
    std::ranges::sort(seen);
    if (std::ranges::adjacent_find(seen) == seen.end()) return handles;
    seen.clear();
    std::erase_if(handles, [&](const Handle& handle) {
        const void* state = handle.state().get();
        if (std::ranges::find(seen, state) != seen.end()) return true;
        seen.push_back(state);
        return false;
    });
    return handles;
}

}  // namespace internal

/// An iteration over tasks in the order in which they end. `as_completed` makes it.
///
/// The program may stop asking at any time, and continue later. Dropping the iteration does not
/// affect the tasks. Copies are the same iteration.
template <class Handle>
class AsCompleted {
public:
    explicit AsCompleted(std::shared_ptr<internal::AsCompletedState<Handle>> state) noexcept
        : state_(std::move(state)) {}

    /// Waits for the next task that is done, and returns the handle of the task, whose result can
    /// then be read without waiting. Returns an empty optional after the last one.
    ///
    /// Several tasks may wait at once. They are served in the order in which they came.
    /// Throws: TimeoutError, once for each task that is not done when the time is over.
    /// Cancellation: a cancellation point if no task is done. When cancelled, no task is lost: the
    /// next call returns it.
    internal::AsCompletedNext<Handle> next() const {
        if (!state_) [[unlikely]]
            internal::throw_empty("AsCompleted");
        return internal::AsCompletedNext<Handle>(state_);
    }

private:
    std::shared_ptr<internal::AsCompletedState<Handle>> state_;
};

namespace internal {

template <class Handle>
AsCompleted<Handle> as_completed_of(EventLoop& loop, std::vector<Handle> given,
                                    AsCompletedOptions options) {
    return AsCompleted<Handle>(
        std::make_shared<AsCompletedState<Handle>>(loop, options, distinct(std::move(given))));
}

}  // namespace internal

namespace no_adl {

/// Runs awaitables together, and gives them back in the order in which they end: `auto done =
/// as_completed(tasks); while (auto task = co_await done.next()) …`.
///
/// Coroutines become tasks at once, in the order given. Tasks and futures come back as they are. A
/// task that was given twice comes once. The tasks continue when the iteration is dropped or its
/// time is over.
/// Throws: RuntimeError outside a loop; `std::invalid_argument` for a future of another loop.
/// Cost: O(n log n) for n awaitables.
/// Python: `async for task in asyncio.as_completed(aws, timeout=…)` of 3.13; there a cancelled
/// `__anext__` loses a task.
template <internal::WatchableRange Range>
auto as_completed(Range&& awaitables, AsCompletedOptions options = {}) {
    EventLoop& loop = internal::running_loop("asyncio::as_completed()");
    return internal::as_completed_of(loop, internal::handles_of(std::forward<Range>(awaitables)),
                                     options);
}

/// The same with the awaitables as arguments: `as_completed(f(), g())`. If their results have
/// different types, `next()` gives a `TaskRef`, or a `FutureRef` if not all of them are tasks.
template <internal::Watchable A, internal::Watchable B, internal::Watchable... More>
auto as_completed(A&& a, B&& b, More&&... more) {
    EventLoop& loop = internal::running_loop("asyncio::as_completed()");
    return internal::as_completed_of(loop,
                                     internal::list_of_handles(std::forward<A>(a),
                                                               std::forward<B>(b),
                                                               std::forward<More>(more)...),
                                     {});
}
// With options there is one function for each number of awaitables, because options in braces can
// be passed only to a parameter of a known type. For more than three awaitables, pass a vector.

template <internal::Watchable A, internal::Watchable B>
auto as_completed(A&& a, B&& b, AsCompletedOptions options) {
    EventLoop& loop = internal::running_loop("asyncio::as_completed()");
    return internal::as_completed_of(
        loop, internal::list_of_handles(std::forward<A>(a), std::forward<B>(b)), options);
}
template <internal::Watchable A, internal::Watchable B, internal::Watchable C>
auto as_completed(A&& a, B&& b, C&& c, AsCompletedOptions options) {
    EventLoop& loop = internal::running_loop("asyncio::as_completed()");
    return internal::as_completed_of(
        loop, internal::list_of_handles(std::forward<A>(a), std::forward<B>(b), std::forward<C>(c)),
        options);
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
