#pragma once
// Signals in a loop: callbacks, and a sequence of signals that a task awaits.
//
// A signal is handled twice. The handler that the kernel calls may do almost nothing, and does
// almost nothing: it counts the signal and posts a node to each loop that wants it. The loop takes
// the node in its next iteration. There the subscribers get the signal, in ordinary code.
//
// Every subscriber gets every signal: all subscriptions of one loop, in the order in which they
// were made, and those of other loops in other threads. The first subscription of the process
// installs the handler, the last one that ends restores the disposition of before, exactly.
//
// Counting. The kernel merges signals: while a signal of one number is pending, another one with
// this number is lost. (Real-time signals are queued.) The library merges nothing. It counts how
// often the handler has run, and delivers each signal in an iteration of its own. Different signals
// are delivered in the order in which the first of each has come.
//
// The last subscriber of a loop may leave when a signal has come and the loop has not taken it yet.
// A subscriber that begins before the loop takes the signal gets it. If there is none, the signal
// is dropped.
//
// Forks: the child of a fork begins with the dispositions from before the subscriptions, and its
// signals do not wake the loops of its parent.
//
// Thread-safety: a subscription belongs to its loop's thread.

#include <asyncio/event_loop.h>
#include <asyncio/internal/base/bind.h>
#include <asyncio/internal/base/unique_function.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/outcome.h>
#include <asyncio/signal_set.h>

#include <coroutine>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <utility>

namespace asyncio {
namespace internal {

class SignalCallback;
class SignalStreamState;

}  // namespace internal

/// A callback that was given to `on_signal`, for as long as this lives. An empty one refers to no
/// callback.
///
/// Lifetime: may outlive its loop, which ends the subscription when it closes. May be destroyed in
/// its own callback.
class [[nodiscard]] SignalSubscription {
public:
    SignalSubscription() noexcept = default;
    /// For the library: takes the callback over.
    explicit SignalSubscription(internal::SignalCallback* callback) noexcept
        : callback_(callback) {}
    SignalSubscription(SignalSubscription&& other) noexcept
        : callback_(std::exchange(other.callback_, nullptr)) {}
    SignalSubscription& operator=(SignalSubscription other) noexcept {
        std::swap(callback_, other.callback_);
        return *this;
    }
    /// `remove()`.
    ~SignalSubscription() { remove(); }

    /// Ends the subscription: the callback is not called any more, and what it captured has been
    /// destroyed. In the callback itself that happens when it returns. The last subscriber of the
    /// process restores the signal's disposition. A second call does nothing.
    void remove() noexcept;

    /// Whether this refers to a callback that may still be called. False after `remove`, and after
    /// the loop has closed.
    explicit operator bool() const noexcept;

private:
    internal::SignalCallback* callback_ = nullptr;
};

/// Calls `callback()` in the running loop whenever `signal` has come, until the subscription ends.
///
/// The callback runs in a copy of the current context. An exception that leaves it goes to the
/// exception handler of the loop. It may subscribe and unsubscribe, itself included.
/// Throws: RuntimeError if no loop runs, or the signal cannot be caught; the message names the
/// signal. `std::invalid_argument` if `signal` is not the number of a signal.
/// Thread-safety: any thread that runs a loop. Cost: allocates; the first subscriber of the process
/// calls sigaction(2).
/// Python: `loop.add_signal_handler`, which replaces the handler that was there.
SignalSubscription on_signal(int signal, internal::UniqueFunction<void()> callback);

/// The same for a function with arguments, which are copied or moved. Every call gets the same
/// copies.
template <class Function, class... Arguments>
    requires(sizeof...(Arguments) > 0 && internal::RepeatedlyCallableWith<Function, Arguments...>)
SignalSubscription on_signal(int signal, Function&& function, Arguments&&... arguments) {
    return on_signal(signal,
                     internal::UniqueFunction<void()>(internal::bind_for_repeated_calls(
                         std::forward<Function>(function), std::forward<Arguments>(arguments)...)));
}

namespace internal {

/// The awaiter of `SignalStream::next`. A signal is handed to the waiter that has waited longest,
/// so a waiter that was woken has its signal, and a cancellation comes too late to lose it.
class SignalWaiter final : public lowlevel::LineWaiter {
public:
    explicit SignalWaiter(std::shared_ptr<SignalStreamState> stream) noexcept;
    ~SignalWaiter();

    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(line(), coroutine);
    }
    int await_resume() {
        resumed_with_effect();
        return signal_;
    }
    Outcome<int> take_outcome() {
        Outcome<int> outcome;
        if (std::exception_ptr cancellation = interrupted_quietly()) {
            outcome.fail(std::move(cancellation));
        } else {
            outcome.emplace(signal_);
        }
        return outcome;
    }

private:
    friend SignalStreamState;

    lowlevel::Line& line() noexcept;

    /// Kept alive: the stream may be destroyed while tasks wait in its line.
    std::shared_ptr<SignalStreamState> stream_;
    int signal_ = 0;
};

}  // namespace internal

/// The return type of `SignalStream::next`: `co_await` gives an `int`.
class [[nodiscard]] SignalNext {
public:
    explicit SignalNext(std::shared_ptr<internal::SignalStreamState> stream) noexcept;
    SignalNext(const SignalNext&);
    SignalNext& operator=(const SignalNext&) = delete;
    ~SignalNext();
    internal::SignalWaiter operator co_await() const;

private:
    std::shared_ptr<internal::SignalStreamState> stream_;
};

/// The signals of a set, one by one, from the construction on. No signal is lost between two calls
/// of `next`: the stream counts them.
///
///   SignalStream signals({SIGTERM, SIGHUP});
///   for (;;) {
///       const int signal = co_await signals.next();
///       if (signal == SIGTERM) break;
///       reload();
///   }
///
/// Lifetime: may outlive its loop. If it is destroyed while tasks wait in `next`, they wait on
/// until they are cancelled.
/// Python: none; a handler puts the numbers into an `asyncio.Queue`.
class SignalStream {
public:
    /// Subscribes to `signals` in the running loop.
    /// Throws: RuntimeError if no loop runs, or one of the signals cannot be caught; the message
    /// names it. No subscription is left then.
    explicit SignalStream(SignalSet signals);
    /// The same. This overload is for braces: `{SIGTERM}` could otherwise mean a set or a stream.
    explicit SignalStream(std::initializer_list<int> signals);
    SignalStream(const SignalStream&) = delete;
    SignalStream& operator=(const SignalStream&) = delete;
    /// Ends the subscriptions. Signals that were not taken are dropped.
    ~SignalStream();

    /// Waits for the next signal. Returns its number. Signals that have come already are returned
    /// without a wait. Several tasks may wait; each signal goes to one of them, to the one that has
    /// waited longest.
    ///
    /// On the simulated back-end, a program that waits for nothing but a signal is in a deadlock,
    /// because the world knows no source of signals. A test raises the signal in a callback or a
    /// task. If it comes from another thread or process, the test says so with
    /// `loop.expect_wakes(1)`.
    /// Throws: RuntimeError outside a task, in a task of another loop, and after the loop was
    /// closed.
    /// Cancellation: a cancellation point if it must wait; no signal is lost. If a signal was
    /// handed over before the request, the signal is returned and the request stays pending.
    SignalNext next() const;

    /// How many signals have been delivered to the stream and not been taken by `next`. At most
    /// 2^32 − 1 of each signal are counted.
    std::size_t pending() const noexcept;

private:
    std::shared_ptr<internal::SignalStreamState> state_;
};

}  // namespace asyncio
