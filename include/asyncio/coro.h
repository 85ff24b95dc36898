#pragma once
// `Coro<T>`: what a coroutine function returns. Python's coroutine object.
//
// A `Coro` is lazy: calling the coroutine function makes the frame and runs no code of it. A `Coro`
// can be moved and not copied, and it is awaited once. The `Coro` object owns the frame. An await,
// or `create_task`, takes the frame over.
//
// Why a child starts inside `await_ready`. The usual way is to suspend the parent first, to store
// its handle in the child, and to jump to the child; when the child ends, it jumps back. For a
// child that never has to wait, that is two jumps and several stores too many. Without optimisation
// each jump is a call, so a loop over such children runs out of stack. Here the parent calls the
// child. A child that finishes at once costs a function call. A child that parks returns; the
// parent sees that the child is not done, and only then suspends and leaves its handle in the
// child. No race is possible in between: only the loop can resume a parked child, and the loop is
// further down on the same stack, waiting for this call to return.
//
// How deep such calls may nest is bounded by the stack they use
// (`internal::nested_start_stack_bytes`), measured by address. Beyond that bound the parent
// suspends first and leaves the child to the trampoline (`internal/loop/step.h`).
//
// How a coroutine ends. Its final awaiter writes the parent's handle into `here.next` and returns;
// the trampoline resumes the parent. A child that ended inside the call of its parent has no
// continuation yet, so nothing is written, and the parent continues as after any call.
//
// A frame is never destroyed while it is suspended in the middle. Destroying it would run
// destructors but no `catch`, and would skip cleanups that await. A coroutine that has to end early
// is cancelled, and unwinds.

#include <asyncio/internal/base/frame_pool.h>
#include <asyncio/internal/core/awaitable.h>
#include <asyncio/internal/core/uncaught.h>
#include <asyncio/internal/loop/step.h>
#include <asyncio/internal/machine/prefetch.h>
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

/// The part of a promise that every coroutine of the library has: which coroutine awaits it, and
/// where it stands. The chain of `caller`s is what an await tree prints.
struct PromiseBase : Pooled {
    /// The coroutine that is resumed when this one ends. Null while this one runs inside the call
    /// of its parent, and in the outermost frame of a task.
    std::coroutine_handle<> continuation = nullptr;
    /// The promise of the same parent; null if the parent is a coroutine of another library.
    PromiseBase* caller = nullptr;
    /// The `co_await` at which this coroutine is, or was last.
    std::source_location where;

    /// Suspends at the end, so that the parent can take the result out of the frame, and hands over
    /// to the parent.
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

    /// The exception that has just left the coroutine. Also fetches the frame of the parent into
    /// the cache: it may have been parked for a long time, and it catches the exception next.
    std::exception_ptr caught_exception() const noexcept {
        if (caller != nullptr) prefetch_around(caller);
        std::exception_ptr error = std::current_exception();
        note_passage(error, *this);
        return error;
    }

    /// Notes the place of the `co_await`, for await trees, and makes the awaiter.
    ///
    /// The functions of the library return a small value, which makes its awaiter here, in the
    /// frame, where it stays. The alternative is an object that is its own awaiter. g++ copies such
    /// an object into the frame a second time, and reads the bytes with other widths than it has
    /// just written them. The processor stalls on that for longer than the whole await takes.
    template <class Given>
    decltype(auto) await_transform(Given&& awaitable,
                                   std::source_location place = std::source_location::current()) {
        where = place;
        constexpr bool is_named_coro = is_lvalue_coro<Given>;
        static_assert(!is_named_coro, "a Coro can be awaited only once: co_await std::move(coro)");
        static_assert(is_named_coro || Awaitable<Given>,
                      "this cannot be awaited: give a coroutine, a task, a future, or a type that "
                      "has an operator co_await");
        if constexpr (is_named_coro || !Awaitable<Given>) {
            return std::suspend_never();
        } else {
            return own_awaiter_of(std::forward<Given>(awaitable));
        }
    }
};

/// The promise behind a handle; null if it is not a promise of this library.
template <class Promise>
PromiseBase* promise_base(std::coroutine_handle<Promise> coroutine) noexcept {
    if constexpr (std::is_base_of_v<PromiseBase, Promise>) {
        return &coroutine.promise();
    } else {
        return nullptr;
    }
}

/// Whether `co_return value;` is possible in a Coro<T>. If T is a reference, only an lvalue is: a
/// temporary would be gone when the parent reads the reference.
template <class Value, class T>
concept ReturnableAs =
    !std::same_as<std::remove_cvref_t<Value>, Outcome<T>> &&
    (std::is_reference_v<T> ? std::is_lvalue_reference_v<Value> &&
                                  std::is_convertible_v<std::add_pointer_t<Value>, Stored<T>>
                            : std::is_constructible_v<Stored<T>, Value&&>);

template <class T>
/// The part of a promise that holds the result. The frame is aligned for the result.
struct PromiseResult : PromiseBase, FrameFor<alignof(Outcome<T>)> {
    using FrameFor<alignof(Outcome<T>)>::operator new;
    using FrameFor<alignof(Outcome<T>)>::operator delete;

    Outcome<T> outcome;

    void unhandled_exception() noexcept { outcome.fail(caught_exception()); }

