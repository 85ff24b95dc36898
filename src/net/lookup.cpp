// How a question reaches its answerer, and how the answer comes back.
//
// The job of a thread is a `LoopJob`, as the jobs of `to_thread` are: its states decide what
// happens when a thread and the loop leave at the same time, and the gate of the loop refuses an
// answer that comes after the loop has closed.

#include "net/lookup.h"

#include <asyncio/exceptions.h>
#include <asyncio/internal/executors/loop_threads.h>

#include "net/loop_names.h"
#include "net/name_pool.h"
#include "net/system_names.h"

#include <exception>
#include <typeinfo>
#include <utility>

namespace asyncio::internal {

// --- The job on a thread -------------------------------------------------------------------------

/// Asks the system on a thread, and brings the answer to the lookup.
class LookupJob final : public LoopJob {
public:
    LookupJob(LoopThreads& threads, Lookup& lookup)
        : LoopJob(threads), question_(lookup.question()), lookup_(Ref<Lookup>::share(&lookup)) {
        called = &typeid(LookupJob);
        lookup.job_ = this;
    }

private:
    void call() noexcept override {
        try {
            answer_.emplace(
                system_names().addresses_of(question_.host, question_.service, question_.hints));
        } catch (...) {
            answer_.fail(std::current_exception());
        }
    }
    /// Nothing is held that could not wait for the end of the job.
    void drop_call() noexcept override {}
    void fail_dropped() noexcept override {
        answer_.fail(error_with<RuntimeError>("the lookup was dropped before a thread began it"));
    }
    /// The C library cannot be stopped.
    void request_stop() noexcept override {}
    void deliver() noexcept override { lookup_->finish(std::move(answer_)); }
    void forget_future() noexcept override {
        lookup_->job_ = nullptr;
        lookup_ = {};
    }

    /// A copy: the thread may read it after the lookup has gone.
    const Question question_;
    /// For the loop's thread. Null when the loop does not wait for the job any more.
    Ref<Lookup> lookup_;
    Outcome<Lookup::Answer> answer_;
};

// --- The lookup ----------------------------------------------------------------------------------

Lookup::Lookup(LoopNames& owner, Question question)
    : Alarm(owner.loop()), owner_(&owner), question_(std::move(question)) {}

Ref<Lookup> Lookup::make(LoopNames& owner, Question question) {
    return Ref<Lookup>::adopt(new Lookup(owner, std::move(question)));
}

void Lookup::begin() {
    if (lowlevel::Names* names = alarm_loop().names()) return ask_backend(*names);
    ask_system();
}

/// The alarm holds a reference while it is set, since the tasks may all leave before it rings.
void Lookup::ask_backend(lowlevel::Names& names) {
    Answer answer = names.addresses_of(question_.host, question_.service, question_.hints);
    const Duration delay = answer.delay;
    answer_.emplace(std::move(answer));
    if (delay <= Duration::zero()) return finish(std::move(answer_));
    ring_after(delay);
    retain();
}

/// The job is registered before a thread gets it, because it may end before `submit` returns.
void Lookup::ask_system() {
    LoopThreads& threads = LoopThreads::of(owner_->loop());
    Executor& executor = name_executor();
    auto* job = new LookupJob(threads, *this);
    threads.add(*job);
    executor.submit(ExecutorJob(*job));
}

void Lookup::alarm_rings() noexcept {
    finish(std::move(answer_));
    release();
}

/// The tasks run in the next iteration, in the order in which they have asked.
void Lookup::finish(Outcome<Answer>&& answer) noexcept {
    // The owner may drop its reference, which may be the last one besides the caller's.
    const auto self = Ref<Lookup>::share(this);
    if (&answer != &answer_) answer_ = std::move(answer);
    is_done_ = true;
    while (!line_.empty()) line_.front().wake();
    if (owner_ != nullptr) owner_->answered(*this);
}

/// Without a task that waits, a job in the queue would only delay the questions behind it. A job
/// that a thread has begun goes on, and its answer is kept for the next task that asks.
void Lookup::waiter_left() noexcept {
    if (is_done_ || !line_.empty() || job_ == nullptr) return;
    const auto self = Ref<Lookup>::share(this);
    if (job_->abandon_queued() && owner_ != nullptr) owner_->remove(*this);
}

/// Jobs are let go by the loop itself (`LoopThreads`). An alarm that is set holds a reference.
void Lookup::disown() noexcept {
    owner_ = nullptr;
    if (stop_alarm()) release();
}

}  // namespace asyncio::internal
