#pragma once
// `AsyncExitStack`: cleanups that are known only while the program runs, undone in reverse order.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/finally.h>
#include <asyncio/internal/body.h>
#include <asyncio/internal/unique_function.h>

#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {
namespace internal {

/// A callable given to a stack, by how it is called.
template <class Callback>
concept AsyncCallback =
    std::is_invocable_v<Callback&> && Awaitable<std::invoke_result_t<Callback&>>;

[[noreturn]] void throw_body_suppressed();

}  // namespace internal

/// Has to be left again: `co_await manager.aenter()` gives what is used, `co_await
/// manager.aexit(error)` leaves. The error is that of the body, null if there is none; a result of
/// true says that it is dealt with. Python: the asynchronous context manager protocol.
template <class Manager>
concept AsyncContextManager = requires(Manager& manager, std::exception_ptr error) {
    { manager.aenter() } -> internal::Awaitable;
    { manager.aexit(error) } -> internal::Awaitable;
};

/// Has to be closed: `co_await resource.aclose()`. Python: what `contextlib.aclosing` takes.
template <class Resource>
concept AsyncClosable = requires(Resource& resource) {
    { resource.aclose() } -> internal::Awaitable;
};

class AsyncExitStack;

namespace internal {

template <class Body>
Coro<BodyResult<Body, AsyncExitStack>> exit_stack_scope(Body body);

}  // namespace internal

/// A stack of cleanups; the last one pushed runs first.
///
/// `async_exit_stack` makes one, and runs what is on it at the end of its body. `pop_all` makes
/// another, for cleanups that are to run later. One that is destroyed with cleanups left cannot run
/// them, and says so in the log.
/// Python: `contextlib.AsyncExitStack`.
class AsyncExitStack {
public:
    AsyncExitStack(AsyncExitStack&& other) noexcept : exits_(std::exchange(other.exits_, {})) {}
    AsyncExitStack& operator=(AsyncExitStack&&) = delete;
    ~AsyncExitStack();

    /// `co_await callback()` at the end. The callable lives until then.
    template <class Callback>
        requires internal::AsyncCallback<std::decay_t<Callback>>
    void push_async_callback(Callback&& callback) {
        push([call = std::forward<Callback>(callback)](std::exception_ptr) mutable -> Coro<bool> {
            co_await std::invoke(call);
            co_return false;
        });
    }

    /// `callback()` at the end, for what need not wait.
    template <class Callback>
        requires(std::is_invocable_v<std::decay_t<Callback>&> &&
                 !internal::AsyncCallback<std::decay_t<Callback>>)
    void callback(Callback&& callback) {
        push([call = std::forward<Callback>(callback)](std::exception_ptr) mutable -> Coro<bool> {
            std::invoke(call);
            co_return false;
        });
    }

    /// `co_await exit(error)` at the end, with the error that is on its way out, or null. A result
    /// of true says that it is dealt with: nothing is on its way any more.
    template <class Exit>
        requires(std::is_invocable_r_v<Coro<bool>, std::decay_t<Exit>&, std::exception_ptr>)
    void push_async_exit(Exit&& exit) {
        push(std::forward<Exit>(exit));
    }

    /// Takes `manager` over, enters it, and leaves it at the end. Gives what `aenter` gives.
    ///
    /// One that fails to be entered, or is cancelled meanwhile, is not left.
    /// Python: `enter_async_context`.
    template <class Manager>
        requires AsyncContextManager<std::decay_t<Manager>>
    auto enter_async_context(Manager&& manager) {
        internal::require_safe_temporary<Manager>();
        return enter(std::make_unique<std::decay_t<Manager>>(std::forward<Manager>(manager)));
    }

    /// Takes `resource` over, to close it at the end. The reference is good until then.
    template <class Resource>
        requires AsyncClosable<std::decay_t<Resource>>
    std::decay_t<Resource>& push_closing(Resource&& resource) {
        auto held = std::make_unique<std::decay_t<Resource>>(std::forward<Resource>(resource));
        auto& given = *held;
        push_async_callback([kept = std::move(held)]() -> Coro<> { co_await kept->aclose(); });
        return given;
    }

