#pragma once
// The class of the io_uring back-end: its lists and marks. io_uring.cpp says how it works.
//
// The class stands apart from its functions because the two together are longer than one file
// should be. Nothing else includes this header.
//
// Thread-safety: as `Backend`.

#include <asyncio/lowlevel/backend.h>

#include "backend/attempt.h"
#include "backend/file_threads.h"
#include "backend/fork_guard.h"
#include "backend/look_clock.h"
#include "backend/make_backend.h"
#include "backend/marks.h"
#include "backend/ring.h"
#include "backend/ring_watches.h"
#include "backend/slots.h"
#include "backend/wake_event.h"

#include <cstddef>
#include <cstdint>

namespace asyncio::lowlevel {

/// The operations in flight on one descriptor number.
struct RingSlot {
    OperationList polled;
    /// All of them, wherever they are. A close searches for them only if there are any.
    std::uint32_t in_flight = 0;
};

class IoUringBackend final : public Backend {
public:
    explicit IoUringBackend(RingFlags flags) : ring_(flags), ring_flags_(flags) {
        ignore_sigpipe();
    }
    ~IoUringBackend() override;

    const char* name() const noexcept override { return "io_uring"; }
    Submitted submit(Operation& operation) noexcept override;
    void cancel(Operation& operation) noexcept override;
    Waited wait(TimePoint deadline, OperationList& finished) noexcept override;
    bool look_is_due() noexcept override { return anything_to_do() && look_clock_.due(); }
    void hand_over() noexcept override;
    void disown(int fd) noexcept override { end_operations_on(fd); }
    void wake() noexcept override { wake_event_.wake(); }
    TimePoint now() noexcept override { return Clock::now(); }

private:
    // The owner of a completion: a cancellation, whose answer is ignored; the wake-up; the watch of
    // a descriptor (`RingWatches::owns`); or else the operation at this address.
    static constexpr std::uint64_t nobody = 0;
    static constexpr std::uint64_t wake_up = 1;

    // The marks of an operation in flight (`Operation::marks`). Each says one fact, and several may
    // hold together.
    static constexpr unsigned in_kernel_hands = 1;   ///< A request of its kind, not a poll.
    static constexpr unsigned armed = 2;             ///< The ring has an entry for it.
    static constexpr unsigned cancel_requested = 4;  ///< By the caller.
    static constexpr unsigned called_back = 8;       ///< By `hand_over`, to run again.
    static constexpr unsigned by_change = 16;        ///< Its poll is a multishot one.
    /// A poll has answered, but the call would have blocked. Once this is normal (another reader
    /// was faster); the second time, or after an answer that was not asked for, `by_change`
    /// follows.
    static constexpr unsigned tried_in_vain = 32;
    /// The call has succeeded and `result` holds. The operation is not reported before its
    /// multishot poll has ended.
    static constexpr unsigned achieved = 64;
    /// The descriptor was closed. Its number may belong to another file, so no call is tried.
    static constexpr unsigned descriptor_closed = 128;
    static constexpr unsigned in_thread = 256;  ///< `file_threads_` has it, and no list.
    static constexpr unsigned counted = 512;    ///< In `RingSlot::in_flight`.

    bool is_ours(int fd) const noexcept { return fd == ring_.fd() || fd == wake_event_.fd(); }
    /// Whether a look could report or start something. Reads shared memory only, without a system
    /// call.
    bool anything_to_do() const noexcept {
        return !without_entry_.empty() || !done_.empty() || ring_.has_news() ||
               watches_.has_requests() || file_threads_.any_ended();
    }
    Submitted finish(Operation& operation, int result) noexcept;
    void keep(Operation& operation, unsigned marks) noexcept;
    void end_operations_on(int fd) noexcept;
    Submitted submit_watched(Operation& operation) noexcept;
    void settle_all(OperationList& ended) noexcept;
    bool must_wait_for_worker(Operation& operation) noexcept;
    void give_to_threads(Operation& operation) noexcept;
    void collect_from_threads() noexcept;
    void take_over() noexcept;
    void renew_ring() noexcept;
    void leave_ring(OperationList& operations) noexcept;
    void report_done(OperationList& finished) noexcept;
    void fill_in_entries() noexcept;
    void arm_wake_up() noexcept;
    void arm(Operation& operation) noexcept;
    void arm_poll(Operation& operation) noexcept;
    void arm_request(Operation& operation) noexcept;
    void end(Operation& operation) noexcept;
    void needs_entry(Operation& operation) noexcept;
    void settle(Operation& operation, int result) noexcept;
    void handle(const Completion& completion) noexcept;
    void note_change(Operation& operation, int ready) noexcept;
    int outcome_of(Operation& operation, int result) noexcept;
    int outcome_of_poll(Operation& operation, int result) noexcept;

    Ring ring_;
    RingFlags ring_flags_;
    WakeEvent wake_event_;
    ForkGuard fork_guard_;
    /// The number of the thread to which the ring is bound; 0 before the first wait.
    std::uint64_t thread_ = 0;
    /// The ring holds the poll on `wake_event_`. A new ring does not hold it yet.
    bool wake_up_armed_ = false;
    LookClock look_clock_;
    Scratch scratch_;

    /// How many operations are in flight. With none, a look at the ring could find nothing, and
    /// `wait` skips it.
    std::size_t in_flight_ = 0;

    // An operation in flight is in exactly one of these.
    OperationList without_entry_;  ///< Needs an entry in the ring: to be armed, or to be ended.
    // `RingSlot::polled`: the ring has a poll for it.
    // `WatchedSlot::reads`, …: the ring has a poll for its descriptor.
    OperationList in_kernel_hands_;  ///< The kernel may touch its buffer at any time.
    OperationList done_;             ///< Its result holds, and the next `wait` reports it.

    /// So that a close finds the operations on its descriptor.
    Slots<RingSlot> slots_;

    RingWatches watches_{scratch_};

    /// The last member: its threads use `wake_event_` until it is destroyed.
    FileThreads file_threads_{[](void* event) noexcept { static_cast<WakeEvent*>(event)->wake(); },
                              &wake_event_};
};

}  // namespace asyncio::lowlevel
