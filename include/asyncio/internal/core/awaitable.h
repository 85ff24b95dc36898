#pragma once
// Awaitables: which types can be awaited, which type an await gives, and how to await without a
// throw.
//
// `settle` is the reason for the last part. The library's scopes must know how their body has ended
// before they decide what leaves, and a `catch` in each of them would throw a cancellation again at
// every level. `settle` awaits and gives an `Outcome`. An awaiter of the library has
// `take_outcome`, which reads the end without a throw; any other awaiter is asked by
// `await_resume`, and what it throws is caught once.

#include <asyncio/exceptions.h>
#include <asyncio/outcome.h>

#include <concepts>
#include <coroutine>
#include <utility>

namespace asyncio::lowlevel {
class Waiter;
}

namespace asyncio::internal {

template <class Given>
/// The awaiter that a compiler would use for `co_await given`: the member operator, then the free
/// one, then the object itself.
decltype(auto) awaiter_of(Given&& awaitable) {
    if constexpr (requires { std::forward<Given>(awaitable).operator co_await(); }) {
        return std::forward<Given>(awaitable).operator co_await();
    } else if constexpr (requires { operator co_await(std::forward<Given>(awaitable)); }) {
        return operator co_await(std::forward<Given>(awaitable));
    } else {
        return static_cast<Given&&>(awaitable);
    }
}

template <class Given>
using AwaiterOf = decltype(awaiter_of(std::declval<Given>()));

template <class Given>
/// `await_suspend` is not asked for: it may depend on the type of the promise, which is not known
/// here.
concept Awaitable = requires(AwaiterOf<Given>& awaiter) {
    { awaiter.await_ready() } -> std::convertible_to<bool>;
    awaiter.await_resume();
};

template <class T>
/// A result that refers to a temporary would dangle once the awaiter has gone. An lvalue reference
/// is kept: it means that the object lives elsewhere.
using WithoutRvalueReference =
    std::conditional_t<std::is_rvalue_reference_v<T>, std::remove_reference_t<T>, T>;

/// The type that `co_await std::move(awaitable)` gives.
template <class Given>
using AwaitResult =
    WithoutRvalueReference<decltype(std::declval<AwaiterOf<Given>&>().await_resume())>;

/// An awaiter that suspends the task as this library wants it: by `Waiter::park`, or by leaving the
/// next coroutine in `here.next`. The latter kind declares this by a member type `SuspendsTask`.
/// Every other awaiter keeps the handle and resumes it itself, which only the loop may do with a
/// task; it is awaited through a bridge (`foreign.h`).
template <class Awaiter>
concept OwnAwaiter =
    std::is_base_of_v<lowlevel::Waiter, Awaiter> || requires { typename Awaiter::SuspendsTask; };

/// Defined in foreign.h, which every header that makes tasks includes.
template <class Given>
class ForeignAwaiter;

/// As `awaiter_of`, with a bridge to awaiters of other libraries.
template <class Given>
decltype(auto) own_awaiter_of(Given&& awaitable) {
    if constexpr (OwnAwaiter<std::remove_cvref_t<AwaiterOf<Given>>>) {
        return awaiter_of(std::forward<Given>(awaitable));
    } else {
        return ForeignAwaiter<Given>(std::forward<Given>(awaitable));
    }
}

/// The awaiter of `settle`. All three functions of the inner awaiter may throw, and the error must
/// become the outcome in each case. A scope that waits for its children must not be left early by
/// an error of the await itself.
template <class Given>
class SettleAwaiter {
    using Awaiter = std::remove_reference_t<decltype(own_awaiter_of(std::declval<Given>()))>;

public:
    using SuspendsTask = void;
    using Result = AwaitResult<Given>;

    explicit SettleAwaiter(Given&& awaitable)
        : awaiter_(own_awaiter_of(std::forward<Given>(awaitable))) {}

    /// An await may be refused here: a `Coro` that was awaited before, for example.
    bool await_ready() noexcept {
        try {
            return awaiter_.await_ready();
        } catch (...) {
            refusal_ = std::current_exception();
            return true;
        }
    }

    /// An await that is refused here ends with that error, and the coroutine continues at once. The
    /// three forms of `await_suspend` have to be kept apart: an awaiter may return nothing, a
    /// `bool`, or a handle.
    template <class Promise>
    auto await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        using Suspended = decltype(awaiter_.await_suspend(coroutine));
        if constexpr (noexcept(awaiter_.await_suspend(coroutine))) {
            return awaiter_.await_suspend(coroutine);
        } else if constexpr (std::is_same_v<Suspended, void> || std::is_same_v<Suspended, bool>) {
            return suspend(coroutine);
        } else {
            return std::coroutine_handle<>(hand_over(coroutine));
        }
    }

    Outcome<Result> await_resume() {
        if (refusal_ != nullptr) [[unlikely]]
            return Outcome<Result>::failure(std::move(refusal_));
        if constexpr (!requires { awaiter_.take_outcome(); }) {
            return catch_outcome();
        } else if constexpr (std::is_nothrow_move_constructible_v<Outcome<Result>>) {
            return awaiter_.take_outcome();
        } else {
            return catch_outcome_of_taking();
        }
    }

private:
    template <class Promise>
    bool suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        try {
            if constexpr (std::is_void_v<decltype(awaiter_.await_suspend(coroutine))>) {
                awaiter_.await_suspend(coroutine);
                return true;
            } else {
                return awaiter_.await_suspend(coroutine);
            }
        } catch (...) {
            refusal_ = std::current_exception();
            return false;
        }
    }

    template <class Promise>
    std::coroutine_handle<> hand_over(std::coroutine_handle<Promise> coroutine) noexcept {
        try {
            return awaiter_.await_suspend(coroutine);
        } catch (...) {
            refusal_ = std::current_exception();
            return coroutine;
        }
    }

    Outcome<Result> catch_outcome() {
        Outcome<Result> outcome;
        try {
            if constexpr (std::is_void_v<Result>) {
                awaiter_.await_resume();
                outcome.emplace();
            } else {
                outcome.emplace(awaiter_.await_resume());
            }
        } catch (...) {
            outcome.fail(std::current_exception());
        }
        return outcome;
    }

    /// For a value that throws while it is moved.
    Outcome<Result> catch_outcome_of_taking() {
        try {
            return awaiter_.take_outcome();
        } catch (...) {
            return Outcome<Result>::failure(std::current_exception());
        }
    }

    Awaiter awaiter_;
    /// The error of the await itself, from before there was anything to wait for.
    std::exception_ptr refusal_;
};

/// The return type of `settle`. The awaiter is made in the frame, where it stays: many awaiters
/// cannot be moved.
template <class Given>
class Settle {
public:
    explicit Settle(Given&& awaitable) noexcept : awaitable_(std::forward<Given>(awaitable)) {}
    auto operator co_await() const {
        return SettleAwaiter<Given>(static_cast<Given&&>(awaitable_));
    }

private:
    Given&& awaitable_;
};

/// `co_await settle(awaitable)` gives an `Outcome`: errors and cancellations come as values. The
/// awaitable's own temporaries must live until the await returns.
template <class Given>
Settle<Given> settle(Given&& awaitable) {
    return Settle<Given>(std::forward<Given>(awaitable));
}

}  // namespace asyncio::internal
