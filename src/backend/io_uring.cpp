// The back-end on io_uring(7).
//
// What goes to the ring, and in which form
//
//  1. The plain call is tried first. Most reads find data and most writes find room, and a call
//     that succeeds at once beats a completion that comes a turn of the loop later.
//  2. What would block goes to the ring as a POLL_ADD, and when that completes the plain call is
//     tried again; if somebody else was faster, polled again. A READ in the ring would look
//     simpler, and costs the same, but for which non-blocking descriptors the ring waits, and for
//     which it answers −EAGAIN at once, changes from kernel to kernel. Polling works alike for all
//     of them. It also makes cancelling harmless: a poll has moved no data when it is cancelled, so
//     there is none to lose.
//  3. A read or write on a descriptor that is *not* in non-blocking mode, which by the contract is
//     a regular file or a block device, is never tried here, because it would hold up the thread
//     while the disk works. It goes to the ring as READ or WRITE, and a worker of the kernel's does
//     the waiting. (The mode of a descriptor is shared with other processes and may change behind
//     us. If the ring answers −EAGAIN after all, the operation is polled like any other.)
//  4. The ring's polls answer POLLRDHUP ("the peer will send no more"), POLLERR and POLLHUP
//     unasked, and at once if one of them holds already. A write into a full socket whose peer has
//     finished sending, which is how HTTP/1.0 and many a script talk, would be polled round and
//     round without end, and so would a read on a socket that has something in its error queue. So
//     where the call would block although the poll has answered, the next poll is a multishot one.
//     It reports changes: the same useless answer once, and then nothing until something happens.
//     The call is tried at each of its reports; when it has succeeded, the poll is ended, and when
//     that has ended, the operation is reported.
//
// Several operations on one descriptor each have a poll of their own. One event wakes them all, and
// those who come too late are polled again: fine for a handful, wasteful for thousands.
//
// The life of an operation: `submit` puts it on a list → the next `wait` fills in an entry whose
// user_data is the operation's address and hands it to the kernel → its completion is collected by
// some `wait` → it is reported, or goes round again. Nothing but its completion reports what the
// kernel has, so "exactly once" is the kernel's promise, not ours. A cancellation is an entry of
// its own (ASYNC_CANCEL) behind the one it names: submissions are carried out in order, so it can
// meet neither an operation that is not there yet, nor a later one at the same address.
//
// Another thread. The kernel binds a ring to the thread that enables it, and cancels what a thread
// has submitted when that thread ends. So a ring is good for one thread, and a thread that takes
// over makes a ring of its own. The polls that were in flight in the old ring are armed again in
// the new one, and nobody is told, because a poll has done nothing yet. A READ or WRITE cannot be
// moved, for the kernel may touch its buffer until it has ended: `hand_over` calls those back on
// the thread to which the ring belongs. `submit` and `cancel` do not touch the ring, so what
// another thread starts before it waits costs nothing and loses nothing.
//
// wake: a multishot poll on an eventfd, armed again when the kernel says that it was the last time
// (it ends, for example, when completions overflow).
//
// Thread-safety: as `Backend`.

#include <asyncio/exceptions.h>

#include "backend/make_backend.h"

#ifndef ASYNCIO_WITH_IO_URING

#include <cerrno>

std::unique_ptr<asyncio::lowlevel::Backend> asyncio::lowlevel::make_io_uring_backend(RingFlags) {
    throw OsError(ENOSYS, "this library was built without io_uring (liburing was not there)");
}

#else

#include "backend/attempt.h"
#include "backend/fork_guard.h"
#include "backend/look_clock.h"
#include "backend/operation_kind.h"
#include "backend/ring.h"
#include "backend/wake_event.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include <poll.h>

namespace asyncio::lowlevel {
namespace {

/// The events for which the operation waits, and those that poll(2) reports unasked.
int answers_of(const Operation& operation) noexcept {
    return events_of(operation) | POLLERR | POLLHUP;
}

/// A number that no other thread of the process ever has. (What the system offers, numbers and
/// addresses, is given out again when a thread has ended, but the kernel tells the two apart.)
std::uint64_t this_thread() noexcept {
    static std::atomic<std::uint64_t> threads{0};
    thread_local std::uint64_t number = 0;
    if (number == 0) number = threads.fetch_add(1, std::memory_order_relaxed) + 1;
    return number;
}

std::uint64_t address_of(Operation& operation) noexcept {
    return reinterpret_cast<std::uintptr_t>(&operation);
}

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
    void wake() noexcept override { wake_event_.wake(); }
    TimePoint now() noexcept override { return Clock::now(); }

private:
    // What a completion is for: the answer to a cancellation, which nobody needs; a wake-up; or
    // else the operation at this address.
    static constexpr std::uint64_t nobody = 0;
    static constexpr std::uint64_t wake_up = 1;

