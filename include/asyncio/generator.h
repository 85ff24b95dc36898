#pragma once
// `AsyncGenerator<T>`: a coroutine that yields values one by one, and may wait between them.
//
// It runs in the task of whoever asks for the next value, as if it were part of that coroutine: a
// limit or a cancellation of the asker reaches what the generator waits for. Between two values it
// stands at its `co_yield` and belongs to nobody.
//
// How control goes to and fro. Who asks suspends and leaves the generator in `here.next`, and the
// generator at `co_yield` leaves the asker there; so both are resumed by the trampoline, no value
// costs an iteration of the loop, and no stack grows.
//
// How it ends before its end. A frame that has begun may hold what needs an await to be cleaned up,
// so it is not simply destroyed: `aclose` lets `co_yield` throw `GeneratorExit`, and the generator
// unwinds, waiting where it must. One that is dropped unclosed goes to the loop, which does the
// same, then or at the end of the run.
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

/// A generator, whatever it yields. While it has begun and not ended, the loop has it in a list.
class GeneratorCore : public PromiseBase, public Resident {
public:
    enum class State : std::uint8_t {
        created,   ///< Has not run yet.
        yielded,   ///< Stands at a `co_yield`.
        running,   ///< Runs, or waits for something, on behalf of an asker.
        finished,  ///< Will not run again.
    };

    GeneratorCore(const GeneratorCore&) = delete;
    GeneratorCore& operator=(const GeneratorCore&) = delete;

    State state() const noexcept { return state_; }
    std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

    /// Goes on, for the asker: from the beginning, or from its `co_yield`, which throws `thrown_in`
    /// if that is not null. Throws: RuntimeError if it runs already, or belongs to another loop.
    void run_for(std::coroutine_handle<> asker, PromiseBase* asker_promise,
                 std::exception_ptr thrown_in);

    /// Ends it without a step, which only one that has not begun can.
    void finish_unstarted() noexcept { state_ = State::finished; }

    /// The asker has control again, or the owner goes. Destroys it, or sees to it that somebody
    /// will.
    static void settle_ownership(GeneratorCore& generator) noexcept {
        if (generator.disowned_) [[unlikely]]
            disown(generator);
    }
    static void disown(GeneratorCore& generator) noexcept;

    // For the compiler.

    struct YieldAwaiter {
        GeneratorCore& generator;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<>) const noexcept { generator.pause(); }
        void await_resume() const {
            if (generator.thrown_in_ != nullptr) [[unlikely]]
                rethrow(generator.thrown_in_);
        }
    };

    FinalAwaiter final_suspend() noexcept {
        finish();
        return {};
    }
    void unhandled_exception() noexcept;
    void return_void() const noexcept {}

protected:
    explicit GeneratorCore(std::coroutine_handle<> frame) noexcept : frame_(frame) {}
    ~GeneratorCore() {
        if (linked()) unlink();
    }

private:
    friend struct ClosingGenerator;

    void begin(EventLoop& loop);
    void pause() noexcept;
    void finish() noexcept;
    void adopt() noexcept;

    std::coroutine_handle<> frame_;
    EventLoop* loop_ = nullptr;
    std::exception_ptr thrown_in_;
    /// What has left the generator and nobody has been told.
    std::exception_ptr error_;
    State state_ = State::created;
    /// The owner went while it ran.
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

    /// The default lets `co_yield {…};` mean a T.
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

/// While it lives, a generator is not destroyed; at its end it may be.
struct AskerScope {
    explicit AskerScope(GeneratorCore& asked) noexcept : generator(asked) {}
    AskerScope(const AskerScope&) = delete;
    AskerScope& operator=(const AskerScope&) = delete;
    ~AskerScope() { GeneratorCore::settle_ownership(generator); }
    GeneratorCore& generator;
};

/// Asks for the next value, throwing something into the generator if there is something to throw.
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
    /// What has left the generator, or was to be thrown into one that had not begun or has ended.
    std::exception_ptr take_error() noexcept {
        return thrown_in_ != nullptr ? std::move(thrown_in_) : generator_.take_error();
    }

    GeneratorPromise<T>& generator_;
    std::exception_ptr thrown_in_;
};

/// Lets the generator end where it stands.
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

/// What `next`, `athrow` and `aclose` return: the awaiter is made in the frame that awaits.
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

class [[nodiscard]] GeneratorClose {
public:
    explicit GeneratorClose(GeneratorCore& generator) noexcept : generator_(generator) {}
    auto operator co_await() const noexcept { return GeneratorCloser(generator_); }

private:
    GeneratorCore& generator_;
};

}  // namespace internal

/// What a coroutine that uses `co_yield` returns: `AsyncGenerator<int> count() { co_yield 1; … }`.
///
/// Nothing runs until it is asked: `while (auto value = co_await generator.next())`. Owns the
/// generator; move-only. One that was moved from throws RuntimeError when it is used. Destroy it
/// unclosed before its end, and the loop takes it over and closes it, which debug mode remarks
/// upon, for until then what the generator holds is held.
///
/// A generator that cleans up with awaits catches what leaves its `co_yield` first and awaits
/// behind the handler: `std::exception_ptr error; try { … co_yield … } catch (…) { error =
/// std::current_exception(); } co_await cleanup(); if (error) std::rethrow_exception(error);`.
/// Lifetime: as for `Coro`, references given to the coroutine function must live until it ends,
/// also when the loop ends it.
/// Python: an asynchronous generator; without `asend`.
template <class T>
class [[nodiscard]] AsyncGenerator {
    static_assert(!std::is_reference_v<T> && !std::is_void_v<T>,
                  "a generator yields values: use a pointer or a std::reference_wrapper");

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

    /// Runs the generator to its next `co_yield`, and gives that value; nothing at its end, and
    /// ever after.
    ///
    /// Throws: what leaves the generator, which has ended then; RuntimeError if another task is
    /// waiting for its next value.
    /// Cancellation: reaches what the generator waits for, and ends it unless it goes on.
    /// Cost: two resumptions; no iteration of the loop, no allocation.
    /// Python: `__anext__`.
    internal::GeneratorStep<T> next() { return {promise(), nullptr}; }

    /// The same, but `co_yield` throws `error` in the generator. One that has not begun or has
    /// ended throws it at once. Throws: RuntimeError if `error` is a null pointer.
    template <class Error>
    internal::GeneratorStep<T> athrow(Error&& error) {
        if constexpr (std::is_same_v<std::decay_t<Error>, std::exception_ptr>) {
            if (error == nullptr) internal::throw_null_exception("athrow()");
            return {promise(), std::forward<Error>(error)};
        } else {
            return {promise(), std::make_exception_ptr(std::forward<Error>(error))};
        }
    }

    /// Ends the generator where it stands: its `co_yield` throws `GeneratorExit`, and it cleans up.
    /// One that has not begun never does. Closing twice is allowed.
    ///
    /// Throws: what leaves the generator instead; RuntimeError if it yields once more, or runs.
    /// Cancellation: reaches the cleanup.
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
