#pragma once
// `AsyncGenerator<T>`: a coroutine that yields values one by one, and may wait between them.
//
// The generator runs in the task that asks for the next value, as if it were a part of the asking
// coroutine. A limit around the asker, or a cancellation of the asker's task, therefore reaches the
// wait inside the generator. Between two values the generator stands at its `co_yield` and belongs
// to no task. Another task of the same loop may ask for the next value.
//
// How control goes back and forth. The asker suspends and leaves the generator's handle in
// `here.next`; the generator, at its `co_yield`, leaves the asker's handle there. The trampoline
// (`internal/loop/step.h`) resumes whatever stands in `here.next`. So a value costs two
// resumptions, no iteration of the loop, and no stack: neither of the two resumes the other from
// inside its own frame. A generator that reads from a generator forms a chain, and the same rule
// holds along it.
//
// Why `next()` gives an optional. Python ends the loop with `StopAsyncIteration`, an exception. The
// end of a generator is an ordinary event, and an exception for it would cost more than many values
// do. So the end is an empty optional, and `while (auto value = co_await generator.next())` is the
// loop.
//
// Closing. A program may stop asking while the generator stands at a `co_yield`. A frame that has
// begun may hold something whose cleanup needs an await, so destroying the frame would skip that
// cleanup. Instead `aclose` lets the `co_yield` throw `GeneratorExit`. The generator unwinds, and
// awaits where it must.
//
// A generator that is dropped before its end and without `aclose` is adopted by the loop: a
// destructor cannot await. The loop closes it in a task of its own, at once or, at the latest, at
// the end of the run. For that the loop keeps a list of all generators that have begun and not
// ended. The cleanup runs under a mask that holds cancellations back, because the end of a run
// cancels all tasks and would cut the cleanup short.
//
// When the handle is destroyed, the state of the generator decides:
//   created, finished   The frame is destroyed.
//   yielded             The loop adopts the generator.
//   running             A task waits for the next value. The generator is only marked
//                       (`disowned_`), and the awaiter of that task destroys it, or gives it to the
//                       loop, when it gets control.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/exceptions.h>

#include <cassert>
#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T>
class AsyncGenerator;

namespace internal {

/// The part of a generator that does not depend on the type of its values. From its first step
/// until its end the generator stands in a list of the loop.
class GeneratorCore : public PromiseBase, public Resident {
public:
    enum class State : std::uint8_t {
        created,   ///< Has not run yet.
        yielded,   ///< Stands at a `co_yield`.
        running,   ///< Runs or waits, for the task of an asker.
        finished,  ///< Will not run again.
    };

    GeneratorCore(const GeneratorCore&) = delete;
    GeneratorCore& operator=(const GeneratorCore&) = delete;

    State state() const noexcept { return state_; }
    std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

    /// Lets the generator run for the asker: from its beginning, or from its `co_yield`, which
    /// throws `thrown_in` if that is not null. The asker continues at the next `co_yield` or at the
    /// end.
    /// Throws: RuntimeError if the generator runs already, or belongs to another loop.
    void run_for(std::coroutine_handle<> asker, PromiseBase* asker_promise,
                 std::exception_ptr thrown_in);

    /// Ends a generator that has not begun, without running it.
    void finish_unstarted() noexcept { state_ = State::finished; }

    /// The asker has control again. If the handle was dropped in the meantime, destroys the
    /// generator or gives it to the loop.
    static void settle_ownership(GeneratorCore& generator) noexcept {
        if (generator.disowned_) [[unlikely]]
            disown(generator);
    }
    /// The handle is being destroyed. Destroys the generator, gives it to the loop, or leaves it to
    /// the asker that is waiting: see the top of the file.
    static void disown(GeneratorCore& generator) noexcept;

    // Names that the compiler looks up.

    /// The awaiter of `co_yield`. It always suspends: the asker is waiting for the value. On
    /// resumption it throws what the asker has thrown in.
    struct YieldAwaiter {
        GeneratorCore& generator;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<>) const noexcept { generator.pause(); }
        void await_resume() const {
            if (generator.thrown_in_ != nullptr) [[unlikely]]
                rethrow(generator.thrown_in_);
        }
    };

    /// The frame stays until its owner destroys it, since the asker still has to read the end from
    /// it.
    FinalAwaiter final_suspend() noexcept {
        finish();
        return {};
    }
    /// Keeps the error for the asker. A `GeneratorExit` is the expected answer to `aclose`, and is
    /// dropped.
    void unhandled_exception() noexcept;
    void return_void() const noexcept {}

protected:
    explicit GeneratorCore(std::coroutine_handle<> frame) noexcept : frame_(frame) {}
    ~GeneratorCore() {
        if (linked()) unlink();
    }

private:
    friend struct ClosingGenerator;

