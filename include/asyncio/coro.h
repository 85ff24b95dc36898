#pragma once
// `Coro<T>`: what a coroutine function returns. Python's coroutine object.
//
// Lazy: calling the function runs nothing. Move-only and awaited once: the frame belongs to whoever
// holds the `Coro`.
//
// Why a child starts inside `await_ready`. The usual way is to suspend the parent first, store its
// handle in the child and jump to the child; when the child ends it jumps back. For a child that
// never has to wait that is two jumps and several stores too many, and without optimisation each
// jump is a call, so a loop over such children runs out of stack. Here the parent simply calls the
// child. A child that finishes at once has cost a function call; one that parks returns, the parent
// sees that it is not done, and only then suspends and leaves its handle. Nothing can go wrong in
// between: a parked child can be resumed by the loop alone, and the loop is below us on this very
// stack. How deep such calls may nest is bounded by the stack they use
// (`internal::nested_start_stack_bytes`); beyond it the parent suspends and leaves the child to the
// trampoline.
//
// A frame is never destroyed while it is suspended in the middle: it is cancelled and unwinds.

#include <asyncio/internal/awaitable.h>
#include <asyncio/internal/frame_pool.h>
#include <asyncio/internal/prefetch.h>
#include <asyncio/internal/step.h>
#include <asyncio/internal/uncaught.h>
#include <asyncio/outcome.h>

#include <cassert>
#include <concepts>
#include <coroutine>
#include <source_location>
#include <utility>

namespace asyncio {

template <class T>
class Coro;

namespace internal {

template <class Given>
inline constexpr bool is_lvalue_coro = false;
template <class T>
inline constexpr bool is_lvalue_coro<Coro<T>&> = true;
template <class T>
inline constexpr bool is_lvalue_coro<const Coro<T>&> = true;

/// What every frame of ours has: who awaits it, and where it stands. The chain of `caller`s is the
/// await tree.
struct PromiseBase : Pooled {
    /// Resumed when this coroutine ends; null while it runs inside its parent's step, and in a
    /// task's outermost frame.
    std::coroutine_handle<> continuation = nullptr;
    /// The promise of the same parent, if that is one of ours.
    PromiseBase* caller = nullptr;
    /// The `co_await` at which this coroutine is, or was last.
    std::source_location where;

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
            if (ended.promise().continuation) here.next = ended.promise().continuation;
        }
        void await_resume() const noexcept {}
    };

    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }

    /// What has just left the coroutine. The one who awaits it, parked perhaps for long, is fetched
    /// meanwhile.
    std::exception_ptr caught_exception() const noexcept {
        if (caller != nullptr) prefetch_around(caller);
        std::exception_ptr error = std::current_exception();
        note_passage(error, *this);
        return error;
    }

    /// Notes the place and makes the awaiter.
    ///
    /// What the library's functions return is a small value that makes its awaiter here, in the
    /// frame, where it stays. An object that is its own awaiter is copied into the frame once more
    /// by g++, and reading what was written a moment ago in other widths stalls the processor for
    /// longer than the whole await takes.
    template <class Given>
    decltype(auto) await_transform(Given&& awaitable,
                                   std::source_location place = std::source_location::current()) {
        where = place;
        constexpr bool is_named_coro = is_lvalue_coro<Given>;
        static_assert(!is_named_coro, "a Coro is awaited once: co_await std::move(coro)");
        static_assert(is_named_coro || Awaitable<Given>,
                      "this cannot be awaited: give a coroutine, a task, a future, or what has an "
                      "operator co_await");
        if constexpr (is_named_coro || !Awaitable<Given>) {
            return std::suspend_never();
        } else {
            return own_awaiter_of(std::forward<Given>(awaitable));
        }
    }
};

/// The promise behind a handle, if it is one of ours.
template <class Promise>
PromiseBase* promise_base(std::coroutine_handle<Promise> coroutine) noexcept {
    if constexpr (std::is_base_of_v<PromiseBase, Promise>) {
        return &coroutine.promise();
    } else {
        return nullptr;
    }
}

/// Whether `co_return value;` makes sense in a Coro<T>. What a reference is made of must live on.
template <class Value, class T>
concept ReturnableAs =
    !std::same_as<std::remove_cvref_t<Value>, Outcome<T>> &&
    (std::is_reference_v<T> ? std::is_lvalue_reference_v<Value> &&
                                  std::is_convertible_v<std::add_pointer_t<Value>, Stored<T>>
                            : std::is_constructible_v<Stored<T>, Value&&>);

template <class T>
struct PromiseResult : PromiseBase, FrameFor<alignof(Outcome<T>)> {
    using FrameFor<alignof(Outcome<T>)>::operator new;
    using FrameFor<alignof(Outcome<T>)>::operator delete;

    Outcome<T> outcome;

    void unhandled_exception() noexcept { outcome.fail(caught_exception()); }

    /// The default lets `co_return {…};` mean a T.
    template <class Value = T>
        requires ReturnableAs<Value, T>
    void return_value(Value&& value) {
        outcome.emplace(std::forward<Value>(value));
    }
    /// `co_return outcome`: ends with an error that was never thrown here. The library's scopes use
    /// it.
    template <std::same_as<Outcome<T>> End>
    void return_value(End&& end) {
        outcome = std::forward<End>(end);
    }
};

template <>
struct PromiseResult<void> : PromiseBase {
    Outcome<void> outcome;

