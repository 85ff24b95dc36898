#pragma once
// Many datagrams in the form in which sendmmsg(2) wants them.
//
// A message is one datagram, or a series (UDP_SEGMENT): the kernel is given the bytes of up to 64
// datagrams as one, with the length of each, and makes datagrams of them at the very end of its
// work. A series has one address, and datagrams of one length; the last may be shorter. This is the
// usual shape of a large transfer. Such a datagram costs a third of a single one, and much less if
// the receiver takes series, too. sendmmsg(2) by itself saves almost nothing: the work is in the
// network and not in the call. It is used all the same, because it sends several series.
//
// A batch remembers where it stands. Messages that could not be sent are formed anew by the next
// `request`, so the caller may have forbidden series in between.
//
// Thread-safety: none.

#include <asyncio/datagram.h>
#include <asyncio/lowlevel/operation.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::internal {

class SendBatch {
public:
    /// `address` is that of datagrams without one; empty for the peer.
    SendBatch(std::span<const OutgoingDatagram> datagrams, const Address& address);

    bool is_sent() const noexcept { return next_ == datagrams_.size(); }
    /// The request to send the next messages, with series if `series` is true. It refers to this
    /// object.
    lowlevel::OperationRequest request(int fd, bool series);
    /// The first `messages` messages of the last request were sent.
    void note_sent(std::size_t messages) noexcept;

    /// Whether the first message of the last request is a series.
    bool begins_with_series() const noexcept { return messages_.front().datagrams > 1; }
    /// Where the first message of the last request goes.
    const Address& address() const noexcept { return address_of(next_); }

private:
    static constexpr std::size_t most_messages = 16;
    /// The kernel's limits for a series: the number of datagrams, and their bytes, which have to
    /// fit into one datagram of IPv4.
    static constexpr std::size_t longest_series = 64;
    static constexpr std::size_t most_series_bytes = 65507;

    struct Content {
        std::size_t datagrams;
        /// The length of each datagram of a series.
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control;
    };

    const Address& address_of(std::size_t index) const noexcept;
    bool continues(std::size_t first, std::size_t index) const noexcept;
    std::size_t series_from(std::size_t first) const noexcept;
    void add_message(std::size_t first, std::size_t count);

    std::span<const OutgoingDatagram> datagrams_;
    Address address_;
    /// The first datagram that was not sent.
    std::size_t next_ = 0;
    std::vector<mmsghdr> headers_;
    std::vector<Content> messages_;
    std::vector<iovec> parts_;
};

}  // namespace asyncio::internal