    /// The default type of `Value` lets `co_return {…};` mean a T.
    template <class Value = T>
        requires ReturnableAs<Value, T>
    void return_value(Value&& value) {
        outcome.emplace(std::forward<Value>(value));
    }
    /// `co_return outcome;` ends the coroutine with an error without a throw. The scopes of the
    /// library use it: an error that passes through five scopes is thrown once, in the program's
    /// own code.
    template <std::same_as<Outcome<T>> End>
    void return_value(End&& end) {
        outcome = std::forward<End>(end);
    }
};

template <>
struct PromiseResult<void> : PromiseBase {
    Outcome<void> outcome;

    void unhandled_exception() noexcept { outcome.fail(caught_exception()); }
    /// Does not replace an outcome that `leave_with` has put there.
    void return_void() noexcept {
        if (outcome.empty()) outcome.emplace();
    }
};

template <class T>
struct Promise final : PromiseResult<T> {
    Coro<T> get_return_object() noexcept;
};

/// The last statement of a scope, whatever the type of its result: `co_return co_await
/// leave_with(outcome);` ends the coroutine as `outcome` says, without a throw.
///
/// A coroutine with a value could say `co_return std::move(outcome)`. A `Coro<void>` cannot: its
/// promise has `return_void`, and a promise may not have both that and `return_value`. So the
/// outcome is put into the promise by an await that does not wait.
struct LeaveWith {
    using SuspendsTask = void;

    Outcome<void>& end;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<Promise<void>> own) const noexcept;
    void await_resume() const noexcept {}
};

/// The same for a result with a value: the await only hands the outcome on, to `return_value`.
template <class T>
struct LeaveWithValue {
    using SuspendsTask = void;

    Outcome<T>& end;

    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    Outcome<T>&& await_resume() const noexcept { return std::move(end); }
};

inline LeaveWith leave_with(Outcome<void>& outcome) noexcept { return {outcome}; }
template <class T>
LeaveWithValue<T> leave_with(Outcome<T>& outcome) noexcept {
    return {outcome};
}

/// Destroys a frame that has no owner any more: one that has ended, or has never begun.
template <class T>
void drop_frame(std::coroutine_handle<Promise<T>> frame) noexcept;

/// Destroys a frame that will not be resumed. A frame may hold another coroutine as an argument,
/// and that one the next. The stack that such a chain needs is bounded, however long the chain is:
/// frames beyond a certain depth are destroyed after the outermost one.
void destroy_nested(std::coroutine_handle<> frame, PromiseBase& promise) noexcept;

/// Refuses to use a `Coro` that is empty because it was awaited, made a task, or moved from.
/// Throws: RuntimeError.
[[noreturn, gnu::cold]] void throw_reused();

/// The awaiter of a child coroutine. It owns the child's frame, so a `Coro` that is awaited a
/// second time is empty.
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
        // Too deep: suspend, and leave the child to the trampoline. Outside a task there is no
        // trampoline, so the child is called in any case.
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
        // A child that has started is parked: its source wakes the task, and the child resumes the
        // parent at its end. A child that was too deep to start is started by the trampoline.
        if (!started_) here.next = child_;
    }

    /// Inlined into the parent, so that an error of the child is thrown by the parent's own code;
    /// such a throw is quick (`internal/machine/rethrow.h`).
    [[gnu::always_inline]] T await_resume() { return child_.promise().outcome.last_value(); }

    /// For `settle`: the result or the error as a value, without a throw.
    Outcome<T> take_outcome() noexcept(std::is_nothrow_move_constructible_v<Outcome<T>>) {
        return std::move(child_.promise().outcome);
    }

private:
    std::coroutine_handle<Promise<T>> child_;
    bool started_ = false;
};

/// Reports a `Coro` that is destroyed before it has ended. `place` is the await that it has
/// reached. A coroutine that never ran is logged as a warning in debug mode. A coroutine that is
/// suspended in the middle ends the program: see the top of the file.
void report_dropped(std::coroutine_handle<> coroutine, std::source_location place) noexcept;

template <class T>
void drop_frame(std::coroutine_handle<Promise<T>> frame) noexcept {
    if (!frame.done()) [[unlikely]]
        report_dropped(frame, frame.promise().where);
    frame.destroy();
}

/// The same for a coroutine that was never awaited, whose arguments may be such coroutines as well.
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
/// Dropping a coroutine that never ran destroys its arguments and has no other effect; debug mode
/// logs it. A `Coro` that was awaited, made a task or moved from is empty, and using it again
/// throws RuntimeError.
/// Lifetime: what references and pointers among the arguments refer to must live until the
/// coroutine has ended. The same holds for the closure of a coroutine that is a lambda.
/// Cancellation: awaiting a coroutine is a cancellation point exactly where the coroutine itself
/// waits.
/// Thread-safety: a `Coro` may be moved to the thread of the loop that will run it. From its first
/// step on, loop thread only.
/// Cost: one allocation for the frame, from a pool.
/// Python: a coroutine object.
template <class T = void>
class [[nodiscard]] Coro {
public:
    using promise_type = internal::Promise<T>;
    using value_type = T;

    Coro(const Coro&) = delete;  // a Coro can be awaited only once: pass it with std::move
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

    /// For the code that runs coroutines, like `Task`: the frame, which stays with this object.
    /// Throws: RuntimeError if this is empty.
    std::coroutine_handle<promise_type> frame() const {
        if (!frame_) [[unlikely]]
            internal::throw_reused();
        return frame_;
    }
    /// Gives the frame away; this object is empty afterwards.
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
