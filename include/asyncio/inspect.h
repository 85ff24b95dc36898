#pragma once
// What a thing is: questions that the compiler answers.
//
// Python asks them at run time; here the answers are constants, for `if constexpr` in templates.

#include <asyncio/internal/handles.h>

namespace asyncio {

namespace internal {

template <class Function>
inline constexpr bool returns_coroutine = false;
template <class T, class... Parameters>
inline constexpr bool returns_coroutine<Coro<T>(Parameters...)> = true;
template <class T, class... Parameters>
inline constexpr bool returns_coroutine<Coro<T>(Parameters...) noexcept> = true;

/// The type of the function that a pointer, or a class with one call operator, calls.
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

/// Whether `function` is a coroutine function: one, or a closure, that returns a `Coro`, whatever
/// it takes. What has several call operators, or a template for one, has no single answer: false.
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
