// The simulated back-end: a small world with its own clock, its own pipes, and a plan.
//
// The clock stands still while the program runs and jumps when it waits: straight to the deadline,
// or to the next moment the plan has appointed for an operation. Ten years of sleeping take no time
// at all, and two runs with the same seed read the same times.
//
// Where an operation in flight can be
//   waiting     on its pipe: it would block. The next change of the pipe makes the world try again.
//   appointed   in the schedule: it could be carried out, and the plan delays that. There was no
//               effect yet: it may find the pipe empty by then, and wait.
//   outside     it names a real descriptor, and would block there.
//   done        carried out or cancelled; the next `wait` reports it.
//
//     submit ──┬─► waiting ◄──► appointed ──┬─► done ──► reported
//              │      └─────────────────────┤
//              └─► outside ─────────────────┘
//
// Operations on pipes are carried out in `submit` and `wait` only, never by one another. When a
// step of the program makes an operation possible, the next `wait` finds it. So nothing recurses,
// and a cancellation in the same step still finds the operation undone: this is the race that the
// plan then decides.
//
// A wait, step by step
//
//  1. The bell is answered. If another thread rang it, this wait only looks: the program must see
//     what that thread did at this moment of its time and not after a jump.
//  2. The plan may let the wait return early and with nothing. The contract allows it, and programs
//     must not depend on the opposite.
//  3. Everything that is due is carried out: appointments whose time has come, then operations on
//     pipes to which something happened.
//  4. If that finished an operation, or the wait only looks, no time passes. Otherwise the clock
//     jumps; while operations are outside, the world waits for real instead.
//  5. Operations due at the new time are carried out. Everything that is done is reported, in an
//     order that the plan shuffles.
//
// Why two runs are equal. The plan is the only source of choice, and it is asked in an order
// that depends on the program alone. Every container that is walked has an order of its own: by
// time, then by arrival. The tickets are kept by address, which differs from run to run, so they
// are looked up and never walked.
//
// Deadlock. The program does not run during a wait, so an operation that waits on its pipe when the
// wait begins still waits when it ends. With nothing appointed, nothing outside and no deadline,
// the wait has no end, and is answered `deadlock`. The world cannot see other threads. Where
// another thread is going to call `wake`, the program says so (`expect_wakes`), or keeps an
// operation on a real descriptor in flight; either makes the wait a real one.
//
// Descriptors. Numbers from 2³⁰ belong to the world; all others are real. The cost of real ones
// (real waiting, and the end of determinism) stands in real_descriptors.h.
//
// Out of memory. All the memory that an operation needs until its report is allocated in `submit`,
// which can still refuse it with ENOMEM: a ticket, a node for its appointment, and room in `done_`.
// `cancel` and `wait` allocate nothing of their own. The bytes of a pipe and a new pipe are
// allocated when the operation is carried out, and a failure there is its result.
//
// Owners. The world owns the tickets, the descriptor table and the clock. A pipe is shared by its
// two ends in the table, by the tickets of operations that name it, and by the list of changed
// pipes, so it lives as long as anything can still be asked of it. The operations belong to their
// callers.
//
// Thread-safety: one thread, except `wake`.

#include <asyncio/lowlevel/backend.h>

#include "backend/attempt.h"
#include "backend/fork_guard.h"
#include "backend/simulated/descriptors.h"
#include "backend/simulated/pipe.h"
#include "backend/simulated/plan.h"
#include "backend/simulated/real_descriptors.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

#include <poll.h>

namespace asyncio::lowlevel {
namespace simulated {
namespace {

/// The time at which a world begins. Not the clock's zero, so that a time computed backwards from
/// the present, by a second at most, is not negative.
constexpr TimePoint beginning = TimePoint{} + std::chrono::seconds{1};

/// Operations by the time at which they are looked at. A multimap keeps those of one time in the
/// order in which they came, which a heap would not.
using Schedule = std::multimap<TimePoint, Operation*>;

/// The world's notes about an operation in flight.
struct Ticket {
    enum class Place : std::uint8_t { waiting, appointed, outside, done };

    /// The meaning of the number when the operation was submitted; null if it meant nothing. By the
    /// time the operation is carried out, the number may mean another pipe, and that pipe must not
    /// be touched.
    ChannelPtr channel;
    Place place = Place::done;
    /// The caller has cancelled it, and the plan decided that the cancellation comes late: the
    /// operation ends at its appointment, with a result if it can have one.
    bool cancelled = false;
    /// Valid while `place` is `appointed`.
    Schedule::iterator appointment{};
    /// The node of the appointment while the operation has none: `cancel` and `wait` make
    /// appointments, and must not allocate.
    Schedule::node_type spare_appointment;
};

class World final : public Backend {
public:
    explicit World(SimulationOptions options)
        : plan_(options.seed), descriptors_(plan_.reuses_numbers()) {
        ignore_sigpipe();
    }

