#pragma once
// What the kinds of operations have in common, seen from a back-end that waits for them.
//
// An operation that cannot be carried out at once waits until its descriptor changes. Which change
// that is depends on the kind alone, and every back-end must know it: epoll for its registrations,
// io_uring for its polls, the simulated world for real descriptors. So the question has one answer,
// in one switch without a `default`. The compiler names that switch, and the one in `attempt.cpp`,
// to whoever adds a kind. A kind that a back-end forgot would wait for ever.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include <cstdint>

#include <poll.h>

namespace asyncio::lowlevel {

/// After which change of its descriptor an operation is worth another try.
enum class Interest : std::uint8_t {
    none,      ///< It never waits.
    readable,  ///< Bytes have come, or the end.
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

/// The same as events of poll(2). Those of epoll have the same bits on Linux.
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