    /// Hands all cleanups over to another stack, so that they do not run at the end of this one.
    AsyncExitStack pop_all() noexcept { return std::move(*this); }

    /// Runs the cleanups, last one first, each even if others fail.
    ///
    /// Throws: what a cleanup throws; if several do, an ExceptionGroup with all of them.
    /// Cancellation: requests from outside wait until all cleanups have run, and are felt at the
    /// next wait after them; a limit inside a cleanup works.
    Coro<> aclose();

private:
    template <class Body>
    friend Coro<internal::BodyResult<Body, AsyncExitStack>> internal::exit_stack_scope(Body body);

    AsyncExitStack() noexcept = default;
    /// The body has ended with `body_error`, or null. Returns what is to leave. Begins when it is
    /// awaited; what it is given must still be there then.
    Coro<std::exception_ptr> unwind(const std::exception_ptr& body_error);

    using Exit = internal::UniqueFunction<Coro<bool>(std::exception_ptr)>;

    void push(Exit exit) { exits_.push_back(std::move(exit)); }

    template <class Manager, class Entered = decltype(std::declval<Manager&>().aenter())>
    Coro<internal::AwaitResult<Entered>> enter(std::unique_ptr<Manager> manager) {
        using T = internal::AwaitResult<Entered>;
        Outcome<T> entered = co_await internal::settle(manager->aenter());
        if (!entered.failed()) push_exit_of(std::move(manager));
        if constexpr (std::is_void_v<T>) {
            co_await internal::LeaveWith{entered};
            co_return;
        } else {
            co_return std::move(entered);
        }
    }

    template <class Manager>
    void push_exit_of(std::unique_ptr<Manager> manager) {
        push([kept = std::move(manager)](std::exception_ptr error) -> Coro<bool> {
            using T = internal::AwaitResult<decltype(kept->aexit(error))>;
            if constexpr (std::is_void_v<T>) {
                co_await kept->aexit(error);
                co_return false;
            } else {
                co_return co_await kept->aexit(error);
            }
        });
    }

    std::vector<Exit> exits_;
};

namespace internal {

template <class Body>
Coro<BodyResult<Body, AsyncExitStack>> exit_stack_scope(Body body) {
    using T = BodyResult<Body, AsyncExitStack>;
    running_task("asyncio::async_exit_stack()");
    AsyncExitStack stack;
    std::exception_ptr body_error;
    // Made before the body begins: whether the cleanups run must not depend on memory.
    Coro<std::exception_ptr> unwind = stack.unwind(body_error);
    Outcome<T> outcome = co_await settled_body(body, stack);
    body_error = outcome.error();
    std::exception_ptr error = co_await std::move(unwind);
    const bool suppressed = outcome.failed() && error == nullptr;
    if (error != nullptr) outcome.fail(std::move(error));
    if constexpr (std::is_void_v<T>) {
        if (suppressed) outcome.emplace();
        co_await LeaveWith{outcome};
        co_return;
    } else {
        if (suppressed) throw_body_suppressed();
        co_return std::move(outcome);
    }
}

}  // namespace internal

/// Runs `body` with a stack of cleanups, and then these, however the body has ended:
/// `co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> { … })`.
///
/// Returns what the body returns. Throws: what the body and the cleanups throw, all of it: more
/// than one make an ExceptionGroup, where cancellations do not count. RuntimeError if a cleanup has
/// dealt with the error of a body that had a value to return.
/// Cancellation: reaches the body; for the cleanups see `AsyncExitStack::aclose`.
/// Lifetime: capture by reference, `[&]`; the closure lives until the await returns.
/// Python: `async with contextlib.AsyncExitStack() as stack:`.
template <class Body>
auto async_exit_stack(Body&& body) {
    internal::require_safe_closure<Body>();
    return internal::exit_stack_scope<std::decay_t<Body>>(std::forward<Body>(body));
}

}  // namespace asyncio
