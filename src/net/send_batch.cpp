// Forming messages out of datagrams.
//
// The messages are formed from the datagrams that are left, each time anew. That is a loop over at
// most a thousand pieces in front of a system call that copies all of them, and it needs no
// bookkeeping of messages that were sent in part: a datagram is sent whole or not at all, and so is
// a series.
//
// The limits of a series are those of old kernels. A newer one takes 128 datagrams, which is hardly
// measurable. The length of the datagrams is not limited here: whether they fit into the network
// without being cut is known to the kernel alone, which refuses the series if they do not.

#include "net/send_batch.h"

#include <algorithm>
#include <cstring>

#include <netinet/in.h>
#include <netinet/udp.h>

namespace asyncio::internal {

/// The vectors never grow beyond what is reserved here, because the headers point into them.
SendBatch::SendBatch(std::span<const OutgoingDatagram> datagrams, const Address& address)
    : datagrams_(datagrams), address_(address) {
    const std::size_t messages = std::min(most_messages, datagrams.size());
    headers_.reserve(messages);
    messages_.reserve(messages);
    parts_.reserve(std::min(most_messages * longest_series, datagrams.size()));
}

/// An empty address stands for the one that the call names, which is empty for the peer.
const Address& SendBatch::address_of(std::size_t index) const noexcept {
    const Address* const own = datagrams_[index].address;
    return own != nullptr && !own->is_empty() ? *own : address_;
}

/// Whether the datagram `index` may follow the ones from `first` on in a series. An empty datagram
/// cannot be a part of one.
bool SendBatch::continues(std::size_t first, std::size_t index) const noexcept {
    const std::size_t size = datagrams_[index].data.size();
    if (size == 0 || size > datagrams_[first].data.size()) return false;
    const Address& to = address_of(index);
    const Address& before = address_of(first);
    return &to == &before || to == before;
}

/// How many datagrams from `first` on are one message. The first that is shorter ends the series:
/// the kernel cuts the bytes at multiples of the length, and only the last piece may be smaller.
std::size_t SendBatch::series_from(std::size_t first) const noexcept {
    const std::size_t length = datagrams_[first].data.size();
    const std::size_t end = std::min(datagrams_.size(), first + longest_series);
    std::size_t bytes = length;
    std::size_t index = first + 1;
    for (; index < end && continues(first, index); ++index) {
        const std::size_t size = datagrams_[index].data.size();
        if (bytes + size > most_series_bytes) break;
        bytes += size;
        if (size < length) return index + 1 - first;
    }
    return index - first;
}

/// The memory of the last request is used again: it was reported before.
lowlevel::OperationRequest SendBatch::request(int fd, bool series) {
    headers_.clear();
    messages_.clear();
    parts_.clear();
    for (std::size_t first = next_; first < datagrams_.size() && headers_.size() < most_messages;) {
        const std::size_t count = series ? series_from(first) : 1;
        add_message(first, count);
        first += count;
    }
    return {.kind = lowlevel::OperationKind::sendmmsg,
            .fd = fd,
            .blocking = lowlevel::Blocking::owned,
            .buffer = headers_.data(),
            .size = headers_.size()};
}

/// The parts of a message are the caller's bytes, which are not copied. A series needs ancillary
/// data that tell the length of its datagrams.
void SendBatch::add_message(std::size_t first, std::size_t count) {
    const std::size_t part = parts_.size();
    for (const OutgoingDatagram& datagram : datagrams_.subspan(first, count))
        parts_.push_back({const_cast<char*>(datagram.data.data()), datagram.data.size()});
    Content& content = messages_.emplace_back();
    content.datagrams = count;
    msghdr& header = headers_.emplace_back().msg_hdr;
    header.msg_iov = parts_.data() + part;
    header.msg_iovlen = count;
    if (const Address& to = address_of(first); !to.is_empty()) {
        header.msg_name = const_cast<sockaddr*>(to.data());
        header.msg_namelen = to.size();
    }
    if (count == 1) return;
    header.msg_control = content.control.data();
    header.msg_controllen = content.control.size();
    cmsghdr* const control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto length = static_cast<std::uint16_t>(datagrams_[first].data.size());
    std::memcpy(CMSG_DATA(control), &length, sizeof length);
}

void SendBatch::note_sent(std::size_t messages) noexcept {
    for (const Content& content : std::span(messages_).first(messages)) next_ += content.datagrams;
}

}  // namespace asyncio::internal
