#pragma once
// A function with its arguments, to be called later and once: what
// `call_soon(function, arguments…)` keeps until the callback runs.

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

}  // namespace asyncio::internal
