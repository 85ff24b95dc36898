// The functions of the loop that a program calls: its callbacks, its errors, and its end.
// `loop.cpp` shows how it runs.

#include <asyncio/event_loop.h>

#include "base/log.h"
#include "loop/callback.h"

#include <memory>
#include <string>
#include <utility>

namespace asyncio {
EventLoop::EventLoop(LoopOptions options)
    : EventLoop(lowlevel::make_backend(options.backend), options) {}

EventLoop::EventLoop(std::unique_ptr<lowlevel::Backend> backend, LoopOptions options)
    : Loop(std::move(backend), options.debug.value_or(debug_requested())),
      eager_tasks_(options.eager_tasks) {}

/// A loop that was never closed is closed here, and its tasks are run to their end. Python's
/// destructor warns, and closes without running them.
EventLoop::~EventLoop() {
    close();
    drop_ready();  // a future of the closed loop may have scheduled something since
}

/// Tasks come first, then generators: these run, and the loop runs for them. `end` does the rest.
void EventLoop::close() {
    if (is_running()) throw RuntimeError("EventLoop::close() cannot close a running event loop");
    if (is_closed()) return;
    begin_to_close();
    if (!residents().empty()) internal::wind_up_residents(*this);
    internal::wind_up_asyncgens(*this);
    end();
}

// Callbacks.

/// Allocates twice, for the node and for the callable. Tasks do not come here: their node is part
/// of the task.
Handle EventLoop::call_soon(internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::call_soon()");
    check_thread();
    auto* node = new internal::CallbackNode(*this, std::move(callback));
    schedule(*node);
    return Handle(node);
}

/// The clock is that of the back-end, which is virtual in a simulation. A delay that is too long
/// means never.
TimerHandle EventLoop::call_later(Delay delay, internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::call_later()");
    check_thread();
    return call_at(internal::add_saturating(time(), delay), std::move(callback));
}

/// The heap may have to grow. If there is no memory for that, the node is in no list and is
/// released here.
TimerHandle EventLoop::call_at(Deadline when, internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::call_at()");
    check_thread();
    auto* node = new internal::CallbackNode(*this, std::move(callback));
    node->when = when;
    try {
        arm(node->timer, when);
    } catch (...) {
        node->release();
        throw;
    }
    return TimerHandle(node);
}

/// Gives a callback to a loop from another thread, for callers that know that the loop exists.
/// Callers that do not know it use `LoopHandle`.
Handle EventLoop::call_soon_threadsafe(internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::call_soon_threadsafe()");
    auto* node = new internal::CallbackNode(*this, std::move(callback));
    // The handle is made before the node is posted: from then on the loop may run the node and
    // release it at any moment.
    Handle handle(node);
    // The loop's own thread needs no wake-up, and keeps the order of its callbacks.
    if (internal::here.loop == this) {
        schedule(*node);
    } else if (!post(*node)) {
        node->release();
        // A loop that closes shuts its gate before it says that it is closed.
        refuse_closed("EventLoop::call_soon_threadsafe()");
    }
    return handle;
}

// Errors.

/// The handler is held by a second reference while it runs: it may replace itself. A handler that
/// throws must not end the loop, and the error that it was given is still reported.
void EventLoop::call_exception_handler(const ErrorContext& context) noexcept {
    const std::shared_ptr<const ExceptionHandler> handler = exception_handler_;
    if (handler == nullptr) return default_exception_handler(context);
    try {
        (*handler)(*this, context);
    } catch (...) {
        default_exception_handler({.message = "the exception handler threw an exception",
                                   .exception = std::current_exception()});
        default_exception_handler(context);
    }
}

/// The text is made only if the log is written, and without memory a fixed text takes its place
/// (`base/log.h`).
void EventLoop::default_exception_handler(const ErrorContext& context) noexcept {
    internal::log(LogLevel::error, context.message, [&context] {
        std::string line(context.message);
        if (!context.task_name.empty()) line += " (" + std::string(context.task_name) + ")";
        if (context.exception != nullptr) line += ": " + describe(context.exception);
        return line;
    });
}

/// A handler is kept by a shared pointer: one that is running outlives its replacement.
void EventLoop::set_exception_handler(ExceptionHandler handler) {
    exception_handler_ =
        handler ? std::make_shared<const ExceptionHandler>(std::move(handler)) : nullptr;
}

ExceptionHandler EventLoop::get_exception_handler() const {
    return exception_handler_ != nullptr ? *exception_handler_ : ExceptionHandler();
}

void internal::throw_no_loop(const char* function) {
    throw RuntimeError(std::string("no running event loop: ") + function +
                       " must be called in a coroutine or a callback that a loop runs");
}

}  // namespace asyncio
