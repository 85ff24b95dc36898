// How a signal becomes a request to cancel, and which error leaves `run` because of it.

#include "core/stop_signals.h"

#include <asyncio/internal/core/uncaught.h>
#include <asyncio/task.h>

#include <csignal>
#include <exception>
#include <optional>

namespace asyncio::internal {

/// A signal that does not make sense is refused before any guard begins. SIGINT may have two guards
/// while the main task runs. Both hear the first one, and the second one has the effect that
/// Ctrl-C has.
StopSignals::StopSignals(EventLoop& loop, const RunOptions& options, bool until_end)
    : SignalNode(loop, &cancel_main),
      cancels_on_interrupt_(options.sigint == Sigint::cancel_main),
      until_end_(until_end) {
    options.terminate_on.for_each(&require_catchable);
    options.terminate_on.for_each(
        [this](int signal) { guards_.emplace_back(signal, &hear, this); });
}

/// In the signal handler.
void StopSignals::hear(void* self, int signal) noexcept {
    auto& signals = *static_cast<StopSignals*>(self);
    int none = 0;
    signals.first_.compare_exchange_strong(none, signal);
    signals.post();
}

/// In the loop. A second signal, of another kind, adds no request.
void StopSignals::cancel_main(SignalNode& node) noexcept {
    OwnRequest* const request = static_cast<StopSignals&>(node).request_;
    if (request != nullptr && !request->is_made()) request->make();
}

/// The time in which a signal cancels the main task. The task may also end by an error of the loop.
class StopSignals::MainScope {
public:
    MainScope(StopSignals& signals, OwnRequest& request) : signals_(signals) {
        signals_.request_ = &request;
        if (signals_.cancels_on_interrupt_) interrupt_.emplace(&hear, &signals_);
    }
    MainScope(const MainScope&) = delete;
    MainScope& operator=(const MainScope&) = delete;

    /// From here on Ctrl-C has its previous action again, and no handler of it is running. Between
    /// two runs of a Runner the other signals have their previous actions, too. They have not if
    /// one of them has come: the same request may come a second time, from timeout(1) for example,
    /// and must not break off the end.
    ~MainScope() {
        interrupt_.reset();
        signals_.request_ = nullptr;
        if (!signals_.until_end_ && signals_.first_ == 0)
            for (TerminationGuard& guard : signals_.guards_) guard.end();
        signals_.known_ = signals_.first_;
    }

private:
    StopSignals& signals_;
    std::optional<InterruptGuard> interrupt_;
};

namespace {

/// Throws what a signal turns the end of the main task into.
[[noreturn]] void throw_stop(int signal) {
    const std::exception_ptr stop = signal == SIGINT ? std::make_exception_ptr(KeyboardInterrupt())
                                                     : std::make_exception_ptr(Terminated(signal));
    error_leaves_run(stop);
    std::rethrow_exception(stop);
}

}  // namespace

/// The signal's error is thrown in two cases. In the first, the signal made the only request to
/// cancel, and the request has ended the task. In the second, the main task had ended before it
/// could be cancelled: the signal must not get lost. In every other case the task's own result or
/// error leaves: another request was made too, or the task has answered the request with something
/// else.
void StopSignals::run_until_done(TaskCore& main, FutureBase& future) {
    OwnRequest request(main);
    {
        const MainScope scope(*this, request);
        internal::run_until_done(loop, future);
    }
    if (known_ == 0) return;
    if (!request.is_made() || (future.cancelled() && request.take_back() == 0)) {
        future.mark_retrieved();
        throw_stop(known_);
    }
}

void StopSignals::listen() noexcept {
    for (TerminationGuard& guard : guards_) guard.begin();
}

void StopSignals::end() noexcept {
    guards_.clear();
    const int late = first_;
    if (late != known_) end_by_signal(late);
}

}  // namespace asyncio::internal
