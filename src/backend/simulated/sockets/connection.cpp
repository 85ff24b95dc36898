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
    /// The network has lost it; its "arrival" is the moment at which it is sent again.
    bool is_lost = false;
};

Connection::Connection(TcpSocket& client, TcpSocket& server)
    : sockets_{&client, &server}, hosts_{&client.host(), &server.host()} {
    for (Flow& each : flows_) each.spare = post<Segment>();
}

std::size_t Connection::pending(int end) const noexcept {
    return flow(end).bytes.size() - flow(end).arrived;
}

std::size_t Connection::unsent(int end) const noexcept {
    return pending(end) - flow(end).travelling;
}

std::size_t Connection::room(int end) const noexcept {
    const TcpSocket* sender = socket(end);
    const std::size_t limit = sender == nullptr ? 0 : sender->send_limit();
    return limit - std::min(limit, pending(end));
}

/// A socket that is closed has no buffer that could be full.
std::size_t Connection::window(int end) const noexcept {
    const TcpSocket* receiver = socket(other(end));
    if (receiver == nullptr) return unsent(end);
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

void Connection::silence(int end) noexcept {
    Flow& leaving = flow(end);
    leaving.bytes.keep_first(leaving.arrived + leaving.travelling);
    leaving.ending = Ending::silent;
}

std::span<const std::byte> Connection::arrived_at(int end) const noexcept {
    const Flow& coming = flow(other(end));
    return {coming.bytes.data(), coming.arrived};
}

void Connection::remove(int end, std::size_t count, Surroundings& around) noexcept {
    Flow& coming = flow(other(end));
    coming.bytes.drop(count);
    coming.arrived -= count;
    pump(other(end), around);
}

/// Bounded by the bytes in the sender's buffer: each round sends one at least, or the end.
void Connection::pump(int end, Surroundings& around) noexcept {
    for (;;) {
        Flow& leaving = flow(end);
        if (leaving.held_up || leaving.ending == Ending::silent) return;
        std::size_t count = 0;
        if (leaving.ending != Ending::reset) count = std::min(unsent(end), window(end));
        const bool ends = count == 0 && leaving.ending != Ending::open && !leaving.ending_is_sent &&
                          unsent(end) == 0;
        if (count == 0 && !ends) return;
        Post taken = take_segment(end);
        if (taken.empty()) return;
        auto& segment = static_cast<Segment&>(*taken.mapped());
        segment.from = end;
        segment.count = count == 0 ? 0 : around.network.cut(count);
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

void Connection::dispatch(int end, Post taken, Surroundings& around) noexcept {
    Flow& leaving = flow(end);
    auto& segment = static_cast<Segment&>(*taken.mapped());
    segment.owner = shared_from_this();
    const auto travel = around.network.travel(*hosts_[index(end)], *hosts_[index(other(end))],
                                              segment.count, around);
    segment.is_lost = !travel.has_value();
    leaving.held_up = segment.is_lost;
    if (segment.is_lost) {
        around.deliveries.send(std::move(taken), around.after(time_to_retry(leaving.losses)));
        return;
    }
    leaving.losses = 0;
    leaving.last_arrival = std::max(leaving.last_arrival, around.after(*travel));
    around.deliveries.send(std::move(taken), leaving.last_arrival);
}

void Connection::arrive(int end, Post taken, Surroundings& around) noexcept {
    const auto& segment = static_cast<const Segment&>(*taken.mapped());
    if (segment.is_lost) {
        send_again(end, std::move(taken), around);
        return pump(end, around);
    }
    TcpSocket* receiver = socket(other(end));
    switch (segment.mark) {
        case Mark::bytes: accept_bytes(end, segment.count, around); break;
        case Mark::finish:
            flow(end).has_ended = true;
            if (receiver != nullptr) receiver->peer_has_finished(around);
            break;
        case Mark::reset:
            silence(other(end));
            if (receiver != nullptr) receiver->peer_has_reset(around);
            break;
    }
    if (flow(end).spare.empty()) flow(end).spare = std::move(taken);
    pump(end, around);
}

void Connection::accept_bytes(int end, std::size_t count, Surroundings& around) noexcept {
    Flow& coming = flow(end);
    if (coming.is_refused) return;
    TcpSocket* receiver = socket(other(end));
    if (receiver == nullptr || receiver->refuses_bytes()) return refuse(end, around);
    coming.travelling -= count;
    coming.arrived += count;
    around.changes.add(*receiver);
    if (TcpSocket* sender = socket(end)) around.changes.add(*sender);
}

/// Bytes have come for a socket that is closed, or that has shut down both directions. The answer
/// is RST (RFC 1122, section 4.2.2.13). What has arrived before can still be read.
void Connection::refuse(int end, Surroundings& around) noexcept {
    Flow& coming = flow(end);
    silence(end);
    coming.bytes.keep_first(coming.arrived);
    coming.travelling = 0;
    coming.is_refused = true;
    reset(other(end), around);
    if (TcpSocket* receiver = socket(other(end))) receiver->peer_has_reset(around);
}

void Connection::send_again(int end, Post taken, Surroundings& around) noexcept {
    Flow& leaving = flow(end);
    if (leaving.ending == Ending::silent) return;
    if (++leaving.losses <= most_losses) return dispatch(end, std::move(taken), around);
    silence(end);
    silence(other(end));
    if (TcpSocket* sender = socket(end)) sender->peer_is_lost(around);
}

}  // namespace asyncio::lowlevel::simulated
