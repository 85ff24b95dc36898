#pragma once
// The bodies of scopes: callables that return a coroutine, given where Python has an indented
// block.
//
// A body is taken as a callable, and not as a coroutine, so that the scope can begin before the
// first line of the body runs: a limit is armed, a group exists. The callable is kept in the frame
// of the scope until the body has ended, because a coroutine that is a lambda refers to its
// closure.

#include <asyncio/coro.h>
#include <asyncio/internal/core/settled_call.h>

#include <functional>
#include <type_traits>

namespace asyncio::internal {

/// g++ before 13 destroys a temporary closure twice if it stands in an expression with `co_await`
/// and has captured a value with a destructor. So such a body is refused when the program is
/// compiled. A capture by reference (`[&]`) is what a scope needs anyway.
template <class Body>
constexpr void require_safe_closure() {
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
    static_assert(std::is_lvalue_reference_v<Body> ||
                      std::is_trivially_destructible_v<std::decay_t<Body>>,
                  "this closure captures a value that has a destructor, which g++ 12 would destroy "
                  "twice: capture by "
                  "reference ([&]), or name the closure and pass the name");
#endif
}

/// g++ before 13 also destroys a temporary aggregate twice, if it is made without a call of a
/// constructor in an expression with `co_await`.
template <class Manager>
constexpr void require_safe_temporary() {
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
    static_assert(std::is_lvalue_reference_v<Manager> || !std::is_aggregate_v<Manager> ||
                      std::is_trivially_destructible_v<Manager>,
                  "this aggregate has a destructor, and g++ 12 would destroy a temporary of this "
                  "type twice: give it a constructor");
#endif
}

template <class Body, class Scope>
/// A body may take its scope as a parameter, or no parameter at all.
auto call_body(Body& body, Scope& scope) {
    if constexpr (std::is_invocable_v<Body&, Scope&>) {
        return std::invoke(body, scope);
    } else {
        return std::invoke(body);
    }
}

/// `co_await settled_body(body, scope)` gives how the body has ended. The callable may throw before
/// it returns its coroutine; this is an end of the body, too.
template <class Body, class Scope>
auto settled_body(Body& body, Scope& scope) {
    if constexpr (std::is_invocable_v<Body&, Scope&>) {
        return settled_call(body, scope);
    } else {
        return settled_call(body);
    }
}

template <class Given>
/// The static assertion names the usual mistake: a closure without a return type is no coroutine,
/// or one of an unknown type.
struct BodyResultOf {
    static_assert(!std::is_same_v<Given, Given>,
                  "the body must be a coroutine: give the closure a return type Coro<…>");
};
template <class T>
struct BodyResultOf<Coro<T>> {
    using type = T;
};

/// T, for a body that returns Coro<T>.
template <class Body, class Scope>
using BodyResult =
    typename BodyResultOf<decltype(call_body(std::declval<Body&>(), std::declval<Scope&>()))>::type;

template <class T>
inline constexpr bool is_coro = false;
template <class T>
inline constexpr bool is_coro<Coro<T>> = true;

/// A callable that returns a coroutine.
template <class Function, class... Arguments>
concept CoroutineFunction = std::is_invocable_v<std::decay_t<Function>&, Arguments...> &&
                            is_coro<std::invoke_result_t<std::decay_t<Function>&, Arguments...>>;

/// Runs `function(arguments…)`, and keeps both in its frame until the call has ended. A coroutine
/// that is a lambda refers to its closure, which would otherwise be gone when a task begins.
template <class Function, class... Arguments>
auto keep_and_call(Function function, Arguments... arguments)
    -> std::invoke_result_t<Function&, Arguments...> {
    co_return co_await std::invoke(function, std::move(arguments)...);
}

}  // namespace asyncio::internal
