// The back-end on epoll(7): try the call, park the operation when it would block, wait for
// readiness, try again.
//
// How descriptors are watched, and why by one-shot
//
// The kernel keys a registration by the pair of descriptor number and open file. The two part ways:
// the number is free at close(2), while the file, and with it the registration, lives until its
// last duplicate is closed, in whatever process that is. (Every child of this library holds
// duplicates between fork and exec.) And this back-end is not told of every close: `Fd` closes
// behind its back. So what is remembered here about a descriptor is a hint, and the kernel is asked
// whenever it matters.
//
//  - Level-triggered is out. A registration left behind by a closed descriptor, or one whose data
//    nobody wants at the moment, would be reported by every wait: a core burnt, and no number left
//    by which to take the registration out.
//  - Edge-triggered, registered once and never touched again, is the cheapest, but trusts memory
//    over the kernel: when a number is closed and used again, "is registered" is wrong, no edge
//    ever comes, and a task hangs.
//  - One-shot: an event disarms its registration, and each wait arms it again, with EPOLL_CTL_MOD.
//    A registration left behind fires once at the most. One whose file is gone answers ENOENT, and
//    is added anew: a wrong hint costs a system call and never a wake-up. The price is one
//    epoll_ctl per operation that parks, on a path that is about to sleep anyway.
//
//
// One-shot alone does not suffice: EPOLLERR and EPOLLHUP are reported unasked, for as long as they
// hold, and the call may block all the same (a socket with something in its error queue). Armed
// again, such a registration would fire at once, round and round. So after an event that served
// nobody the registration is armed by edge, and stays armed: it reports the next change and nothing
// else. It is taken out when nobody waits any more, because it would go on reporting.
//
// A registration left behind on a file that lives on may still fire once for a number that means
// another file by then. So every addition takes a new generation, which travels in the event; an
// event of an older generation is dropped.
//
// The two directions of a descriptor share its one registration: `armed` is the union of what is
// waited for. After an event everything is disarmed and armed anew for whoever still waits. `armed`
// is believed only while somebody waits, because only then is the descriptor known not to have been
// closed (rule 9).
//
// Within a direction operations are served first come, first served, and the first that would block
// ends the round: a thousand readers of one pipe cost one failed read per event rather than a
// thousand.
//
// Regular files cannot be watched (EPERM) and need not be: a call on them never says EAGAIN, so
// they never come to be parked. They do hold up the thread while the disk works; those who mind use
// the worker pool.
//
// Thread-safety: as `Backend`.

#include <asyncio/exceptions.h>

#include "backend/attempt.h"
#include "backend/epoll_wait.h"
#include "backend/fork_guard.h"
#include "backend/look_clock.h"
#include "backend/make_backend.h"
#include "backend/operation_kind.h"
#include "backend/wake_event.h"

#include <array>
#include <deque>
#include <new>

namespace asyncio::lowlevel {
namespace {

/// Who waits on one descriptor number.
struct Slot {
    OperationList reads;
    OperationList writes;
    OperationList polls;

    /// What the registration is armed for; 0 when nobody waits, whatever the kernel still holds.
    std::uint32_t armed = 0;
    bool armed_by_edge() const noexcept { return (armed & EPOLLET) != 0; }

    /// Counts the registrations this number has had. Events of earlier ones are not for us.
    std::uint32_t generation = 0;

    /// A hint: the number was registered, and as far as we know it was not closed since.
    bool registered = false;

    bool idle() const noexcept { return reads.empty() && writes.empty() && polls.empty(); }
};

OperationList& line_of(Slot& slot, const Operation& operation) noexcept {
    switch (interest_of(operation.kind)) {
        case Interest::readable: return slot.reads;
        case Interest::writable: return slot.writes;
        case Interest::asked:
        case Interest::none: break;
    }
    return slot.polls;
}

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
        return (parked_count_ != 0 || !withdrawn_.empty()) && look_clock_.due();
    }
    void wake() noexcept override { wake_event_.wake(); }
    TimePoint now() noexcept override { return Clock::now(); }

private:
    static constexpr std::uint64_t wake_tag = ~std::uint64_t{0};

