// The back-end on epoll(7): try the call, park the operation when it would block, wait for
// readiness, try again.
//
// How descriptors are watched, and why by one-shot
//
// The kernel keys a registration by the pair of descriptor number and open file. The two have
// different lifetimes. The number is free at close(2). The file, and with it the registration,
// lives until its last duplicate is closed, in whatever process that is. (Every child of this
// library holds duplicates between fork and exec.) And this back-end does not learn of every close:
// `Fd` closes a descriptor by a plain system call. So what is remembered here about a descriptor is
// a hint, and the kernel is asked whenever it matters.
//
//  - Level-triggered does not work. Every wait would report a registration that a closed descriptor
//    has left behind, and one whose data no operation wants at the moment. The loop would use a
//    whole core, and without a number it could not remove the registration.
//  - Edge-triggered, registered once and never touched again, is the cheapest, but it relies on the
//    back-end's memory instead of the kernel. When a number is closed and used again, "is
//    registered" is wrong, no edge ever comes, and a task hangs.
//  - One-shot: an event disarms its registration, and each wait arms it again, with EPOLL_CTL_MOD.
//    A registration left behind fires once at the most. If its file is gone, the kernel answers
//    ENOENT, and the descriptor is added anew: a wrong hint costs a system call and never a
//    wake-up. The price is one epoll_ctl per operation that parks, on a path that is about to sleep
//    anyway.
//
// Arming by one-shot alone is not enough. EPOLLERR and EPOLLHUP are reported unasked, for as long
// as they hold, and the call may still block (a socket with a message in its error queue). Such a
// registration, armed again, would fire at once, without end. So after an event that finished no
// operation the registration is armed by edge, and stays armed: it reports the next change and
// nothing else. It is removed when no operation waits any more, because it would continue to
// report.
//
// A registration that was left behind may belong to a file that is still open elsewhere. It may
// then fire once more, for a number that means another file by now. So every addition takes a new
// generation, which travels in the event, and an event of an older generation is dropped.
//
// The two directions of a descriptor share its one registration: `armed` is the union of what is
// waited for. An event disarms everything, and what the remaining operations wait for is armed
// anew. `armed` is believed only while an operation waits, because only at that time the descriptor
// is known to be open: a close takes the operations out of the slot (rule 9).
//
// The library's own sockets are the exception. They are closed through this back-end alone, so its
// memory of them is right, and the cheapest way is also safe: registered once by edge, for both
// directions (watched.h). The events of the two ways are told apart by a bit of their data. A
// descriptor that was used in the first way and turns out to be an own socket changes over, with
// the operations that wait on it.
//
// A wait handles no more events when 64 KiB have been received, and keeps the others for the next
// wait. The tasks run in between, while their bytes are in the processor's cache, and the memory
// for the bytes is used again by the next ones.
//
// Within a direction operations are served in the order in which they came, and the first that
// would block ends the round. So a thousand readers of one pipe cost one failed read per event and
// not a thousand.
//
// Regular files cannot be watched (EPERM): a call on them never answers EAGAIN, and waits for the
// disk instead. So such an operation is never parked. It is tried with what the kernel has in
// memory, and if that is not enough, it goes to a thread (file_threads.h).
//
// The life of an operation here: `submit` tries the call and parks the operation if the call would
// block → an event of its descriptor makes some `wait` try again → `report` puts it on the list of
// finished ones. A cancelled operation leaves its slot at once and goes to `withdrawn_`, and the
// next `wait` reports it. The kernel holds no part of a parked operation, so a cancellation always
// succeeds here and never waits. An operation that goes to a thread comes back through
// `FileThreads::take_ended`, and a cancellation succeeds as long as no thread has begun it.
//
// Thread-safety: as `Backend`.

#include <asyncio/exceptions.h>

