#pragma once
// The base of every future, whatever it holds: a state that changes once, and the list of the nodes
// that wait for it.
//
// The list holds `Ready` nodes of every kind in the order of their registration: tasks that await,
// done-callbacks, the inner nodes of `gather` and `wait`. Completing a future appends the whole
// list to the loop's ready queue, so all of them run one iteration later, in that order, at the
// cost of six stores. `future.cpp` tells what follows from that.
//
// Thread-safety: loop thread only; the reference count is not atomic.

#include <asyncio/internal/base/frame_pool.h>
#include <asyncio/internal/base/ref.h>
#include <asyncio/internal/base/unique_function.h>
#include <asyncio/internal/core/task_core.h>
#include <asyncio/internal/loop/context_state.h>
#include <asyncio/outcome.h>

#include <compare>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace asyncio {
namespace internal {

class DoneCallback;

}  // namespace internal

/// The return type of `add_done_callback`. The number is used once in the process, so a callback
/// that has run and is gone is never mistaken for another.
class CallbackId {
public:
    /// An id that belongs to no callback.
    constexpr CallbackId() noexcept = default;
    auto operator<=>(const CallbackId&) const noexcept = default;

private:
    friend class internal::DoneCallback;
    constexpr explicit CallbackId(std::uint64_t number) noexcept : number_(number) {}

    std::uint64_t number_ = 0;
};

namespace internal {

/// Null for an empty message, and where there is no memory for it.
std::unique_ptr<std::string> cancel_message_of(std::string_view message) noexcept;
/// A CancelledError with the reason `message`. Where there is no memory for the reason it has none:
/// a request to cancel must not fail.
std::exception_ptr cancellation_with(std::string_view message) noexcept;

/// The part that does not depend on the type of the result: waiting and completing need not know
/// it.
class FutureBase : public Pooled {
public:
    FutureBase(const FutureBase&) = delete;
    FutureBase& operator=(const FutureBase&) = delete;

    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) destroy();
    }
    bool only_reference() const noexcept { return references_ == 1; }

    bool done() const noexcept { return status_ != Status::pending; }
    bool cancelled() const noexcept { return status_ == Status::cancelled; }
    /// Whether the future is done and has a value. Callers ask for this usual end first, because it
    /// costs no virtual call and no `exception_ptr`.
    bool succeeded() const noexcept { return status_ == Status::succeeded; }
    /// Valid only while the loop exists; see `require_loop`.
    lowlevel::Loop& loop() const noexcept { return loop_; }

    /// Called first by every function that only works while the loop exists, and only on its
    /// thread; `function` is its name.
    /// Throws: RuntimeError.
    void require_loop(const char* function) const {
        if (!loop_runs_here()) [[unlikely]]
            require_loop_elsewhere(function);
    }
    /// The same for functions that only work before the loop is closed.
    void require_open_loop(const char* function) const;
    /// The same for functions that any thread may call while the loop exists.
    void require_existing_loop(const char* function) const;
    /// Whether the running loop is the loop of this future, and not a later one at the same
    /// address.
    bool loop_runs_here() const noexcept {
        return here.loop == &loop_ && loop_.number() == loop_number_;
    }

    /// Requests an end. False if the future is done already; its error, if it has one, then counts
    /// as seen. Each kind of future answers in its own way: a task hands the request to what it
    /// waits for, a gather to its parts.
    virtual bool cancel(std::string_view message);
    /// The part that hands a request to cancel on to others; null if the future just ends.
    virtual CancelRelay* relay() noexcept { return nullptr; }

    /// Throws: RuntimeError if the running task could not await this: it belongs to another loop,
    /// or is that task.
    void require_awaitable_by(TaskCore& task) const {
        if (!loop_runs_here() || this == &task.future()) [[unlikely]]
            refuse_await(task);
    }

    /// `node` becomes ready when the future is done. If the future is done already, `node` runs in
    /// the next iteration.
    void notify(Ready& node) noexcept;

    /// The program has seen the error, so it need not be reported when the last reference is
    /// dropped.
    void mark_retrieved() noexcept { retrieved_ = true; }

    /// The error, or what a cancelled future throws; null if there is a value. The future must be
    /// done.
    virtual std::exception_ptr error() const noexcept = 0;

    /// The CancelledError that is thrown where a cancelled future is awaited.
    std::exception_ptr make_cancellation() const noexcept;
    const std::string* cancel_message() const noexcept { return cancel_message_; }
    /// Stores the reason of a request. The library's own requests give no reason, and so keep one
    /// that was given before.
    void set_cancel_message(std::string_view message) noexcept {
        if (!message.empty()) [[unlikely]]
            replace_cancel_message(cancel_message_of(message));
    }
    void drop_cancel_message() noexcept {
        if (cancel_message_ != nullptr) [[unlikely]]
            replace_cancel_message(nullptr);
    }
    std::unique_ptr<std::string> take_cancel_message() noexcept {
        return std::unique_ptr<std::string>(std::exchange(cancel_message_, nullptr));
    }

