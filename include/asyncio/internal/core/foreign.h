#pragma once
// Awaiting an awaiter of another library: one that keeps the handle of the coroutine and resumes it
// itself, at once, later, or on another thread. Senders become awaitable in this way.
//
// Only the loop may resume a task. So such an awaiter is given the handle of another coroutine, a
// small one, the *bridge*, which awaits it in the task's place. The task parks, and the end of the
// bridge makes the task ready.
//
// The owner of the awaitable decides how a cancellation ends. An awaitable that can be moved is
// moved into the frame of the bridge. A task that is cancelled can then continue at once: the
// bridge stays until the other side resumes it, drops the result, and destroys itself. An awaitable
// that cannot be moved, or was given by name, belongs to the caller's frame, which must stay until
// the other side has come: the cancellation waits for that.
//
// A coroutine of another library may itself await something of this library, in the task's own
// step. The task is then parked there, further inside, and the bridge continues the outer coroutine
// when it ends.
//
// Thread-safety: loop thread only, except `ForeignWait::finish`.

#include <asyncio/internal/base/frame_pool.h>
#include <asyncio/internal/core/awaitable.h>
#include <asyncio/internal/loop/step.h>
#include <asyncio/lowlevel/waiter.h>
#include <asyncio/outcome.h>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string_view>
#include <type_traits>
#include <utility>

namespace asyncio::internal {

/// The state that a task and its bridge share. It lives in the frame of the bridge.
///
/// The mutex is held while the task is woken. A task that takes the mutex afterwards knows that the
/// other thread does not touch the loop or this object any more.
class ForeignWait : Ready {
public:
    explicit ForeignWait(TaskCore& task) noexcept : task_(task), loop_(task.loop()) {}
    ForeignWait(const ForeignWait&) = delete;
    ForeignWait& operator=(const ForeignWait&) = delete;

    // The task's side.

    bool finished() noexcept;
    /// False if it has finished already.
    bool begin_parking() noexcept;
    /// The task is suspended further inside. `waiting` must continue when this has finished.
    void begin_inside(std::coroutine_handle<> waiting, PromiseBase* promise) noexcept;
    /// True if the bridge will not touch the task any more; the frame then belongs to the bridge.
    /// False if the bridge has finished, and the task is being woken.
    bool abandon() noexcept;

protected:
    ~ForeignWait() = default;

    /// Called by the bridge, which is suspended at its end. Any thread. `frame` may be gone
    /// afterwards.
    void finish(std::coroutine_handle<> frame) noexcept;

private:
    /// The steps between the phases are listed in `foreign.cpp`.
    enum class Phase : std::uint8_t { starting, parked, inside, abandoned, finished };

    void wake(Ready& node) noexcept;
    void continue_inside() noexcept;

    TaskCore& task_;
    lowlevel::Loop& loop_;
    std::coroutine_handle<> waiting_ = nullptr;
    PromiseBase* waiting_promise_ = nullptr;
    std::mutex mutex_;
    Phase phase_ = Phase::starting;
};

/// The promise of a bridge: `ForeignWait` and a place for the result.
template <class T>
class BridgePromise;

template <class T>
struct Bridge {
    using promise_type = BridgePromise<T>;
    std::coroutine_handle<promise_type> frame;
};

template <class T>
class BridgeResult : public ForeignWait, public FrameFor<alignof(Outcome<T>)> {
public:
    using ForeignWait::ForeignWait;
    template <class Value>
    void return_value(Value&& value) {
        outcome.emplace(std::forward<Value>(value));
    }
    Outcome<T> outcome;
};

template <>
class BridgeResult<void> : public ForeignWait {
public:
    using ForeignWait::ForeignWait;
    void return_void() noexcept { outcome.emplace(); }
    Outcome<void> outcome;
};

template <class T>
class BridgePromise final : public BridgeResult<T> {
    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<BridgePromise> ended) const noexcept {
            ended.promise().finish(ended);
        }
        void await_resume() const noexcept {}
    };

