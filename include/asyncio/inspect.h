#pragma once
// Questions about types: is this a coroutine, a coroutine function, a future?
//
// Python answers them at run time. Here the answers are constants, for `if constexpr` in templates.

#include <asyncio/internal/core/handles.h>

namespace asyncio {

namespace internal {

template <class Function>
inline constexpr bool returns_coroutine = false;
template <class T, class... Parameters>
inline constexpr bool returns_coroutine<Coro<T>(Parameters...)> = true;
template <class T, class... Parameters>
inline constexpr bool returns_coroutine<Coro<T>(Parameters...) noexcept> = true;

/// The type of the function behind a pointer to a function, or behind the only call operator of a
/// class.
template <class Member>
struct CalledBy {
    using type = Member;
};
template <class Function>
struct CalledBy<Function*> {
    using type = Function;
};
template <class Class, class Result, class... Parameters>
struct CalledBy<Result (Class::*)(Parameters...)> {
    using type = Result(Parameters...);
};
template <class Class, class Result, class... Parameters>
struct CalledBy<Result (Class::*)(Parameters...) const> {
    using type = Result(Parameters...);
};
template <class Class, class Result, class... Parameters>
struct CalledBy<Result (Class::*)(Parameters...) noexcept> {
    using type = Result(Parameters...);
};
template <class Class, class Result, class... Parameters>
struct CalledBy<Result (Class::*)(Parameters...) const noexcept> {
    using type = Result(Parameters...);
};

template <class Function>
consteval bool is_coroutine_function() {
    if constexpr (requires { &Function::operator(); }) {
        return returns_coroutine<typename CalledBy<decltype(&Function::operator())>::type>;
    } else {
        return returns_coroutine<typename CalledBy<Function>::type>;
    }
}

}  // namespace internal

/// Whether `object` is a coroutine, a `Coro`. Python: `asyncio.iscoroutine`.
template <class Object>
constexpr bool iscoroutine([[maybe_unused]] const Object& object) noexcept {
    return internal::is_coro<Object>;
}

/// Whether `function` is a function or a closure that returns a `Coro`. Its parameters do not
/// matter. The answer is false for a class whose call operator is overloaded or a template, because
/// its return type is not unique.
/// Python: `asyncio.iscoroutinefunction`.
template <class Function>
constexpr bool iscoroutinefunction([[maybe_unused]] const Function& function) noexcept {
    return internal::is_coroutine_function<std::decay_t<Function>>();
}

/// Whether `object` is a `Future`, a `Task`, or a reference to either.
/// Python: `asyncio.isfuture`.
template <class Object>
constexpr bool isfuture([[maybe_unused]] const Object& object) noexcept {
    return internal::AnyHandle<Object>;
}

}  // namespace asyncio