#include "backend/attempt.h"
#include "backend/epoll_wait.h"
#include "backend/file_threads.h"
#include "backend/fork_guard.h"
#include "backend/look_clock.h"
#include "backend/make_backend.h"
#include "backend/marks.h"
#include "backend/operation_kind.h"
#include "backend/slots.h"
#include "backend/waiting_lines.h"
#include "backend/wake_event.h"
#include "backend/watched.h"

#include <array>

namespace asyncio::lowlevel {
namespace {

/// The operations that wait on one descriptor number, and what is known of its registration.
struct Slot : WaitingLines {
    /// The events the registration is armed for; 0 when no operation waits, whatever the kernel
    /// still holds.
    std::uint32_t armed = 0;
    bool armed_by_edge() const noexcept { return (armed & EPOLLET) != 0; }

    /// Counts the registrations this number has had. Events of earlier ones are dropped.
    std::uint32_t generation = 0;

    /// A hint: the number was registered, and the back-end has not seen it closed since.
    bool registered = false;
};

/// Of all operations that wait there. The kernel has one registration for a number, so arming for
/// one operation must repeat what the others wait for.
std::uint32_t events_of(Slot& slot) noexcept {
    std::uint32_t events = 0;
    if (!slot.reads.empty()) events |= EPOLLIN;
    if (!slot.writes.empty()) events |= EPOLLOUT;
    slot.polls.for_each([&](Operation& poll) { events |= events_of(poll); });
    return events;
}

void finish(Operation& operation, int result) noexcept {
    operation.result = result;
    operation.state = Operation::State::finished;
}

class EpollBackend final : public Backend {
public:
    EpollBackend();

    const char* name() const noexcept override { return "epoll"; }
    Submitted submit(Operation& operation) noexcept override;
    void cancel(Operation& operation) noexcept override;
    Waited wait(TimePoint deadline, OperationList& finished) noexcept override;
    bool look_is_due() noexcept override {
        const bool may_report =
            parked_count_ != 0 || !withdrawn_.empty() || file_threads_.any_ended();
        return may_report && look_clock_.due();
    }
    void disown(int fd) noexcept override { forget(fd); }
    void wake() noexcept override { wake_event_.wake(); }
    TimePoint now() noexcept override { return Clock::now(); }

private:
    /// The user data of the wake event. No other event has it: its low half would be the descriptor
    /// −1.
    static constexpr std::uint64_t wake_tag = ~std::uint64_t{0};
    /// In the user data of an event of a watched descriptor. The others have generations of 31
    /// bits.
    static constexpr std::uint64_t watched_tag = std::uint64_t{1} << 63;
    static constexpr std::uint64_t user_data_of(int fd, std::uint32_t generation) noexcept {
        return std::uint64_t{generation & Watched::generation_mask} << 32 |
               static_cast<std::uint32_t>(fd);
    }

    // The marks of an operation in flight.
    static constexpr unsigned withdrawn = 1;  ///< Out of its slot: the next `wait` reports it.
    static constexpr unsigned in_thread = 2;  ///< Not in a slot: `file_threads_` has it.
    static constexpr unsigned cancel_requested = 4;  ///< While it is with `file_threads_`.

    bool is_ours(int fd) const noexcept { return fd == epoll_.get() || fd == wake_event_.fd(); }
    void forget(int fd) noexcept;
    bool must_wait_for_thread(Operation& operation) noexcept;
    int give_to_threads(Operation& operation) noexcept;
    int park(Operation& operation) noexcept;
    int submit_watched(Operation& operation) noexcept;
    int watch(WatchedSlot& slot) noexcept;
    void serve_watched(const epoll_event& event, OperationList& finished) noexcept;
    int arm(int fd, Slot& slot, std::uint32_t interest, std::uint32_t mode) noexcept;
    void withdraw(Operation& operation) noexcept;
    void leave_if_idle(int fd, Slot& slot) noexcept;
    int tell_kernel(int fd, Slot& slot, std::uint32_t interest) noexcept;

