#include <asyncio/future.h>

#include "base/log.h"
#include "loop/step_watch.h"

namespace asyncio::internal {

FutureBase::~FutureBase() {
    // Tasks that wait hold a reference, so what is still registered with a dying future is
    // done-callbacks at most.
    waiting_.for_each([](Ready& node) {
        node.unlink();
        delete DoneCallback::cast(node);
    });
}

bool FutureBase::cancel(std::string_view message) {
    loop_.check_thread();
    if (done()) {
        retrieved_ = true;
        return false;
    }
    set_cancel_message(message);
    complete(Status::cancelled);
    return true;
}

void FutureBase::set_cancel_message(std::string_view message) {
    cancel_message_ = message.empty() ? nullptr : std::make_unique<std::string>(message);
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

std::exception_ptr FutureBase::make_cancellation() const {
    return std::make_exception_ptr(cancel_message_ ? CancelledError(*cancel_message_)
                                                   : CancelledError());
}

void FutureBase::report_error(std::string_view what, std::exception_ptr error,
                              std::string_view task_name) const noexcept {
    if (here.loop == &loop_) {
        loop_.call_exception_handler(
            {.message = what, .exception = std::move(error), .task_name = task_name});
        return;
    }
    std::string line(what);
    if (!task_name.empty()) line += " (" + std::string(task_name) + ")";
    log(LogLevel::error, line + ": " + describe(error));
}

void FutureBase::refuse_await(TaskCore& task) const {
    throw RuntimeError(task.name() + (&loop_ == here.loop
                                          ? " awaits itself"
                                          : " awaits a future of another event loop"));
}

void throw_no_result(bool done) {
    throw InvalidStateError(done ? "the result has been moved out, and somebody else has it"
                                 : "the result is not there yet");
}

}  // namespace asyncio::internal

std::exception_ptr asyncio::FutureRef::exception() const {
    if (!done()) internal::throw_no_result(false);
    state_->mark_retrieved();
    if (cancelled()) std::rethrow_exception(state_->error());
    return state_->error();
}

namespace asyncio::internal {

// Done-callbacks.

DoneCallback::DoneCallback(FutureBase& future, Function function)
    : future_(future), function_(std::move(function)), context_(current_context().copy()) {
    run = &run_node;
}

void DoneCallback::keep_future() noexcept {
    keeps_ = true;
    future_.retain();
}

bool DoneCallback::remove(FutureBase& future, const void* id) noexcept {
    DoneCallback* found = nullptr;
    future.waiting_.for_each([&](Ready& node) {
        if (&node == id) found = cast(node);
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
