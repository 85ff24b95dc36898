// The end of a future and what follows from it: the wake-up of its waiters, done-callbacks, reports
// of errors that were never asked for, and the destruction of long chains.
//
// Completion. `complete` writes the status and appends the whole list of waiters to the loop's
// ready queue; it runs none of them. Tasks, done-callbacks, and the nodes of `gather` and `wait`
// stand in one list, in the order of their registration, and run in that order in the next
// iteration. CPython calls `call_soon` once for each of them, with the same result. Here the cost
// is six stores for a list of any length, unless there are done-callbacks among them.
//
// Why `complete` runs nothing. `set_result` would be faster if it resumed a waiter directly. Then
// code would run in the middle of the caller's function, the order of events would depend on the
// structure of the awaits, and a chain of futures would be a recursion.
//
// Ownership. Every handle of a future holds a reference, and so does every task that waits for it
// (by the `Ref` in the awaiter). A node in its list holds none, because it is part of an object
// that has a reference anyway. The exception is a done-callback: its node is an allocation of its
// own. Until the completion it belongs to the future and dies with it. From the completion until
// its turn it belongs to the ready queue, and holds a reference to the future, which it needs as
// its argument. If it held one before, a future that is never set would keep itself alive.
//
// A future may outlive its loop, and another loop may come to lie at the address of the first. So a
// future also stores the number of its loop, and `require_loop` compares both before anything
// touches the loop.

#include <asyncio/future.h>

#include "base/log.h"
#include "base/numbers.h"
#include "core/nested_destruction.h"
#include "loop/live_loop.h"
#include "loop/step_watch.h"

#include <new>

namespace asyncio::internal {

void FutureBase::destroy() noexcept {
    if (is_stack_short()) [[likely]] {
        delete this;
    } else {
        destroy_deep();
    }
}

/// The list of futures that wait is linked through `dies_next_`, which shares its bytes with the
/// reason of a cancellation. So the reason is dropped before a future enters the list, and the
/// pointer is cleared before the destructor would delete it as a reason.
void FutureBase::destroy_deep() noexcept {
    struct FutureKind {
        using Node = FutureBase;

        static void destroy(FutureBase& future) noexcept { delete &future; }
        static void postpone(FutureBase& future, FutureBase* next) noexcept {
            future.drop_cancel_message();
            future.dies_next_ = next;
        }
        static FutureBase* resume(FutureBase& future) noexcept {
            FutureBase* const next = future.dies_next_;
            future.cancel_message_ = nullptr;
            return next;
        }
    };
    constinit static thread_local NestedDestruction<FutureKind> nested_futures{};
    nested_futures.destroy(*this);
}

FutureBase::~FutureBase() {
    delete cancel_message_;
    // A task that waits holds a reference, so a dying future has no tasks in its list. The node of
    // a watch can be left, if the owner drops its handles before the watch ends: the node is taken
    // out. A done-callback can be left, too; it belongs to the future and is deleted.
    waiting_.for_each([](Ready& node) {
        node.unlink();
        delete DoneCallback::cast(node);
    });
}

/// A plain future waits for nothing to which it could hand the request, so it ends at once and
/// wakes its waiters. As in Python, cancelling a future that is done marks its error as seen.
bool FutureBase::cancel(std::string_view message) {
    if (done()) {
        retrieved_ = true;
        return false;
    }
    require_loop("cancel");
    set_cancel_message(message);
    complete(Status::cancelled);
    return true;
}

std::unique_ptr<std::string> cancel_message_of(std::string_view message) noexcept {
    if (message.empty()) return nullptr;
    try {
        return std::make_unique<std::string>(message);
    } catch (const std::bad_alloc&) {
        return nullptr;  // the request counts, not its reason
    }
}

std::exception_ptr cancellation_with(std::string_view message) noexcept {
    if (message.empty()) return std::make_exception_ptr(CancelledError());
    try {
        std::exception_ptr cancellation =
            std::make_exception_ptr(CancelledError(std::string(message)));
        // `make_exception_ptr` copies the error, and the copy of the string may fail. The function
        // then returns a pointer to that `bad_alloc` instead of throwing it.
        if (is_cancellation(cancellation)) return cancellation;
    } catch (const std::bad_alloc&) {
    }
    return std::make_exception_ptr(CancelledError());
}

/// The reason is a plain pointer and not a `unique_ptr`, because it shares its bytes with a link
/// (`dies_next_`).
void FutureBase::replace_cancel_message(std::unique_ptr<std::string> message) noexcept {
    delete std::exchange(cancel_message_, message.release());
}

/// Usually the loop runs here, and the list of loops is not searched.
void FutureBase::require_existing_loop(const char* function) const {
    if (!loop_runs_here() && !loop_exists(loop_number_))
        throw RuntimeError(std::string(function) +
                           "(): the event loop of this future has been destroyed");
}

/// A callback that is registered on a closed loop would never run.
void FutureBase::require_open_loop(const char* function) const {
    require_loop(function);
    if (loop_.is_closed())
        throw RuntimeError(std::string(function) + "(): the event loop of this future is closed");
}

/// The slow part of `require_loop`. A loop that does not run at the moment may be used from any
/// thread. A loop that runs on another thread may not, and only debug mode can tell.
void FutureBase::require_loop_elsewhere(const char* function) const {
    require_existing_loop(function);
    loop_.check_thread();
}

/// A future that is done makes the node ready at once, so it runs in the next iteration and not
/// inside this call: as with `add_done_callback` on a future of Python's that is done.
void FutureBase::notify(Ready& node) noexcept {
    DoneCallback* callback = DoneCallback::cast(node);
    if (callback != nullptr) has_callbacks_ = true;
    if (!done()) {
        waiting_.push_back(node);
        return;
    }
    if (callback != nullptr) callback->keep_future();
    loop_.schedule(node);
}

/// The status comes first. A node may ask for it as soon as it is in the ready queue. References
/// for done-callbacks are taken while these are still in the list: afterwards the nodes belong to
/// the loop, and the first one that runs may drop the last handle of this future.
void FutureBase::complete(Status status) noexcept {
    status_ = status;
    if (has_callbacks_) [[unlikely]] {
        waiting_.for_each([](Ready& node) {
            if (DoneCallback* callback = DoneCallback::cast(node)) callback->keep_future();
        });
    }
    loop_.schedule_all(waiting_);
}

void FutureBase::require_pending() const {
    if (done()) throw InvalidStateError("the future is done already");
}

std::exception_ptr FutureBase::make_cancellation() const noexcept {
    return cancellation_with(cancel_message_ != nullptr ? std::string_view(*cancel_message_) : "");
}

/// The handler of the loop may only be called while that loop runs on this thread. A future that
/// ends later, or elsewhere, writes to the log, because its loop may be gone.
void FutureBase::report_error(std::string_view what, std::exception_ptr error,
                              std::string_view task_name) const noexcept {
    if (loop_runs_here()) {
        face_of(loop_).call_exception_handler(
            {.message = what, .exception = std::move(error), .task_name = task_name});
        return;
    }
    log(LogLevel::error, what, [&] {
        std::string line(what);
        if (!task_name.empty()) line += " (" + std::string(task_name) + ")";
        return line + ": " + describe(error);
    });
}

void FutureBase::refuse_await(TaskCore& task) const {
    throw RuntimeError(task.name() + (loop_runs_here() ? " awaits itself"
                                                       : " awaits a future of another event loop"));
}

/// Two cancellations meet: the awaited future was cancelled and has woken this task, and then the
/// task itself was cancelled without a reason, before it ran. Both say the same. The one of the
/// awaited future is thrown, because it may carry a reason, and the request to the task is taken
/// back. Otherwise the task would find it again at its next wait.
///
/// Kept out of `resumed`, which is inlined into every await.
void FutureWaiter::prefer_awaited() {
    const FutureBase& self = task().future();
    if (!interrupted() && self.cancel_message() == nullptr && !awaited_->succeeded() &&
        is_cancellation(awaited_->error()))
        task().withdraw();
}

void throw_no_result(bool done) {
    throw InvalidStateError(done ? "the result has been moved out already"
                                 : "the result is not set yet");
}

}  // namespace asyncio::internal

