// The simulated back-end: a small world with its own clock, its own objects, and a plan.
//
// The clock stands still while the program runs and jumps when it waits: straight to the deadline,
// or to the next moment the plan has appointed for an operation. Ten years of sleeping take no time
// at all, and two runs with the same seed read the same times.
//
// Where an operation in flight can be
//   waiting     at its object: it would block. The next change of the object makes the world try
//               again.
//   appointed   in the schedule: it could be carried out, and the plan delays that. There was no
//               effect yet: it may find the pipe empty by then, and wait.
//   outside     it names a real descriptor, and would block there.
//   done        carried out or cancelled; the next `wait` reports it.
// The class `InFlight` keeps these places and does the moves between them. This file decides on the
// moves.
//
//     submit ──┬─► waiting ◄──► appointed ──┬─► done ──► reported
//              │      └─────────────────────┤
//              └─► outside ─────────────────┘
//
// Operations on objects are carried out in `submit` and `wait` only, never by one another. When a
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
//  3. Everything that is due is carried out: deliveries and appointments whose time has come, then
//     operations on objects to which something happened.
//  4. If that finished an operation, or the wait only looks, no time passes. Otherwise the clock
//     jumps; while operations are outside, the world waits for real instead.
//  5. Operations due at the new time are carried out. Everything that is done is reported, in an
//     order that the plan shuffles.
//
// Objects. A descriptor of the world names an `Object` (object.h): an end of a pipe, a socket, an
// open file. The world never asks what kind of object it has. It asks an object what would happen
// (`foresee`), asks the plan whether now is the time, and lets the object do it (`carry_out`). Some
// kinds of operations name no object. The world makes pipes, the network makes sockets, the file
// system (files.h) carries out what names a path, and closing removes a number from the table.
// `part_of` says this for every kind, and is the world's only switch over the kinds.
//
// Deliveries. What sockets send arrives later, whether an operation waits for it or not
// (deliveries.h). What arrives at the present time arrives directly after the operation that has
// sent it, so in the plain world the bytes are there when the send returns. An arrival changes
// objects, and the operations that wait there are tried as after any other change.
//
// Why two runs are equal. The plan and the network are the only sources of choice, and they are
// asked in an order that depends on the program alone. Every container that is walked has an order
// of its own: by time, then by arrival. The tickets are kept by address, which differs from run to
// run, so they are looked up and never walked.
//
// Deadlock. The program does not run during a wait, so an operation that waits at its object when
// the wait begins still waits when it ends. With nothing appointed, nothing on its way, nothing
// outside and no deadline, the wait has no end, and is answered `deadlock`. The world cannot see
// other threads. Where another thread is going to call `wake`, the program says so
// (`expect_wakes`), or keeps an operation on a real descriptor in flight; either makes the wait a
// real one.
//
// Descriptors. Numbers from 2³⁰ belong to the world; all others are real. The cost of real ones
// (real waiting, and the end of determinism) stands in real_descriptors.h.
//
// Out of memory. All the memory that an operation needs until its report is allocated in `submit`,
// which can still refuse it with ENOMEM (`InFlight::add`). `cancel` and `wait` allocate nothing of
// their own. The bytes of a pipe and a new pipe are
// allocated when the operation is carried out, and a failure there is its result.
//
// Owners. The world owns the tickets, the descriptor table and the clock. An object is shared by
// its descriptors in the table, by the tickets of operations that name it, and by the list of
// changed objects, so it lives as long as any of these refers to it. The operations belong to their
// callers.
//
// Thread-safety: one thread, except `wake`.

#include <asyncio/lowlevel/backend.h>

