#pragma once
// The table of the kinds of operations: what every back-end must know of a kind.
//
// An operation that cannot be carried out at once waits until its descriptor changes. The kind of
// the operation decides which change that is, and every back-end must know it: epoll for its
// registrations, io_uring for its polls, the simulated world for real descriptors. So the question
// has one answer, in one switch without a `default`. An operation of a kind that a back-end has
// forgotten would wait for ever.
//
// A new kind. The compiler demands a decision at each of these places, because none of the switches
// has a `default`:
//
//  1. here: the row of the table;
//  2. `attempt` (attempt.cpp): the system call, for all back-ends;
//  3. `request_of` (ring_requests.h): the request for the kernel's workers, or none;
//  4. `part_of` (simulated/world.cpp): the part of the simulated world that carries it out;
//  5. `error_without_support` (simulated/object.h), and the objects that support the kind.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include <cstdint>

#include <poll.h>
#include <sys/socket.h>

namespace asyncio::lowlevel {

/// The change of its descriptor after which another attempt of an operation can succeed.
enum class Interest : std::uint8_t {
    none,      ///< No change: the operation does not wait for readiness.
    readable,  ///< Bytes have come, or the end of the stream.
    writable,  ///< There is room.
    asked,     ///< The operation names the events itself.
};

/// What the system call does to the thread that makes it. The back-ends decide by this who carries
/// the call out: the thread of the loop, at once or when the descriptor is ready, or a worker that
/// may wait.
enum class Call : std::uint8_t {
    at_once,       ///< Never waits. Every back-end carries it out within `submit`.
    ready,         ///< Answers EAGAIN instead of waiting, or has nothing to wait for.
    message,       ///< As `ready`; an operation with MSG_DONTWAIT is `at_once`.
    mode_decides,  ///< As `ready` if the descriptor is in non-blocking mode; waits if it is not.
    disk,          ///< May wait for the disk, and no readiness tells when it would not.
};

/// The facts that the back-ends must know of a kind: a row of the table below.
struct KindFacts {
    Interest interest;
    Call call;
};

constexpr KindFacts facts_of(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::read: return {Interest::readable, Call::mode_decides};
        case OperationKind::write: return {Interest::writable, Call::mode_decides};
        case OperationKind::poll: return {Interest::asked, Call::ready};
        case OperationKind::pipe:
        case OperationKind::close: return {Interest::none, Call::ready};
        case OperationKind::socket:
        case OperationKind::bind:
        case OperationKind::listen:
        case OperationKind::shutdown:
        case OperationKind::getsockname:
        case OperationKind::getpeername:
        case OperationKind::setsockopt:
        case OperationKind::getsockopt:
        case OperationKind::inotify_init:
        case OperationKind::inotify_rm_watch: return {Interest::none, Call::at_once};
        case OperationKind::accept: return {Interest::readable, Call::ready};
        case OperationKind::recv:
        case OperationKind::recvmsg:
        case OperationKind::recvmmsg: return {Interest::readable, Call::message};
        case OperationKind::connect:
        case OperationKind::sendfile: return {Interest::writable, Call::ready};
        case OperationKind::send:
        case OperationKind::sendmsg:
        case OperationKind::sendmmsg: return {Interest::writable, Call::message};
        case OperationKind::open:
        case OperationKind::pread:
        case OperationKind::pwrite:
        case OperationKind::fsync:
        case OperationKind::ftruncate:
        case OperationKind::getdents:
        case OperationKind::statx:
        case OperationKind::unlink:
        case OperationKind::mkdir:
        case OperationKind::rename:
        case OperationKind::inotify_add_watch: return {Interest::none, Call::disk};
    }
    return {Interest::none, Call::ready};
}

constexpr Interest interest_of(OperationKind kind) noexcept { return facts_of(kind).interest; }

/// Whether operations of this kind wait for a disk and for nothing else. (A `read` may do either.)
constexpr bool waits_for_disk(OperationKind kind) noexcept {
    return facts_of(kind).call == Call::disk;
}

/// Whether the operation has to finish within `submit`, because it never waits or may not wait. If
/// it would block, its result is −EAGAIN.
constexpr bool finishes_at_once(const Operation& operation) noexcept {
    const Call call = facts_of(operation.kind).call;
    return call == Call::at_once ||
           (call == Call::message && (operation.flags & MSG_DONTWAIT) != 0);
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