    void report_withdrawn(OperationList& finished) noexcept;
    void report_from_threads(OperationList& finished) noexcept;
    void handle(const epoll_event& event, OperationList& finished) noexcept;
    void serve(int fd, std::uint32_t ready, OperationList& finished) noexcept;
    void serve_polls(Slot& slot, std::uint32_t ready, OperationList& finished) noexcept;
    void serve_line(OperationList& line, OperationList& finished) noexcept;
    void fail_all(Slot& slot, int error, OperationList& finished) noexcept;
    void report(Operation& operation, int result, OperationList& finished) noexcept;

    Fd epoll_;
    WakeEvent wake_event_;
    ForkGuard fork_guard_;
    LookClock look_clock_;
    Scratch scratch_;

    Slots<Slot> slots_;
    Watched watched_{scratch_};

    /// Cancelled, unlinked from their slots, not yet reported. They wait for the next `wait`
    /// because `cancel` must not report: its caller is in the middle of a step.
    OperationList withdrawn_;

    /// The events that the kernel has reported, and the first that was not handled yet. An event
    /// may wait for the next `wait` (`Scratch::bytes_per_wait`). If its descriptor is closed
    /// meanwhile, its generation is an old one.
    std::array<epoll_event, 256> events_;
    int next_event_ = 0;
    int event_count_ = 0;

    /// How many operations are in slots. With none, a look at the kernel could find nothing, and
    /// `wait` skips it.
    std::size_t parked_count_ = 0;

    /// The last member: its threads use `wake_event_` until it is destroyed.
    FileThreads file_threads_{[](void* event) noexcept { static_cast<WakeEvent*>(event)->wake(); },
                              &wake_event_};
};

EpollBackend::EpollBackend() : epoll_(clear_of_standard(Fd(::epoll_create1(EPOLL_CLOEXEC)))) {
    if (!epoll_) throw OsError(errno, "epoll_create1");
    // By edge: the eventfd is never read (wake_event.h), so by level it would be reported for ever.
    epoll_event request{EPOLLIN | EPOLLET, {}};
    request.data.u64 = wake_tag;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_event_.fd(), &request) != 0) {
        throw OsError(errno, "epoll_ctl");
    }
    ignore_sigpipe();
}

Backend::Submitted EpollBackend::submit(Operation& operation) noexcept {
    fork_guard_.check();
    operation.marks = 0;
    int result = -EBADF;
    if (!is_ours(operation.fd) && watched_.takes(operation)) {
        result = submit_watched(operation);
        if (result == Watched::waits) return Submitted::in_flight;
    } else if (!is_ours(operation.fd)) {
        const bool may_block = must_wait_for_thread(operation);
        result = may_block ? attempt_from_cache(operation, scratch_) : attempt(operation, scratch_);
        if (result == would_block && !finishes_at_once(operation)) {
            result = may_block ? give_to_threads(operation) : park(operation);
            if (result == would_block) return Submitted::in_flight;
        }
    }
    if (operation.kind == OperationKind::socket && result >= 0) watched_.note_new(result);
    finish(operation, result);
    return Submitted::finished;
}

/// Returns `Watched::waits` if the operation was parked.
int EpollBackend::submit_watched(Operation& operation) noexcept {
    const int result = watched_.submit(operation);
    if (result != Watched::waits) return result;
    WatchedSlot& slot = watched_.slot_of(operation);
    const int error = slot.watched ? 0 : watch(slot);
    if (error != 0) {
        operation.unlink();
        return error;
    }
    operation.state = Operation::State::in_flight;
    ++parked_count_;
    return Watched::waits;
}

/// Operations that wait on the descriptor in the other way are taken over, because the kernel has
/// one registration for a descriptor. Returns 0 or −errno.
int EpollBackend::watch(WatchedSlot& slot) noexcept {
    epoll_event request{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET, {}};
    request.data.u64 = watched_tag | user_data_of(slot.fd, slot.generation);
    int error = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, slot.fd, &request) == 0 ? 0 : errno;
    if (error == EEXIST)
        error = ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, slot.fd, &request) == 0 ? 0 : errno;
    if (error != 0) return -error;
    slot.watched = true;
    if (Slot* other = slots_.find(slot.fd)) {
        slot.append(*other);
        other->armed = 0;
        other->registered = false;
    }
    return 0;
}