    // The marks of an operation in flight.
    static constexpr unsigned in_kernel_hands = 1;   ///< A READ or WRITE, not a poll.
    static constexpr unsigned armed = 2;             ///< The ring has an entry for it.
    static constexpr unsigned cancel_requested = 4;  ///< By the caller.
    static constexpr unsigned called_back = 8;       ///< By `hand_over`: it goes round again.
    static constexpr unsigned by_change = 16;        ///< Its poll is a multishot one.
    /// A poll has answered, and the call would have blocked all the same.
    static constexpr unsigned tried_in_vain = 32;
    /// The call has succeeded, `result` holds, and the multishot poll has to end.
    static constexpr unsigned achieved = 64;

    static bool has(const Operation& operation, unsigned mark) noexcept {
        return (operation.marks & mark) != 0;
    }
    static void mark(Operation& operation, unsigned with) noexcept {
        operation.marks = static_cast<std::uint8_t>(operation.marks | with);
    }
    static void unmark(Operation& operation, unsigned what) noexcept {
        operation.marks = static_cast<std::uint8_t>(operation.marks & ~what);
    }

    bool is_ours(int fd) const noexcept { return fd == ring_.fd() || fd == wake_event_.fd(); }
    bool anything_to_do() const noexcept {
        return !without_entry_.empty() || !done_.empty() || ring_.has_news();
    }
    void take_over() noexcept;
    void renew_ring() noexcept;
    void leave_ring(OperationList& operations) noexcept;
    void report_done(OperationList& finished) noexcept;
    void fill_in_entries() noexcept;
    static bool has_memory(Operation& operation) noexcept;
    static void pass_on(Operation& operation, int result) noexcept;
    void arm_wake_up() noexcept;
    void arm(Operation& operation) noexcept;
    void arm_poll(Operation& operation) noexcept;
    void arm_transfer(Operation& operation) noexcept;
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
    /// Whose the ring is; 0 while it is nobody's.
    std::uint64_t thread_ = 0;
    bool wake_up_armed_ = false;
    LookClock look_clock_;
    Scratch scratch_;

    /// How many operations are in flight. None: a look at the ring would be in vain.
    std::size_t in_flight_ = 0;