/// Asking counts as seeing the error, also when the answer is thrown.
std::exception_ptr asyncio::FutureRef::exception() const {
    if (!done()) internal::throw_no_result(false);
    existing().mark_retrieved();
    if (cancelled()) std::rethrow_exception(existing().error());
    return existing().error();
}

namespace asyncio::internal {

// Done-callbacks.

/// A callback runs in a copy of the context in which it was registered, as in Python.
DoneCallback::DoneCallback(FutureBase& future, Function function)
    : future_(future),
      function_(std::move(function)),
      context_(current_context().copy()),
      id_(next_number<DoneCallback>()) {
    run = &run_node;
}

void DoneCallback::keep_future() noexcept { future_.retain(); }

/// Found by searching the list: a future has few callbacks, and an id that pointed to a node could
/// dangle.
bool DoneCallback::remove(FutureBase& future, CallbackId id) noexcept {
    if (future.done()) return false;  // a callback that has not run is in the ready queue
    DoneCallback* found = nullptr;
    future.waiting_.for_each([&](Ready& node) {
        DoneCallback* const callback = cast(node);
        if (callback != nullptr && callback->id_ == id) found = callback;
    });
    if (found == nullptr) return false;
    found->unlink();
    delete found;
    return true;
}

/// The turn of a callback. On a closed loop it does not run, but the node is still deleted and the
/// reference to the future dropped: a loop that closes gives each of its nodes a turn for this
/// reason. An error of the callback goes to the handler of the loop, because no code is waiting for
/// it.
void DoneCallback::run_node(Ready& node) noexcept {
    auto* callback = static_cast<DoneCallback*>(&node);
    FutureBase& future = callback->future_;
    EventLoop& loop = face_of(future.loop());
    if (!loop.is_closed()) {
        const StepWatch watch(loop, [](std::span<char> text) noexcept {
            return StepWatch::write(text, "a done-callback");
        });
        here.context = &callback->context_;
        try {
            callback->function_(future);
        } catch (...) {
            loop.call_exception_handler({.message = "a done-callback threw an exception",
                                         .exception = std::current_exception()});
        }
        here.context = nullptr;
        watch.end([] { return std::string("a done-callback"); });
    }
    delete callback;
    future.release();
}

}  // namespace asyncio::internal