#include "backend/attempt.h"
#include "backend/fork_guard.h"
#include "backend/operation_kind.h"
#include "backend/simulated/deliveries.h"
#include "backend/simulated/descriptors.h"
#include "backend/simulated/in_flight.h"
#include "backend/simulated/network.h"
#include "backend/simulated/object.h"
#include "backend/simulated/pipe.h"
#include "backend/simulated/plan.h"
#include "backend/simulated/real_descriptors.h"
#include "backend/simulated/send_file.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace asyncio::lowlevel {
namespace simulated {
namespace {

/// The time at which a world begins. Not the clock's zero, so that a time computed backwards from
/// the present, by a second at most, is not negative.
constexpr TimePoint beginning = TimePoint{} + std::chrono::seconds{1};

/// The part of the world that carries out an operation.
enum class Part : std::uint8_t {
    new_pipe,    ///< `make_pipe`. The operation names no descriptor.
    new_socket,  ///< The network. The operation names no descriptor.
    table,       ///< The table of descriptors.
    files,       ///< The file system of a host. The operation names a path.
    from_file,   ///< `sendfile`: the object that the descriptor names, and a file.
    object,      ///< The object that the operation's descriptor names.
};

constexpr Part part_of(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::pipe: return Part::new_pipe;
        case OperationKind::close: return Part::table;
        case OperationKind::socket: return Part::new_socket;
        case OperationKind::sendfile: return Part::from_file;
        case OperationKind::open:
        case OperationKind::statx:
        case OperationKind::unlink:
        case OperationKind::mkdir:
        case OperationKind::rename:
        case OperationKind::inotify_init: return Part::files;
        case OperationKind::read:
        case OperationKind::write:
        case OperationKind::poll:
        case OperationKind::bind:
        case OperationKind::listen:
        case OperationKind::shutdown:
        case OperationKind::getsockname:
        case OperationKind::getpeername:
        case OperationKind::setsockopt:
        case OperationKind::getsockopt:
        case OperationKind::accept:
        case OperationKind::connect:
        case OperationKind::recv:
        case OperationKind::send:
        case OperationKind::recvmsg:
        case OperationKind::sendmsg:
        case OperationKind::recvmmsg:
        case OperationKind::sendmmsg:
        case OperationKind::pread:
        case OperationKind::pwrite:
        case OperationKind::fsync:
        case OperationKind::ftruncate:
        case OperationKind::getdents:
        case OperationKind::inotify_add_watch:
        case OperationKind::inotify_rm_watch: break;
    }
    return Part::object;
}

/// Whether the operation names a descriptor. The others make one, or name a path.
constexpr bool names_descriptor(const Operation& operation) noexcept {
    const Part part = part_of(operation.kind);
    return part == Part::table || part == Part::from_file || part == Part::object;
}

class World final : public Backend {
public:
    explicit World(SimulationOptions options)
        : plan_(options.seed),
          network_(options, surroundings_, descriptors_, now_),
          descriptors_(plan_.reuses_numbers()) {
        ignore_sigpipe();
    }
    ~World() override { network_.release_passengers(); }

    const char* name() const noexcept override { return "simulated"; }
    Submitted submit(Operation& operation) noexcept override;
    void cancel(Operation& operation) noexcept override;
    Waited wait(TimePoint deadline, OperationList& finished) noexcept override;
    void disown(int fd) noexcept override;
    void close_now(int fd) noexcept override;
    void wake() noexcept override { real_.doorbell().ring(); }
    void expect_wakes(int change) noexcept override { real_.expect_rings(change); }
    TimePoint now() noexcept override { return now_; }
    Names* names() noexcept override { return &network_.names(); }
    SimulatedNetwork& network() noexcept { return network_; }

private:
    // The meaning of operations. `foresee` asks and changes nothing; `carry_out` does it. Between
    // the two the plan decides whether now is the time.
    Meaning meaning_of(const Operation& operation) const noexcept;
    int foresee(const Operation& operation, const Meaning& meaning) const noexcept;
    int try_to_carry_out(Operation& operation, const Meaning& meaning, int foreseen) noexcept;
    int carry_out(Operation& operation, const Meaning& meaning, int foreseen);
    int close(int number) noexcept;

    Submitted submit_outside(Operation& operation);

    // Parts of a wait.
    void do_what_is_due();
    void deliver() noexcept;
    void keep_appointment(Operation& operation, Ticket& ticket);
    void try_again(Object& object);
    TimePoint after(Duration time) const noexcept { return surroundings_.after(time); }
    TimePoint next_event() const noexcept;
    bool jump(TimePoint deadline);
    void look_outside(TimePoint until);
    void grow_older();

