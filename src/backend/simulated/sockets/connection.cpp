// How a flow moves: `pump` sends what can be sent, `dispatch` gives a segment to the network, and
// `arrive` moves the marks.

#include "backend/simulated/sockets/connection.h"

#include "backend/simulated/network.h"
#include "backend/simulated/sockets/tcp_socket.h"

#include <algorithm>
#include <new>
#include <utility>

namespace asyncio::lowlevel::simulated {

namespace {

/// tcp_retries2: after so many losses in a row a connection is given up, which is some 15 minutes.
constexpr int most_losses = 15;
/// The shortest and the longest time before a segment is sent again (TCP_RTO_MIN, TCP_RTO_MAX).
constexpr Duration first_retry = std::chrono::milliseconds{200};
constexpr Duration longest_retry = std::chrono::seconds{120};

/// Doubles with each loss: RFC 6298, section 5.5.
Duration time_to_retry(int losses) noexcept {
    return std::min(first_retry * (1 << std::min(losses, most_losses)), longest_retry);
}

constexpr int other(int end) noexcept { return 1 - end; }

}  // namespace

/// A piece of a flow on its way.
class Connection::Segment final : public Parcel {
public:
    void arrive(Post self, Surroundings& around) noexcept override {
        // The connection may have no other owner. It must outlive this call.
        const std::shared_ptr<Connection> connection = std::move(owner);
        connection->arrive(from, std::move(self), around);
    }