    /// The four changes of state: the first step (enters the loop's list), a `co_yield`, the end
    /// (leaves the list), and the hand-over to the loop.
    void begin(EventLoop& loop);
    void pause() noexcept;
    void finish() noexcept;
    void adopt() noexcept;

    /// The generator's own frame.
    std::coroutine_handle<> frame_;
    /// The loop in which the first value was asked for; null before that. All later ones must come
    /// from the same loop, since what the generator waits for belongs to it.
    EventLoop* loop_ = nullptr;
    std::exception_ptr thrown_in_;
    /// The error that has left the generator, until an asker takes it.
    std::exception_ptr error_;
    State state_ = State::created;
    /// The handle was dropped while the generator ran.
    bool disowned_ = false;
};

template <class T>
class GeneratorPromise final : public GeneratorCore, FrameFor<alignof(T)> {
public:
    using FrameFor<alignof(T)>::operator new;
    using FrameFor<alignof(T)>::operator delete;

    GeneratorPromise() noexcept
        : GeneratorCore(std::coroutine_handle<GeneratorPromise>::from_promise(*this)) {}

    AsyncGenerator<T> get_return_object() noexcept;

    /// Stores the value until the asker takes it, and notes the place for the await tree. The
    /// default type of `Value` lets `co_yield {…};` mean a T.
    template <class Value = T>
        requires std::constructible_from<T, Value>
    YieldAwaiter yield_value(Value&& value,
                             std::source_location place = std::source_location::current()) {
        where = place;
        value_.emplace(std::forward<Value>(value));
        return YieldAwaiter{*this};
    }

    std::optional<T> take_value() {
        std::optional<T> value = std::move(value_);
        value_.reset();
        return value;
    }

private:
    std::optional<T> value_;
};

/// Keeps a generator from being destroyed while an asker reads its value or its error. Its end is
/// the moment in which a dropped generator is destroyed or given to the loop.
struct AskerScope {
    explicit AskerScope(GeneratorCore& asked) noexcept : generator(asked) {}
    AskerScope(const AskerScope&) = delete;
    AskerScope& operator=(const AskerScope&) = delete;
    ~AskerScope() { GeneratorCore::settle_ownership(generator); }
    GeneratorCore& generator;
};

/// The awaiter of `next` and `athrow`. Asks for the next value, and throws `thrown_in` into the
/// generator if that is not null.
template <class T>
class GeneratorAwaiter {
public:
    using SuspendsTask = void;

    GeneratorAwaiter(GeneratorPromise<T>& generator, std::exception_ptr thrown_in) noexcept
        : generator_(generator), thrown_in_(std::move(thrown_in)) {}

    bool await_ready() noexcept {
        using State = GeneratorCore::State;
        if (generator_.state() == State::created && thrown_in_ != nullptr)
            generator_.finish_unstarted();
        return generator_.state() == State::finished;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> asker) {
        generator_.run_for(asker, promise_base(asker), std::exchange(thrown_in_, nullptr));
    }

    std::optional<T> await_resume() {
        const AskerScope scope(generator_);
        if (std::exception_ptr error = take_error()) [[unlikely]]
            rethrow(error);
        return generator_.take_value();
    }
    Outcome<std::optional<T>> take_outcome() {
        const AskerScope scope(generator_);
        if (std::exception_ptr error = take_error())
            return Outcome<std::optional<T>>::failure(std::move(error));
        Outcome<std::optional<T>> outcome;
        outcome.emplace(generator_.take_value());
        return outcome;
    }

private:
    /// The error that has left the generator. For a generator that has not begun or has ended: the
    /// error that was to be thrown in, which goes back to the asker.
    std::exception_ptr take_error() noexcept {
        return thrown_in_ != nullptr ? std::move(thrown_in_) : generator_.take_error();
    }

    GeneratorPromise<T>& generator_;
    std::exception_ptr thrown_in_;
};

/// The awaiter of `aclose`. Lets the generator end at the `co_yield` where it stands.
class GeneratorCloser {
public:
    using SuspendsTask = void;

    explicit GeneratorCloser(GeneratorCore& generator) noexcept : generator_(generator) {}

    bool await_ready() noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> asker) {
        generator_.run_for(asker, promise_base(asker), exit_request());
    }
    void await_resume();

private:
    static std::exception_ptr exit_request();

    GeneratorCore& generator_;
};

/// The return type of `next` and `athrow`. A small value; `co_await` makes the awaiter in the frame
/// of the asker.
template <class T>
class [[nodiscard]] GeneratorStep {
public:
    GeneratorStep(GeneratorPromise<T>& generator, std::exception_ptr thrown_in) noexcept
        : generator_(generator), thrown_in_(std::move(thrown_in)) {}
    auto operator co_await() && noexcept {
        return GeneratorAwaiter<T>(generator_, std::move(thrown_in_));
    }

private:
    GeneratorPromise<T>& generator_;
    std::exception_ptr thrown_in_;
};

