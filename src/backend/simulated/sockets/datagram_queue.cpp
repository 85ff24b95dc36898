// How a datagram is handed over.

#include "backend/simulated/sockets/datagram_queue.h"

#include <algorithm>
#include <iterator>

namespace asyncio::lowlevel::simulated {

namespace {

/// What Linux takes of the buffer for a small datagram, beside its bytes.
constexpr std::size_t overhead_bytes = 768;

/// The limit of the buffer counts this, and so do programs that fill a socket to see when it is
/// full.
std::size_t cost_of(const Datagram& datagram) noexcept {
    return datagram.bytes.size() + overhead_bytes;
}

}  // namespace

/// The cost is computed before the datagram is moved away.
void DatagramQueue::push(Datagram datagram) {
    const std::size_t cost = cost_of(datagram);
    datagrams_.push_back(std::move(datagram));
    size_bytes_ += cost;
}

/// What can fail comes first: numbers for the passengers, then memory for a receive without a
/// buffer. MSG_TRUNC among the flags asks for the length that the datagram has, not for more of it.
int DatagramQueue::receive(const Transfer& transfer, Surroundings& around) {
    Datagram& datagram = datagrams_.front();
    const std::size_t whole = datagram.bytes.size();
    const std::size_t count = std::min(transfer.size, whole);
    int answered = count < whole ? MSG_TRUNC : 0;
    if (datagram.passengers.empty()) {
        if (transfer.header != nullptr) transfer.header->msg_controllen = 0;
    } else {
        answered |= alight(datagram.passengers, transfer, around);
    }
    if (const int error = transfer.deliver({datagram.bytes.data(), count}, around); error != 0)
        return error;
    transfer.answer_address(datagram.from);
    transfer.answer_flags(answered);
    if ((transfer.flags & MSG_PEEK) == 0) {
        Datagram received = std::move(datagram);
        size_bytes_ -= cost_of(received);
        datagrams_.pop_front();
        dismiss(std::move(received.passengers), around);
    }
    const bool tells_whole = (transfer.flags & MSG_TRUNC) != 0;
    return static_cast<int>(tells_whole ? whole : count);
}

/// The list is emptied first: the end of a descriptor that travels in it may close a socket, which
/// comes back to this queue.
void DatagramQueue::dismiss_all(Surroundings& around) noexcept {
    for (Datagram& datagram : std::exchange(datagrams_, {}))
        dismiss(std::move(datagram.passengers), around);
    size_bytes_ = 0;
}

void DatagramQueue::surrender(Passengers& all) {
    for (Datagram& datagram : datagrams_)
        all.insert(all.end(), std::make_move_iterator(datagram.passengers.begin()),
                   std::make_move_iterator(datagram.passengers.end()));
}

}  // namespace asyncio::lowlevel::simulated