    // While an operation is in flight its `result` is ours: is it parked, or withdrawn and waiting
    // for the next `wait` to report it?
    static constexpr int parked = 0;
    static constexpr int withdrawn = -ECANCELED;

    bool is_ours(int fd) const noexcept { return fd == epoll_.get() || fd == wake_event_.fd(); }
    void forget_registration(int fd) noexcept;
    int park(Operation& operation) noexcept;
    bool make_slots_up_to(int fd) noexcept;
    int arm(int fd, Slot& slot, std::uint32_t interest, std::uint32_t mode) noexcept;
    void leave_if_idle(int fd, Slot& slot) noexcept;
    int tell_kernel(int fd, Slot& slot, std::uint32_t interest) noexcept;

    void report_withdrawn(OperationList& finished) noexcept;
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

    /// By descriptor number, which the kernel keeps small. A deque, because lists do not move.
    std::deque<Slot> slots_;

    /// Cancelled, unlinked from their slots, not yet reported.
    OperationList withdrawn_;

    /// How many operations are in slots. None: a look at the kernel would be in vain.
    std::size_t parked_count_ = 0;
};

EpollBackend::EpollBackend() : epoll_(clear_of_standard(Fd(::epoll_create1(EPOLL_CLOEXEC)))) {
    if (!epoll_) throw OsError(errno, "epoll_create1");
    epoll_event request{EPOLLIN | EPOLLET, {}};
    request.data.u64 = wake_tag;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_event_.fd(), &request) != 0) {
        throw OsError(errno, "epoll_ctl");
    }
    ignore_sigpipe();
}

Backend::Submitted EpollBackend::submit(Operation& operation) noexcept {
    fork_guard_.check();
    int result = -EBADF;
    if (!is_ours(operation.fd)) {
        if (operation.kind == OperationKind::close) forget_registration(operation.fd);
        result = attempt(operation, scratch_);
    }
    if (result == would_block) result = park(operation);
    if (result == would_block) return Submitted::in_flight;
    finish(operation, result);
    return Submitted::finished;
}

/// Keeps the hint right where that is free; the next user of the number is then added at once.
void EpollBackend::forget_registration(int fd) noexcept {
    if (fd < 0 || static_cast<std::size_t>(fd) >= slots_.size()) return;
    slots_[static_cast<std::size_t>(fd)].registered = false;
}

/// Returns `would_block`, now meaning "parked", or why the operation cannot be.
int EpollBackend::park(Operation& operation) noexcept {
    if (!make_slots_up_to(operation.fd)) return -ENOMEM;
    Slot& slot = slots_[static_cast<std::size_t>(operation.fd)];
    if (slot.idle()) slot.armed = 0;
    const std::uint32_t mode = slot.armed_by_edge() ? EPOLLET : EPOLLONESHOT;
    const int error = arm(operation.fd, slot, slot.armed | events_of(operation), mode);
    if (error != 0) return error;
    line_of(slot, operation).push_back(operation);
    operation.state = Operation::State::in_flight;
    operation.result = parked;
    ++parked_count_;
    return would_block;
}