    const char* name() const noexcept override { return "simulated"; }
    Submitted submit(Operation& operation) noexcept override;
    void cancel(Operation& operation) noexcept override;
    Waited wait(TimePoint deadline, OperationList& finished) noexcept override;
    void wake() noexcept override { real_.doorbell().ring(); }
    void expect_wakes(int change) noexcept override { real_.expect_rings(change); }
    TimePoint now() noexcept override { return now_; }

private:
    // Operations on pipes. `foresee` asks and changes nothing; `carry_out` does it. Between
    // the two the plan decides whether now is the time, and how many bytes.
    int try_to_carry_out(Operation& operation, int foreseen) noexcept;
    ChannelPtr channel_of(const Operation& operation) const;
    int foresee(const Operation& operation, const ChannelPtr& channel) const noexcept;
    int carry_out(Operation& operation, int foreseen);
    int move_bytes(Operation& operation, int most);
    static_assert(Pipe::capacity_bytes <= Scratch::size_bytes);
    bool take_bytes(Operation& operation, Pipe& pipe, std::size_t count);
    int make_pipe(const Operation& operation);
    int close_end(int number);
    void mark_changed(const ChannelPtr& channel) noexcept;
    ChannelPtr pop_changed() noexcept;

    // Where operations are (`Ticket::Place`).
    Ticket& write_ticket(Operation& operation, bool with_appointment);
    Submitted submit_outside(Operation& operation);
    void let_wait(Operation& operation, Ticket& ticket) noexcept;
    void appoint(Ticket& ticket, Duration delay) noexcept;
    void leave_place(Operation& operation, Ticket& ticket) noexcept;
    void settle(Operation& operation, int result) noexcept;

    // Parts of a wait.
    void do_what_is_due();
    void keep_appointment(Operation& operation, Ticket& ticket);
    void try_again(Channel& channel);
    bool jump(TimePoint deadline);
    void look_outside(TimePoint until);
    void grow_older();
    void report(OperationList& finished);

    ForkGuard fork_guard_;
    Plan plan_;
    Descriptors descriptors_;
    RealDescriptors real_;
    TimePoint now_ = beginning;

