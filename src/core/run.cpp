#include <asyncio/run.h>

#include <asyncio/internal/uncaught.h>

#include "base/interrupt.h"

#include <atomic>
#include <cstdio>
#include <new>

namespace asyncio {
namespace {

/// Carries a signal from its handler into the loop. Its guard must have ended before it does, so
/// that no handler is on its way to it any more.
struct SignalNode : internal::Ready {
    SignalNode(EventLoop& on, void (*function)(internal::Ready&) noexcept) : loop(on) {
        run = function;
    }
    SignalNode(const SignalNode&) = delete;
    SignalNode& operator=(const SignalNode&) = delete;

    /// One that came too late for the loop still lies in its inbox, and must not outlive this
    /// object there: one iteration takes it out.
    ~SignalNode() {
        if (!posted) return;
        loop.stop();
        loop.run_forever();
    }

    /// In a signal handler. No effect while the loop has not taken the one before.
    void post() noexcept {
        if (!posted.exchange(true)) loop.post(*this);
    }

    EventLoop& loop;
    std::atomic<bool> posted{false};
};

/// Ctrl-C: the main task is cancelled.
struct Interruption : SignalNode {
    Interruption(EventLoop& on, TaskRef main)
        : SignalNode(on, &in_loop), main_task(std::move(main)) {}

    static void in_loop(internal::Ready& node) noexcept {
        auto& self = static_cast<Interruption&>(node);
        self.posted = false;
        self.asked = self.main_task.cancel();
    }
    static void in_handler(void* self) noexcept { static_cast<Interruption*>(self)->post(); }

    TaskRef main_task;
    /// The main task was there to be asked to end.
    bool asked = false;
};

/// SIGQUIT in debug mode: where do the tasks stand? While it lives.
class TaskReport {
public:
    explicit TaskReport(EventLoop& loop)
        : node_(loop,
                [](internal::Ready& node) noexcept {
                    auto& self = static_cast<SignalNode&>(node);
                    self.posted = false;
                    try {
                        print_tasks(self.loop);
                    } catch (const std::bad_alloc&) {
                        std::fputs("there is no memory for the list of the tasks\n", stderr);
                    }
                }),
          guard_(
              loop.get_debug(), [](void* node) noexcept { static_cast<SignalNode*>(node)->post(); },
              &node_) {}

private:
    SignalNode node_;
    internal::QuitGuard guard_;  // ends first
};

}  // namespace

Runner::Runner(RunOptions options) : options_(options) {}

Runner::~Runner() { close(); }

EventLoop& Runner::get_loop() {
    if (closed_)
        throw RuntimeError(
            "the runner is closed: Runner::run() and get_loop() need one that is open");
    if (!loop_)
        loop_ = std::make_unique<EventLoop>(LoopOptions{.backend = options_.backend,
                                                        .debug = options_.debug,
                                                        .eager_tasks = options_.eager_tasks});
    return *loop_;
}

EventLoop& Runner::loop_to_run() {
    if (internal::here.loop != nullptr)
        throw RuntimeError("asyncio::run() cannot be called from a running event loop");
    return get_loop();
}

void Runner::run_main(TaskRef task, internal::FutureBase& future) {
    run_interruptibly(task, future);
    if (!future.succeeded()) internal::error_leaves_run(future.error());
}

void Runner::run_interruptibly(TaskRef& task, internal::FutureBase& future) {
    const TaskReport report(*loop_);
    if (options_.sigint == Sigint::ignore) return internal::run_until_done(*loop_, future);

    Interruption interruption(*loop_, task);
    internal::InterruptGuard guard(&Interruption::in_handler, &interruption);
    internal::run_until_done(*loop_, future);
    guard.end();
    if (guard.count() == 0) return;
    // If the request to cancel was ours and the only one, and the task ended of it, that is what
    // Ctrl-C means. If somebody else had asked too, or the task had something else to say, that is
    // what leaves. A Ctrl-C that the main task did not live to see is not lost either.
    if (!interruption.asked || (future.cancelled() && task.uncancel() == 0)) {
        future.mark_retrieved();
        const auto interrupt = std::make_exception_ptr(KeyboardInterrupt());
        internal::error_leaves_run(interrupt);
        std::rethrow_exception(interrupt);
    }
}

/// What has a part in the end besides tasks, one after the other. Tasks that are started meanwhile,
/// by a thread for instance, run until then and get what the others got.
void Runner::shut_down() {
    while (!loop_->at_shutdown().empty()) {
        internal::AtShutdown& listener = loop_->at_shutdown().pop_front();
        try {
            loop_->run_until_complete(listener.run(listener, options_.executor_limit));
        } catch (...) {
            loop_->call_exception_handler({.message = "an error while the loop shuts down",
                                           .exception = std::current_exception()});
        }
        internal::wind_up_residents(*loop_);
    }
}

void Runner::wind_up() {
    loop_->begin_to_close();
    const TaskReport report(*loop_);
    internal::wind_up_residents(*loop_);
    internal::wind_up_asyncgens(*loop_);
    shut_down();
}

void Runner::close() {
    if (closed_) return;
    if (loop_ && loop_->is_running()) throw RuntimeError("cannot close a runner while it runs");
    closed_ = true;
    if (!loop_) return;
    wind_up();
    loop_->close();
}

}  // namespace asyncio