public:
    template <class Given>
    BridgePromise(TaskCore& task, Given&&) noexcept : BridgeResult<T>(task) {}

    Bridge<T> get_return_object() noexcept {
        return {std::coroutine_handle<BridgePromise>::from_promise(*this)};
    }
    /// The bridge runs at once, and stays suspended at its end, so that the awaiter can read the
    /// outcome.
    std::suspend_never initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { this->outcome.fail(std::current_exception()); }
};

/// The bridge. It begins at once, in the task's step. `Held` is the awaitable, or a reference to
/// it.
template <class T, class Held>
Bridge<T> cross_bridge(TaskCore&, Held awaitable) {
    if constexpr (std::is_void_v<T>) {
        co_await static_cast<Held&&>(awaitable);
    } else {
        co_return co_await static_cast<Held&&>(awaitable);
    }
}

/// The awaiter of a foreign awaitable: starts the bridge in `await_ready`, so that an awaitable
/// that is ready costs no suspension.
template <class Given>
class ForeignAwaiter final : public lowlevel::Waiter {
    using T = AwaitResult<Given>;
    using Plain = std::remove_cvref_t<Given>;
    /// Whether the bridge owns the awaitable, and can therefore outlive the task's wait.
    static constexpr bool is_moved =
        !std::is_lvalue_reference_v<Given> && std::move_constructible<Plain>;
    using Held = std::conditional_t<is_moved, Plain, Given&&>;

public:
    explicit ForeignAwaiter(Given&& awaitable) noexcept
        : awaitable_(static_cast<Given&&>(awaitable)) {}
    ForeignAwaiter(const ForeignAwaiter&) = delete;
    ForeignAwaiter& operator=(const ForeignAwaiter&) = delete;
    /// Null if the wait was abandoned: the frame then belongs to the bridge.
    ~ForeignAwaiter() {
        if (bridge_) bridge_.destroy();
    }

    bool await_ready() {
        bridge_ = cross_bridge<T, Held>(task(), static_cast<Given&&>(awaitable_)).frame;
        return bridge_.promise().finished();
    }

    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        TaskCore& self = task();
        // The step is over already: something further inside has parked the task, has made it
        // ready, or has named the next coroutine.
        if (self.parked() != nullptr || self.Ready::linked() || here.next) {
            bridge_.promise().begin_inside(coroutine, promise_base(coroutine));
            return true;
        }
        if (!bridge_.promise().begin_parking()) return false;
        self.loop().expect_wakes(1);
        is_expected_ = true;
        park(coroutine, &abort);
        return true;
    }

    T await_resume() {
        leave();
        resumed_with_effect();
        return bridge_.promise().outcome.last_value();
    }
    Outcome<T> take_outcome() noexcept(std::is_nothrow_move_constructible_v<Outcome<T>>) {
        leave();
        if (std::exception_ptr cancellation = interrupted_quietly())
            return Outcome<T>::failure(std::move(cancellation));
        return std::move(bridge_.promise().outcome);
    }

private:
    static Abort abort(Waiter& waiter, std::string_view) noexcept {
        auto& self = static_cast<ForeignAwaiter&>(waiter);
        if (!is_moved || !self.bridge_.promise().abandon()) return Abort::too_late;
        self.bridge_ = nullptr;
        return Abort::removed;
    }

    /// Taking the mutex once proves that the other side is done: it holds the mutex until its
    /// wake-up is complete.
    void leave() noexcept {
        if (std::exchange(is_expected_, false)) task().loop().expect_wakes(-1);
        if (bridge_) static_cast<void>(bridge_.promise().finished());
    }

    Given&& awaitable_;
    std::coroutine_handle<BridgePromise<T>> bridge_ = nullptr;
    /// The back-end was told that a wake-up will come from outside (`expect_wakes`).
    bool is_expected_ = false;
};

}  // namespace asyncio::internal
