#pragma once
// The memory into which datagrams are received: a row of slots, each large enough for any datagram
// of the internet.
//
// The next datagram may be of any length, and a slot that is too short would cut it. So an endpoint
// that waits with memory of its own would hold 64 KiB for a datagram of 100 bytes that may never
// come. A thread has one room for all endpoints instead. It is used within one call, which
// does not wait (MSG_DONTWAIT), and the datagrams are copied out before the next one.
//
// One call fills up to 16 slots. That costs a fifth less for each datagram than a call for each;
// more slots were not measurably better. The memory of a slot that was never filled is never
// touched, so the system gives it no page.
//
// A slot may hold many datagrams. With UDP_GRO the kernel hands over a series of datagrams from one
// sender as one piece, and says how long each is; the last may be shorter. They are taken apart
// here. This makes a received datagram of such a series ten times cheaper.
//
// The length of the datagrams comes as ancillary data. Options that the program has set on its
// socket (a time stamp, the interface of arrival) put theirs beside it, in the order of the kernel.
// So there is room for all of them together. If it is too small after all, the length may be
// missing, and the message cannot be taken apart. It is dropped, and the endpoint reports it: a
// protocol that got a series as one datagram would misread it.
//
// A socket without series gets no room for ancillary data. A Unix socket could receive descriptors
// there, which nothing would ever close.
//
// Thread-safety: one room for each thread.

#include <asyncio/lowlevel/operation.h>
#include <asyncio/socket.h>

#include <array>
#include <cstddef>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::internal {

class ReceiveRoom {
public:
    static constexpr std::size_t slot_count = 16;
    static constexpr std::size_t slot_bytes = 65536;

    /// The room of this thread. Throws: `std::bad_alloc`.
    static ReceiveRoom& of_thread();

    ReceiveRoom() noexcept {}
    ReceiveRoom(const ReceiveRoom&) = delete;
    ReceiveRoom& operator=(const ReceiveRoom&) = delete;

    /// The request to receive at most `most` messages, 16 at the most, without waiting. `series`:
    /// whether a message may be a series.
    lowlevel::OperationRequest request(int fd, std::size_t most, bool series) noexcept;

    /// Appends the datagrams of the first `messages` messages to `datagrams`. Returns how many of
    /// the messages were dropped, because the length of their datagrams is not known.
    /// Throws: `std::bad_alloc`; the datagrams that were not appended are lost.
    std::size_t take(std::size_t messages, std::vector<ReceivedFrom>& datagrams) const;

private:
    /// What belongs to a message beside its bytes.
    struct Slot {
        iovec part;
        sockaddr_storage from;
        /// Room for the length of a datagram in a series, and for everything else that Linux can
        /// tell about a datagram: about 350 bytes.
        alignas(cmsghdr) std::array<char, 512> control;
    };

    bool take_one(std::size_t index, std::vector<ReceivedFrom>& datagrams) const;

    // None of them is cleared: `request` sets what the kernel reads.
    std::array<mmsghdr, slot_count> headers_;
    std::array<Slot, slot_count> slots_;
    std::array<std::array<char, slot_bytes>, slot_count> bytes_;
};

}  // namespace asyncio::internal