    // An operation in flight is in one of these.
    OperationList without_entry_;    ///< Needs an entry in the ring: to be armed, or to be ended.
    OperationList polled_;           ///< The ring has a poll for it.
    OperationList in_kernel_hands_;  ///< The kernel may touch its buffer at any time.
    OperationList done_;             ///< Its result holds, and the next `wait` reports it.
};

/// A poll that is left behind harms nobody: closing the ring ends it. A READ would go on writing
/// into a buffer that its owner is about to free, so those are waited for.
IoUringBackend::~IoUringBackend() {
    if (!fork_guard_.crossed()) hand_over();
}

Backend::Submitted IoUringBackend::submit(Operation& operation) noexcept {
    fork_guard_.check();
    const bool may_block = !is_ours(operation.fd) && attempt_may_block(operation);
    if (!may_block) {
        operation.result = is_ours(operation.fd) ? -EBADF : attempt(operation, scratch_);
        if (operation.result != would_block) {
            operation.state = Operation::State::finished;
            return Submitted::finished;
        }
    }
    operation.marks = may_block ? in_kernel_hands : 0;
    operation.state = Operation::State::in_flight;
    ++in_flight_;
    without_entry_.push_back(operation);
    return Submitted::in_flight;
}

void IoUringBackend::cancel(Operation& operation) noexcept {
    if (operation.state != Operation::State::in_flight) return;
    if (has(operation, cancel_requested | achieved)) return;
    mark(operation, cancel_requested);
    if (has(operation, armed)) return needs_entry(operation);
    operation.unlink();
    settle(operation, -ECANCELED);
}

Backend::Waited IoUringBackend::wait(TimePoint deadline, OperationList& finished) noexcept {
    fork_guard_.check();
    if (in_flight_ == 0 && deadline == internal::at_once) return Waited::ok;
    if (thread_ != this_thread()) [[unlikely]]
        take_over();
    fill_in_entries();
    ring_.wait(done_.empty() ? deadline : internal::at_once);
    look_clock_.looked();
    ring_.collect([&](const Completion& completion) { handle(completion); });
    report_done(finished);
    return Waited::ok;
}

// --- Whose ring it is ---------------------------------------------------------------------------

void IoUringBackend::take_over() noexcept {
    if (thread_ != 0) {
        assert(in_kernel_hands_.empty() && "`hand_over` comes before another thread takes over");
        leave_ring(polled_);
        leave_ring(without_entry_);
        renew_ring();
    }
    thread_ = this_thread();
    ring_.start();
}

/// The ring of the thread before will not be looked at again. A poll has done nothing yet, so
/// whatever it had to tell is asked anew.
void IoUringBackend::leave_ring(OperationList& operations) noexcept {
    OperationList left;
    left.append(operations);
    while (!left.empty()) {
        Operation& operation = left.pop_front();
        const bool was_armed = has(operation, armed);
        unmark(operation, armed);
        if (was_armed && has(operation, achieved)) {
            settle(operation, operation.result);
        } else if (was_armed && has(operation, cancel_requested)) {
            settle(operation, -ECANCELED);
        } else {
            without_entry_.push_back(operation);
        }
    }
}

/// The old one goes first, so that there is a descriptor for the new one.
void IoUringBackend::renew_ring() noexcept {
    std::destroy_at(&ring_);
    try {
        std::construct_at(&ring_, ring_flags_);
    } catch (const std::exception& refusal) {
        // No memory, most likely. A loop that cannot wait would spin for ever.
        std::fprintf(stderr, "asyncio: a ring for another thread: %s\n", refusal.what());
        std::abort();
    }
    wake_up_armed_ = false;
}

void IoUringBackend::hand_over() noexcept {
    if (thread_ != this_thread()) return;
    fill_in_entries();
    in_kernel_hands_.for_each([this](Operation& operation) {
        mark(operation, called_back);
        end(operation);
    });
    while (!in_kernel_hands_.empty()) {
        ring_.wait(internal::never);
        ring_.collect([this](const Completion& completion) { handle(completion); });
    }
}

// --- Into the ring ------------------------------------------------------------------------------

void IoUringBackend::needs_entry(Operation& operation) noexcept {
    if (operation.linked()) operation.unlink();
    without_entry_.push_back(operation);
}

void IoUringBackend::fill_in_entries() noexcept {
    if (!wake_up_armed_) arm_wake_up();
    while (!without_entry_.empty()) {
        Operation& operation = without_entry_.pop_front();
        if (!has_memory(operation)) {
            settle(operation, -ENOMEM);
            continue;
        }
        has(operation, armed) ? end(operation) : arm(operation);
        mark(operation, armed);
        (has(operation, in_kernel_hands) ? in_kernel_hands_ : polled_).push_back(operation);
    }
}

/// A READ needs memory of its own, for the kernel writes into it at any time; a read that brings
/// none is given some while it is armed.
bool IoUringBackend::has_memory(Operation& operation) noexcept {
    const bool brings_none = operation.receive != nullptr && has(operation, in_kernel_hands);
    if (!brings_none || has(operation, armed)) return true;
    operation.buffer = new (std::nothrow) char[std::min(operation.size, Scratch::size_bytes)];
    return operation.buffer != nullptr;
}

/// Its counterpart: the READ has ended.
void IoUringBackend::pass_on(Operation& operation, int result) noexcept {
    if (operation.receive == nullptr || !has(operation, in_kernel_hands)) return;
    auto* memory = static_cast<char*>(std::exchange(operation.buffer, nullptr));
    if (result > 0) operation.receive(operation, {memory, static_cast<std::size_t>(result)});
    delete[] memory;
}

void IoUringBackend::arm_wake_up() noexcept {
    io_uring_sqe& entry = ring_.next_entry();
    ::io_uring_prep_poll_multishot(&entry, wake_event_.fd(), POLLIN);
    ::io_uring_sqe_set_data64(&entry, wake_up);
    wake_up_armed_ = true;
}

void IoUringBackend::arm(Operation& operation) noexcept {
    has(operation, in_kernel_hands) ? arm_transfer(operation) : arm_poll(operation);
}

void IoUringBackend::arm_poll(Operation& operation) noexcept {
    const auto prepare =
        has(operation, by_change) ? &::io_uring_prep_poll_multishot : &::io_uring_prep_poll_add;
    io_uring_sqe& entry = ring_.next_entry();
    prepare(&entry, operation.fd, events_of(operation));
    ::io_uring_sqe_set_data64(&entry, address_of(operation));
}

void IoUringBackend::arm_transfer(Operation& operation) noexcept {
    const bool reads = operation.kind == OperationKind::read;
    // Where read(2) and write(2) cut off too.
    const std::size_t most_bytes = operation.receive == nullptr ? 0x7ffff000 : Scratch::size_bytes;
    const auto size = static_cast<unsigned>(std::min(operation.size, most_bytes));
    constexpr auto current_position = ~std::uint64_t{0};
    io_uring_sqe& entry = ring_.next_entry();
    ::io_uring_prep_rw(reads ? IORING_OP_READ : IORING_OP_WRITE, &entry, operation.fd,
                       operation.buffer, size, current_position);
    ::io_uring_sqe_set_data64(&entry, address_of(operation));
}

/// Asks the kernel to end what is armed for the operation. Its completion says that it has.
void IoUringBackend::end(Operation& operation) noexcept {
    io_uring_sqe& entry = ring_.next_entry();
    ::io_uring_prep_cancel64(&entry, address_of(operation), 0);
    ::io_uring_sqe_set_data64(&entry, nobody);
}

// --- Out of the ring ----------------------------------------------------------------------------

void IoUringBackend::handle(const Completion& completion) noexcept {
    const bool still_armed = (completion.flags & IORING_CQE_F_MORE) != 0;
    if (completion.user_data == nobody) return;
    if (completion.user_data == wake_up) {
        wake_event_.lower();
        wake_up_armed_ = still_armed;
        return;
    }
    auto& operation = *reinterpret_cast<Operation*>(completion.user_data);
    if (still_armed) return note_change(operation, completion.result);
    unmark(operation, armed);
    pass_on(operation, completion.result);
    const int outcome = outcome_of(operation, completion.result);
    if (outcome == would_block) return needs_entry(operation);
    operation.unlink();
    settle(operation, outcome);
}

/// A multishot poll has something to tell, and goes on. It must have ended before the operation can
/// be reported: its next completion would find the memory in other use.
void IoUringBackend::note_change(Operation& operation, int ready) noexcept {
    if (has(operation, cancel_requested | achieved)) return;
    const int answer = ready & answers_of(operation);
    if (answer == 0) return;
    const bool is_poll = operation.kind == OperationKind::poll;
    const int outcome = is_poll ? answer : attempt(operation, scratch_);
    if (outcome == would_block) return;
    operation.result = outcome;
    mark(operation, achieved);
    needs_entry(operation);
}

/// What to report, or `would_block`: once more. An operation whose cancellation was asked for is
/// not sent round again; what it achieved before is reported all the same.
int IoUringBackend::outcome_of(Operation& operation, int result) noexcept {
    if (has(operation, achieved)) return operation.result;
    if (!has(operation, in_kernel_hands)) {
        result = outcome_of_poll(operation, result);
    } else if (result == -EAGAIN) {
        // The descriptor turned out to be non-blocking, and is to be polled from now on.
        unmark(operation, in_kernel_hands);
    }
    const bool ended_by_us = result == -ECANCELED && has(operation, called_back);
    unmark(operation, called_back);
    // A worker of the kernel's was interrupted (EINTR), which is how it is cancelled.
    if (result != -EAGAIN && result != -EINTR && !ended_by_us) return result;
    return has(operation, cancel_requested) ? -ECANCELED : would_block;
}

int IoUringBackend::outcome_of_poll(Operation& operation, int result) noexcept {
    if (result < 0) return result;
    const int answer = result & answers_of(operation);
    if (operation.kind == OperationKind::poll && answer != 0) return answer;
    const int outcome = attempt(operation, scratch_);
    if (outcome != would_block) return outcome;
    // Once, somebody else may have been faster. An answer that nobody asked for stays.
    const bool asked_for = (answer & events_of(operation)) != 0;
    const bool useless = !asked_for || has(operation, tried_in_vain);
    mark(operation, useless ? by_change : tried_in_vain);
    return would_block;
}

void IoUringBackend::settle(Operation& operation, int result) noexcept {
    operation.result = result;
    mark(operation, achieved);
    done_.push_back(operation);
}

void IoUringBackend::report_done(OperationList& finished) noexcept {
    done_.for_each([this](Operation& operation) {
        operation.state = Operation::State::finished;
        --in_flight_;
    });
    finished.append(done_);
}

}  // namespace

std::unique_ptr<Backend> make_io_uring_backend(RingFlags flags) {
    return std::make_unique<IoUringBackend>(flags);
}

}  // namespace asyncio::lowlevel

#endif  // ASYNCIO_WITH_IO_URING
