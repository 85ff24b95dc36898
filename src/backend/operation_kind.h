#pragma once
// The events for which an operation waits, by the kind of the operation.
//
// An operation that cannot be carried out at once waits until its descriptor changes. The kind of
// the operation decides which change that is, and every back-end must know it: epoll for its
// registrations, io_uring for its polls, the simulated world for real descriptors. So the question
// has one answer, in one switch without a `default`. When a kind is added, the compiler warns of
// this switch and of the one in `attempt.cpp`. An operation of a kind that a back-end has forgotten
// would wait for ever.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include <cstdint>

#include <poll.h>

namespace asyncio::lowlevel {

/// The change of its descriptor after which another attempt of an operation can succeed.
enum class Interest : std::uint8_t {
    none,      ///< No change: the operation finishes in its first attempt and never waits.
    readable,  ///< Bytes have come, or the end of the stream.
    writable,  ///< There is room.
    asked,     ///< The operation names the events itself.
};

constexpr Interest interest_of(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::read: return Interest::readable;
        case OperationKind::write: return Interest::writable;
        case OperationKind::poll: return Interest::asked;
        case OperationKind::pipe:
        case OperationKind::close: return Interest::none;
    }
    return Interest::none;
}

/// The same as events of poll(2). The events of epoll(7) have the same bits on Linux.
constexpr std::uint16_t events_of(const Operation& operation) noexcept {
    switch (interest_of(operation.kind)) {
        case Interest::none: return 0;
        case Interest::readable: return POLLIN;
        case Interest::writable: return POLLOUT;
        case Interest::asked: return static_cast<std::uint16_t>(operation.events);
    }
    return 0;
}

}  // namespace asyncio::lowlevel
