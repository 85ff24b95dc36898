#pragma once
// The simulated world's window to the real one: operations on real descriptors, real time, and the
// bell that other threads ring.
//
// A program under simulation may still start real children and read real pipes. Such an operation
// is tried with the real call, which never blocks, and is kept here while it cannot be finished. As
// long as one is kept the world lives at the real pace: it waits for real, and its clock moves as
// the real one. Determinism ends there: what the kernel does, and when, is no longer the plan's
// choice. (Nor does the plan shorten real reads and writes: a short read of a datagram or an
// eventfd loses or refuses it.)
//
// Thread-safety: one thread, except `Doorbell::ring`.

#include <asyncio/internal/time.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/operation.h>

#include "backend/attempt.h"

#include <atomic>
#include <unordered_map>
#include <unordered_set>
#include <vector>

struct pollfd;

namespace asyncio::lowlevel::simulated {

/// What `wake` rings. A flag, which is all the world looks at while its time is virtual, and an
/// eventfd, which ends a real wait.
///
/// The back-ends of the kernel have a bell of their own (wake_event.h), whose eventfd is never
/// emptied because they watch its edge. poll(2) knows levels only, so this one must be emptied; and
/// a world whose time is virtual makes no system call to see that nobody rang.
///
/// The flag decides, the eventfd is a hint. Whoever raises the flag writes to the eventfd;
/// answering lowers the flag and then empties the eventfd. Two races are left open on purpose:
///  - A ring between those two steps raises the flag and loses its hint. So after an answer the
///    world does not wait before it has looked at the flag again.
///  - A ring may write only after it was answered. The next real wait then ends early and with
///    nothing, which the contract allows.
class Doorbell {
public:
    /// Throws: `OsError` when the process has no descriptor left.
    Doorbell();

    /// Any thread, any signal handler: errno is left as it was.
    void ring() noexcept;

    /// Has it rung since the last answer? Only the world's thread.
    bool answer() noexcept;

    /// As `answer`, after a real wait that the eventfd ended: empties it though the flag may be
    /// down.
    void silence() noexcept;

    /// Readable when it has rung.
    int number() const noexcept { return eventfd_.get(); }

private:
    std::atomic<bool> rung_{false};
    static_assert(std::atomic<bool>::is_always_lock_free, "ring() must be safe in signal handlers");
    Fd eventfd_;
};

/// The operations in flight on real descriptors.
class Outside {
public:
    Outside();

    /// Keeps an operation that was tried and would block.
    void keep(Operation& operation);

    /// `change` more rings of the bell are certain to come. Never fewer than none.
    void expect_rings(int change) noexcept;

    /// Nothing is kept and no ring expected, so time is virtual.
    bool empty() const noexcept { return kept_.empty() && expected_rings_ == 0; }

    /// How much real time passed since the last call, or since this was last empty.
    Duration time_passed() noexcept;

    /// Waits until a kept operation may be possible, the bell rings, or `limit` has passed
    /// (`Duration::max()`: no limit), then moves every operation that could be carried out, with
    /// its result, to `carried_out`. The one call in which the simulated back-end waits.
    void look(Duration limit, OperationList& carried_out) noexcept;

    Doorbell& doorbell() noexcept { return doorbell_; }
    Scratch& scratch() noexcept { return scratch_; }

private:
    bool list_descriptors() noexcept;
    void leave_out(int fd) noexcept;

    OperationList kept_;
    int expected_rings_ = 0;
    /// The real time of the last `time_passed`. Means nothing while this is empty.
    TimePoint last_asked_{};
    Doorbell doorbell_;
    Scratch scratch_;

    /// Rebuilt for each look: the bell, then every descriptor once, however many operations it has;
    /// the kernel refuses a list longer than the process may have descriptors.
    std::vector<pollfd> watched_;
    /// Descriptors that answer with an error or a hang-up although what is wanted of them would
    /// block. poll(2) would report them without end, so the next look leaves them out, does not
    /// last longer than a moment, and tries.
    std::unordered_set<int> useless_;
    std::unordered_map<int, std::size_t> place_;
};

}  // namespace asyncio::lowlevel::simulated
