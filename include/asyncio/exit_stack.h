#pragma once
// `AsyncExitStack`: cleanups that are known only while the program runs, carried out in reverse
// order.
//
// `finally_` is for one cleanup that is known when the code is written. A program that opens a
// number of things in a loop, or hands some of them on, needs a list of cleanups that grows at run
// time. This is that list: each thing that is entered pushes its exit, and at the end of the scope
// the exits run, the last one first, since a later thing may use an earlier one.
//
// Every exit gets the error that is leaving, or null, and may answer that it has dealt with it; the
// exits below it then see no error. This is Python's protocol (`__aexit__`). An exit that throws
// the very error it was given has not failed itself; an exit that throws another error adds that
// one. At the end one error leaves as it is, and several leave as an ExceptionGroup, where Python
// keeps the last one and chains the others to it. A cancellation does not count among errors: if
// there is a real error, the real error leaves.
//
// The exits run under a mask (`internal/core/cancel_mask.h`). The cancellation that ended the body
// has been delivered; a second one would end the exit that is running in the middle, and what it
// holds would stay open. So requests from outside wait until all exits have run. A cleanup that may
// take for ever needs a limit of its own inside, and such a limit works under the mask.
//
// An exit is a closure that returns `Coro<bool>`, whatever it was made of: a callback, a function,
// a manager, a resource. With one type in the list, the unwinding is one loop. A manager or a
// resource that is taken over (`enter_async_context`, `push_closing`) lies in its own allocation,
// so that a reference to it stays valid while the list grows.
//
// A destructor cannot await, so a stack that is destroyed with exits left cannot run them. It logs
// an error. `async_exit_stack` always unwinds: it makes the coroutine that does so before the body
// begins, so that not even a lack of memory can keep the exits from running.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/finally.h>
#include <asyncio/internal/base/unique_function.h>
#include <asyncio/internal/core/body.h>

#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {
namespace internal {

/// A callable that takes no argument and returns something that can be awaited.
template <class Callback>
concept AsyncCallback =
    std::is_invocable_v<Callback&> && Awaitable<std::invoke_result_t<Callback&>>;

}  // namespace internal

/// Something that is entered and has to be left again. `co_await manager.aenter()` enters and gives
/// what the program uses. `co_await manager.aexit(error)` leaves; `error` is the error that is
/// leaving, null if there is none. A result of true says that the error has been dealt with.
/// Python: the asynchronous context manager protocol.
template <class Manager>
concept AsyncContextManager = requires(Manager& manager, std::exception_ptr error) {
    { manager.aenter() } -> internal::Awaitable;
    { manager.aexit(error) } -> internal::Awaitable;
};

/// Something that has to be closed by `co_await resource.aclose()`. Python: what
/// `contextlib.aclosing` takes.
template <class Resource>
concept AsyncClosable = requires(Resource& resource) {
    { resource.aclose() } -> internal::Awaitable;
};

class AsyncExitStack;

namespace internal {

template <class Body>
Coro<BodyResult<Body, AsyncExitStack>> exit_stack_scope(Body body);

}  // namespace internal

/// A stack of cleanups. The cleanup that was pushed last runs first.
///
/// `async_exit_stack` makes a stack, and runs its cleanups at the end of the body. `pop_all` makes
/// another stack, for cleanups that have to run later. A stack that is destroyed with cleanups left
/// cannot run them, and logs an error.
/// Python: `contextlib.AsyncExitStack`.
class AsyncExitStack {
public:
    AsyncExitStack(AsyncExitStack&& other) noexcept : exits_(std::exchange(other.exits_, {})) {}
    AsyncExitStack& operator=(AsyncExitStack&&) = delete;
    ~AsyncExitStack();

    /// Runs `co_await callback()` at the end. The callable is kept until then; a result is dropped.
    /// An error of the callback leaves the scope. Python: `push_async_callback`.
    template <class Callback>
        requires internal::AsyncCallback<std::decay_t<Callback>>
    void push_async_callback(Callback&& callback) {
        push([call = std::forward<Callback>(callback)](std::exception_ptr) mutable -> Coro<bool> {
            co_await std::invoke(call);
            co_return false;
        });
    }

    /// Runs `callback()` at the end, for cleanups that need no await. Python: `callback`.
    template <class Callback>
        requires(std::is_invocable_v<std::decay_t<Callback>&> &&
                 !internal::AsyncCallback<std::decay_t<Callback>>)
    void callback(Callback&& callback) {
        push([call = std::forward<Callback>(callback)](std::exception_ptr) mutable -> Coro<bool> {
            std::invoke(call);
            co_return false;
        });
    }

    /// Runs `co_await exit(error)` at the end. `error` is the error that is leaving, or null. A
    /// result of true says that the error has been dealt with: the remaining cleanups get null, and
    /// the scope does not throw it. Python: `push_async_exit`.
    template <class Exit>
        requires(std::is_invocable_r_v<Coro<bool>, std::decay_t<Exit>&, std::exception_ptr>)
    void push_async_exit(Exit&& exit) {
        push(std::forward<Exit>(exit));
    }

