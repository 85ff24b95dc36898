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
//  4. The ring's polls answer POLLRDHUP ("the peer will send no more") unasked, and at once if it
//     holds already. A write into a full socket whose peer has finished sending, which is how
//     HTTP/1.0 and many a script talk, would be polled round and round without end. So where that
//     is the answer, the next poll is a multishot one. It reports changes: the same useless answer
//     once, and then nothing until something happens. When what was asked for happens, the poll is
//     ended, and when it has ended, the call is tried.
//
// Several operations on one descriptor each have a poll of their own. One event wakes them all, and
// those who come too late are polled again: fine for a handful, wasteful for thousands.
//
// The life of an operation: `submit` queues an entry whose user_data is the operation's address →
// the next `wait` hands it to the kernel → its completion is collected by some `wait` → it is
// reported, or goes round again. Nothing but its completion reports it, so "exactly once" is the
// kernel's promise, not ours. A cancellation is an entry of its own (ASYNC_CANCEL) behind the one
// it names: submissions are carried out in order, so it can meet neither an operation that is not
// there yet, nor a later one at the same address.
//
// wake: a multishot poll on an eventfd, armed again when the kernel says that it was the last time
// (it ends, for example, when completions overflow).
//
// Thread-safety: as `Backend`. The ring is bound to the thread of the first `submit` or `wait`.

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
#include "backend/ring.h"
#include "backend/wake_event.h"

#include <algorithm>

#include <poll.h>

namespace asyncio::lowlevel {
namespace {

/// The poll events for which the operation waits.
unsigned interest_of(const Operation& operation) noexcept {
    switch (operation.kind) {
        case OperationKind::read: return POLLIN;
        case OperationKind::write: return POLLOUT;
        default: return static_cast<std::uint16_t>(operation.events);
    }
}

/// Those, and the ones that poll(2) reports unasked.
int answers_of(const Operation& operation) noexcept {
    return static_cast<int>(interest_of(operation)) | POLLERR | POLLHUP;
}

std::uint64_t address_of(Operation& operation) noexcept {
    return reinterpret_cast<std::uintptr_t>(&operation);
}

class IoUringBackend final : public Backend {
public:
    explicit IoUringBackend(RingFlags flags) : ring_(flags) { ignore_sigpipe(); }
    ~IoUringBackend() override;

    const char* name() const noexcept override { return "io_uring"; }
    Submitted submit(Operation& operation) noexcept override;
    void cancel(Operation& operation) noexcept override;
    Waited wait(TimePoint deadline, OperationList& finished) noexcept override;
    void wake() noexcept override { wake_event_.wake(); }
    TimePoint now() noexcept override { return Clock::now(); }

private:
    // What a completion is for: the answer to a cancellation, which nobody needs; a wake-up; or
    // else the operation at this address.
    static constexpr std::uint64_t nobody = 0;
    static constexpr std::uint64_t wake_up = 1;

    // While an operation is in flight its `result` is ours, and holds these bits.
    static constexpr int in_kernel_hands = 1;   ///< READ or WRITE: the kernel may touch the buffer.
    static constexpr int cancel_requested = 2;  ///< By the caller; ASYNC_CANCEL is queued, or was.
    static constexpr int by_change = 4;         ///< The poll is a multishot one.
    /// As cancel_requested, but by us: it has done its work.
    static constexpr int poll_ending = 8;

    void start_if_new() noexcept;
    void arm_wake_up() noexcept;
    void arm(Operation& operation) noexcept;
    void arm_poll(Operation& operation) noexcept;
    void end(Operation& operation) noexcept;
    void collect(OperationList& finished) noexcept;
    void handle(const Completion& completion, OperationList& finished) noexcept;
    int outcome_of(Operation& operation, int result) noexcept;
    int outcome_of_poll(Operation& operation, int result) noexcept;
    void note_change(Operation& operation, int ready) noexcept;

    Ring ring_;
    WakeEvent wake_event_;
    ForkGuard fork_guard_;
    bool started_ = false;
    bool wake_up_armed_ = false;

    /// How many operations are in flight. None: a look at the ring would be in vain.
    std::size_t in_flight_ = 0;

    /// Operations whose buffers the kernel may touch at any time.
    OperationList in_kernel_hands_;

