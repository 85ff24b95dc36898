// The queue between the loop and the threads that wait for the disk.
//
// A thread's job is not one operation but a runner: it takes operations until the queue is empty,
// and then gives the thread back to the pool. An operation that is queued while all runners are
// busy starts a further one, up to the limit. A runner becomes inactive under the same mutex under
// which it finds the queue empty. So an operation that is queued after that moment finds the runner
// inactive and starts it again, and no operation is left behind.
//
// The wake-up happens outside the mutex, so that the loop does not wake into a locked one. The
// runner is still active at that moment, and the destructor waits for it: so `wake_` is never
// called after the back-end has gone.
//
// In the child of a fork none of the threads exists, and one of them may have held the mutex. A
// back-end refuses to be used there. Its destructor must not wait, so it touches nothing.

#include "backend/file_threads.h"

#include "backend/attempt.h"
#include "base/workers.h"

#include <cerrno>
#include <exception>
#include <limits>
#include <string>

namespace asyncio::lowlevel {
namespace {

/// The note in `result` of an operation that no thread has begun. No call has such a result.
constexpr int not_begun = std::numeric_limits<int>::min();

/// A rename uses a second folder, which is the only second descriptor of an operation that comes
/// here.
bool names(const Operation& operation, int fd) noexcept {
    return fd >= 0 && (operation.fd == fd || operation.second_fd == fd);
}

/// An operation that would have to wait now must not wait on a descriptor that is being closed.
void spare_closed(Operation& operation, int closed) noexcept {
    if (operation.result == would_block && operation.fd == closed) operation.result = -ECANCELED;
}

}  // namespace

/// The pool drops no job of this object: the object waits for its runners before it closes the
/// pool. So `drop`, which a job must have, is never called.
FileThreads::FileThreads(Wake wake, void* of) noexcept : wake_(wake), of_(of) {
    for (Runner& runner : runners_) {
        runner.run = &run;
        runner.drop = &run;
        runner.name = [](const std::type_info*, const void*) {
            return std::string("an operation on a file");
        };
        runner.owner = this;
    }
}

/// The threads are joined, not left to themselves: a program that makes many loops would otherwise
/// have the threads of several of them at the same time.
FileThreads::~FileThreads() {
    if (pool_ == nullptr || fork_guard_.crossed()) return;
    {
        const std::lock_guard lock(mutex_);
        while (!queued_.empty()) queued_.pop_front();
        while (!closes_.empty()) closes_.pop_front();
        ending_ = active_ != 0;
    }
    if (ending_) all_idle_.wait();
    pool_->close(nullptr);
    pool_->wait_until(internal::never);
    pool_->join_or_leave();
}

// --- On the loop's thread ------------------------------------------------------------------------

/// The thread is started outside the mutex, because that may take long. An operation is therefore
/// in the queue before it is certain that a thread will come; if none does, it is taken back.
bool FileThreads::give(Operation& operation) noexcept {
    Runner* runner = nullptr;
    {
        const std::lock_guard lock(mutex_);
        ++given_;
        operation.result = not_begun;
        if (operation.kind == OperationKind::close && is_used(operation.fd)) {
            closes_.push_back(operation);
            return true;
        }
        queued_.push_back(operation);
        runner = activate_runner();
    }
    if (runner == nullptr || start(*runner)) return true;
    const std::lock_guard lock(mutex_);
    runner->active = false;
    // Another runner will take the operation, or has taken it.
    if (--active_ != 0 || operation.result != not_begun) return true;
    operation.unlink();
    --given_;
    return false;
}

/// Null at the limit: a busy runner comes to the operation later. Called with the mutex held.
FileThreads::Runner* FileThreads::activate_runner() noexcept {
    for (Runner& runner : runners_) {
        if (runner.active) continue;
        runner.active = true;
        ++active_;
        return &runner;
    }
    return nullptr;
}

/// False without memory, or if the process may have no more threads.
bool FileThreads::start(Runner& runner) noexcept {
    try {
        if (pool_ == nullptr) pool_ = internal::Workers::make(most_threads, "asyncio_file");
        pool_->submit(runner);
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

/// The mutex decides who is first: a thread that has taken the operation out of the queue has begun
/// it. A close is never cancelled, since its number must be free afterwards.
void FileThreads::cancel(Operation& operation) noexcept {
    if (operation.kind == OperationKind::close) return;
    const std::lock_guard lock(mutex_);
    if (operation.result == not_begun) note_ended(operation, -ECANCELED);
}

/// An operation that has ended and was not collected yet has no use for the descriptor any more,
/// unless it is about to wait on it.
bool FileThreads::let_go(int fd) noexcept {
    if (empty()) return true;
    const std::lock_guard lock(mutex_);
    queued_.for_each([&](Operation& operation) {
        if (names(operation, fd)) note_ended(operation, -ECANCELED);
    });
    ended_.for_each([&](Operation& operation) { spare_closed(operation, fd); });
    return !is_used(fd);
}

/// The flag is lowered under the mutex, so the next operation that ends raises it again and wakes
/// the loop. The loop calls this before it begins to wait, and so never sleeps with the flag
/// raised.
void FileThreads::take_ended(OperationList& ended) noexcept {
    if (!any_ended()) return;
    const std::lock_guard lock(mutex_);
    ended_.for_each([this](Operation&) { --given_; });
    ended.append(ended_);
    any_ended_.store(false, std::memory_order_relaxed);
}

// --- On a thread of the pool ---------------------------------------------------------------------

/// The queue is bounded by the operations in flight, and so is this loop, as far as the program
/// does not add to it. The runner is not touched after the mutex is released for the last time: the
/// destructor may be waiting for exactly that.
void FileThreads::run(internal::WorkerJob& job) noexcept {
    auto& runner = static_cast<Runner&>(job);
    FileThreads& self = *runner.owner;
    std::unique_lock lock(self.mutex_);
    while (!self.queued_.empty()) self.serve(lock, self.queued_.pop_front());
    runner.active = false;
    const bool last_of_all = --self.active_ == 0 && self.ending_;
    lock.unlock();
    if (last_of_all) self.all_idle_.set();
}

/// Between the two halves under the mutex the operation is in the list of running ones, where a
/// close finds it.
void FileThreads::serve(std::unique_lock<std::mutex>& lock, Operation& operation) noexcept {
    operation.result = 0;
    running_.push_back(operation);
    lock.unlock();
    const int result = attempt_in_thread(operation);
    lock.lock();
    const bool is_first = note_ended(operation, result);
    release_closes();
    if (!is_first) return;
    lock.unlock();
    wake_(of_);
    lock.lock();
}

/// Called with the mutex held. True if the loop does not know yet that operations have ended.
bool FileThreads::note_ended(Operation& operation, int result) noexcept {
    operation.unlink();
    operation.result = result;
    closes_.for_each([&](const Operation& close) { spare_closed(operation, close.fd); });
    ended_.push_back(operation);
    return !any_ended_.exchange(true, std::memory_order_acq_rel);
}

/// This thread takes them next, because it looks at the queue when it has returned from here.
void FileThreads::release_closes() noexcept {
    closes_.for_each([this](Operation& close) {
        if (is_used(close.fd)) return;
        close.unlink();
        queued_.push_back(close);
    });
}

/// Whether a running operation names the descriptor. There are as many as threads at the most.
bool FileThreads::is_used(int fd) noexcept {
    bool found = false;
    running_.for_each([&](const Operation& operation) { found = found || names(operation, fd); });
    return found;
}

}  // namespace asyncio::lowlevel
