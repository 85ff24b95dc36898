#pragma once
// Where every operation in flight of the simulated world is: the tickets, the schedule, and the
// list of what is done. The top of world.cpp draws the places and says what leads from one to the
// next.
//
// All the memory that an operation needs until its report is allocated by `add`, which can still
// refuse it: a ticket, a node for its appointment, and room in the report. The moves between the
// places allocate nothing, because `cancel` and `wait` have no way to fail.
//
// The tickets are kept by the address of the operation. Addresses differ from run to run, so
// tickets are looked up and never walked.
//
// Thread-safety: none.

#include <asyncio/internal/base/time.h>
#include <asyncio/lowlevel/operation.h>

#include "backend/simulated/object.h"
#include "backend/simulated/plan.h"

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

namespace asyncio::lowlevel::simulated {

/// Operations by the time at which they are looked at. A multimap keeps those of one time in the
/// order in which they came, which a heap would not.
using Schedule = std::multimap<TimePoint, Operation*>;

class Files;

/// What an operation meant when it was submitted.
struct Meaning {
    /// Which opening of its number (descriptors.h). 0 if the number meant nothing.
    std::uint64_t opening = 0;
    /// The file system of the host that has submitted it, for an operation that names a path.
    Files* files = nullptr;
};

/// The world's notes about an operation in flight.
struct Ticket {
    enum class State : std::uint8_t { waiting, appointed, outside, done };

    /// The object of the number when the operation was submitted; null if it meant nothing. By the
    /// time the operation is carried out, the number may mean another object, and that object must
    /// not be touched.
    ObjectPtr object;
    Meaning meaning;
    State state = State::done;
    /// The caller has cancelled it, and the plan decided that the cancellation comes late: the
    /// operation ends at its appointment, with a result if it can have one.
    bool cancelled = false;
    /// Valid while `state` is `appointed`.
    Schedule::iterator appointment{};
    /// The node of the appointment while the operation has none.
    Schedule::node_type spare_appointment;
};

class InFlight {
public:
    /// A new operation. Its place is chosen next, by `let_wait` or `appoint`.
    /// Throws: `std::bad_alloc`; the operation is not in flight then.
    Ticket& add(Operation& operation, ObjectPtr object, Meaning meaning);
    /// A new operation on a real descriptor. Throws: as `add`.
    void add_outside(Operation& operation);

    /// The operation must be in flight.
    Ticket& ticket_of(const Operation& operation) noexcept { return tickets_.at(&operation); }

    /// Puts the operation into the list of its object, which the ticket names.
    void let_wait(Operation& operation, Ticket& ticket) noexcept;
    void appoint(Ticket& ticket, TimePoint when) noexcept;
    /// Takes the operation out of its present place, which is not `done`.
    void leave_list(Operation& operation, Ticket& ticket) noexcept;
    /// Notes that the operation is done. It has left its place before.
    void settle(Operation& operation, Ticket& ticket, int result) noexcept;

    bool any_appointed() const noexcept { return !schedule_.empty(); }
    /// The time of the next appointment; `never` if there is none.
    TimePoint next_appointment() const noexcept;
    /// Takes the next operation whose time has come out of the schedule. Null if there is none.
    Operation* take_due(TimePoint now) noexcept;

    bool any_done() const noexcept { return !done_.empty(); }
    /// Appends everything that is done to `finished`, in an order that the plan shuffles.
    void report(OperationList& finished, Plan& plan) noexcept;

private:
    Ticket& write_ticket(Operation& operation, Schedule::node_type appointment);

    std::unordered_map<const Operation*, Ticket> tickets_;
    Schedule schedule_;
    /// In the order in which they were done. A vector and not a list through the operations,
    /// because shuffling needs elements with numbers. It has room for all operations in flight.
    std::vector<Operation*> done_;
};

}  // namespace asyncio::lowlevel::simulated