    /// Filled and emptied within one `wait`: operations that have to go round again.
    OperationList again_;
};

/// A poll that is left behind harms nobody: closing the ring ends it. A READ would go on writing
/// into a buffer that its owner is about to free, so those are waited for.
IoUringBackend::~IoUringBackend() {
    if (fork_guard_.crossed()) return;
    in_kernel_hands_.for_each([this](Operation& operation) { cancel(operation); });
    OperationList unreported;
    while (!in_kernel_hands_.empty()) wait(internal::never, unreported);
}

Backend::Submitted IoUringBackend::submit(Operation& operation) noexcept {
    fork_guard_.check();
    const bool may_block = attempt_may_block(operation);
    if (!may_block) {
        operation.result = attempt(operation);
        if (operation.result != would_block) {
            operation.state = Operation::State::finished;
            return Submitted::finished;
        }
    }
    start_if_new();
    operation.result = may_block ? in_kernel_hands : 0;
    operation.state = Operation::State::in_flight;
    ++in_flight_;
    arm(operation);
    return Submitted::in_flight;
}

void IoUringBackend::start_if_new() noexcept {
    if (started_) return;
    started_ = true;
    ring_.start();
    arm_wake_up();
}

void IoUringBackend::arm_wake_up() noexcept {
    io_uring_sqe& entry = ring_.next_entry();
    ::io_uring_prep_poll_multishot(&entry, wake_event_.fd(), POLLIN);
    ::io_uring_sqe_set_data64(&entry, wake_up);
    wake_up_armed_ = true;
}

/// Queues the entry for the operation's present form.
void IoUringBackend::arm(Operation& operation) noexcept {
    if ((operation.result & in_kernel_hands) == 0) return arm_poll(operation);
    const bool reads = operation.kind == OperationKind::read;
    // Where read(2) and write(2) cut off too.
    constexpr std::size_t most_bytes = 0x7ffff000;
    const auto size = static_cast<unsigned>(std::min(operation.size, most_bytes));
    constexpr auto current_position = ~std::uint64_t{0};
    io_uring_sqe& entry = ring_.next_entry();
    ::io_uring_prep_rw(reads ? IORING_OP_READ : IORING_OP_WRITE, &entry, operation.fd,
                       operation.buffer, size, current_position);
    ::io_uring_sqe_set_data64(&entry, address_of(operation));
    in_kernel_hands_.push_back(operation);
}

void IoUringBackend::arm_poll(Operation& operation) noexcept {
    operation.result &= ~poll_ending;
    const auto prepare = (operation.result & by_change) != 0 ? &::io_uring_prep_poll_multishot
                                                             : &::io_uring_prep_poll_add;
    io_uring_sqe& entry = ring_.next_entry();
    prepare(&entry, operation.fd, interest_of(operation));
    ::io_uring_sqe_set_data64(&entry, address_of(operation));
}

/// Asks the kernel to end what is armed for the operation. Its completion says that it has.
void IoUringBackend::end(Operation& operation) noexcept {
    io_uring_sqe& entry = ring_.next_entry();
    ::io_uring_prep_cancel64(&entry, address_of(operation), 0);
    ::io_uring_sqe_set_data64(&entry, nobody);
}

void IoUringBackend::cancel(Operation& operation) noexcept {
    if (operation.state != Operation::State::in_flight) return;
    if ((operation.result & cancel_requested) != 0) return;
    operation.result |= cancel_requested;
    end(operation);
}

Backend::Waited IoUringBackend::wait(TimePoint deadline, OperationList& finished) noexcept {
    fork_guard_.check();
    if (in_flight_ == 0 && deadline == internal::at_once) return Waited::ok;
    start_if_new();
    ring_.wait(deadline);
    collect(finished);
    return Waited::ok;
}

void IoUringBackend::collect(OperationList& finished) noexcept {
    ring_.collect([&](const Completion& completion) { handle(completion, finished); });
    while (!again_.empty()) {
        Operation& operation = again_.pop_front();
        (operation.result & poll_ending) != 0 ? end(operation) : arm(operation);
    }
    if (!wake_up_armed_) arm_wake_up();
}

void IoUringBackend::handle(const Completion& completion, OperationList& finished) noexcept {
    const bool still_armed = (completion.flags & IORING_CQE_F_MORE) != 0;
    if (completion.user_data == nobody) return;
    if (completion.user_data == wake_up) {
        wake_event_.lower();
        wake_up_armed_ = still_armed;
        return;
    }
    auto& operation = *reinterpret_cast<Operation*>(completion.user_data);
    if (still_armed) return note_change(operation, completion.result);
    if (operation.linked()) operation.unlink();
    const int outcome = outcome_of(operation, completion.result);
    if (outcome == would_block) return again_.push_back(operation);
    operation.result = outcome;
    operation.state = Operation::State::finished;
    finished.push_back(operation);
    --in_flight_;
}

/// A multishot poll has something to tell, and goes on. It must have ended before the operation can
/// be reported: its next completion would find the memory in other use.
void IoUringBackend::note_change(Operation& operation, int ready) noexcept {
    const bool ends_already = (operation.result & (cancel_requested | poll_ending)) != 0;
    if (ends_already || (ready & answers_of(operation)) == 0) return;
    operation.result |= poll_ending;
    again_.push_back(operation);
}

/// What to report, or `would_block`: once more. An operation whose cancellation was asked for is
/// not sent round again; what it achieved before is reported all the same.
int IoUringBackend::outcome_of(Operation& operation, int result) noexcept {
    const bool was_polled = (operation.result & in_kernel_hands) == 0;
    if (was_polled) result = outcome_of_poll(operation, result);
    // A worker of the kernel's was interrupted, which is how it is cancelled; or the descriptor
    // turned out to be non-blocking, and is to be polled from now on.
    if (result == -EAGAIN) operation.result &= ~in_kernel_hands;
    if (result != -EAGAIN && result != -EINTR) return result;
    return (operation.result & cancel_requested) != 0 ? -ECANCELED : would_block;
}

int IoUringBackend::outcome_of_poll(Operation& operation, int result) noexcept {
    const bool ended_by_us = (operation.result & (poll_ending | cancel_requested)) == poll_ending;
    if (result < 0 && !ended_by_us) return result;
    const int answer = result < 0 ? 0 : result & answers_of(operation);
    if (operation.kind == OperationKind::poll && answer != 0) return answer;
    const int outcome = attempt(operation);
    if (outcome == would_block && answer == 0) operation.result |= by_change;
    return outcome;
}

}  // namespace

std::unique_ptr<Backend> make_io_uring_backend(RingFlags flags) {
    return std::make_unique<IoUringBackend>(flags);
}

}  // namespace asyncio::lowlevel

#endif  // ASYNCIO_WITH_IO_URING
