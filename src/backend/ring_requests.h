#pragma once
// The requests that the io_uring back-end gives to the workers of the kernel: calls that may wait
// although their descriptor is ready, or has no readiness.
//
// Which requests a kernel knows differs: RENAMEAT and UNLINKAT came with 5.11, MKDIRAT with 5.15.
// The ring asks once (`Ring::knows`). A call for which it has no request goes to a thread. Listing
// a folder has none in any kernel. Changing the length of a file has one from 6.9 on, whose worker
// costs what a thread costs, so it goes to a thread, too.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include "backend/attempt.h"

#include <algorithm>
#include <cstdint>

#include <liburing.h>

namespace asyncio::lowlevel {

/// The name of an operation in the ring. No object has the address 0 or 1, the two values below.
inline std::uint64_t address_of(Operation& operation) noexcept {
    return reinterpret_cast<std::uintptr_t>(&operation);
}

/// The request for a kind whose call may wait; `no_request` if there is none. The kinds from `poll`
/// on never wait, so the workers never get them (`KindFacts::call`).
inline constexpr int no_request = -1;

constexpr int request_of(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::read:
        case OperationKind::pread: return IORING_OP_READ;
        case OperationKind::write:
        case OperationKind::pwrite: return IORING_OP_WRITE;
        case OperationKind::open: return IORING_OP_OPENAT;
        case OperationKind::fsync: return IORING_OP_FSYNC;
        case OperationKind::statx: return IORING_OP_STATX;
        case OperationKind::unlink: return IORING_OP_UNLINKAT;
        case OperationKind::mkdir: return IORING_OP_MKDIRAT;
        case OperationKind::rename: return IORING_OP_RENAMEAT;
        case OperationKind::ftruncate:
        case OperationKind::getdents:
        case OperationKind::inotify_add_watch:
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
        case OperationKind::inotify_init:
        case OperationKind::inotify_rm_watch: return no_request;
    }
    return no_request;
}

/// Bytes to or from a file. `pread` and `pwrite` name the place, the others use the position.
inline void prepare_transfer(io_uring_sqe& entry, int request,
                             const Operation& operation) noexcept {
    // The limit of read(2) and write(2). The ring's length field has 32 bits, and a larger size
    // would be cut to something arbitrary.
    constexpr std::size_t most_bytes = 0x7ffff000;
    const auto size = static_cast<unsigned>(std::min(read_size(operation), most_bytes));
    const bool names_place =
        operation.kind == OperationKind::pread || operation.kind == OperationKind::pwrite;
    constexpr auto current_position = ~std::uint64_t{0};
    ::io_uring_prep_rw(request, &entry, operation.fd, operation.buffer, size,
                       names_place ? static_cast<std::uint64_t>(operation.offset)
                                   : current_position);
}

/// Fills in the entry for an operation that has a request. The flags of `open` are those of the
/// call that a thread would make (file_calls.cpp).
inline void prepare_request(io_uring_sqe& entry, const Operation& operation) noexcept {
    const auto* path = static_cast<const char*>(operation.buffer);
    const int request = request_of(operation.kind);
    switch (request) {
        case IORING_OP_OPENAT:
            return ::io_uring_prep_openat(&entry, operation.fd, path, open_flags(operation),
                                          static_cast<mode_t>(operation.size));
        case IORING_OP_FSYNC:
            return ::io_uring_prep_fsync(&entry, operation.fd,
                                         operation.flags == 1 ? IORING_FSYNC_DATASYNC : 0);
        case IORING_OP_STATX:
            return ::io_uring_prep_statx(&entry, operation.fd, path, operation.flags,
                                         static_cast<unsigned>(operation.size),
                                         static_cast<struct statx*>(operation.second));
        case IORING_OP_UNLINKAT:
            return ::io_uring_prep_unlinkat(&entry, operation.fd, path, operation.flags);
        case IORING_OP_MKDIRAT:
            return ::io_uring_prep_mkdirat(&entry, operation.fd, path,
                                           static_cast<mode_t>(operation.size));
        case IORING_OP_RENAMEAT:
            return ::io_uring_prep_renameat(&entry, operation.fd, path, operation.second_fd,
                                            static_cast<const char*>(operation.second),
                                            static_cast<unsigned>(operation.flags));
        default: return prepare_transfer(entry, request, operation);
    }
}

}  // namespace asyncio::lowlevel