/// Whether the operation belongs to a thread if it cannot be carried out at once: it may block, or
/// it closes a descriptor that a thread uses.
bool EpollBackend::must_wait_for_thread(Operation& operation) noexcept {
    if (operation.kind != OperationKind::close) return attempt_may_block(operation);
    forget(operation.fd);
    return !file_threads_.let_go(operation.fd);
}

/// Returns `would_block` if a thread has the operation. Without a thread, the loop's thread waits
/// for the disk: late is better than never.
int EpollBackend::give_to_threads(Operation& operation) noexcept {
    if (!lend_buffer(operation)) return -ENOMEM;
    mark(operation, in_thread);
    operation.state = Operation::State::in_flight;
    if (file_threads_.give(operation)) return would_block;
    const int result = attempt_in_thread(operation);
    take_back_buffer(operation, result);
    return result;
}

/// Before a number is closed: ends the operations that wait on it, and corrects the hint, so that
/// the next file with this number is added at once and not first looked for. The hint may be wrong
/// without harm (see above), so a close that fails, or one that is not seen, needs no care.
void EpollBackend::forget(int fd) noexcept {
    OperationList ended;
    std::uint32_t generation = 0;
    if (watched_.forget(fd, generation, ended))
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    while (!ended.empty()) withdraw(ended.front());
    Slot* slot = slots_.find(fd);
    if (slot == nullptr) return;
    while (Operation* operation = slot->any()) withdraw(*operation);
    leave_if_idle(fd, *slot);
    slot->registered = false;
}

/// Returns `would_block` if the operation was parked, or else −errno, the reason why it could not
/// be.
int EpollBackend::park(Operation& operation) noexcept {
    // Without memory the operation fails, because nothing would ever wake it.
    if (!slots_.make_up_to(operation.fd)) return -ENOMEM;
    Slot& slot = slots_[operation.fd];
    // An empty slot tells nothing: the number may have been closed and given to another file.
    if (slot.idle()) slot.armed = 0;
    // A second operation on a descriptor that is armed by edge must not turn it back to one-shot:
    // the condition of which no operation could make use still holds, and would fire at once.
    const std::uint32_t mode = slot.armed_by_edge() ? EPOLLET : EPOLLONESHOT;
    const int error = arm(operation.fd, slot, slot.armed | events_of(operation), mode);
    if (error != 0) return error;
    slot.line_of(operation).push_back(operation);
    operation.state = Operation::State::in_flight;
    ++parked_count_;
    return would_block;
}

/// Makes the kernel report events of `interest`: the next one only (EPOLLONESHOT), or every change
/// (EPOLLET).
/// Returns 0 or −errno.
int EpollBackend::arm(int fd, Slot& slot, std::uint32_t interest, std::uint32_t mode) noexcept {
    // Already armed for it. An interest of 0 (a poll for errors alone) must reach the kernel once.
    if (slot.armed != 0 && slot.armed == (interest | mode)) return 0;
    const int error = tell_kernel(fd, slot, interest | mode);
    if (error == 0) slot.armed = interest | mode;
    return error;
}

/// Removes a registration by edge when its last operation has left: it would continue to report
/// changes that no operation waits for. A one-shot registration stays. It fires once at the most,
/// and the next operation on the descriptor usually finds it and needs no addition.
void EpollBackend::leave_if_idle(int fd, Slot& slot) noexcept {
    if (!slot.idle() || !slot.armed_by_edge()) return;
    // The call fails if the number already belongs to another file. Then there is no registration
    // to remove.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    slot.armed = 0;
    slot.registered = false;
}

