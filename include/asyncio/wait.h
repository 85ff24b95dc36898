#pragma once
// `wait`: waiting for some of several tasks, without cancelling any of them.
//
// The wait watches all futures (`internal::FutureWatch`) and has one alarm. At each future that has
// ended it decides whether the wait is over. The first time that this is so, or when the alarm
// rings, it sets a future on which the calling task waits. So the calling task is resumed once,
// however many tasks end. At its end the wait stops watching the others.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/core/awaitable.h>
#include <asyncio/internal/core/future_watch.h>
#include <asyncio/internal/core/handles.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/task.h>

#include <optional>
#include <stdexcept>
#include <vector>

namespace asyncio {

/// When `wait` returns. The names are Python's constants.
enum class ReturnWhen : std::uint8_t {
    ALL_COMPLETED,    ///< When every task is done.
    FIRST_COMPLETED,  ///< When one task is done.
    FIRST_EXCEPTION,  ///< When one task has failed (not: was cancelled), or all are done.
};
using enum ReturnWhen;

/// When a `wait` ends.
struct WaitOptions {
    /// The limit, counted from the beginning of the wait. Without a value there is no limit.
    std::optional<Delay> timeout = std::nullopt;
    /// Which ends of tasks end the wait.
    ReturnWhen return_when = ReturnWhen::ALL_COMPLETED;
};

/// The result of `wait`. Every task that was given is in one of the two lists, in the order given.
template <class Handle>
struct WaitResult {
    std::vector<Handle> done;
    std::vector<Handle> pending;
};

namespace internal {

/// A wait in progress. It watches the futures until the wait is over.
class WaitState : FutureWatch<WaitState>, lowlevel::Alarm<WaitState> {
public:
    WaitState(lowlevel::Loop& loop, const WaitOptions& options, std::size_t count);

    using FutureWatch::watch;
    /// A future that is done when the wait is over.
    const Future<>& released() const noexcept { return released_; }

private:
    friend FutureWatch;
    friend Alarm;

    void future_ended(std::size_t index, FutureBase& future) noexcept;
    /// The limit has come.
    void alarm_rings() noexcept { release(); }
    void release() noexcept;

    ReturnWhen return_when_;
    std::size_t unfinished_;
    Future<> released_;
};

}  // namespace internal

namespace no_adl {

/// Waits for tasks or futures, until the condition in `options` holds or the time is over.
///
/// For tasks with different results, pass a list of `TaskRef`, or of `FutureRef` if not all of them
/// are tasks. This function never cancels a task and never throws the error of a task: look at
/// `done`. When the time is over, the tasks that are not done are in `pending`.
/// Throws: `std::invalid_argument` if the list is empty.
/// Cancellation: ends the wait. The tasks continue.
/// Python: `asyncio.wait`.
template <internal::AnyHandle Handle>
Coro<WaitResult<Handle>> wait(std::vector<Handle> handles, WaitOptions options = {}) {
    if (handles.empty()) throw std::invalid_argument("wait(): the list of tasks is empty");
    lowlevel::Loop& loop = internal::running_task("asyncio::wait()").loop();
    internal::WaitState state(loop, options, handles.size());
    for (std::size_t index = 0; index < handles.size(); ++index) {
        internal::require_existing(handles[index]);
        state.watch(index, *handles[index].state());
    }
    Outcome<void> waited = co_await internal::settle(state.released());
    if (waited.failed()) co_return Outcome<WaitResult<Handle>>::failure(waited.error());
    WaitResult<Handle> result;
    for (Handle& handle : handles)
        (handle.done() ? result.done : result.pending).push_back(std::move(handle));
    co_return result;
}

}  // namespace no_adl
using namespace no_adl;

namespace internal {

template <class List>
Coro<WaitResult<typename decltype(handles_of(std::declval<List>()))::value_type>>
wait_for_elements(List awaitables, WaitOptions options) {
    running_task("asyncio::wait()");
    co_return co_await wait(handles_of(std::move(awaitables)), options);
}

template <class... Given>
Coro<WaitResult<CommonHandle<HandleOf<Given>...>>> wait_for_all(WaitOptions options,
                                                                Given... awaitables) {
    running_task("asyncio::wait()");
    co_return co_await wait(list_of_handles(std::move(awaitables)...), options);
}

}  // namespace internal

namespace no_adl {

/// The same for any other range of awaitables: a set of tasks, an array, a vector of coroutines.
/// Coroutines become tasks when the wait begins; `done` and `pending` hold these tasks.
/// Python: takes no coroutines since 3.11.
template <internal::WatchableRange Range>
auto wait(Range&& awaitables, WaitOptions options = {}) {
    using Element = std::ranges::range_value_t<Range>;
    if constexpr (std::is_lvalue_reference_v<Range>) {
        return internal::wait_for_elements(
            std::vector<Element>(std::ranges::begin(awaitables), std::ranges::end(awaitables)),
            options);
    } else {
        return internal::wait_for_elements(std::forward<Range>(awaitables), options);
    }
}

// The same with the awaitables as arguments: `wait(f(), task)`,
// `wait(a, b, {.return_when = FIRST_COMPLETED})`.

template <internal::Watchable A>
auto wait(A&& a, WaitOptions options = {}) {
    return internal::wait_for_all<std::decay_t<A>>(options, std::forward<A>(a));
}
template <internal::Watchable A, internal::Watchable B>
auto wait(A&& a, B&& b, WaitOptions options = {}) {
    return internal::wait_for_all<std::decay_t<A>, std::decay_t<B>>(options, std::forward<A>(a),
                                                                    std::forward<B>(b));
}
template <internal::Watchable A, internal::Watchable B, internal::Watchable C>
auto wait(A&& a, B&& b, C&& c, WaitOptions options = {}) {
    return internal::wait_for_all<std::decay_t<A>, std::decay_t<B>, std::decay_t<C>>(
        options, std::forward<A>(a), std::forward<B>(b), std::forward<C>(c));
}
template <internal::Watchable A, internal::Watchable B, internal::Watchable C,
          internal::Watchable... More>
    requires(sizeof...(More) > 0)
auto wait(A&& a, B&& b, C&& c, More&&... more) {
    return internal::wait_for_all<std::decay_t<A>, std::decay_t<B>, std::decay_t<C>,
                                  std::decay_t<More>...>(WaitOptions{}, std::forward<A>(a),
                                                         std::forward<B>(b), std::forward<C>(c),
                                                         std::forward<More>(more)...);
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
