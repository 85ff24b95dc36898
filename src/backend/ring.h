#pragma once
// An io_uring as the back-end needs it. It is made with the best flags that this kernel grants. A
// single system call submits, waits and collects. There is always room for one more request.
//
// liburing sets the ring up, fills its entries and walks its completions. Entering is done here,
// because liburing 2.3 offers no call that submits and waits *and* takes the flags of newer
// kernels.
//
// Thread-safety: any thread may construct. From `start` on, all calls come from the thread that
// called it; the kernel refuses other threads. Any thread may destroy.

#include <asyncio/internal/base/time.h>

#include "backend/make_backend.h"

#include <cstdint>
#include <vector>

#include <liburing.h>

namespace asyncio::lowlevel {

/// A completion, copied out of the ring, so that its place there is free again before it is
/// handled.
struct Completion {
    std::uint64_t user_data;
    int result;
    std::uint32_t flags;
};

class Ring {
public:
    /// Throws: `OsError` naming the refused call and the likely reason.
    explicit Ring(RingFlags flags);
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() { ::io_uring_queue_exit(&ring_); }

    /// Binds the ring to the calling thread. To be called once, before everything below.
    void start() noexcept;

    /// A cleared entry for the next request. The next `look` or `wait` submits it. A full queue is
    /// submitted first, so there is always a next entry. The reference is valid until the next
    /// call.
    io_uring_sqe& next_entry() noexcept;

    /// Submits what is queued and has the kernel post what completed, without waiting. No system
    /// call when there is nothing to submit and the kernel has not said that there is something to
    /// post.
    void look() noexcept;

    /// As `look`, and waits until a completion is there, `deadline` has passed, or a signal came. A
    /// single system call at the most.
    void wait(TimePoint deadline) noexcept;

    /// Whether there is something to fetch, as far as shared memory tells. The loop asks this at
    /// every step of every task, so it must not cost more than two reads of memory.
    bool has_news() const noexcept {
        const unsigned kernel_says = IO_URING_READ_ONCE(*ring_.sq.kflags);
        return (kernel_says & something_to_post) != 0 || ::io_uring_cq_ready(&ring_) != 0;
    }

    int fd() const noexcept { return ring_.ring_fd; }

    /// Whether this kernel knows the request (IORING_OP_…).
    bool knows(int request) const noexcept {
        return request >= 0 && request < 64 && (known_requests_ >> request & 1) != 0;
    }

    /// Calls `handle(completion)` for each completion posted so far, until `enough()`. The others
    /// are handed out by the next call. `handle` must not touch the ring: the completion queue is
    /// advanced once, after the last of them.
    template <class Handle, class Enough>
    void collect(Handle&& handle, Enough&& enough) {
        auto next = set_aside_.begin();
        while (next != set_aside_.end() && !enough()) handle(*next++);
        set_aside_.erase(set_aside_.begin(), next);
        take_posted(handle, enough);
    }
    template <class Handle>
    void collect(Handle&& handle) {
        collect(handle, [] { return false; });
    }

private:
    template <class Handle, class Enough>
    void take_posted(Handle&& handle, Enough&& enough) {
        io_uring_cqe* entry = nullptr;
        unsigned head = 0;
        unsigned taken = 0;
        io_uring_for_each_cqe(&ring_, head, entry) {
            if (enough()) break;
            handle(Completion{entry->user_data, entry->res, entry->flags});
            ++taken;
        }
        io_uring_cq_advance(&ring_, taken);
    }

    /// The kernel's flags in shared memory when an entry would make it post completions: there is
    /// deferred work, or completions did not fit.
    static constexpr unsigned something_to_post = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;

    void set_aside_completions() noexcept;
    bool anything_posted() const noexcept;
    bool worth_entering() const noexcept;
    void enter(unsigned wait_for, unsigned flags, const Duration* limit) noexcept;

    io_uring ring_{};
    unsigned enter_flags_ = 0;
    /// A bit for each of the first requests, which are all that the library uses.
    std::uint64_t known_requests_ = 0;

    /// Completions that were taken out of the ring between two waits to make room. They are older
    /// than those in the ring, so `collect` hands them out first.
    std::vector<Completion> set_aside_;
};

}  // namespace asyncio::lowlevel
