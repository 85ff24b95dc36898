#include <asyncio/run.h>

#include "base/interrupt.h"

namespace asyncio {
namespace {

/// Carries Ctrl-C from the signal handler into the loop, where the main task can be cancelled.
struct Interruption : internal::Ready {
    Interruption(EventLoop& on, TaskRef main) : loop(on), main_task(std::move(main)) {
        run = [](internal::Ready& node) noexcept {
            auto& self = static_cast<Interruption&>(node);
            self.delivered = true;
            self.main_task.cancel();
        };
    }

    static void post(void* self) noexcept {
        auto& interruption = *static_cast<Interruption*>(self);
        interruption.loop.post(interruption);
    }

    EventLoop& loop;
    TaskRef main_task;
    bool delivered = false;
};

}  // namespace

Runner::Runner(RunOptions options) : options_(options) {}

Runner::~Runner() { close(); }

EventLoop& Runner::get_loop() {
    if (closed_) throw RuntimeError("the runner is closed");
    if (internal::here.loop != nullptr)
        throw RuntimeError("run() cannot be called from a running event loop");
    if (!loop_)
        loop_ = std::make_unique<EventLoop>(
            LoopOptions{.backend = options_.backend, .debug = options_.debug});
    return *loop_;
}

void Runner::run_main(TaskRef task, internal::FutureBase& future) {
    if (options_.sigint == Sigint::ignore) return internal::run_until_done(*loop_, future);

    Interruption interruption(*loop_, task);
    int interrupts = 0;
    {
        const internal::InterruptGuard guard(&Interruption::post, &interruption);
        internal::run_until_done(*loop_, future);
        interrupts = guard.count();
    }
    if (interrupts == 0) return;
    const bool too_late_for_main = !interruption.delivered;
    if (too_late_for_main) {
        // It came when the main task had ended already, and its node still lies in the loop's inbox.
        // One iteration takes it out, since it must not outlive this function.
        loop_->stop();
        loop_->run_forever();
    }
    // The request was ours and the only one, and the task ended of it: that is what Ctrl-C means. If
    // somebody else had asked too, or the task had something else to say, that is what leaves.
    if (too_late_for_main || (future.cancelled() && task.uncancel() == 0)) {
        future.mark_retrieved();
        throw KeyboardInterrupt();
    }
}

void Runner::close() {
    if (closed_) return;
    closed_ = true;
    if (!loop_) return;
    internal::wind_up_residents(*loop_);
    loop_->close();
}

}  // namespace asyncio
