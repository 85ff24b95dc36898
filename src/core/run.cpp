#include <asyncio/run.h>

#include "base/interrupt.h"

#include <atomic>

namespace asyncio {
namespace {

/// Carries Ctrl-C from the signal handler into the loop, where the main task can be cancelled.
struct Interruption : internal::Ready {
    Interruption(EventLoop& on, TaskRef main) : loop(on), main_task(std::move(main)) {
        run = [](internal::Ready& node) noexcept {
            auto& self = static_cast<Interruption&>(node);
            self.taken = true;
            self.asked = self.main_task.cancel();
        };
    }

    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;

    /// One that came too late for the main task still lies in the loop's inbox, and must not
    /// outlive this object there: one iteration takes it out. The signal handler is gone by now.
    ~Interruption() {
        if (!posted || taken) return;
        loop.stop();
        loop.run_forever();
    }

    static void post(void* self) noexcept {
        auto& interruption = *static_cast<Interruption*>(self);
        interruption.posted = true;
        interruption.loop.post(interruption);
    }

    EventLoop& loop;
    TaskRef main_task;
    std::atomic<bool> posted{false};
    /// The loop has it out of its inbox.
    bool taken = false;
    /// The main task was there to be asked to end.
    bool asked = false;
};

}  // namespace

Runner::Runner(RunOptions options) : options_(options) {}

Runner::~Runner() { close(); }

EventLoop& Runner::get_loop() {
    if (closed_) throw RuntimeError("the runner is closed");
    if (!loop_)
        loop_ = std::make_unique<EventLoop>(LoopOptions{.backend = options_.backend,
                                                        .debug = options_.debug,
                                                        .eager_tasks = options_.eager_tasks});
    return *loop_;
}

EventLoop& Runner::loop_to_run() {
    if (internal::here.loop != nullptr)
        throw RuntimeError("run() cannot be called from a running event loop");
    return get_loop();
}

void Runner::run_main(TaskRef task, internal::FutureBase& future) {
    if (options_.sigint == Sigint::ignore) return internal::run_until_done(*loop_, future);

    Interruption interruption(*loop_, task);
    const internal::InterruptGuard guard(&Interruption::post, &interruption);
    internal::run_until_done(*loop_, future);
    if (guard.count() == 0) return;
    // If the request to cancel was ours and the only one, and the task ended of it, that is what
    // Ctrl-C means. If somebody else had asked too, or the task had something else to say, that is
    // what leaves. A Ctrl-C that the main task did not live to see is not lost either.
    if (!interruption.asked || (future.cancelled() && task.uncancel() == 0)) {
        future.mark_retrieved();
        throw KeyboardInterrupt();
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

void Runner::close() {
    if (closed_) return;
    if (loop_ && loop_->is_running()) throw RuntimeError("cannot close a runner while it runs");
    closed_ = true;
    if (!loop_) return;
    internal::wind_up_residents(*loop_);
    internal::wind_up_asyncgens(*loop_);
    shut_down();
    loop_->close();
}

}  // namespace asyncio