/// The return type of `aclose`, in the same way.
class [[nodiscard]] GeneratorClose {
public:
    explicit GeneratorClose(GeneratorCore& generator) noexcept : generator_(generator) {}
    auto operator co_await() const noexcept { return GeneratorCloser(generator_); }

private:
    GeneratorCore& generator_;
};

}  // namespace internal

/// The return type of a coroutine that uses `co_yield`:
/// `AsyncGenerator<int> count() { co_yield 1; … }`.
///
/// The generator runs only when it is asked for a value:
/// `while (auto value = co_await generator.next())`. The object owns the generator, and can be
/// moved but not copied. An object that was moved from throws RuntimeError when it is used. If the
/// object is destroyed before the generator has ended and without `aclose`, the loop takes the
/// generator over and closes it. Debug mode logs a warning then, because the generator holds its
/// resources until the loop has closed it.
///
/// A `catch` handler cannot await. A generator whose cleanup awaits therefore keeps the error and
/// awaits behind the handler: `std::exception_ptr error; try { … co_yield … } catch (…) { error =
/// std::current_exception(); } co_await cleanup(); if (error) std::rethrow_exception(error);`.
/// Lifetime: as for `Coro`, references given to the coroutine function must live until the
/// generator has ended. The end may come at the end of the run, if the loop has to close the
/// generator.
/// Python: an asynchronous generator; without `asend`.
template <class T>
class [[nodiscard]] AsyncGenerator {
    static_assert(
        !std::is_reference_v<T> && !std::is_void_v<T>,
        "a generator yields values and not references: use a pointer or a std::reference_wrapper");

public:
    using promise_type = internal::GeneratorPromise<T>;
    using value_type = T;

    AsyncGenerator(AsyncGenerator&& other) noexcept
        : promise_(std::exchange(other.promise_, nullptr)) {}
    AsyncGenerator& operator=(AsyncGenerator&& other) noexcept {
        if (this != &other) {
            drop();
            promise_ = std::exchange(other.promise_, nullptr);
        }
        return *this;
    }
    ~AsyncGenerator() { drop(); }

    /// Runs the generator to its next `co_yield`, and returns that value. Returns an empty optional
    /// at the end of the generator, and at every call after that.
    ///
    /// Throws: the error that leaves the generator, which has ended then; RuntimeError if another
    /// task is waiting for its next value, or if the generator belongs to another loop.
    /// Cancellation: reaches the wait inside the generator. The CancelledError ends the generator,
    /// unless the generator catches it and continues.
    /// Cost: two resumptions; no iteration of the loop, no allocation.
    /// Python: `__anext__`.
    internal::GeneratorStep<T> next() { return {promise(), nullptr}; }

    /// As `next`, but the `co_yield` at which the generator stands throws `error`. If the generator
    /// has not begun or has ended, `error` is thrown to the caller. A generator that has not begun
    /// counts as ended after that, and never runs.
    /// Throws: as `next`; RuntimeError if `error` is a null pointer.
    /// Python: `athrow`.
    template <class Error>
    internal::GeneratorStep<T> athrow(Error&& error) {
        if constexpr (std::is_same_v<std::decay_t<Error>, std::exception_ptr>) {
            if (error == nullptr) internal::throw_null_exception("athrow()");
            return {promise(), std::forward<Error>(error)};
        } else {
            return {promise(), std::make_exception_ptr(std::forward<Error>(error))};
        }
    }

    /// Ends the generator: the `co_yield` at which it stands throws `GeneratorExit`, and the
    /// generator cleans up. A generator that has not begun never runs. Closing twice is allowed.
    ///
    /// Throws: any other error that leaves the generator; RuntimeError if the generator yields once
    /// more, or is running for another task.
    /// Cancellation: reaches the wait inside the cleanup.
    /// Python: `aclose`.
    internal::GeneratorClose aclose() { return internal::GeneratorClose(promise()); }

private:
    friend promise_type;
    explicit AsyncGenerator(promise_type& promise) noexcept : promise_(&promise) {}

    promise_type& promise() const {
        if (promise_ == nullptr) [[unlikely]]
            internal::throw_empty("AsyncGenerator");
        return *promise_;
    }

    void drop() noexcept {
        if (promise_ != nullptr) internal::GeneratorCore::disown(*promise_);
    }

    promise_type* promise_;
};

template <class T>
AsyncGenerator<T> internal::GeneratorPromise<T>::get_return_object() noexcept {
    return AsyncGenerator<T>(*this);
}

}  // namespace asyncio
