#pragma once
// The signals that end a run: Ctrl-C, and the signals of `RunOptions::terminate_on`.
//
// While the main task runs, the first signal cancels it, in the loop and not in the handler. So the
// cleanups of the program run, and after that `run` throws KeyboardInterrupt or Terminated. A
// second signal of the same kind ends the process (`base/interrupt.h`).
//
// After that the run still has to end: the tasks that are left are cancelled, threads are waited
// for. Ctrl-C has its usual action then, as in Python. The signals of `terminate_on` do not: a
// service that is asked to end while it is about to end must not be broken off. Such a signal is
// noted, and acts when the end is complete.
//
// Thread-safety: the thread of the run, except `hear`.

#include <asyncio/internal/core/own_request.h>
#include <asyncio/run.h>

#include "base/interrupt.h"
#include "core/signal_node.h"

#include <atomic>
#include <list>

namespace asyncio::internal {

class StopSignals : SignalNode {
public:
    /// Listens to the signals of `terminate_on` from now on: until the end of the main task, or
    /// until `end` if `until_end` is true.
    /// Throws: RuntimeError if one of the signals cannot be caught.
    StopSignals(EventLoop& loop, const RunOptions& options, bool until_end);

    /// Listens to them again, until `end`: the end of the run begins.
    void listen() noexcept;

    /// Runs the loop until the main task has ended. Throws: KeyboardInterrupt or Terminated if a
    /// signal was the reason; what the loop throws.
    void run_until_done(TaskCore& main, FutureBase& future);

    /// The end of the run: the signals have their previous actions. If one of them has come since
    /// the main task ended, it ends the process now, and this does not return.
    void end() noexcept;

private:
    class MainScope;

    static void hear(void* self, int signal) noexcept;
    static void cancel_main(SignalNode& node) noexcept;

    bool cancels_on_interrupt_;
    bool until_end_;
    /// The request to the main task while it runs; otherwise null.
    OwnRequest* request_ = nullptr;
    /// The signal that came first; 0 if none has come. Written by handlers.
    std::atomic<int> first_{0};
    /// What `first_` was when the main task had ended. A signal that comes later has not been
    /// answered yet.
    int known_ = 0;
    /// A list, because guards cannot be moved. Ends before the node does, which is a base.
    std::list<TerminationGuard> guards_;
};

}  // namespace asyncio::internal
