// The back-end on io_uring(7).
//
// The requests in the ring, and their form
//
//  1. The plain system call is tried first. Most reads find data and most writes find room, and a
//     call that succeeds at once is faster than a completion in the next iteration of the loop.
//  2. A call that would block goes to the ring as a POLL_ADD. When the poll completes, the plain
//     call is tried again; if another reader or writer was faster, the operation is polled again. A
//     READ in the ring would look simpler and costs the same. But kernels differ in what they do
//     with a READ on a non-blocking descriptor: for some kinds of file the ring waits, for others
//     it answers −EAGAIN at once. A poll works alike for all of them. A poll is also harmless to
//     cancel: a poll has moved no data, so there is none to lose.
//  3. A descriptor that is *not* in non-blocking mode is a regular file or a block device, by the
//     contract. A call on it, or on a path, may wait for the disk. So it is tried only with what
//     the kernel has in memory. If that is not enough, it goes to the ring as a request of its kind
//     (READ, OPENAT, …), and a worker of the kernel does the waiting. For a few kinds the kernel
//     has no request, and a thread does the waiting (file_threads.h). The mode of a descriptor is
//     shared with other processes and may change at any time. If a READ or WRITE is answered
//     −EAGAIN after all, the operation is polled like any other.
//  4. The ring's polls answer POLLRDHUP ("the peer will send no more"), POLLERR and POLLHUP
//     unasked, and at once if one of them holds already. This can become a loop without end: the
//     poll answers, the call would block, the next poll answers at once. Two cases are a write into
//     a full socket whose peer has finished sending (HTTP/1.0 and many scripts talk in this way),
//     and a read on a socket with a message in its error queue. So when the call would block
//     although the poll has answered, the next poll is a multishot one. It reports changes: the
//     same useless answer once, and then nothing until something happens. The call is tried at each
//     of its reports. When the call has succeeded, the poll is ended, and when the poll has ended,
//     the operation is reported.
//
//  5. A socket of the library is watched by one multishot poll for its whole life, and none of the
//     above applies to it (ring_watches.h). So an operation that has to wait needs no entry, and
//     its cancellation needs none either. With many connections this is where most operations wait.
//
// Several operations on one descriptor each have a poll of their own. An event wakes them all, and
// the operations that find nothing are polled again: good for a handful, wasteful for thousands.
//
// The life of an operation. An operation in flight is in exactly one of four lists, or with the
// threads, or in a list of its owned descriptor (`WatchedSlot`), from which it goes to `done_`:
//
//     submit ──► without_entry_ ──► `polled` or in_kernel_hands_ ──► done_ ──► reported
//        │             ▲                        │                      ▲
//        │             └────────────────────────┘                      │
//        │              polled again, or to be ended                   │
//        └───────────────────────► file_threads_ ──────────────────────┘
//
// `submit` and `cancel` only move operations between lists. `wait` alone works with the ring, in
// four steps: it fills in an entry for each operation that needs one, enters the kernel once,
// handles the completions, and reports `done_`. So one system call serves all that the loop's
// iteration has asked for.
//
// Exactly once. The user_data of an entry is the address of its operation. An operation that is
// armed moves to `done_` only with the last completion of its own entry, so "exactly once" is the
// kernel's promise. A cancellation is an entry of its own (ASYNC_CANCEL), which names that address
// and stands behind the entry that it names. The kernel carries out submissions in order, and the
// operation's memory is in use until its completion has been collected. So a cancellation never
// comes before its operation has arrived in the kernel, and it never hits a later operation at the
// same address. The completion of the cancellation itself tells nothing that the operation's own
// does not, and is ignored.
//
// A cancellation races with the event. All outcomes are legal, and each is reported as what it is:
//  - The operation has no entry yet: it ends as −ECANCELED, and the kernel never sees it.
//  - The poll is ended first: its completion says −ECANCELED, and so does the report.
//  - The poll has answered before: the call is tried once more. If it succeeds, the result is
//    reported, because an effect is never dropped. If it would block, the operation is not polled
//    again and ends as −ECANCELED.
//  - A READ or another request of a file is running in the kernel: the kernel lets it finish, or
//    interrupts its worker (−EINTR), and its completion decides. A thread cannot be interrupted.
//  - The operation is in `done_`: the request is ignored.
//
// Another thread. The kernel binds a ring to the thread that enables it, and cancels what a thread
// has submitted when that thread ends. So a ring serves one thread, and a thread that takes over
// makes a ring of its own. The polls that were in flight in the old ring are armed again in the new
// one. Their operations are not told, because a poll has done nothing yet. A READ or WRITE cannot
// be moved: the kernel may touch its buffer until it has ended. So `hand_over` calls these back on
// the thread to which the ring belongs. What the back-end's own threads do, belongs to no thread of
// the program, and goes on. `submit` and `cancel` do not touch the ring, so operations
// that another thread starts before its first wait cost nothing extra and are not lost.
//
// wake: a multishot poll on an eventfd. It is armed again when a completion without the flag MORE
// says that it was the last one, as happens when completions overflow.
//
// Thread-safety: as `Backend`.

