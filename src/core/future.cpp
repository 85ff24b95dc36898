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

/// A future that waits for its end lies in the line where its cancel message would be.
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
    // Tasks that wait hold a reference, so what is still registered with a dying future is
    // done-callbacks at most.
    waiting_.for_each([](Ready& node) {
        node.unlink();
        delete DoneCallback::cast(node);
    });
}

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
        // What a copy throws into `make_exception_ptr` is what that returns.
        if (is_cancellation(cancellation)) return cancellation;
    } catch (const std::bad_alloc&) {
    }
    return std::make_exception_ptr(CancelledError());
}

void FutureBase::replace_cancel_message(std::unique_ptr<std::string> message) noexcept {
    delete std::exchange(cancel_message_, message.release());
}

void FutureBase::require_existing_loop(const char* function) const {
    if (!loop_runs_here() && !loop_exists(loop_number_))
        throw RuntimeError(std::string(function) + "(): the event loop of this future is gone");
}

void FutureBase::require_open_loop(const char* function) const {
    require_loop(function);
    if (loop_.is_closed())
        throw RuntimeError(std::string(function) + "(): the event loop of this future is closed");
}

void FutureBase::require_loop_elsewhere(const char* function) const {
    require_existing_loop(function);
    loop_.check_thread();
}

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

void FutureBase::report_error(std::string_view what, std::exception_ptr error,
                              std::string_view task_name) const noexcept {
    if (loop_runs_here()) {
        loop_.call_exception_handler(
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

/// Out of the way of `resumed`, for it is rare.
void FutureWaiter::prefer_awaited() {
    const FutureBase& self = task().future();
    if (!interrupted() && self.cancel_message() == nullptr && !awaited_->succeeded() &&
        is_cancellation(awaited_->error()))
        task().withdraw();
}

void throw_no_result(bool done) {
    throw InvalidStateError(done ? "the result has been moved out, and somebody else has it"
                                 : "the result is not there yet");
}

}  // namespace asyncio::internal

std::exception_ptr asyncio::FutureRef::exception() const {
    if (!done()) internal::throw_no_result(false);
    existing().mark_retrieved();
    if (cancelled()) std::rethrow_exception(existing().error());
    return existing().error();
}

namespace asyncio::internal {

// Done-callbacks.

DoneCallback::DoneCallback(FutureBase& future, Function function)
    : future_(future),
      function_(std::move(function)),
      context_(current_context().copy()),
      id_(next_number<DoneCallback>()) {
    run = &run_node;
}

void DoneCallback::keep_future() noexcept { future_.retain(); }

bool DoneCallback::remove(FutureBase& future, CallbackId id) noexcept {
    if (future.done()) return false;  // those that have not run are on their way
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

void DoneCallback::run_node(Ready& node) noexcept {
    auto* callback = static_cast<DoneCallback*>(&node);
    FutureBase& future = callback->future_;
    EventLoop& loop = future.loop();
    if (!loop.is_closed()) {
        const StepWatch watch(loop, [](std::span<char> text) noexcept {
            return StepWatch::write(text, "a done-callback");
        });
        here.context = &callback->context_;
        try {
            callback->function_(future);
        } catch (...) {
            loop.call_exception_handler({.message = "an exception left a done-callback",
                                         .exception = std::current_exception()});
        }
        here.context = nullptr;
        watch.end([] { return std::string("a done-callback"); });
    }
    delete callback;
    future.release();
}

}  // namespace asyncio::internal