    /// The operations in flight. Never walked: the order of addresses differs from run to run.
    std::unordered_map<const Operation*, Ticket> tickets_;
    Schedule schedule_;
    /// Pipes to which something happened since their waiting operations were last tried, in the
    /// order in which it happened. The list runs through the pipes themselves and owns them, so
    /// that a pipe whose two ends are closed is still there when the list comes to it.
    ChannelPtr first_changed_;
    Channel* last_changed_ = nullptr;
    /// The report of the next `wait`, in the order in which it was done. A vector and not a list
    /// through the operations, because shuffling needs elements with numbers. It has room for all
    /// operations in flight.
    std::vector<Operation*> done_;
    /// How many waits in a row found something to do and took no time; see `grow_older`.
    int waits_without_time_ = 0;
};

/// Whether the operation goes to the kernel. A new pipe is always the world's own: this is what
/// makes a program without children deterministic.
bool is_real(const Operation& operation) noexcept {
    return operation.kind != OperationKind::pipe && operation.fd < first_number;
}

/// The pipe that the operation's number means now; null if it means none.
ChannelPtr World::channel_of(const Operation& operation) const {
    const End* end = descriptors_.find(operation.fd);
    return end == nullptr ? nullptr : end->channel;
}

/// The result that the operation would have if it was carried out now and all bytes moved; or
/// `would_block`. `channel` is what its number meant when it was submitted. If the number means
/// something else by now, the descriptor was closed in between, and the answer is EBADF.
int World::foresee(const Operation& operation, const ChannelPtr& channel) const noexcept {
    if (operation.kind == OperationKind::pipe) return 0;
    const End* end = descriptors_.find(operation.fd);
    if (end == nullptr || end->channel != channel) return -EBADF;

    const Pipe& pipe = channel->pipe;
    switch (operation.kind) {
        case OperationKind::read:
            return end->side == Pipe::Side::reading ? pipe.readable(operation.size) : -EBADF;
        case OperationKind::write:
            return end->side == Pipe::Side::writing ? pipe.writable(operation.size) : -EBADF;
        case OperationKind::poll: {
            // poll(2) reports these two whether asked for or not.
            const int events = pipe.events(end->side) & (operation.events | POLLERR | POLLHUP);
            return events != 0 ? events : would_block;
        }
        case OperationKind::close:
        case OperationKind::pipe: break;
    }
    return 0;
}

/// Like a kernel's, the world's memory can be used up: the operation then ends with ENOMEM, and
/// nothing has happened.
int World::try_to_carry_out(Operation& operation, int foreseen) noexcept {
    try {
        return carry_out(operation, foreseen);
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

/// Does what `foresee` promised, or a part of it where the plan says so. The result.
int World::carry_out(Operation& operation, int foreseen) {
    if (foreseen < 0) return foreseen;
    switch (operation.kind) {
        case OperationKind::read:
        case OperationKind::write: return foreseen > 0 ? move_bytes(operation, foreseen) : 0;
        case OperationKind::poll: return foreseen;
        case OperationKind::pipe: return make_pipe(operation);
        case OperationKind::close: return close_end(operation.fd);
    }
    return -ENOSYS;
}

int World::move_bytes(Operation& operation, int most) {
    const ChannelPtr channel = channel_of(operation);
    auto count = static_cast<std::size_t>(most);
    if (operation.kind == OperationKind::read) {
        count = plan_.shortened(count);
        if (!take_bytes(operation, channel->pipe, count)) return -ENOMEM;
    } else {
        // POSIX promises that a write of up to PIPE_BUF bytes goes in whole, so the plan may not
        // shorten it.
        if (operation.size > PIPE_BUF) count = plan_.shortened(count);
        channel->pipe.put(operation.buffer, count);
    }
    mark_changed(channel);
    return static_cast<int>(count);
}

/// False if there is no memory; the bytes are still there then.
bool World::take_bytes(Operation& operation, Pipe& pipe, std::size_t count) {
    if (operation.receive == nullptr) {
        pipe.take(operation.buffer, count);
        return true;
    }
    // A pipe holds no more than the scratch buffer (see the assertion above), so nothing is cut
    // off.
    const std::span<char> room = real_.scratch().take(count);
    if (room.data() == nullptr) return false;
    pipe.take(room.data(), count);
    operation.receive(operation, room);
    return true;
}

/// All or nothing: without memory for the second end, the first one is closed again.
int World::make_pipe(const Operation& operation) {
    auto channel = std::make_shared<Channel>();
    auto* ends = static_cast<int*>(operation.buffer);
    const int reading = descriptors_.open(channel, Pipe::Side::reading);
    try {
        ends[1] = descriptors_.open(channel, Pipe::Side::writing);
    } catch (...) {
        descriptors_.close(reading);
        throw;
    }
    ends[0] = reading;
    return 0;
}

/// Closing is an event for the other end: a reader sees the end of the stream, a writer EPIPE. So
/// the operations that wait on the pipe are tried again.
int World::close_end(int number) {
    const auto [channel, side] = *descriptors_.find(number);
    channel->pipe.close(side);
    descriptors_.close(number);
    mark_changed(channel);
    return 0;
}

/// Puts the pipe at the end of the list, once: its operations are tried together, however often it
/// changed.
void World::mark_changed(const ChannelPtr& channel) noexcept {
    if (std::exchange(channel->changed, true)) return;
    (first_changed_ == nullptr ? first_changed_ : last_changed_->next_changed) = channel;
    last_changed_ = channel.get();
}

ChannelPtr World::pop_changed() noexcept {
    ChannelPtr channel = std::move(first_changed_);
    first_changed_ = std::move(channel->next_changed);
    channel->changed = false;
    return channel;
}

/// Finishes an operation within `submit`: it was never in flight, and is not reported.
Backend::Submitted finish_at_once(Operation& operation, int result) noexcept {
    operation.result = result;
    operation.state = Operation::State::finished;
    return Backend::Submitted::finished;
}

Backend::Submitted World::submit(Operation& operation) noexcept {
    fork_guard_.check();
    assert(operation.state != Operation::State::in_flight &&
           "an operation is submitted once at a time");
    if (is_real(operation)) return submit_outside(operation);

    // The plan is asked only where there is a choice. An operation that must wait waits. An
    // operation that fails at once may fail in `submit` or later, like any other result.
    ChannelPtr channel = channel_of(operation);
    const int foreseen = foresee(operation, channel);
    const bool must_wait = foreseen == would_block;
    if (!must_wait && plan_.finishes_in_submit()) {
        return finish_at_once(operation, try_to_carry_out(operation, foreseen));
    }
    try {
        Ticket& ticket = write_ticket(operation, true);
        ticket.channel = std::move(channel);
        if (must_wait) {
            let_wait(operation, ticket);
        } else {
            appoint(ticket, plan_.delay());
        }
    } catch (const std::bad_alloc&) {
        return finish_at_once(operation, -ENOMEM);
    }
    return Submitted::in_flight;
}

/// As the back-ends of the kernel do it: the call is tried, and what would block is kept. The plan
/// has no part in it.
Backend::Submitted World::submit_outside(Operation& operation) {
    const bool ours = operation.fd == real_.doorbell().number();
    const int result = ours ? -EBADF : attempt(operation, real_.scratch());
    if (result != would_block) return finish_at_once(operation, result);
    try {
        write_ticket(operation, false).place = Ticket::Place::outside;
    } catch (const std::bad_alloc&) {
        return finish_at_once(operation, -ENOMEM);
    }
    real_.keep(operation);
    return Submitted::in_flight;
}

/// Makes the operation's ticket, with all the memory that the operation will need until it is
/// reported. Throws: `std::bad_alloc`; the operation is not in flight then.
Ticket& World::write_ticket(Operation& operation, bool with_appointment) {
    Schedule::node_type appointment;
    if (with_appointment) {
        // A map hands out its nodes only full, so the node is made by a map that is thrown away.
        Schedule nothing;
        appointment = nothing.extract(nothing.emplace(now_, &operation));
    }
    const std::size_t in_flight = tickets_.size() + 1;
    // Doubling keeps the cost constant per operation.
    if (done_.capacity() < in_flight) done_.reserve(2 * in_flight);
    Ticket& ticket = tickets_[&operation];
    ticket.spare_appointment = std::move(appointment);
    operation.state = Operation::State::in_flight;
    return ticket;
}

void World::cancel(Operation& operation) noexcept {
    assert(operation.state == Operation::State::in_flight &&
           "only what is in flight can be cancelled");
    Ticket& ticket = tickets_.at(&operation);
    // A close cannot be cancelled: the contract promises that the number is free afterwards.
    if (ticket.place == Ticket::Place::done || operation.kind == OperationKind::close) return;
    if (std::exchange(ticket.cancelled, true)) return;

    // The world knows nothing about an operation outside, and looking would cost a system call. So
    // it ends as −ECANCELED, and what arrived meanwhile stays in the kernel for the next operation.
    const bool gives_up = ticket.place == Ticket::Place::outside || plan_.cancel_wins();
    leave_place(operation, ticket);
    if (gives_up) {
        settle(operation, -ECANCELED);
    } else {
        // The cancellation comes late: the operation succeeds if it can when its time comes.
        appoint(ticket, plan_.delay());
    }
}

void World::let_wait(Operation& operation, Ticket& ticket) noexcept {
    ticket.place = Ticket::Place::waiting;
    ticket.channel->waiting.push_back(operation);
}

void World::appoint(Ticket& ticket, Duration delay) noexcept {
    ticket.place = Ticket::Place::appointed;
    ticket.spare_appointment.key() = internal::add_saturating(now_, delay);
    ticket.appointment = schedule_.insert(std::move(ticket.spare_appointment));
}

/// Takes the operation out of its present place. Which list it is in, its pipe's or the outside's,
/// need not be known. The node of an appointment is kept for the next one.
void World::leave_place(Operation& operation, Ticket& ticket) noexcept {
    if (ticket.place == Ticket::Place::appointed) {
        ticket.spare_appointment = schedule_.extract(ticket.appointment);
    } else {
        operation.unlink();
    }
}

/// Notes that the operation is done. It has left its place before. The push needs no memory:
/// `write_ticket` has made the room.
void World::settle(Operation& operation, int result) noexcept {
    operation.result = result;
    tickets_.at(&operation).place = Ticket::Place::done;
    done_.push_back(&operation);
}

Backend::Waited World::wait(TimePoint deadline, OperationList& finished) noexcept {
    fork_guard_.check();
    // If the bell rang, the program must see at this time what the other thread did, not after a
    // jump.
    const bool woken = real_.doorbell().answer();
    if (plan_.wait_returns_early()) return Waited::ok;

    // Time may pass only when all that could be done at this moment is done, and finished nothing.
    do_what_is_due();
    const bool only_looks = woken || !done_.empty() || deadline <= now_;
    if (!real_.empty()) {
        look_outside(only_looks ? internal::at_once : deadline);
    } else if (only_looks) {
        grow_older();
    } else if (!jump(deadline)) {
        // The bell may have rung since the first look at it. If not, this is the wait without an
        // end (see "Deadlock" above).
        return real_.doorbell().answer() ? Waited::ok : Waited::deadlock;
    }
    do_what_is_due();
    report(finished);
    return Waited::ok;
}

/// Carries out what is due at the present time, first by appointment, then on changed pipes.
void World::do_what_is_due() {
    while (!schedule_.empty() && schedule_.begin()->first <= now_) {
        Operation& operation = *schedule_.begin()->second;
        Ticket& ticket = tickets_.at(&operation);
        leave_place(operation, ticket);
        keep_appointment(operation, ticket);
    }
    // The list grows while it is walked: a read that succeeds makes room for a write. Each entry
    // comes from an operation that finished, and their number is limited, so this ends.
    while (first_changed_ != nullptr) try_again(*pop_changed());
}

/// The operation's time has come: it is carried out; or given up, if the caller asked for that; or
/// it waits. For a cancelled operation this is the last chance, so it never waits again.
void World::keep_appointment(Operation& operation, Ticket& ticket) {
    const int foreseen = foresee(operation, ticket.channel);
    if (foreseen != would_block) {
        settle(operation, try_to_carry_out(operation, foreseen));
    } else if (ticket.cancelled) {
        settle(operation, -ECANCELED);
    } else {
        let_wait(operation, ticket);
    }
}

/// Tries the operations that wait on a pipe, in the order in which they came. The plan may delay
/// one of them, and the next is then served before it: a kernel may do so, too. An operation that
/// would still block keeps its place in the queue.
void World::try_again(Channel& channel) {
    channel.waiting.for_each([&](Operation& operation) {
        Ticket& ticket = tickets_.at(&operation);
        if (foresee(operation, ticket.channel) == would_block) return;
        operation.unlink();
        if (const Duration delay = plan_.delay(); delay > Duration::zero()) {
            appoint(ticket, delay);
        } else {
            keep_appointment(operation, ticket);
        }
    });
}

/// Moves the clock to the deadline or to the first appointment. False if there is neither.
bool World::jump(TimePoint deadline) {
    if (schedule_.empty() && deadline == internal::never) return false;
    if (!schedule_.empty()) deadline = std::min(deadline, schedule_.begin()->first);
    now_ = deadline;
    waits_without_time_ = 0;
    return true;
}

/// A program that is never idle gives the clock no occasion to jump, and a program that spins until
/// the clock has moved would spin for ever. So after many waits in a row that took no time, each
/// further one costs a little. Programs that sleep now and then never come here, and their times
/// stay exact.
void World::grow_older() {
    constexpr int patience = 1024;
    constexpr Duration cost = std::chrono::microseconds{1};
    if (waits_without_time_ < patience) {
        ++waits_without_time_;
    } else {
        now_ = internal::add_saturating(now_, cost);
    }
}

/// Waits for real: until something happens outside, or the time of `until` or of an appointment
/// comes.
void World::look_outside(TimePoint until) {
    waits_without_time_ = 0;
    // The program has spent the time since the last real wait, and it counts: a limit of two
    // seconds on a real child means two seconds of the child's life, however busy the program is.
    now_ = internal::add_saturating(now_, real_.time_passed());
    if (!schedule_.empty()) until = std::min(until, schedule_.begin()->first);
    Duration limit = Duration::max();
    if (until != internal::never) limit = until <= now_ ? Duration::zero() : until - now_;

    OperationList carried_out;
    real_.look(limit, carried_out);
    while (!carried_out.empty()) {
        Operation& operation = carried_out.pop_front();
        settle(operation, operation.result);
    }
    now_ = internal::add_saturating(now_, real_.time_passed());
}

/// Hands over everything that is done. The ticket goes first: from here on the caller may free the
/// operation, and submit another at the same address.
void World::report(OperationList& finished) {
    plan_.shuffle(done_);
    for (Operation* operation : done_) {
        tickets_.erase(operation);
        operation->state = Operation::State::finished;
        finished.push_back(*operation);
    }
    done_.clear();
}

}  // namespace
}  // namespace simulated

std::unique_ptr<Backend> make_simulated_backend(SimulationOptions options) {
    return std::make_unique<simulated::World>(options);
}

}  // namespace asyncio::lowlevel