#include <asyncio/exceptions.h>

#include "backend/make_backend.h"

#ifndef ASYNCIO_WITH_IO_URING

#include <cerrno>

std::unique_ptr<asyncio::lowlevel::Backend> asyncio::lowlevel::make_io_uring_backend(RingFlags) {
    throw OsError(ENOSYS, "this library was built without io_uring (liburing was not found)");
}

#else

#include "backend/io_uring.h"
#include "backend/operation_kind.h"
#include "backend/ring_requests.h"
#include "backend/system_calls.h"
#include "backend/thread_number.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>

#include <poll.h>

namespace asyncio::lowlevel {
namespace {

/// The poll events that can finish the operation: those it waits for, and those that poll(2)
/// reports unasked.
int answers_of(const Operation& operation) noexcept {
    return events_of(operation) | POLLERR | POLLHUP;
}

}  // namespace

/// Polls that are still in the ring do no harm: closing the ring ends them. A READ would continue
/// to write into a buffer that its owner is about to free, so `hand_over` waits for the end of
/// READs and WRITEs. In the child of a fork the ring is the parent's, and is left alone.
IoUringBackend::~IoUringBackend() {
    if (!fork_guard_.crossed()) hand_over();
}

/// Touches no ring: an operation that cannot finish now waits in `without_entry_` for the next
/// `wait`, which submits everything by one system call. So the thread need not be the one to which
/// the ring is bound.
Backend::Submitted IoUringBackend::submit(Operation& operation) noexcept {
    fork_guard_.check();
    if (is_ours(operation.fd)) return finish(operation, -EBADF);
    if (watches_.takes(operation)) return submit_watched(operation);
    const bool may_block = must_wait_for_worker(operation);
    const int result =
        may_block ? attempt_from_cache(operation, scratch_) : attempt(operation, scratch_);
    if (result != would_block || finishes_at_once(operation)) return finish(operation, result);
    if (!slots_.make_up_to(operation.fd)) return finish(operation, -ENOMEM);
    keep(operation, may_block ? in_kernel_hands : 0);
    if (may_block && !ring_.knows(request_of(operation.kind))) {
        give_to_threads(operation);
    } else {
        without_entry_.push_back(operation);
    }
    return Submitted::in_flight;
}

/// Whether the operation belongs to a worker of the kernel or to a thread if it cannot be carried
/// out at once: it may block, or it closes a descriptor that a thread uses.
bool IoUringBackend::must_wait_for_worker(Operation& operation) noexcept {
    if (operation.kind != OperationKind::close) return attempt_may_block(operation);
    end_operations_on(operation.fd);
    return !file_threads_.let_go(operation.fd);
}

/// An operation on an owned descriptor: one poll in the ring serves all of them.
Backend::Submitted IoUringBackend::submit_watched(Operation& operation) noexcept {
    const int result = watches_.submit(operation);
    if (result != Watched::waits) return finish(operation, result);
    keep(operation, 0);
    return Submitted::in_flight;
}

Backend::Submitted IoUringBackend::finish(Operation& operation, int result) noexcept {
    if (operation.kind == OperationKind::socket && result >= 0) watches_.note_new(result);
    operation.result = result;
    operation.state = Operation::State::finished;
    return Submitted::finished;
}

/// The caller puts the operation into a list, or gives it to the threads.
void IoUringBackend::keep(Operation& operation, unsigned marks) noexcept {
    operation.marks = static_cast<std::uint16_t>(marks);
    operation.state = Operation::State::in_flight;
    ++in_flight_;
    if (RingSlot* slot = slots_.find(operation.fd)) {
        ++slot->in_flight;
        mark(operation, counted);
    }
}

/// Gives the operation to a thread. If there is none, the loop's thread waits for the disk: late is
/// better than never.
void IoUringBackend::give_to_threads(Operation& operation) noexcept {
    unmark(operation, in_kernel_hands);
    mark(operation, in_thread);
    if (file_threads_.give(operation)) return;
    unmark(operation, in_thread);
    settle(operation, attempt_in_thread(operation));
}

/// Settles what the threads have carried out.
void IoUringBackend::collect_from_threads() noexcept {
    OperationList ended;
    file_threads_.take_ended(ended);
    settle_all(ended);
}

/// Before `fd` is closed. The kernel keeps the file for the polls in the ring. The next `wait` ends
/// them, or this call where the close must not be late (ring_watches.h). No operation is tried
/// after this, because the number may belong to another file.
void IoUringBackend::end_operations_on(int fd) noexcept {
    OperationList ended;
    const bool ends_at_once = watches_.forget(fd, ended);
    settle_all(ended);
    if (ends_at_once && thread_ == this_thread()) {
        watches_.fill_in(ring_, nobody);
        ring_.look();
    }
    RingSlot* slot = slots_.find(fd);
    if (slot == nullptr || slot->in_flight == 0) return;
    const auto end_it = [this, fd](Operation& operation) {
        if (operation.fd != fd) return;
        mark(operation, descriptor_closed);
        cancel(operation);
    };
    without_entry_.for_each(end_it);
    in_kernel_hands_.for_each(end_it);
    slot->polled.for_each(end_it);
}

/// An armed operation is only marked and queued for an ASYNC_CANCEL entry; its completion will
/// report it. An operation without an entry is unknown to the kernel and can be settled here.
void IoUringBackend::cancel(Operation& operation) noexcept {
    if (operation.state != Operation::State::in_flight) return;
    if (has(operation, cancel_requested | achieved)) return;
    mark(operation, cancel_requested);
    if (has(operation, in_thread)) return file_threads_.cancel(operation);
    if (has(operation, armed)) return needs_entry(operation);
    operation.unlink();
    settle(operation, -ECANCELED);
}

/// Settles operations of owned descriptors, whose results hold.
void IoUringBackend::settle_all(OperationList& ended) noexcept {
    while (!ended.empty()) {
        Operation& operation = ended.pop_front();
        settle(operation, operation.result);
    }
}

Backend::Waited IoUringBackend::wait(TimePoint deadline, OperationList& finished) noexcept {
    fork_guard_.check();
    const bool has_work = in_flight_ != 0 || watches_.has_requests();
    if (!has_work && deadline == internal::at_once) return Waited::ok;
    // The first wait of all, or the first on another thread than before.
    if (thread_ != this_thread()) [[unlikely]]
        take_over();
    collect_from_threads();
    fill_in_entries();
    // If there is something to report already, the kernel is asked without waiting.
    ring_.wait(done_.empty() ? deadline : internal::at_once);
    look_clock_.looked();
    scratch_.begin_wait();
    ring_.collect([&](const Completion& completion) { handle(completion); },
                  [&] { return scratch_.had_enough(); });
    collect_from_threads();
    report_done(finished);
    return Waited::ok;
}

// --- The ring's thread --------------------------------------------------------------------------

/// Makes this thread the one to which the ring is bound. The very first wait uses the ring that the
/// constructor made, which is still disabled and belongs to no thread.
void IoUringBackend::take_over() noexcept {
    if (thread_ != 0) {
        assert(in_kernel_hands_.empty() && "`hand_over` comes before another thread takes over");
        slots_.for_each([this](RingSlot& slot) { leave_ring(slot.polled); });
        leave_ring(without_entry_);
        watches_.leave_ring();
        renew_ring();
    }
    thread_ = this_thread();
    ring_.start();
}

/// Prepares operations for a new ring. The completions of the old one will not be collected any
/// more. A poll has done nothing yet, so it is simply armed again. The exceptions are operations
/// that wait only for the end of their poll: the old ring ends it, so they are settled with what
/// they have.
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

/// The old ring is destroyed first, so that its descriptor is free for the new one in a process
/// that is at its limit.
void IoUringBackend::renew_ring() noexcept {
    std::destroy_at(&ring_);
    try {
        std::construct_at(&ring_, ring_flags_);
    } catch (const std::exception& refusal) {
        // Most likely there is no memory. A loop that cannot wait would spin without end, and there
        // is no caller to whom `wait` could report this.
        std::fprintf(stderr, "asyncio: cannot make a ring for the new thread: %s\n",
                     refusal.what());
        std::abort();
    }
    wake_up_armed_ = false;
}

/// Ends every READ and WRITE before another thread takes over, and reports nothing. An operation
/// that the caller did not cancel returns to `without_entry_` (mark `called_back`) and runs again
/// in the next ring. An operation that has finished in the meantime goes to `done_`. The loop ends,
/// because the kernel interrupts a worker that waits, and a disk finishes by itself.
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

/// Queues the operation for the next `fill_in_entries`, which arms it or, if it is armed, ends it.
void IoUringBackend::needs_entry(Operation& operation) noexcept {
    if (operation.linked()) operation.unlink();
    without_entry_.push_back(operation);
}

/// Gives every operation in `without_entry_` its entry. This is the only place where entries are
/// made outside `hand_over`, so the order of the list is the order in which the kernel sees them.
/// The loop ends because nothing here adds to the list.
void IoUringBackend::fill_in_entries() noexcept {
    if (!wake_up_armed_) arm_wake_up();
    watches_.fill_in(ring_, nobody);
    while (!without_entry_.empty()) {
        Operation& operation = without_entry_.pop_front();
        const bool in_hands = has(operation, in_kernel_hands);
        const bool is_armed = has(operation, armed);
        if (in_hands && !is_armed && !lend_buffer(operation)) {
            settle(operation, -ENOMEM);
            continue;
        }
        is_armed ? end(operation) : arm(operation);
        mark(operation, armed);
        (in_hands ? in_kernel_hands_ : slots_[operation.fd].polled).push_back(operation);
    }
}

/// Multishot, and so by change: the eventfd is never read (wake_event.h), and a plain poll armed
/// again would answer at once for ever.
void IoUringBackend::arm_wake_up() noexcept {
    io_uring_sqe& entry = ring_.next_entry();
    ::io_uring_prep_poll_multishot(&entry, wake_event_.fd(), POLLIN);
    ::io_uring_sqe_set_data64(&entry, wake_up);
    wake_up_armed_ = true;
}

void IoUringBackend::arm(Operation& operation) noexcept {
    has(operation, in_kernel_hands) ? arm_request(operation) : arm_poll(operation);
}

/// A plain poll answers once, at once if it can. A multishot poll reports changes, for the
/// operations that case 4 at the top is about.
void IoUringBackend::arm_poll(Operation& operation) noexcept {
    const auto prepare =
        has(operation, by_change) ? &::io_uring_prep_poll_multishot : &::io_uring_prep_poll_add;
    io_uring_sqe& entry = ring_.next_entry();
    prepare(&entry, operation.fd, events_of(operation));
    ::io_uring_sqe_set_data64(&entry, address_of(operation));
}

void IoUringBackend::arm_request(Operation& operation) noexcept {
    io_uring_sqe& entry = ring_.next_entry();
    prepare_request(entry, operation);
    ::io_uring_sqe_set_data64(&entry, address_of(operation));
}

/// Asks the kernel to end what is armed for the operation. The operation's own completion says that
/// it has ended; the completion of this entry is ignored.
void IoUringBackend::end(Operation& operation) noexcept {
    io_uring_sqe& entry = ring_.next_entry();
    ::io_uring_prep_cancel64(&entry, address_of(operation), 0);
    ::io_uring_sqe_set_data64(&entry, nobody);
}

// --- Out of the ring ----------------------------------------------------------------------------

/// Handles a completion. The last one of an operation (no flag MORE) either settles it or
/// sends it to the ring once more. The address in `user_data` is valid: an armed operation is never
/// reported, so its owner has not freed it.
void IoUringBackend::handle(const Completion& completion) noexcept {
    const bool still_armed = (completion.flags & IORING_CQE_F_MORE) != 0;
    if (completion.user_data == nobody) return;
    if (RingWatches::owns(completion.user_data)) {
        OperationList ended;
        watches_.handle(completion, ended);
        return settle_all(ended);
    }
    if (completion.user_data == wake_up) {
        wake_event_.lower();
        wake_up_armed_ = still_armed;
        return;
    }
    auto& operation = *reinterpret_cast<Operation*>(completion.user_data);
    if (still_armed) return note_change(operation, completion.result);
    unmark(operation, armed);
    if (has(operation, in_kernel_hands)) take_back_buffer(operation, completion.result);
    const int outcome = outcome_of(operation, completion.result);
    if (outcome != would_block) {
        operation.unlink();
        settle(operation, outcome);
    } else if (waits_for_disk(operation.kind) && completion.result == -EAGAIN) {
        // The answer of a file that another process has to release first. A thread waits for that.
        operation.unlink();
        give_to_threads(operation);
    } else {
        needs_entry(operation);
    }
}

/// A multishot poll has reported a change and stays armed. If the call now succeeds, the poll has
/// to end before the operation is reported: its next completion would find other data in the
/// memory. A cancelled operation ignores changes, because its end is on the way.
void IoUringBackend::note_change(Operation& operation, int ready) noexcept {
    if (has(operation, cancel_requested | achieved)) return;
    const int answer = ready & answers_of(operation);
    if (answer == 0) return;
    const bool is_poll = interest_of(operation.kind) == Interest::asked;
    const int outcome = is_poll ? answer : attempt(operation, scratch_);
    if (outcome == would_block) return;
    operation.result = outcome;
    mark(operation, achieved);
    needs_entry(operation);
}

/// The result to report, or `would_block` if the operation goes to the ring once more. An operation
/// whose cancellation was requested is not sent again; a result that it had before is reported.
int IoUringBackend::outcome_of(Operation& operation, int result) noexcept {
    if (has(operation, achieved)) return operation.result;
    if (operation.kind == OperationKind::open) result = clear_of_standard_number(result);
    if (has(operation, descriptor_closed)) {
        // A poll has done nothing, whatever it answers. A READ or WRITE may have moved bytes.
        const bool has_moved = has(operation, in_kernel_hands) && result >= 0;
        return has_moved ? result : -ECANCELED;
    }
    if (!has(operation, in_kernel_hands)) {
        result = outcome_of_poll(operation, result);
    } else if (result == -EAGAIN && !waits_for_disk(operation.kind)) {
        // The descriptor is non-blocking after all: another process may have changed its mode.
        unmark(operation, in_kernel_hands);
    }
    const bool ended_by_us = result == -ECANCELED && has(operation, called_back);
    unmark(operation, called_back);
    // EINTR: a worker of the kernel was interrupted, which is how the kernel cancels one.
    if (result != -EAGAIN && result != -EINTR && !ended_by_us) return result;
    return has(operation, cancel_requested) ? -ECANCELED : would_block;
}

/// A poll has ended by itself: tries the call, and decides in which form the next poll is made if
/// the call would block.
int IoUringBackend::outcome_of_poll(Operation& operation, int result) noexcept {
    if (result < 0) return result;
    const int answer = result & answers_of(operation);
    const bool is_poll = interest_of(operation.kind) == Interest::asked;
    if (is_poll && answer != 0) return answer;
    const int outcome = attempt(operation, scratch_);
    if (outcome != would_block) return outcome;
    // The first time, another reader may have been faster, so one more plain poll follows. An
    // answer that was not asked for (POLLERR, POLLHUP) stays, so it leads to polls by change at
    // once.
    const bool asked_for = (answer & events_of(operation)) != 0;
    const bool useless = !asked_for || has(operation, tried_in_vain);
    mark(operation, useless ? by_change : tried_in_vain);
    return would_block;
}

/// The operation is over. The mark makes a later `cancel` do nothing.
void IoUringBackend::settle(Operation& operation, int result) noexcept {
    operation.result = result;
    mark(operation, achieved);
    done_.push_back(operation);
}

/// The states are written before the list is handed over: the caller may free an operation as soon
/// as it has it.
void IoUringBackend::report_done(OperationList& finished) noexcept {
    done_.for_each([this](Operation& operation) {
        operation.state = Operation::State::finished;
        --in_flight_;
        if (has(operation, counted)) --slots_[operation.fd].in_flight;
    });
    finished.append(done_);
}

std::unique_ptr<Backend> make_io_uring_backend(RingFlags flags) {
    return std::make_unique<IoUringBackend>(flags);
}

}  // namespace asyncio::lowlevel

#endif  // ASYNCIO_WITH_IO_URING