    ForkGuard fork_guard_;
    Plan plan_;
    TimePoint now_ = beginning;
    /// Before all that owns sockets, which name their hosts.
    Network network_;
    Descriptors descriptors_;
    RealDescriptors real_;
    Changes changes_;
    Deliveries deliveries_;
    Surroundings surroundings_{plan_,    descriptors_, changes_, real_.scratch(),
                               network_, deliveries_,  now_};
    InFlight in_flight_;

    /// How many waits in a row found something to do and took no time; see `grow_older`.
    int waits_without_time_ = 0;
};

/// Whether the operation goes to the kernel. Pipes and sockets that an operation makes always
/// belong to the world. So does a path, unless it starts at a real folder. So a program without
/// children is deterministic.
bool is_real(const Operation& operation) noexcept {
    const bool starts_at_folder = part_of(operation.kind) == Part::files && operation.fd >= 0;
    return (names_descriptor(operation) || starts_at_folder) && operation.fd < first_number;
}

Meaning World::meaning_of(const Operation& operation) const noexcept {
    const Descriptor* descriptor = descriptors_.find(operation.fd);
    const bool names_path = part_of(operation.kind) == Part::files;
    return {descriptor == nullptr ? 0 : descriptor->opening,
            names_path ? network_.host_of_caller().files.get() : nullptr};
}

/// The result that the operation would have if it was carried out now and as a whole; or
/// `would_block`. If its number means something else than when it was submitted, the descriptor was
/// closed in between, which has ended the operation.
int World::foresee(const Operation& operation, const Meaning& meaning) const noexcept {
    const std::uint64_t opening = meaning.opening;
    const Part part = part_of(operation.kind);
    if (part == Part::files && opening == 0) return meaning.files->foresee(operation);
    if (!names_descriptor(operation) && part != Part::files) return 0;
    const Descriptor* descriptor = descriptors_.find(operation.fd);
    if (descriptor == nullptr || descriptor->opening != opening)
        return opening == 0 ? -EBADF : -ECANCELED;
    if (part == Part::table) return 0;
    if (part == Part::files) return meaning.files->foresee(operation);
    const Description& file = *descriptor->file;
    if (part == Part::from_file) return foresee_sendfile(operation, file, descriptors_);
    return file.object->foresee(operation, file.side);
}

/// Like a kernel's, the world's memory can be used up: the operation then ends with ENOMEM, and
/// nothing has happened. `would_block`: the operation has begun something, and waits for its end.
int World::try_to_carry_out(Operation& operation, const Meaning& meaning, int foreseen) noexcept {
    if (foreseen < 0) return foreseen;
    try {
        const int result = carry_out(operation, meaning, foreseen);
        deliver();
        return result;
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

int World::carry_out(Operation& operation, const Meaning& meaning, int foreseen) {
    switch (part_of(operation.kind)) {
        case Part::new_pipe: return make_pipe(operation, surroundings_);
        case Part::new_socket: return network_.make_socket(operation);
        case Part::table: return close(operation.fd);
        case Part::files: return meaning.files->carry_out(operation, surroundings_);
        case Part::from_file:
        case Part::object: break;
    }
    // A share of its own: the object may close descriptors (of messages that it drops).
    const DescriptionPtr file = descriptors_.find(operation.fd)->file;
    if (operation.kind == OperationKind::sendfile)
        return carry_out_sendfile(operation, *file, surroundings_);
    return file->object->carry_out(operation, file->side, foreseen, surroundings_);
}

/// The object may live on, for other numbers or messages. The operations that wait on this number
/// end all the same, so they are tried.
int World::close(int number) noexcept {
    DescriptionPtr file = descriptors_.close(number);
    changes_.add(*file->object);
    let_go(std::move(file), surroundings_);
    return 0;
}

/// What waited on the number ends with the next `wait`, as after a `close`.
void World::close_now(int fd) noexcept {
    if (descriptors_.find(fd) == nullptr) return Backend::close_now(fd);
    close(fd);
}

/// Finishes an operation within `submit`: it was never in flight, and is not reported.
Backend::Submitted finish_at_once(Operation& operation, int result) noexcept {
    operation.result = result;
    operation.state = Operation::State::finished;
    return Backend::Submitted::finished;
}

/// A stream of the library first tries to send without a wait. If that always succeeded where there
/// is room, no plan would reach what the stream does otherwise. The kernel, too, may find no room
/// for a moment.
bool may_be_put_off(const Operation& operation) noexcept {
    return operation.kind == OperationKind::send && is_owned(operation.blocking);
}

Backend::Submitted World::submit(Operation& operation) noexcept {
    fork_guard_.check();
    assert(operation.state != Operation::State::in_flight && "the operation is in flight already");
    if (is_real(operation)) return submit_outside(operation);

    // The plan is asked only where there is a choice. An operation that must wait waits. An
    // operation that fails at once may fail in `submit` or later, like any other result.
    const Meaning meaning = meaning_of(operation);
    const int foreseen = foresee(operation, meaning);
    const bool at_once = finishes_at_once(operation);
    bool must_wait = foreseen == would_block;
    if (at_once && !must_wait && may_be_put_off(operation) && !plan_.finishes_in_submit())
        return finish_at_once(operation, would_block);
    if (at_once || (!must_wait && plan_.finishes_in_submit())) {
        const int result = try_to_carry_out(operation, meaning, foreseen);
        if (at_once || result != would_block) return finish_at_once(operation, result);
        must_wait = true;
    }
    try {
        const Descriptor* descriptor = descriptors_.find(operation.fd);
        ObjectPtr object = descriptor == nullptr ? nullptr : descriptor->file->object;
        Ticket& ticket = in_flight_.add(operation, std::move(object), meaning);
        if (must_wait) {
            in_flight_.let_wait(operation, ticket);
        } else {
            in_flight_.appoint(ticket, after(plan_.delay()));
        }
    } catch (const std::bad_alloc&) {
        // A close does not fail: its number would stay in use for ever.
        const bool closes = operation.kind == OperationKind::close && foreseen >= 0;
        return finish_at_once(operation, closes ? close(operation.fd) : -ENOMEM);
    }
    return Submitted::in_flight;
}

/// As in the back-ends of the kernel, the call is tried, and an operation that would block is kept.
/// The plan is not asked.
Backend::Submitted World::submit_outside(Operation& operation) {
    const bool ours = operation.fd == real_.doorbell().number();
    const int result = ours ? -EBADF : real_.attempt(operation);
    if (result != would_block || finishes_at_once(operation))
        return finish_at_once(operation, result);
    try {
        in_flight_.add_outside(operation);
    } catch (const std::bad_alloc&) {
        return finish_at_once(operation, -ENOMEM);
    }
    real_.keep(operation);
    return Submitted::in_flight;
}

void World::cancel(Operation& operation) noexcept {
    assert(operation.state == Operation::State::in_flight &&
           "only an operation in flight can be cancelled");
    Ticket& ticket = in_flight_.ticket_of(operation);
    // A close cannot be cancelled: the contract promises that the number is free afterwards.
    if (ticket.state == Ticket::State::done || operation.kind == OperationKind::close) return;
    if (std::exchange(ticket.cancelled, true)) return;

    // The world knows nothing about an operation outside, and looking would cost a system call. So
    // it ends as −ECANCELED, and what arrived meanwhile stays in the kernel for the next operation.
    if (ticket.state == Ticket::State::outside) {
        if (real_.cancel(operation)) in_flight_.settle(operation, ticket, -ECANCELED);
        return;
    }
    const bool gives_up = plan_.cancel_wins();
    in_flight_.leave_list(operation, ticket);
    if (gives_up) {
        in_flight_.settle(operation, ticket, -ECANCELED);
    } else {
        // The cancellation comes late: the operation succeeds if it can when its time comes.
        in_flight_.appoint(ticket, after(plan_.delay()));
    }
}

/// The file itself stays open. So the number gets a new opening, and the operations that were
/// submitted before find that it means something else (`foresee`).
void World::disown(int fd) noexcept {
    if (fd < first_number) return static_cast<void>(real_.let_go(fd));
    if (Object* object = descriptors_.renew(fd)) changes_.add(*object);
}

Backend::Waited World::wait(TimePoint deadline, OperationList& finished) noexcept {
    fork_guard_.check();
    // If the bell rang, the program must see at this time what the other thread did, not after a
    // jump.
    const bool woken = real_.doorbell().answer();
    if (plan_.wait_returns_early()) return Waited::ok;

    // Time may pass only when everything that is possible at this moment was done, and no operation
    // has finished.
    do_what_is_due();
    const bool only_looks = woken || in_flight_.any_done() || deadline <= now_;
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
    in_flight_.report(finished, plan_);
    return Waited::ok;
}

/// Carries out what is due at the present time: first what arrives, then by appointment, then at
/// changed objects.
void World::do_what_is_due() {
    deliver();
    while (Operation* operation = in_flight_.take_due(now_))
        keep_appointment(*operation, in_flight_.ticket_of(*operation));
    // The list grows while it is walked: a read that succeeds makes room for a write. Each entry
    // comes from an operation that finished, and their number is limited, so this ends.
    while (!changes_.empty()) try_again(*changes_.pop());
}

/// Lets everything arrive whose time has come. A parcel may send another one that arrives at once.
/// This ends, because each answer is shorter than what it answers: bytes are answered by a reset,
/// and a reset by nothing.
void World::deliver() noexcept {
    for (Post parcel = deliveries_.take_due(now_); !parcel.empty();
         parcel = deliveries_.take_due(now_)) {
        Parcel& arriving = *parcel.mapped();
        arriving.arrive(std::move(parcel), surroundings_);
    }
}

/// The time of the operation's appointment has come. If the operation is possible, it is carried
/// out. If it is not possible and was cancelled, it ends here and never waits again. Otherwise it
/// waits at its object.
void World::keep_appointment(Operation& operation, Ticket& ticket) {
    const int foreseen = foresee(operation, ticket.meaning);
    const int result = try_to_carry_out(operation, ticket.meaning, foreseen);
    if (result != would_block) {
        in_flight_.settle(operation, ticket, result);
    } else if (ticket.cancelled) {
        in_flight_.settle(operation, ticket, -ECANCELED);
    } else {
        in_flight_.let_wait(operation, ticket);
    }
}

/// Tries the operations that wait at an object, in the order in which they came. The plan may delay
/// one of them, and the next is then served before it: a kernel may do so, too. An operation that
/// would still block keeps its place in the queue.
void World::try_again(Object& object) {
    object.waiting.for_each([&](Operation& operation) {
        Ticket& ticket = in_flight_.ticket_of(operation);
        if (foresee(operation, ticket.meaning) == would_block) return;
        operation.unlink();
        if (const Duration delay = plan_.delay(); delay > Duration::zero()) {
            in_flight_.appoint(ticket, after(delay));
        } else {
            keep_appointment(operation, ticket);
        }
    });
}

/// The time of the next appointment or delivery; `never` if there is none.
TimePoint World::next_event() const noexcept {
    return std::min(in_flight_.next_appointment(), deliveries_.next_arrival());
}

/// Moves the clock to the deadline or to the next event. False if there is neither.
bool World::jump(TimePoint deadline) {
    // An event may itself be at `never`, so the clock jumps there if there is one.
    if (deadline == internal::never && !in_flight_.any_appointed() && deliveries_.empty())
        return false;
    now_ = std::min(deadline, next_event());
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
        now_ = after(cost);
    }
}

/// Waits for real: until something happens outside, or the time of `until` or of an appointment
/// comes.
void World::look_outside(TimePoint until) {
    waits_without_time_ = 0;
    // The program has spent the time since the last real wait, and it counts: a limit of two
    // seconds on a real child means two seconds of the child's life, however busy the program is.
    now_ = after(real_.time_passed());
    until = std::min(until, next_event());
    Duration limit = Duration::max();
    if (until != internal::never) limit = until <= now_ ? Duration::zero() : until - now_;

    OperationList carried_out;
    real_.look(limit, carried_out);
    while (!carried_out.empty()) {
        Operation& operation = carried_out.pop_front();
        in_flight_.settle(operation, in_flight_.ticket_of(operation), operation.result);
    }
    now_ = after(real_.time_passed());
}

}  // namespace
}  // namespace simulated

std::unique_ptr<Backend> make_simulated_backend(SimulationOptions options) {
    return std::make_unique<simulated::World>(options);
}

SimulatedNetwork* simulated_network(Backend& backend) noexcept {
    auto* world = dynamic_cast<simulated::World*>(&backend);
    return world == nullptr ? nullptr : &world->network();
}

}  // namespace asyncio::lowlevel