protected:
    enum class Status : std::uint8_t { pending, succeeded, failed, cancelled };

    explicit FutureBase(lowlevel::Loop& loop) noexcept : loop_(loop), loop_number_(loop.number()) {}
    virtual ~FutureBase();

    /// Changes the state and makes everything ready that waits. The outcome must be in place.
    void complete(Status status) noexcept;
    void require_pending() const;
    [[noreturn]] void refuse_await(TaskCore& task) const;
    /// Gives the error to the handler of the loop if the loop runs on this thread, and to the log
    /// otherwise, because the loop may be gone.
    void report_error(std::string_view what, std::exception_ptr error,
                      std::string_view task_name) const noexcept;

    lowlevel::Loop& loop_;
    /// The nodes to be made ready at the end, in the order of their registration.
    ReadyList waiting_;

private:
    void destroy() noexcept;
    void destroy_deep() noexcept;
    void replace_cancel_message(std::unique_ptr<std::string> message) noexcept;
    void require_loop_elsewhere(const char* function) const;

    union {
        /// The reason of the request in progress; null if it has none. This object owns it.
        std::string* cancel_message_ = nullptr;
        /// Links a future that has no references left and waits for its destruction; see `destroy`.
        FutureBase* dies_next_;
    };
    std::uint32_t references_ = 1;
    /// The number of the loop, which may be gone, with another loop at its address.
    std::uint32_t loop_number_;

protected:
    Status status_ = Status::pending;
    /// The error was seen by the program, or needs no report for another reason.
    bool retrieved_ = false;
    /// Whether `waiting_` has ever held a done-callback, which needs care at completion.
    bool has_callbacks_ = false;

    friend class DoneCallback;
};

/// The state behind `Future<T>`, and the part of a task that others see.
template <class T>
class FutureState : public FutureBase {
public:
    explicit FutureState(lowlevel::Loop& loop) noexcept : FutureBase(loop) {}
    ~FutureState() override {
        if (unretrieved()) [[unlikely]]
            report_unretrieved("a future's exception was never retrieved", {});
    }

    /// Throws InvalidStateError if there is none yet; the error if there is one.
    const Outcome<T>& outcome() {
        require_result();
        retrieved_ = true;
        return outcome_;
    }
    /// The same, with the value moved out; no later caller gets it. An error stays for later
    /// callers.
    Outcome<T> take() {
        require_result();
        retrieved_ = true;
        if (outcome_.failed()) [[unlikely]]
            return Outcome<T>::failure(outcome_.error());
        return std::move(outcome_);
    }
    /// For a caller that gives its reference up: the value is moved out if no other handle can ask
    /// for it, or if it cannot be copied.
    Outcome<T> hand_over() {
        if constexpr (copyable_result<Stored<T>>) {
            if (!only_reference()) return outcome();
        }
        return take();
    }

