// A run from outside: making the loop, running a main coroutine that Ctrl-C can cancel, and the
// order in which everything ends.
//
// The end of a run, in Python's order:
// 1. All tasks that are left are cancelled and run to their end (`residents.cpp`).
// 2. Asynchronous generators that are left are closed (`generator.cpp`), which may start tasks;
//    these end as well.
// 3. The listeners of the loop's shutdown run, in the order of their registration. The default
//    executor registers one: its threads may still call into the loop, so the loop runs while it
//    waits for them. After each listener the tasks that have appeared are ended again.
// 4. The loop is closed. From then on no thread and no callback can reach it.
// The order is given by use: a cleanup of a task may use a generator, and both may use a thread.
//
// Signals. `stop_signals.h` says how Ctrl-C and the signals of `terminate_on` cancel the main task.
// A second Ctrl-C gets the default action of the signal and ends the process: the first has shown
// that the program does not end by itself. Python (3.11 and later) does the same on the first one.

#include <asyncio/run.h>

#include <asyncio/internal/core/uncaught.h>

#include "base/interrupt.h"
#include "core/signal_node.h"
#include "core/stop_signals.h"

#include <cstdio>
#include <memory>
#include <new>

namespace asyncio {
namespace {

/// SIGQUIT in debug mode prints where the tasks stand, for as long as this lives.
class TaskReport {
public:
    explicit TaskReport(EventLoop& loop)
        : node_(loop,
                [](internal::SignalNode& node) noexcept {
                    try {
                        print_tasks(node.loop);
                    } catch (const std::bad_alloc&) {
                        std::fputs("there is no memory for the list of the tasks\n", stderr);
                    }
                }),
          guard_(
              loop.get_debug(),
              [](void* node, int) noexcept { static_cast<internal::SignalNode*>(node)->post(); },
              &node_) {}

private:
    internal::SignalNode node_;
    internal::QuitGuard guard_;  // ends first
};

}  // namespace

Runner::Runner(RunOptions options) : options_(options) {}

internal::SingleRun::SingleRun(RunOptions options) : Runner(options) { runs_once_ = true; }

/// As at the end of Python's `with Runner()`.
Runner::~Runner() { close(); }

/// The loop is made when it is first needed, as in Python: a Runner that is never used opens no
/// descriptor.
EventLoop& Runner::get_loop() {
    if (closed_)
        throw RuntimeError(
            "the runner is closed: Runner::run() and get_loop() need an open runner");
    if (!loop_)
        loop_ = std::make_unique<EventLoop>(LoopOptions{.backend = options_.backend,
                                                        .debug = options_.debug,
                                                        .eager_tasks = options_.eager_tasks});
    return *loop_;
}

/// Python has the same refusal, with the same words.
EventLoop& Runner::loop_to_run() {
    if (internal::here.loop != nullptr)
        throw RuntimeError("asyncio::run() cannot be called from a running event loop");
    return get_loop();
}

/// An error is noted before it is thrown to the caller: if no code catches it, the report of the
/// program's end can say through which awaits it came (`uncaught.cpp`).
void Runner::run_main(TaskRef task, internal::FutureBase& future) {
    run_interruptibly(task, future);
    if (!future.succeeded()) internal::error_leaves_run(future.error());
}

void Runner::run_interruptibly(TaskRef& task, internal::FutureBase& future) {
    const TaskReport report(*loop_);
    if (options_.sigint == Sigint::ignore && options_.terminate_on.empty())
        return internal::run_until_done(*loop_, future);
    stop_signals_ = std::make_unique<internal::StopSignals>(*loop_, options_, runs_once_);
    stop_signals_->run_until_done(*task.core(), future);
}

/// Step 3 of the end. A listener that fails is reported, and the others still have their turn.
/// Tasks that a thread starts meanwhile run until the listener has ended and are then cancelled,
/// like all others.
void Runner::shut_down() {
    while (!loop_->belongings().at_shutdown.empty()) {
        internal::AtShutdown& listener = loop_->belongings().at_shutdown.pop_front();
        try {
            loop_->run_until_complete(listener.run(listener, options_.executor_limit));
        } catch (...) {
            loop_->call_exception_handler({.message = "an error while the loop shuts down",
                                           .exception = std::current_exception()});
        }
        internal::wind_up_residents(*loop_);
    }
}

/// Steps 1 to 3 of the end. Task reports by SIGQUIT work here too, because they are needed most
/// when an end hangs.
void Runner::wind_up() {
    loop_->begin_to_close();
    if (stop_signals_) stop_signals_->listen();
    const TaskReport report(*loop_);
    internal::wind_up_residents(*loop_);
    internal::wind_up_asyncgens(*loop_);
    shut_down();
}

/// Marked as closed first: an error in the middle must not let a second call begin again.
void Runner::close() {
    if (closed_) return;
    if (loop_ && loop_->is_running()) throw RuntimeError("cannot close a runner while it runs");
    closed_ = true;
    if (!loop_) return;
    wind_up();
    loop_->close();
    if (stop_signals_) stop_signals_->end();
}

}  // namespace asyncio