/// Changes the registration if the hint says that there is one, else adds one. The kernel's answer
/// corrects a wrong hint.
int EpollBackend::tell_kernel(int fd, Slot& slot, std::uint32_t interest) noexcept {
    epoll_event request{interest, {}};
    const auto ask = [&](int change) noexcept {
        request.data.u64 = user_data_of(fd, slot.generation);
        return ::epoll_ctl(epoll_.get(), change, fd, &request) == 0 ? 0 : errno;
    };
    int error = slot.registered ? ask(EPOLL_CTL_MOD) : ENOENT;
    if (error == ENOENT) {
        ++slot.generation;
        error = ask(EPOLL_CTL_ADD);
        // The same file is back at the same number, with its registration (dup2 can do that).
        if (error == EEXIST) error = ask(EPOLL_CTL_MOD);
    }
    slot.registered = error == 0;
    return -error;
}

void EpollBackend::cancel(Operation& operation) noexcept {
    if (operation.state != Operation::State::in_flight || has(operation, withdrawn)) return;
    if (has(operation, in_thread)) {
        mark(operation, cancel_requested);
        return file_threads_.cancel(operation);
    }
    // The one-shot registration stays armed, perhaps for no operation. An event that finds no
    // operation costs less, and comes more rarely, than a system call for each cancellation.
    withdraw(operation);
    if (Slot* slot = slots_.find(operation.fd)) leave_if_idle(operation.fd, *slot);
}

/// Takes a parked operation out of its slot. The next `wait` reports it.
void EpollBackend::withdraw(Operation& operation) noexcept {
    operation.unlink();
    mark(operation, withdrawn);
    withdrawn_.push_back(operation);
    --parked_count_;
}

Backend::Waited EpollBackend::wait(TimePoint deadline, OperationList& finished) noexcept {
    fork_guard_.check();
    report_withdrawn(finished);
    report_from_threads(finished);
    // If there is something to report, the kernel is asked without waiting.
    if (!finished.empty()) deadline = internal::at_once;
    if (parked_count_ == 0 && deadline == internal::at_once) return Waited::ok;

    // More events than fit stay in the kernel's list and are returned by the next wait.
    if (next_event_ == event_count_) {
        next_event_ = 0;
        event_count_ = wait_for_events(epoll_.get(), events_, deadline);
    }
    look_clock_.looked();
    scratch_.begin_wait();
    while (next_event_ < event_count_ && !scratch_.had_enough())
        handle(events_[static_cast<std::size_t>(next_event_++)], finished);
    report_from_threads(finished);
    return Waited::ok;
}

/// What the threads have carried out. A call that would block names no file but a pipe or a
/// terminal in non-blocking mode, so the operation waits as any other does.
void EpollBackend::report_from_threads(OperationList& finished) noexcept {
    OperationList ended;
    file_threads_.take_ended(ended);
    while (!ended.empty()) {
        Operation& operation = ended.pop_front();
        int result = operation.result;
        take_back_buffer(operation, result);
        const bool is_cancelled = has(operation, cancel_requested);
        operation.marks = 0;
        if (result == would_block) result = is_cancelled ? -ECANCELED : park(operation);
        if (result == would_block) continue;
        finish(operation, result);
        finished.push_back(operation);
    }
}

/// These operations have had no effect since they were parked, so −ECANCELED is correct, and the
/// data stays with the kernel for the next reader.
void EpollBackend::report_withdrawn(OperationList& finished) noexcept {
    withdrawn_.for_each([](Operation& operation) { finish(operation, -ECANCELED); });
    finished.append(withdrawn_);
}

/// The slot of an event always exists: slots are made before a number is armed, and never removed.
void EpollBackend::handle(const epoll_event& event, OperationList& finished) noexcept {
    if (event.data.u64 == wake_tag) {
        wake_event_.lower();
        return;
    }
    if ((event.data.u64 & watched_tag) != 0) return serve_watched(event, finished);
    const auto fd = static_cast<int>(static_cast<std::uint32_t>(event.data.u64));
    const bool is_current = user_data_of(fd, slots_[fd].generation) == event.data.u64;
    if (is_current) serve(fd, event.events, finished);
}