    void unhandled_exception() noexcept { outcome.fail(caught_exception()); }
    /// Keeps an outcome that `LeaveWith` has put there.
    void return_void() noexcept {
        if (outcome.empty()) outcome.emplace();
    }
};

template <class T>
struct Promise final : PromiseResult<T> {
    Coro<T> get_return_object() noexcept;
};

/// `co_await LeaveWith{outcome}; co_return;` is to a `Coro<void>` what `co_return outcome;` is to
/// the others.
struct LeaveWith {
    using SuspendsTask = void;

    Outcome<void>& end;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<Promise<void>> own) const noexcept;
    void await_resume() const noexcept {}
};

/// Ends the life of a coroutine that belongs to nobody any more.
template <class T>
void drop_frame(std::coroutine_handle<Promise<T>> frame) noexcept;

/// Destroys a frame that nobody will resume. Coroutines that hold each other as arguments, however
/// long the chain is, take no more than a bounded stack; what lies deeper goes a moment later.
void destroy_nested(std::coroutine_handle<> frame, PromiseBase& promise) noexcept;

/// For a `Coro` without a coroutine: it was awaited, made a task, or moved from.
[[noreturn, gnu::cold]] void throw_reused();

/// Awaits a child, which belongs to it from then on: a `Coro` that is awaited again is empty.
template <class T>
class CoroAwaiter {
public:
    using SuspendsTask = void;

    explicit CoroAwaiter(std::coroutine_handle<Promise<T>> child) noexcept : child_(child) {}
    CoroAwaiter(const CoroAwaiter&) = delete;
    CoroAwaiter& operator=(const CoroAwaiter&) = delete;
    ~CoroAwaiter() {
        if (child_) drop_frame(child_);
    }

    bool await_ready() {
        if (!child_) [[unlikely]]
            throw_reused();
        // Only a task's step has the trampoline that would go on with the child.
        if (stack_position() < here.stack_limit && here.task != nullptr) [[unlikely]]
            return false;
        started_ = true;
        child_.resume();
        return child_.done();
    }

    template <class Parent>
    void await_suspend(std::coroutine_handle<Parent> parent) noexcept {
        child_.promise().continuation = parent;
        child_.promise().caller = promise_base(parent);
        if (!started_) here.next = child_;
    }

    [[gnu::always_inline]] T await_resume() { return child_.promise().outcome.last_value(); }

    Outcome<T> take_outcome() noexcept(std::is_nothrow_move_constructible_v<Outcome<T>>) {
        return std::move(child_.promise().outcome);
    }

private:
    std::coroutine_handle<Promise<T>> child_;
    bool started_ = false;
};

/// What is to be said when a `Coro` is dropped that has not ended. `place` is the await it has
/// reached.
void report_dropped(std::coroutine_handle<> coroutine, std::source_location place) noexcept;

template <class T>
void drop_frame(std::coroutine_handle<Promise<T>> frame) noexcept {
    if (!frame.done()) [[unlikely]]
        report_dropped(frame, frame.promise().where);
    frame.destroy();
}

/// The same for one that nobody has awaited, which may hold others of its kind.
template <class T>
void drop_unawaited(std::coroutine_handle<Promise<T>> frame) noexcept {
    if (!frame.done()) report_dropped(frame, frame.promise().where);
    destroy_nested(frame, frame.promise());
}

inline bool LeaveWith::await_suspend(std::coroutine_handle<Promise<void>> own) const noexcept {
    own.promise().outcome = std::move(end);
    return false;
}

}  // namespace internal

/// A coroutine that has not started yet. `co_await` it, or give it to `create_task`, `run`,
/// `gather`, ….
///
/// Dropping one that never ran destroys its arguments and nothing else; debug mode logs it. One
/// that was awaited, made a task or moved from is empty: to use it again is a RuntimeError.
/// Lifetime: references and pointers given to the coroutine function must live until it ends.
/// Cancellation: awaiting it is a cancellation point exactly where the coroutine itself waits.
/// Thread-safety: may be moved to the thread of the loop that will run it; loop thread only from
/// then on.
/// Python: a coroutine object.
template <class T = void>
class [[nodiscard]] Coro {
public:
    using promise_type = internal::Promise<T>;
    using value_type = T;

    Coro(const Coro&) = delete;  // a Coro is awaited once: hand it over with std::move
    Coro(Coro&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    Coro& operator=(Coro&& other) noexcept {
        if (this != &other) {
            drop();
            frame_ = std::exchange(other.frame_, nullptr);
        }
        return *this;
    }
    ~Coro() { drop(); }

    auto operator co_await() && noexcept { return internal::CoroAwaiter<T>(release()); }

    /// For those who run coroutines: `Task`. Throws: RuntimeError if this is empty.
    std::coroutine_handle<promise_type> frame() const {
        if (!frame_) [[unlikely]]
            internal::throw_reused();
        return frame_;
    }
    /// Gives the frame away.
    std::coroutine_handle<promise_type> release() noexcept {
        return std::exchange(frame_, nullptr);
    }

private:
    friend promise_type;
    explicit Coro(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

    void drop() noexcept {
        if (frame_) internal::drop_unawaited(std::exchange(frame_, nullptr));
    }

    std::coroutine_handle<promise_type> frame_;
};

template <class T>
Coro<T> internal::Promise<T>::get_return_object() noexcept {
    return Coro<T>(std::coroutine_handle<Promise>::from_promise(*this));
}

}  // namespace asyncio
