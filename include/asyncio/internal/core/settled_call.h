#pragma once
// Calling a function that returns an awaitable, and awaiting that, without a throw.
//
// A body or a cleanup is a callable that returns a coroutine. It may be an ordinary function, which
// can throw before it returns anything. A scope that has begun must still end properly then: its
// children must be waited for, its cleanups must run. So an error of the call becomes the outcome
// of the await, as if the coroutine had thrown it.
//
// No coroutine stands between the scope and the body. Its frame would be one more allocation that
// can fail, at a moment in which the scope must not end early.

#include <asyncio/internal/core/awaitable.h>

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>

namespace asyncio::internal {

/// The awaiter. It keeps what the call returned until it is destroyed. The two unions hold objects
/// that are made later or not at all; the flags say which of them exist.
template <class Given>
class SettledCallAwaiter {
    /// A reference is kept as a pointer, because a union has no reference members.
    using Kept = std::conditional_t<std::is_reference_v<Given>,
                                    std::add_pointer_t<std::remove_reference_t<Given>>, Given>;

public:
    using SuspendsTask = void;
    using Result = AwaitResult<Given>;

    template <class Call>
    explicit SettledCallAwaiter(const Call& call) noexcept {
        try {
            begin(call);
        } catch (...) {
            error_ = std::current_exception();
        }
    }
    SettledCallAwaiter(const SettledCallAwaiter&) = delete;
    SettledCallAwaiter& operator=(const SettledCallAwaiter&) = delete;
    ~SettledCallAwaiter() {
        if (has_awaiter_) std::destroy_at(std::addressof(awaiter_));
        if (has_given_) std::destroy_at(std::addressof(given_));
    }

    /// A call that has thrown has nothing to wait for.
    bool await_ready() { return !has_awaiter_ || awaiter_.await_ready(); }

    template <class Promise>
    auto await_suspend(std::coroutine_handle<Promise> coroutine) {
        return awaiter_.await_suspend(coroutine);
    }

    Outcome<Result> await_resume() {
        if (!has_awaiter_) [[unlikely]]
            return Outcome<Result>::failure(std::move(error_));
        return awaiter_.await_resume();
    }

private:
    /// Both objects are made in their places, so an awaitable that cannot be moved can be awaited,
    /// too.
    template <class Call>
    void begin(const Call& call) {
        if constexpr (std::is_reference_v<Given>) {
            given_ = std::addressof(call());
            ::new (static_cast<void*>(std::addressof(awaiter_)))
                SettleAwaiter<Given>(static_cast<Given&&>(*given_));
        } else {
            ::new (static_cast<void*>(std::addressof(given_))) Given(call());
            has_given_ = true;
            ::new (static_cast<void*>(std::addressof(awaiter_)))
                SettleAwaiter<Given>(static_cast<Given&&>(given_));
        }
        has_awaiter_ = true;
    }

    union {
        Kept given_;
    };
    union {
        SettleAwaiter<Given> awaiter_;
    };
    /// The error of the call.
    std::exception_ptr error_;
    bool has_given_ = false;
    bool has_awaiter_ = false;
};

/// The return type of `settled_call`.
template <class Call>
class [[nodiscard]] SettledCall {
public:
    explicit SettledCall(const Call& call) noexcept : call_(call) {}
    auto operator co_await() const noexcept {
        return SettledCallAwaiter<std::invoke_result_t<const Call&>>(call_);
    }

private:
    Call call_;
};

/// `co_await settled_call(callable,
/// arguments…)` gives an `Outcome` of what the callable returns, as `settle` does. An error of the
/// callable itself is the outcome, too. The arguments must live until the await returns.
template <class Callable, class... Arguments>
auto settled_call(Callable& callable, Arguments&... arguments) {
    const auto call = [&callable, &arguments...]() -> decltype(auto) {
        return std::invoke(callable, arguments...);
    };
    // The closure holds references only. It may stand in an expression with `co_await` on g++
    // before 13, which destroys other temporary closures twice (`body.h`).
    static_assert(std::is_trivially_destructible_v<decltype(call)>);
    return SettledCall(call);
}

}  // namespace asyncio::internal
