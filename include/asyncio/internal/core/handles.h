#pragma once
// Handles of different futures in one list: which type the list has, and how each argument of
// `wait` or `as_completed` gets into it.
//
// `wait` returns the handles that it was given, sorted into two lists. A program that passes tasks
// of one type wants them back with that type, so that it can ask for their results. With different
// types the list can only offer what they have in common.

#include <asyncio/task.h>

#include <concepts>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio::internal {

template <class Handle>
concept AnyHandle = FutureLike<Handle> || std::derived_from<std::remove_cvref_t<Handle>, FutureRef>;

/// The arguments of `wait` and `as_completed`: a handle, or an awaitable of which a task can be
/// made.
template <class Given>
concept Watchable = AnyHandle<Given> || Awaitable<Given>;

/// A handle as it is, anything else as a new task.
template <class Given>
auto handle_of(Given&& given) {
    if constexpr (std::derived_from<std::remove_cvref_t<Given>, FutureRef>) {
        require_existing(given);
        return std::remove_cvref_t<Given>(std::forward<Given>(given));
    } else {
        return ensure_future(std::forward<Given>(given));
    }
}

template <class Given>
using HandleOf = decltype(handle_of(std::declval<Given>()));

/// Whether a handle refers to a task, whatever the type of its result.
template <class Handle>
inline constexpr bool is_task = std::is_same_v<Handle, TaskRef>;
template <class T>
inline constexpr bool is_task<Task<T>> = true;

template <class First, class... Others>
consteval auto common_handle() {
    if constexpr ((std::is_same_v<First, Others> && ...)) {
        return std::type_identity<First>();
    } else if constexpr (is_task<First> && (is_task<Others> && ...)) {
        return std::type_identity<TaskRef>();
    } else {
        return std::type_identity<FutureRef>();
    }
}

/// The type of a list of all of them: their own type if it is the same for all, else `TaskRef` if
/// all are tasks, else `FutureRef`.
template <class... Handles>
using CommonHandle = typename decltype(common_handle<Handles...>())::type;

/// A range of things to wait for. A range that can itself be awaited is taken as one awaitable.
template <class Range>
concept WatchableRange = std::ranges::input_range<Range> && !Watchable<Range> &&
                         Watchable<std::ranges::range_value_t<Range>>;

/// The handles of a range. The elements of an lvalue are copied, since the caller keeps the range;
/// those of a temporary are moved. The list is made before the wait begins, so the range need not
/// live longer than the call.
template <class Range>
auto handles_of(Range&& range) {
    using Given =
        std::conditional_t<std::is_lvalue_reference_v<Range>, std::ranges::range_reference_t<Range>,
                           std::ranges::range_value_t<Range>&&>;
    std::vector<HandleOf<Given>> handles;
    if constexpr (std::ranges::sized_range<Range>) handles.reserve(std::ranges::size(range));
    for (auto&& element : range) handles.push_back(handle_of(static_cast<Given>(element)));
    return handles;
}

/// The handles of all arguments, in the order given.
template <class... Given>
auto list_of_handles(Given&&... awaitables) {
    using Handle = CommonHandle<HandleOf<Given>...>;
    std::vector<Handle> handles;
    handles.reserve(sizeof...(Given));
    (handles.push_back(handle_of(std::forward<Given>(awaitables))), ...);
    return handles;
}

}  // namespace asyncio::internal
