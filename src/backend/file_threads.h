#pragma once
// The threads of a back-end that carry out calls which wait for a disk and for which the kernel
// offers nothing better: every such call under epoll, and under io_uring the few without a request
// of the ring.
//
// The operations wait in one queue, in the order in which they came. A thread takes the oldest,
// carries it out, and puts it into the list of ended ones. The loop collects that list; the first
// operation in it wakes the loop. The threads come from the house's pool (base/workers.h), are
// started on demand, and end with the back-end.
//
// What the loop may do with an operation meanwhile
//  - cancel: an operation that no thread has begun ends as −ECANCELED. An operation that a thread
//    has begun cannot be stopped, and is reported with what it did.
//  - close the descriptor (rule 9 of the contract). A thread names the descriptor by its number, so
//    the number must keep its meaning until the call has returned. Operations that are queued end
//    as −ECANCELED. While one is running, the close itself becomes an operation for a thread, which
//    begins it when the last running one has ended. So such a close is in flight for a while, and
//    the loop waits for nothing.
//
// A close that is a plain system call elsewhere is not seen. The owner of a descriptor closes it
// by an operation, or when nothing is in flight on it.
//
// Memory. The queue runs through the operations, and the threads' jobs lie in this object, so an
// operation on its way allocates nothing. The pool is made by the first operation.
//
// Thread-safety: loop thread only, as the back-end. The functions that the threads run are private.

#include <asyncio/internal/base/thread_event.h>
#include <asyncio/internal/base/worker_job.h>
#include <asyncio/lowlevel/operation.h>

#include "backend/fork_guard.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

namespace asyncio::internal {
class Workers;
}

namespace asyncio::lowlevel {

class FileThreads {
public:
    /// More calls at a time keep a disk no busier, and a program whose network file system hangs
    /// should not fill with threads.
    static constexpr std::size_t most_threads = 16;

    /// Ends the wait of the loop. Called on a thread of the pool, with the second argument of the
    /// constructor, when the first operation has ended since the last `take_ended`.
    using Wake = void (*)(void* of) noexcept;
    FileThreads(Wake wake, void* of) noexcept;
    FileThreads(const FileThreads&) = delete;
    FileThreads& operator=(const FileThreads&) = delete;
    /// Waits for the operations that are running; those in the queue are dropped.
    ~FileThreads();

    /// Queues an operation that will be in flight. A close begins when no running operation names
    /// its descriptor. False if there is no thread and none can be started; the operation has not
    /// been touched then.
    bool give(Operation& operation) noexcept;

    /// The operation was given and not yet taken.
    void cancel(Operation& operation) noexcept;

    /// The descriptor is about to be closed: ends the queued operations that name it. False if a
    /// thread uses it at the moment; the close has to be given then.
    bool let_go(int fd) noexcept;

    /// Nothing was given that was not taken. The back-end then need not look here at all.
    bool empty() const noexcept { return given_ == 0; }
    /// Whether `take_ended` would find an operation. One read of memory.
    bool any_ended() const noexcept { return any_ended_.load(std::memory_order_acquire); }

    /// Appends the operations that have ended to `ended`, with their results. A result of
    /// `would_block` means that the descriptor is no file and that the call would have to wait.
    void take_ended(OperationList& ended) noexcept;

private:
    /// The job of a thread: carries out operations until the queue is empty.
    struct Runner : internal::WorkerJob {
        FileThreads* owner = nullptr;
        bool active = false;
    };

    static void run(internal::WorkerJob& job) noexcept;
    void serve(std::unique_lock<std::mutex>& lock, Operation& operation) noexcept;
    bool note_ended(Operation& operation, int result) noexcept;
    void release_closes() noexcept;
    bool is_used(int fd) noexcept;
    Runner* activate_runner() noexcept;
    bool start(Runner& runner) noexcept;

    const Wake wake_;
    void* const of_;
    ForkGuard fork_guard_;
    std::shared_ptr<internal::Workers> pool_;
    /// How many operations were given and not yet taken. The loop's thread alone uses it.
    std::size_t given_ = 0;

    std::mutex mutex_;
    // Under the mutex. An operation that was given is in exactly one of these.
    OperationList queued_;
    OperationList running_;
    OperationList closes_;  ///< Each begins when no running operation names its descriptor.
    OperationList ended_;
    std::array<Runner, most_threads> runners_;
    std::size_t active_ = 0;
    /// The destructor waits for `all_idle_`, which the last active runner sets.
    bool ending_ = false;

    /// `ended_` is not empty. Written under the mutex, read without it.
    std::atomic<bool> any_ended_{false};
    internal::ThreadEvent all_idle_;
};

}  // namespace asyncio::lowlevel