/// The descriptor is one of the library's sockets. `watched_` tries its operations and notes what
/// the event says. Nothing is armed again: the registration by edge stays until the close.
void EpollBackend::serve_watched(const epoll_event& event, OperationList& finished) noexcept {
    const auto fd = static_cast<int>(static_cast<std::uint32_t>(event.data.u64));
    const auto generation =
        static_cast<std::uint32_t>(event.data.u64 >> 32) & Watched::generation_mask;
    OperationList done;
    watched_.ready(fd, generation, event.events, done);
    done.for_each([this](Operation& operation) {
        operation.state = Operation::State::finished;
        --parked_count_;
    });
    finished.append(done);
}

/// The descriptor may be ready for `ready`: tries its operations, and arms it for those that stay.
void EpollBackend::serve(int fd, std::uint32_t ready, OperationList& finished) noexcept {
    Slot& slot = slots_[fd];
    if (!slot.armed_by_edge()) slot.armed = 0;
    const std::size_t parked_before = parked_count_;
    // Polls come first: a read may take the data that a poll is about to report.
    serve_polls(slot, ready, finished);
    constexpr std::uint32_t broken = EPOLLERR | EPOLLHUP;
    if ((ready & (EPOLLIN | broken)) != 0) serve_line(slot.reads, finished);
    if ((ready & (EPOLLOUT | broken)) != 0) serve_line(slot.writes, finished);
    if (slot.idle()) return leave_if_idle(fd, slot);
    // The event finished no operation although operations wait: the case for which the registration
    // changes to "by edge" (see the top).
    const bool useless = parked_count_ == parked_before;
    const std::uint32_t mode = useless || slot.armed_by_edge() ? EPOLLET : EPOLLONESHOT;
    // An edge registration that covers more than what is waited for does no harm. Changing it would
    // make the kernel report the present state once more, and that state is known to be useless.
    if (slot.armed_by_edge() && (events_of(slot) & ~slot.armed) == 0) return;
    const int error = arm(fd, slot, events_of(slot), mode);
    if (error != 0) fail_all(slot, error, finished);
}

/// A poll is finished by its event alone: there is no call to try. EPOLLERR and EPOLLHUP finish
/// every poll, as poll(2) reports them unasked. `for_each` allows the present element to leave the
/// list.
void EpollBackend::serve_polls(Slot& slot, std::uint32_t ready, OperationList& finished) noexcept {
    slot.polls.for_each([&](Operation& poll) {
        const std::uint32_t answer = ready & (events_of(poll) | EPOLLERR | EPOLLHUP);
        if (answer == 0) return;
        poll.unlink();
        report(poll, static_cast<int>(answer), finished);
    });
}

/// Tries the operations of one direction until one would block. Bounded by the line's length: every
/// round finishes one operation, and no operation joins the line from in here.
void EpollBackend::serve_line(OperationList& line, OperationList& finished) noexcept {
    while (!line.empty()) {
        const int result = attempt(line.front(), scratch_);
        if (result == would_block) return;
        report(line.pop_front(), result, finished);
    }
}

/// The kernel can no longer watch the descriptor (no memory, or the limit on watches is reached).
/// Its operations would wait for ever, so they end with the error.
void EpollBackend::fail_all(Slot& slot, int error, OperationList& finished) noexcept {
    while (Operation* operation = slot.any()) {
        operation->unlink();
        report(*operation, error, finished);
    }
}

void EpollBackend::report(Operation& operation, int result, OperationList& finished) noexcept {
    finish(operation, result);
    finished.push_back(operation);
    --parked_count_;
}

}  // namespace

std::unique_ptr<Backend> make_epoll_backend() { return std::make_unique<EpollBackend>(); }

}  // namespace asyncio::lowlevel
