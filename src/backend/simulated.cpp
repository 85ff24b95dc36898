// The simulated back-end: a small world with its own clock, its own pipes, and a plan.
//
// The clock stands still while the program runs and jumps when it waits: straight to the deadline,
// or to the next moment the plan has appointed for an operation. Ten years of sleeping take no time
// at all, and two runs with the same seed read the same times.
//
// Where an operation in flight can be
//   waiting     on its pipe: it would block. It is tried again when something happened to the pipe.
//   appointed   in the schedule: it could be carried out, and the plan puts that off for a while.
//               Nothing has happened to it yet: it may find the pipe empty by then, and wait.
//   outside     it names a real descriptor, and would block there.
//   done        carried out or cancelled; the next `wait` reports it.
//
//     submit ──┬─► waiting ◄──► appointed ──┬─► done ──► reported
//              │      └─────────────────────┤
//              └─► outside ─────────────────┘
//
// Operations on pipes are carried out in `submit` and `wait` only, never from one another, and what
// a step of the program made possible is found by the next `wait`. So nothing recurses, and a
// cancellation in the same step still finds the operation undone: the race the plan then decides.
//
// Deadlock. Nobody runs during a wait, so an operation that waits on its pipe when the wait begins
// still does when it ends. With nothing appointed, nothing outside and no deadline, the wait has no
// end, and is answered `deadlock`. The world cannot see other threads: where one is going to call
// `wake`, the program says so (`expect_wakes`), or keeps an operation on a real descriptor in
// flight; either makes the wait a real one.
//
// Descriptors. Numbers from 2³⁰ are the world's; all others are real. What those cost (real
// waiting, and the end of determinism) stands in simulated_outside.h.
//
// Out of memory here ends the program: the world lives in tests, and the contract is `noexcept`.
//
// Thread-safety: one thread, except `wake`.

#include <asyncio/lowlevel/backend.h>

#include "backend/attempt.h"
#include "backend/fork_guard.h"
#include "backend/simulated_descriptors.h"
#include "backend/simulated_outside.h"
#include "backend/simulated_pipe.h"
#include "backend/simulated_plan.h"

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

/// One second after the clock's zero, so that no time a program computes backwards from it is
/// negative.
constexpr TimePoint beginning = TimePoint{} + std::chrono::seconds{1};

/// Operations by the time at which they are looked at; those of one time in the order they came.
using Schedule = std::multimap<TimePoint, Operation*>;

/// What the world knows about an operation in flight.
struct Ticket {
    enum class Place : std::uint8_t { waiting, appointed, outside, done };

    /// What the number meant when the operation was submitted. The number may mean another pipe by
    /// the time the operation is carried out, and that pipe must not be touched.
    /// Null where it meant nothing.
    ChannelPtr channel;
    Place place = Place::done;
    /// Its end was asked for, and it was let live on: it ends at its appointment, one way or
    /// another.
    bool cancelled = false;
    /// Valid while `place` is `appointed`.
    Schedule::iterator appointment{};
    /// The appointment while there is none: `cancel` and `wait` make appointments, and must not
    /// need memory for them.
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
    void wake() noexcept override { outside_.doorbell().ring(); }
    void expect_wakes(int change) noexcept override { outside_.expect_rings(change); }
    TimePoint now() noexcept override { return now_; }

private:
    // What operations do to pipes.
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

    // Where operations are.
    Ticket& write_ticket(Operation& operation, bool with_appointment);
    Submitted submit_outside(Operation& operation);
    void let_wait(Operation& operation, Ticket& ticket) noexcept;
    void appoint(Ticket& ticket, Duration delay) noexcept;
    void leave_place(Operation& operation, Ticket& ticket) noexcept;
    void settle(Operation& operation, int result) noexcept;

    // What happens during a wait.
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
    Outside outside_;
    TimePoint now_ = beginning;

    /// The operations in flight. Never iterated: the order of addresses differs from run to run.
    std::unordered_map<const Operation*, Ticket> tickets_;
    Schedule schedule_;
    /// Pipes to which something happened since their waiters were last tried, the first one first;
    /// a list through the pipes.
    ChannelPtr first_changed_;
    Channel* last_changed_ = nullptr;
    /// What the next `wait` reports, in the order in which it was done. Not a list through the
    /// operations, because shuffling needs places with numbers. Has room for all in flight.
    std::vector<Operation*> done_;
    /// How many waits in a row, up to now, found something to do and took no time.
    int waits_without_time_ = 0;
};

/// A new pipe is always the world's own: that is what makes a program without children
/// deterministic.
bool is_real(const Operation& operation) noexcept {
    return operation.kind != OperationKind::pipe && operation.fd < first_number;
}

ChannelPtr World::channel_of(const Operation& operation) const {
    const End* end = descriptors_.find(operation.fd);
    return end == nullptr ? nullptr : end->channel;
}

/// What the operation would return if it was carried out now, all bytes moved; or `would_block`.
/// `channel` is what its number meant when it was submitted.
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

/// As the kernel, the world has no more memory than the process.
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
        // A write that the pipe promises to take whole is not the plan's to shorten.
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
    // A pipe holds no more than fits.
    const std::span<char> room = outside_.scratch().take(count);
    if (room.data() == nullptr) return false;
    pipe.take(room.data(), count);
    operation.receive(operation, room);
    return true;
}

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