bool EpollBackend::make_slots_up_to(int fd) noexcept {
    try {
        while (slots_.size() <= static_cast<std::size_t>(fd)) slots_.emplace_back();
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

/// Has the next event of `interest` reported: once (EPOLLONESHOT), or every change (EPOLLET).
/// Returns 0 or −errno.
int EpollBackend::arm(int fd, Slot& slot, std::uint32_t interest, std::uint32_t mode) noexcept {
    // Already armed for it. An interest of 0 (a poll for errors alone) must reach the kernel once.
    if (slot.armed != 0 && slot.armed == (interest | mode)) return 0;
    const int error = tell_kernel(fd, slot, interest | mode);
    if (error == 0) slot.armed = interest | mode;
    return error;
}

/// By edge it would be reported on and on, for nobody.
void EpollBackend::leave_if_idle(int fd, Slot& slot) noexcept {
    if (!slot.idle() || !slot.armed_by_edge()) return;
    // If this fails, the number means another file already.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    slot.armed = 0;
    slot.registered = false;
}

/// Changes the registration if there should be one, else adds it, and believes the kernel about
/// which.
int EpollBackend::tell_kernel(int fd, Slot& slot, std::uint32_t interest) noexcept {
    epoll_event request{interest, {}};
    const auto ask = [&](int change) noexcept {
        request.data.u64 = std::uint64_t{slot.generation} << 32 | static_cast<std::uint32_t>(fd);
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
    if (operation.state != Operation::State::in_flight || operation.result == withdrawn) return;
    // The registration stays armed, perhaps for nobody: an event that finds nobody costs less, and
    // comes more rarely, than a system call for each cancellation.
    operation.unlink();
    operation.result = withdrawn;
    withdrawn_.push_back(operation);
    --parked_count_;
    leave_if_idle(operation.fd, slots_[static_cast<std::size_t>(operation.fd)]);
}

Backend::Waited EpollBackend::wait(TimePoint deadline, OperationList& finished) noexcept {
    fork_guard_.check();
    if (!withdrawn_.empty()) {
        report_withdrawn(finished);
        deadline = internal::at_once;
    }
    if (parked_count_ == 0 && deadline == internal::at_once) return Waited::ok;

    std::array<epoll_event, 256> events;
    const int count = wait_for_events(epoll_.get(), events, deadline);
    look_clock_.looked();
    for (int i = 0; i < count; ++i) handle(events[static_cast<std::size_t>(i)], finished);
    return Waited::ok;
}

void EpollBackend::report_withdrawn(OperationList& finished) noexcept {
    withdrawn_.for_each([](Operation& operation) { finish(operation, -ECANCELED); });
    finished.append(withdrawn_);
}

void EpollBackend::handle(const epoll_event& event, OperationList& finished) noexcept {
    if (event.data.u64 == wake_tag) {
        wake_event_.lower();
        return;
    }
    const auto fd = static_cast<std::uint32_t>(event.data.u64);
    const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32);
    if (slots_[fd].generation == generation) serve(static_cast<int>(fd), event.events, finished);
}

void EpollBackend::serve(int fd, std::uint32_t ready, OperationList& finished) noexcept {
    Slot& slot = slots_[static_cast<std::size_t>(fd)];
    if (!slot.armed_by_edge()) slot.armed = 0;
    const std::size_t parked_before = parked_count_;
    // Polls first: what they are told holds now, and may not after the reads.
    serve_polls(slot, ready, finished);
    constexpr std::uint32_t broken = EPOLLERR | EPOLLHUP;
    if ((ready & (EPOLLIN | broken)) != 0) serve_line(slot.reads, finished);
    if ((ready & (EPOLLOUT | broken)) != 0) serve_line(slot.writes, finished);
    if (slot.idle()) return leave_if_idle(fd, slot);
    const bool useless = parked_count_ == parked_before;
    const std::uint32_t mode = useless || slot.armed_by_edge() ? EPOLLET : EPOLLONESHOT;
    // By edge, interest in what is not waited for any more does no harm, and a change of it would
    // report once more what is known.
    if (slot.armed_by_edge() && (events_of(slot) & ~slot.armed) == 0) return;
    const int error = arm(fd, slot, events_of(slot), mode);
    if (error != 0) fail_all(slot, error, finished);
}

void EpollBackend::serve_polls(Slot& slot, std::uint32_t ready, OperationList& finished) noexcept {
    slot.polls.for_each([&](Operation& poll) {
        const std::uint32_t answer = ready & (events_of(poll) | EPOLLERR | EPOLLHUP);
        if (answer == 0) return;
        poll.unlink();
        report(poll, static_cast<int>(answer), finished);
    });
}

void EpollBackend::serve_line(OperationList& line, OperationList& finished) noexcept {
    while (!line.empty()) {
        const int result = attempt(line.front(), scratch_);
        if (result == would_block) return;
        report(line.pop_front(), result, finished);
    }
}

/// The kernel has no room to watch the descriptor any longer: those who wait would wait for ever.
void EpollBackend::fail_all(Slot& slot, int error, OperationList& finished) noexcept {
    for (OperationList* line : {&slot.reads, &slot.writes, &slot.polls}) {
        while (!line->empty()) report(line->pop_front(), error, finished);
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