    /// Empty while the segment is not on its way: a spare one must not keep its own owner.
    std::shared_ptr<Connection> owner;
    int from = 0;
    std::size_t count = 0;
    Mark mark = Mark::bytes;
    /// It was lost; its "arrival" is the moment at which its flow tries again.
    bool is_timer = false;
};

Connection::Connection(TcpSocket& client, TcpSocket& server)
    : sockets_{&client, &server}, hosts_{&client.host(), &server.host()} {
    for (Flow& each : flows_) each.spare = post<Segment>();
}

// --- The sender's side --------------------------------------------------------------------------

std::size_t Connection::pending(int end) const noexcept {
    return flow(end).bytes.size() - flow(end).arrived;
}

std::size_t Connection::unsent(int end) const noexcept {
    return pending(end) - flow(end).travelling;
}

/// As sk_stream_memory_free: a send may go on while less than the whole buffer is taken.
std::size_t Connection::room(int end) const noexcept {
    const TcpSocket* sender = socket(end);
    const std::size_t limit = sender == nullptr ? 0 : sender->send_limit();
    return limit - std::min(limit, pending(end));
}

/// A socket that is closed has no buffer that could be full. An end that has forgotten the
/// connection answers RST, so the first bytes find out.
std::size_t Connection::window(int end) const noexcept {
    const TcpSocket* receiver = socket(other(end));
    if (receiver == nullptr || flow(other(end)).ending == Ending::forgotten) return unsent(end);
    const std::size_t taken = flow(end).arrived + flow(end).travelling;
    const std::size_t limit = receiver->receive_limit();
    return limit - std::min(limit, taken);
}

void Connection::send(int end, const Transfer& transfer, std::size_t count, Surroundings& around) {
    transfer.collect(count, flow(end).bytes);
    pump(end, around);
}

void Connection::finish(int end, Surroundings& around) noexcept {
    if (flow(end).ending != Ending::open) return;
    flow(end).ending = Ending::finish;
    pump(end, around);
}

/// Also after a FIN: bytes that arrive at a closed socket are answered by RST.
void Connection::reset(int end, Surroundings& around) noexcept {
    Flow& leaving = flow(end);
    if (leaving.ending == Ending::reset || leaving.ending == Ending::silent) return;
    leaving.bytes.keep_first(leaving.arrived + leaving.travelling);
    leaving.ending = Ending::reset;
    leaving.ending_is_sent = false;
    pump(end, around);
}

/// What is on its way still arrives. A kernel cannot take back a packet either.
void Connection::silence(int end) noexcept {
    Flow& leaving = flow(end);
    leaving.bytes.keep_first(leaving.arrived + leaving.travelling);
    leaving.ending = Ending::silent;
}

/// RST is the only thing that may leave this end later: as an answer, when the host is on again.
/// The other end may have waited for room in a buffer that is gone. It sends now, and finds out.
void Connection::forget(int end, Surroundings& around) noexcept {
    if (flow(end).ending == Ending::silent) return;
    silence(end);
    flow(end).ending = Ending::forgotten;
    pump(other(end), around);
}

// --- The receiver's side ------------------------------------------------------------------------

std::span<const std::byte> Connection::arrived_at(int end) const noexcept {
    const Flow& coming = flow(other(end));
    return {coming.bytes.data(), coming.arrived};
}

/// The room that becomes free opens the window, so bytes that wait at the sender may now leave.
void Connection::remove(int end, std::size_t count, Surroundings& around) noexcept {
    Flow& coming = flow(other(end));
    coming.bytes.drop(count);
    coming.arrived -= count;
    pump(other(end), around);
}

// --- The way -----------------------------------------------------------------------------------

/// Bounded by the bytes in the sender's buffer: each round sends one at least, or the end.
void Connection::pump(int end, Surroundings& around) noexcept {
    for (;;) {
        Flow& leaving = flow(end);
        if (leaving.held_up || is_mute(end)) return;
        std::size_t count = 0;
        if (leaving.ending != Ending::reset) count = std::min(unsent(end), window(end));
        const bool ends = count == 0 && leaving.ending != Ending::open && !leaving.ending_is_sent &&
                          unsent(end) == 0;
        if (count == 0 && !ends) return;
        Post taken = take_segment(end);
        if (taken.empty()) return;
        auto& segment = static_cast<Segment&>(*taken.mapped());
        segment.from = end;
        segment.count =
            count == 0 ? 0 : around.network.piece_of(host_at(end), host_at(other(end)), count);
        segment.mark = Mark::bytes;
        if (ends) {
            segment.mark = leaving.ending == Ending::finish ? Mark::finish : Mark::reset;
            leaving.ending_is_sent = true;
        }
        leaving.travelling += segment.count;
        dispatch(end, std::move(taken), around);
    }
}

/// Empty if there is no memory and the spare one is on its way: its arrival pumps again.
Post Connection::take_segment(int end) noexcept {
    try {
        return post<Segment>();
    } catch (const std::bad_alloc&) {
        return std::move(flow(end).spare);
    }
}

/// Segments of one flow arrive in their order, although the travel times differ: a later one waits
/// for those before it, as the bytes wait in the queue of a real receiver.
void Connection::dispatch(int end, Post taken, Surroundings& around) noexcept {
    Flow& leaving = flow(end);
    auto& segment = static_cast<Segment&>(*taken.mapped());
    segment.owner = shared_from_this();
    segment.is_timer = false;
    const auto travel = around.network.travel(host_at(end), host_at(other(end)), segment.count);
    if (!travel) return lose(end, std::move(taken), around);
    leaving.losses = 0;
    leaving.last_arrival = std::max(leaving.last_arrival, around.after(*travel));
    around.deliveries.send(std::move(taken), leaving.last_arrival);
}

/// The bytes of the segment are unsent again. The segment itself becomes the timer of its flow. If
/// the flow has one already, this segment is not needed.
void Connection::lose(int end, Post taken, Surroundings& around) noexcept {
    Flow& leaving = flow(end);
    auto& segment = static_cast<Segment&>(*taken.mapped());
    leaving.travelling -= segment.count;
    if (segment.mark != Mark::bytes) leaving.ending_is_sent = false;
    if (leaving.held_up) return;
    leaving.held_up = true;
    if (leaving.losses == 0) leaving.first_loss = around.now;
    segment.owner = shared_from_this();
    segment.is_timer = true;
    segment.count = 0;
    around.deliveries.send(std::move(taken), around.after(time_to_retry(leaving.losses)));
}

/// The timer has rung. The number of attempts is limited, and a program may limit the time
/// (RFC 5482).
void Connection::try_again(int end, Surroundings& around) noexcept {
    Flow& leaving = flow(end);
    leaving.held_up = false;
    if (is_mute(end)) return;
    const TcpSocket* sender = socket(end);
    const Duration limit = sender == nullptr ? Duration::zero() : sender->user_timeout();
    const bool is_over = limit > Duration::zero() && around.now - leaving.first_loss >= limit;
    if (++leaving.losses > most_losses || is_over) give_up(end, around);
}

/// The peer is not told, since it is out of reach. If it sends when it can be reached again, RST
/// tells it.
void Connection::give_up(int end, Surroundings& around) noexcept {
    if (TcpSocket* sender = socket(end)) sender->peer_is_lost(around);
    forget(end, around);
}

/// Both ends have the same news at the same time. What is on its way is dropped.
void Connection::abort(Surroundings& around) noexcept {
    for (const int end : {0, 1}) {
        silence(end);
        flow(end).bytes.keep_first(flow(end).arrived);
        flow(end).is_refused = true;
        if (TcpSocket* here = socket(end)) here->peer_has_reset(around);
    }
}

/// A segment has crossed the link.
void Connection::arrive(int end, Post taken, Surroundings& around) noexcept {
    Flow& coming = flow(end);
    const auto& segment = static_cast<const Segment&>(*taken.mapped());
    TcpSocket* receiver = socket(other(end));
    if (segment.is_timer) {
        try_again(end, around);
    } else if (coming.is_refused) {
        // The receiver has said that it takes nothing any more.
    } else if (!host_at(other(end)).is_on || (segment.mark == Mark::finish && pending(end) > 0)) {
        // The host has lost its power; or bytes before the end were lost for this reason.
        return lose(end, std::move(taken), around);
    } else if (segment.mark == Mark::bytes) {
        accept_bytes(end, segment.count, around);
    } else if (segment.mark == Mark::finish && flow(other(end)).ending == Ending::forgotten) {
        refuse(end, around);
    } else if (segment.mark == Mark::finish) {
        coming.has_ended = true;
        if (receiver != nullptr) receiver->peer_has_finished(around);
    } else {
        silence(other(end));
        if (receiver != nullptr) receiver->peer_has_reset(around);
    }
    if (coming.spare.empty()) coming.spare = std::move(taken);
    pump(end, around);
}

void Connection::accept_bytes(int end, std::size_t count, Surroundings& around) noexcept {
    Flow& coming = flow(end);
    TcpSocket* receiver = socket(other(end));
    if (receiver == nullptr || receiver->refuses_bytes()) return refuse(end, around);
    coming.travelling -= count;
    coming.arrived += count;
    around.changes.add(*receiver);
    if (TcpSocket* sender = socket(end)) around.changes.add(*sender);
}

/// Bytes have come for a socket that is closed, or that has shut down both directions; or anything
/// for an end that has forgotten the connection. The answer is RST (RFC 1122, section 4.2.2.13).
/// What has arrived before can still be read.
void Connection::refuse(int end, Surroundings& around) noexcept {
    Flow& coming = flow(end);
    silence(end);
    coming.bytes.keep_first(coming.arrived);
    coming.travelling = 0;
    coming.is_refused = true;
    reset(other(end), around);
    if (TcpSocket* receiver = socket(other(end))) receiver->peer_has_reset(around);
}

}  // namespace asyncio::lowlevel::simulated
