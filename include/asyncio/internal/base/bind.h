#pragma once
// A function with its arguments, to be called later: what `call_soon(function, arguments…)` keeps
// until the callback runs. One form is called once and moves the arguments into the call, the other
// is called any number of times.

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace asyncio::internal {

/// Whether `function(arguments…)` can be called with copies of them.
template <class Function, class... Arguments>
concept CallableWith = std::is_invocable_v<std::decay_t<Function>, std::decay_t<Arguments>...>;

/// Copies (or moves) the function and its arguments, as `std::thread` does: `std::ref` shares an
/// object instead. A reference would outlive its object in nearly every use.
template <class Function, class... Arguments>
auto bind_arguments(Function&& function, Arguments&&... arguments) {
    return [function = std::decay_t<Function>(std::forward<Function>(function)),
            values = std::tuple<std::decay_t<Arguments>...>(
                std::forward<Arguments>(arguments)...)]() mutable {
        std::apply(
            [&](auto&... value) {
                static_cast<void>(std::invoke(std::move(function), std::move(value)...));
            },
            values);
    };
}

/// Whether `function(arguments…)` can be called with copies of them that stay.
template <class Function, class... Arguments>
concept RepeatedlyCallableWith =
    std::is_invocable_v<std::decay_t<Function>&, std::decay_t<Arguments>&...>;

/// The same for a callback that may be called again: each call gets the arguments as lvalues.
template <class Function, class... Arguments>
auto bind_for_repeated_calls(Function&& function, Arguments&&... arguments) {
    return [function = std::decay_t<Function>(std::forward<Function>(function)),
            values = std::tuple<std::decay_t<Arguments>...>(
                std::forward<Arguments>(arguments)...)]() mutable {
        std::apply([&](auto&... value) { static_cast<void>(std::invoke(function, value...)); },
                   values);
    };
}

}  // namespace asyncio::internal
