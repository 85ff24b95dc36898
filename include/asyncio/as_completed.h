#pragma once
// Taking results in the order in which they come.
//
// Thread-safety: loop thread only.

#include <asyncio/gather.h>
#include <asyncio/internal/completions.h>
#include <asyncio/internal/future_watch.h>
#include <asyncio/internal/handles.h>
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

struct AsCompletedOptions {
    /// From the call on; nothing: without limit.
    std::optional<Delay> timeout = std::nullopt;
};

namespace internal {

/// The part of an iteration that does not depend on the type. It watches each future until that has
/// been reported, the time is over, or the iteration is dropped.
class AsCompletedBase : FutureWatch<AsCompletedBase>, lowlevel::Alarm<AsCompletedBase> {
public:
    AsCompletedBase(EventLoop& loop, const AsCompletedOptions& options, std::size_t count);

    using FutureWatch::watch;

    Completions completions;

private:
    friend FutureWatch;
    friend Alarm;

    void future_ended(std::size_t index, FutureBase& future) noexcept;
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

    /// Each is given away once.
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

/// Without those that are there already.
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

/// An iteration over tasks in the order in which they end. Made by `as_completed`.
///
/// May be left at any time and taken up again; dropping it leaves the tasks alone.
template <class Handle>
class AsCompleted {
public:
    explicit AsCompleted(std::shared_ptr<internal::AsCompletedState<Handle>> state) noexcept
        : state_(std::move(state)) {}

    /// Waits for the next task that is done, and gives the task itself; nothing after the last one.
    ///
    /// Several may wait at once, and are served in the order in which they came.
    /// Throws: TimeoutError, once for every task that is not done when the time is over.
    /// Cancellation: waits only if nothing is done; when cancelled, the next call gives what this
    /// one would have given.
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

/// Runs awaitables together, to take them as they end:
/// `auto done = as_completed(tasks); while (auto task = co_await done.next()) …`.
///
/// Coroutines become tasks at once, in order; of tasks and futures the same ones come back. One
/// that was given twice comes once. They go on when the iteration is dropped or its time is over.
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

/// The same one by one: `as_completed(f(), g())`. Where they give unlike values, what comes is a
/// `TaskRef`, or a `FutureRef` where not all are tasks.
template <internal::Watchable A, internal::Watchable B, internal::Watchable... More>
auto as_completed(A&& a, B&& b, More&&... more) {
    EventLoop& loop = internal::running_loop("asyncio::as_completed()");
    return internal::as_completed_of(loop,
                                     internal::list_of_handles(std::forward<A>(a),
                                                               std::forward<B>(b),
                                                               std::forward<More>(more)...),
                                     {});
}
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

}  // namespace asyncio
