#pragma once
// The requests that the io_uring back-end gives to the workers of the kernel: calls that may wait
// although their descriptor is ready, or has no readiness.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include "backend/attempt.h"

#include <algorithm>
#include <cstdint>

#include <liburing.h>

namespace asyncio::lowlevel {

inline void prepare_read_or_write(io_uring_sqe& entry, int opcode,
                                  const Operation& operation) noexcept {
    // The limit of read(2) and write(2). The ring's length field has 32 bits, and a larger size
    // would be cut to something arbitrary.
    const std::size_t most_bytes = operation.receive == nullptr ? 0x7ffff000 : Scratch::size_bytes;
    const auto size = static_cast<unsigned>(std::min(operation.size, most_bytes));
    constexpr auto current_position = ~std::uint64_t{0};
    ::io_uring_prep_rw(opcode, &entry, operation.fd, operation.buffer, size, current_position);
}

/// Fills in the entry. The kinds of the last group are never given to the workers, because their
/// calls do not wait (`KindFacts::call`).
inline void prepare_transfer(io_uring_sqe& entry, const Operation& operation) noexcept {
    switch (operation.kind) {
        case OperationKind::read: return prepare_read_or_write(entry, IORING_OP_READ, operation);
        case OperationKind::write: return prepare_read_or_write(entry, IORING_OP_WRITE, operation);
        case OperationKind::poll:
        case OperationKind::pipe:
        case OperationKind::close:
        case OperationKind::socket:
        case OperationKind::bind:
        case OperationKind::listen:
        case OperationKind::shutdown:
        case OperationKind::getsockname:
        case OperationKind::getpeername:
        case OperationKind::setsockopt:
        case OperationKind::getsockopt:
        case OperationKind::accept:
        case OperationKind::connect:
        case OperationKind::recv:
        case OperationKind::send:
        case OperationKind::recvmsg:
        case OperationKind::sendmsg:
        case OperationKind::recvmmsg:
        case OperationKind::sendmmsg:
        case OperationKind::sendfile:
        case OperationKind::open:
        case OperationKind::pread:
        case OperationKind::pwrite:
        case OperationKind::fsync:
        case OperationKind::ftruncate:
        case OperationKind::getdents:
        case OperationKind::statx:
        case OperationKind::unlink:
        case OperationKind::mkdir:
        case OperationKind::rename: return ::io_uring_prep_nop(&entry);
    }
}

}  // namespace asyncio::lowlevel