    void set(Outcome<T>&& outcome) {
        require_pending();
        outcome_ = std::move(outcome);
        complete(outcome_.failed() ? Status::failed : Status::succeeded);
    }
    template <class... Value>
    void set_value(Value&&... value) {
        require_pending();
        outcome_.emplace(std::forward<Value>(value)...);
        complete(Status::succeeded);
    }

    std::exception_ptr error() const noexcept override {
        return outcome_.empty() && cancelled() ? make_cancellation() : outcome_.error();
    }

protected:
    /// Ended with an error that the program has not asked for.
    bool unretrieved() const noexcept { return status_ == Status::failed && !retrieved_; }
    /// Tells the loop's exception handler. The error counts as seen afterwards.
    void report_unretrieved(std::string_view what, std::string_view task_name) noexcept {
        retrieved_ = true;
        report_error(what, outcome_.error(), task_name);
    }

    /// Makes sure that there is an outcome to return. A cancelled future gets its error here, when
    /// it is asked for: most cancellations are never looked at. A future that is done and has no
    /// outcome has given it away.
    void require_result();

    /// Empty until the future is done, and again after the value was moved out.
    Outcome<T> outcome_;
};

[[noreturn]] void throw_no_result(bool done);

template <class T>
void FutureState<T>::require_result() {
    if (!outcome_.empty()) [[likely]]
        return;
    if (!cancelled()) throw_no_result(done());
    outcome_.fail(make_cancellation());
}

/// A callback registered with `add_done_callback`. It deletes itself after it has run.
class DoneCallback final : public Ready, public Pooled {
public:
    using Function = UniqueFunction<void(FutureBase& future)>;

    DoneCallback(FutureBase& future, Function function);

    CallbackId id() const noexcept { return id_; }
    /// Removes and deletes the callback with this id if it is still registered. True if it was.
    static bool remove(FutureBase& future, CallbackId id) noexcept;
    /// The function pointer of a node says what kind it is, so no node needs a type field.
    static DoneCallback* cast(Ready& node) noexcept {
        return node.run == &run_node ? static_cast<DoneCallback*>(&node) : nullptr;
    }

    /// From the completion until it runs, the callback keeps the future alive.
    void keep_future() noexcept;

private:
    static void run_node(Ready& node) noexcept;

    FutureBase& future_;
    Function function_;
    ContextRef context_;
    CallbackId id_;
};

/// Whether a done-callback can be called: with the future, or without arguments. It is given the
/// first handle that fits. The other handles are not tried then, because a closure with an `auto`
/// parameter may not even compile with them.
template <class Callback, class... Handles>
concept DoneCallable = std::disjunction_v<std::is_invocable<std::decay_t<Callback>&, Handles>...,
                                          std::is_invocable<std::decay_t<Callback>&>>;

/// Registers a callback that may want the future as its argument. The handle is made when the
/// callback runs. If the callback held one before, a future that is never set would keep itself
/// alive.
template <class Callback, class MakeHandle>
CallbackId register_done_callback(FutureBase& future, Callback&& callback, MakeHandle make_handle) {
    future.require_open_loop("add_done_callback");
    using Plain = std::decay_t<Callback>;
    using Handle = std::invoke_result_t<MakeHandle&, FutureBase&>;
    auto* node =
        new DoneCallback(future, [call = Plain(std::forward<Callback>(callback)),
                                  make_handle]([[maybe_unused]] FutureBase& ended) mutable {
            static_cast<void>(make_handle);
            if constexpr (std::is_invocable_v<Plain&, Handle>) {
                std::invoke(call, make_handle(ended));
            } else {
                std::invoke(call);
            }
        });
    const CallbackId id = node->id();
    future.notify(*node);
    return id;
}

}  // namespace internal
}  // namespace asyncio
