#pragma once
// What can be awaited, what it gives, and how to await it without a throw.

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
concept Awaitable = requires(AwaiterOf<Given>& awaiter) {
    { awaiter.await_ready() } -> std::convertible_to<bool>;
    awaiter.await_resume();
};

template <class T>
using WithoutRvalueReference =
    std::conditional_t<std::is_rvalue_reference_v<T>, std::remove_reference_t<T>, T>;

/// What `co_await std::move(awaitable)` gives.
template <class Given>
using AwaitResult =
    WithoutRvalueReference<decltype(std::declval<AwaiterOf<Given>&>().await_resume())>;

/// An awaiter that suspends the task as this library wants it: by `Waiter::park`, or by leaving
/// what comes next in `here.next`. The latter kind says so with a member type `SuspendsTask`.
template <class Awaiter>
concept OwnAwaiter =
    std::is_base_of_v<lowlevel::Waiter, Awaiter> || requires { typename Awaiter::SuspendsTask; };

/// Defined in foreign.h, which comes with whatever makes tasks.
template <class Given>
class ForeignAwaiter;

/// As `awaiter_of`, with a bridge to awaiters that are not ours.
template <class Given>
decltype(auto) own_awaiter_of(Given&& awaitable) {
    if constexpr (OwnAwaiter<std::remove_cvref_t<AwaiterOf<Given>>>) {
        return awaiter_of(std::forward<Given>(awaitable));
    } else {
        return ForeignAwaiter<Given>(std::forward<Given>(awaitable));
    }
}

/// The awaiter of `settle`.
template <class Given>
class SettleAwaiter {
    using Awaiter = std::remove_reference_t<decltype(own_awaiter_of(std::declval<Given>()))>;

public:
    using SuspendsTask = void;
    using Result = AwaitResult<Given>;

    explicit SettleAwaiter(Given&& awaitable)
        : awaiter_(own_awaiter_of(std::forward<Given>(awaitable))) {}

    bool await_ready() noexcept {
        try {
            return awaiter_.await_ready();
        } catch (...) {
            refusal_ = std::current_exception();
            return true;
        }
    }

    /// An await that is refused here ends with that error, and the coroutine goes on at once.
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

    /// A value that throws while it moves.
    Outcome<Result> catch_outcome_of_taking() {
        try {
            return awaiter_.take_outcome();
        } catch (...) {
            return Outcome<Result>::failure(std::current_exception());
        }
    }

    Awaiter awaiter_;
    /// What the await itself has thrown, before there was anything to wait for.
    std::exception_ptr refusal_;
};

/// What `settle` returns. The awaiter is made in the frame, where it stays: many cannot be moved.
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