int World::close_end(int number) {
    const auto [channel, side] = *descriptors_.find(number);
    channel->pipe.close(side);
    descriptors_.close(number);
    mark_changed(channel);
    return 0;
}

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

/// As `submit` answers for it.
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

    // The plan is asked only where there is a choice. What must wait waits; what fails at once may
    // fail in `submit` or later, like any other result.
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

Backend::Submitted World::submit_outside(Operation& operation) {
    const bool ours = operation.fd == outside_.doorbell().number();
    const int result = ours ? -EBADF : attempt(operation, outside_.scratch());
    if (result != would_block) return finish_at_once(operation, result);
    try {
        write_ticket(operation, false).place = Ticket::Place::outside;
    } catch (const std::bad_alloc&) {
        return finish_at_once(operation, -ENOMEM);
    }
    outside_.keep(operation);
    return Submitted::in_flight;
}

/// All the memory that the operation will need until it is reported. Throws: `std::bad_alloc`; the
/// operation is not in flight then.
Ticket& World::write_ticket(Operation& operation, bool with_appointment) {
    Schedule::node_type appointment;
    if (with_appointment) {
        Schedule nothing;
        appointment = nothing.extract(nothing.emplace(now_, &operation));
    }
    const std::size_t in_flight = tickets_.size() + 1;
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
    // A close is not given up: the contract promises that the number is free afterwards.
    if (ticket.place == Ticket::Place::done || operation.kind == OperationKind::close) return;
    if (std::exchange(ticket.cancelled, true)) return;

    // Of an operation outside nothing is known, and looking would cost a system call: it gives up,
    // and what came meanwhile stays in the kernel for the next one.
    const bool gives_up = ticket.place == Ticket::Place::outside || plan_.cancel_wins();
    leave_place(operation, ticket);
    if (gives_up) {
        settle(operation, -ECANCELED);
    } else {
        // It lives a little longer, and succeeds if it can when its time comes.
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

/// The list an operation is in, its pipe's or that of the outside, need not be known to leave it.
void World::leave_place(Operation& operation, Ticket& ticket) noexcept {
    if (ticket.place == Ticket::Place::appointed) {
        ticket.spare_appointment = schedule_.extract(ticket.appointment);
    } else {
        operation.unlink();
    }
}

/// The operation has left its place, and has its result.
void World::settle(Operation& operation, int result) noexcept {
    operation.result = result;
    tickets_.at(&operation).place = Ticket::Place::done;
    done_.push_back(&operation);
}

Backend::Waited World::wait(TimePoint deadline, OperationList& finished) noexcept {
    fork_guard_.check();
    // What a thread did before it rang is for the program to see now, not after a jump in time.
    const bool woken = outside_.doorbell().answer();
    if (plan_.wait_returns_early()) return Waited::ok;

    // Time may pass only when all that could be done at this moment is done, and came to nothing.
    do_what_is_due();
    const bool only_looks = woken || !done_.empty() || deadline <= now_;
    if (!outside_.empty()) {
        look_outside(only_looks ? internal::at_once : deadline);
    } else if (only_looks) {
        grow_older();
    } else if (!jump(deadline)) {
        // The bell may have rung since the first look at it. What is not seen here either is the
        // case the world cannot know (see "Deadlock" above).
        return outside_.doorbell().answer() ? Waited::ok : Waited::deadlock;
    }
    do_what_is_due();
    report(finished);
    return Waited::ok;
}

void World::do_what_is_due() {
    while (!schedule_.empty() && schedule_.begin()->first <= now_) {
        Operation& operation = *schedule_.begin()->second;
        Ticket& ticket = tickets_.at(&operation);
        leave_place(operation, ticket);
        keep_appointment(operation, ticket);
    }
    // The list grows while it is walked: a read that succeeds makes room for a write. But only what
    // finishes an operation adds to it, so this ends.
    while (first_changed_ != nullptr) try_again(*pop_changed());
}

/// The time has come: now it is carried out, or given up if that was asked for, or waits.
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

/// Those who came first are served first, except where the plan puts one off and the next is served
/// instead. An operation that still would block keeps its place in the queue.
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

/// A program that is never idle gives the clock no occasion to jump, and one that spins until the
/// clock has moved would spin for ever. So after a good many waits in a row without any, each
/// further one costs a little time. Programs that sleep now and then never come here, and their
/// times stay exact.
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
    // The time since the last real wait was spent by the program, and counts: a limit of two
    // seconds on a real child means two seconds of its life, however busy the program is.
    now_ = internal::add_saturating(now_, outside_.time_passed());
    if (!schedule_.empty()) until = std::min(until, schedule_.begin()->first);
    Duration limit = Duration::max();
    if (until != internal::never) limit = until <= now_ ? Duration::zero() : until - now_;

    OperationList carried_out;
    outside_.look(limit, carried_out);
    while (!carried_out.empty()) {
        Operation& operation = carried_out.pop_front();
        settle(operation, operation.result);
    }
    now_ = internal::add_saturating(now_, outside_.time_passed());
}

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
