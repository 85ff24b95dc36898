// The moves of operations between their places. `write_ticket` allocates the memory for all of them
// in advance. in_flight.h describes the places.

#include "backend/simulated/in_flight.h"

#include <cstddef>
#include <utility>

namespace asyncio::lowlevel::simulated {

/// The standard library makes a node only together with an element of a map. So a temporary map
/// makes the node of the appointment, and `appoint` sets its key later.
Ticket& InFlight::add(Operation& operation, ObjectPtr object, Meaning meaning) {
    Schedule nothing;
    Schedule::node_type appointment = nothing.extract(nothing.emplace(TimePoint{}, &operation));
    Ticket& ticket = write_ticket(operation, std::move(appointment));
    ticket.object = std::move(object);
    ticket.meaning = meaning;
    return ticket;
}

void InFlight::add_outside(Operation& operation) {
    write_ticket(operation, {}).state = Ticket::State::outside;
}

Ticket& InFlight::write_ticket(Operation& operation, Schedule::node_type appointment) {
    const std::size_t in_flight = tickets_.size() + 1;
    // Doubling keeps the cost constant per operation.
    if (done_.capacity() < in_flight) done_.reserve(2 * in_flight);
    Ticket& ticket = tickets_[&operation];
    ticket.spare_appointment = std::move(appointment);
    operation.state = Operation::State::in_flight;
    return ticket;
}

void InFlight::let_wait(Operation& operation, Ticket& ticket) noexcept {
    ticket.state = Ticket::State::waiting;
    ticket.object->waiting.push_back(operation);
}

void InFlight::appoint(Ticket& ticket, TimePoint when) noexcept {
    ticket.state = Ticket::State::appointed;
    ticket.spare_appointment.key() = when;
    ticket.appointment = schedule_.insert(std::move(ticket.spare_appointment));
}

/// An operation that is not appointed is in the list of its object or in the list of the real
/// descriptors. `unlink` works for both, so it does not matter which list it is. The node of an
/// appointment is kept for the next appointment.
void InFlight::leave_list(Operation& operation, Ticket& ticket) noexcept {
    if (ticket.state == Ticket::State::appointed) {
        ticket.spare_appointment = schedule_.extract(ticket.appointment);
    } else {
        operation.unlink();
    }
}

/// The push needs no memory: `write_ticket` has made the room.
void InFlight::settle(Operation& operation, Ticket& ticket, int result) noexcept {
    operation.result = result;
    ticket.state = Ticket::State::done;
    done_.push_back(&operation);
}

TimePoint InFlight::next_appointment() const noexcept {
    return schedule_.empty() ? internal::never : schedule_.begin()->first;
}

Operation* InFlight::take_due(TimePoint now) noexcept {
    if (schedule_.empty() || schedule_.begin()->first > now) return nullptr;
    Operation& operation = *schedule_.begin()->second;
    leave_list(operation, ticket_of(operation));
    return &operation;
}

/// The ticket is erased first: as soon as the caller has the operation, the caller may free it and
/// submit another one at the same address.
void InFlight::report(OperationList& finished, Plan& plan) noexcept {
    plan.shuffle(done_);
    for (Operation* operation : done_) {
        tickets_.erase(operation);
        operation->state = Operation::State::finished;
        finished.push_back(*operation);
    }
    done_.clear();
}

}  // namespace asyncio::lowlevel::simulated