    /// Takes `manager` over, enters it, and leaves it at the end. Returns, at the await, the result
    /// of `aenter`.
    ///
    /// A manager whose `aenter` throws or is cancelled is not left.
    /// Python: `enter_async_context`.
    template <class Manager>
        requires AsyncContextManager<std::decay_t<Manager>>
    auto enter_async_context(Manager&& manager) {
        internal::require_safe_temporary<Manager>();
        return enter(std::make_unique<std::decay_t<Manager>>(std::forward<Manager>(manager)));
    }

    /// Takes `resource` over, and closes it at the end by `aclose()`. Returns a reference to it,
    /// which is valid until then.
    template <class Resource>
        requires AsyncClosable<std::decay_t<Resource>>
    std::decay_t<Resource>& push_closing(Resource&& resource) {
        auto held = std::make_unique<std::decay_t<Resource>>(std::forward<Resource>(resource));
        auto& given = *held;
        push_async_callback([kept = std::move(held)]() -> Coro<> { co_await kept->aclose(); });
        return given;
    }

    /// Moves all cleanups to another stack, so that they do not run at the end of this one. Python:
    /// `pop_all`.
    AsyncExitStack pop_all() noexcept { return std::move(*this); }

    /// Runs the cleanups, the last one first. A cleanup that fails does not keep the others from
    /// running.
    ///
    /// Throws: the error of a cleanup; if there are several errors, an ExceptionGroup with all of
    /// them.
    /// Cancellation: requests from outside are held back until all cleanups have run, and are
    /// delivered by the next await that waits. A limit inside a cleanup works.
    Coro<> aclose();

private:
    template <class Body>
    friend Coro<internal::BodyResult<Body, AsyncExitStack>> internal::exit_stack_scope(Body body);

    AsyncExitStack() noexcept = default;
    /// The body has ended with `body_error`, or null. Runs the cleanups and returns the error that
    /// leaves, or null. It is a lazy coroutine that takes the error by reference: it is made before
    /// the body begins, and reads the error when it is awaited.
    Coro<std::exception_ptr> unwind(const std::exception_ptr& body_error);

    using Exit = internal::UniqueFunction<Coro<bool>(std::exception_ptr)>;

    /// Without memory for the list, the exit is lost and `bad_alloc` leaves the body; the exits
    /// that are in the list run.
    void push(Exit exit) { exits_.push_back(std::move(exit)); }

    template <class Manager, class Entered = decltype(std::declval<Manager&>().aenter())>
    Coro<internal::AwaitResult<Entered>> enter(std::unique_ptr<Manager> manager) {
        using T = internal::AwaitResult<Entered>;
        Outcome<T> entered = co_await internal::settle(manager->aenter());
        if (!entered.failed()) push_exit_of(std::move(manager));
        co_return co_await internal::leave_with(entered);
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

    /// The cleanups, in the order in which they were pushed.
    std::vector<Exit> exits_;
};

namespace internal {

template <class Body>
Coro<BodyResult<Body, AsyncExitStack>> exit_stack_scope(Body body) {
    using T = BodyResult<Body, AsyncExitStack>;
    running_task("asyncio::async_exit_stack()");
    AsyncExitStack stack;
    std::exception_ptr body_error;
    // Made before the body begins: the cleanups must run even if there is no memory later.
    Coro<std::exception_ptr> unwind = stack.unwind(body_error);
    Outcome<T> outcome = co_await settled_body(body, stack);
    body_error = outcome.error();
    std::exception_ptr error = co_await std::move(unwind);
    const bool suppressed = outcome.failed() && error == nullptr;
    if (error != nullptr) outcome.fail(std::move(error));
    if (suppressed) {
        if constexpr (std::is_void_v<T>) {
            outcome.emplace();
        } else {
            throw_runtime_error("a cleanup suppressed the error of a body that returns a value");
        }
    }
    co_return co_await leave_with(outcome);
}

}  // namespace internal

namespace no_adl {

/// Runs `body` with a stack of cleanups, and runs the cleanups when the body has ended, by a value,
/// an error, or a cancellation: `co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> { …
/// })`.
///
/// Returns the value of the body.
/// Throws: the error of the body or of a cleanup; if there are several, an ExceptionGroup with all
/// of them. A cancellation is thrown only if there is no other error. RuntimeError if a cleanup has
/// dealt with the error of a body that should have returned a value.
/// Cancellation: reaches the body; for the cleanups see `AsyncExitStack::aclose`.
/// Lifetime: capture by reference, `[&]`; the closure lives until the await returns.
/// Python: `async with contextlib.AsyncExitStack() as stack:`.
template <class Body>
auto async_exit_stack(Body&& body) {
    internal::require_safe_closure<Body>();
    return internal::exit_stack_scope<std::decay_t<Body>>(std::forward<Body>(body));
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
