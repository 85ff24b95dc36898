// The system calls of sockets.
//
// Kernel facts that this file relies on
//  - connect(2) on a socket that is connecting answers EALREADY until the connection stands or has
//    failed. The first call after that answers 0 or the error, once. So the same call starts a
//    connect and later asks for its end, and no state is needed here.
//  - connect(2) on a Unix socket answers EAGAIN when the queue of the listener is full. The socket
//    is writable all the time, so a wait for readiness would never wait. The result −EBUSY, which
//    connect(2) never gives, tells the caller to try again later.
//  - accept(2) passes on errors of the new connection: the peer has reset it, or its network has
//    gone. These say nothing about the listener, and the next connection may be good.
//  - A `sendmsg` of a stream may send a part. `sendmmsg` stops at the first message that would
//    block, and answers how many were sent.
//
// Errors of one connection are skipped by `accept` and nowhere else. In every other call they are
// what the caller wants to know.
//
// Descriptors that are made here never have the numbers 0 to 2 (rule 6 of the contract).

#include "backend/attempt.h"
#include "backend/system_calls.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/types.h>

namespace asyncio::lowlevel {
namespace {

sockaddr* address_of(const Operation& operation) noexcept {
    return static_cast<sockaddr*>(operation.buffer);
}

socklen_t length_of(const Operation& operation) noexcept {
    return static_cast<socklen_t>(operation.size);
}

/// For the calls that write an address or a value: its length stands in `size` before and after.
template <class Call>
int with_length(Operation& operation, Call call) noexcept {
    socklen_t length = length_of(operation);
    const int result = call(&length);
    if (result < 0) return -errno;
    operation.size = length;
    return result;
}

bool is_about_one_connection(int error) noexcept {
    switch (error) {
        case -ECONNABORTED:
        case -EPROTO:
        case -ENETDOWN:
        case -ENOPROTOOPT:
        case -EHOSTDOWN:
        case -ENONET:
        case -EHOSTUNREACH:
        case -ENETUNREACH: return true;
        default: return false;
    }
}

}  // namespace

int attempt_socket(const Operation& operation) noexcept {
    const int type = operation.flags | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const int made = ::socket(operation.events, type, static_cast<int>(operation.offset));
    return clear_of_standard_number(made < 0 ? -errno : made);
}

int attempt_bind(const Operation& operation) noexcept {
    return retried(
        [&] { return ::bind(operation.fd, address_of(operation), length_of(operation)); });
}

int attempt_listen(const Operation& operation) noexcept {
    return retried([&] { return ::listen(operation.fd, static_cast<int>(operation.size)); });
}

int attempt_shutdown(const Operation& operation) noexcept {
    return retried([&] { return ::shutdown(operation.fd, operation.flags); });
}

int attempt_getsockname(Operation& operation) noexcept {
    return with_length(operation, [&](socklen_t* length) noexcept {
        return ::getsockname(operation.fd, address_of(operation), length);
    });
}

int attempt_getpeername(Operation& operation) noexcept {
    return with_length(operation, [&](socklen_t* length) noexcept {
        return ::getpeername(operation.fd, address_of(operation), length);
    });
}

int attempt_setsockopt(const Operation& operation) noexcept {
    return retried([&] {
        return ::setsockopt(operation.fd, operation.flags, operation.second_fd, operation.buffer,
                            length_of(operation));
    });
}

int attempt_getsockopt(Operation& operation) noexcept {
    return with_length(operation, [&](socklen_t* length) noexcept {
        return ::getsockopt(operation.fd, operation.flags, operation.second_fd, operation.buffer,
                            length);
    });
}

/// The loop is bounded by the connections that broke while they waited: each round takes one from
/// the queue of the listener.
int attempt_accept(Operation& operation) noexcept {
    for (;;) {
        const int flags = operation.flags | SOCK_NONBLOCK | SOCK_CLOEXEC;
        const int result = with_length(operation, [&](socklen_t* length) noexcept {
            const bool wants_address = operation.buffer != nullptr;
            return ::accept4(operation.fd, address_of(operation), wants_address ? length : nullptr,
                             flags);
        });
        if (result == -EINTR || is_about_one_connection(result)) continue;
        return clear_of_standard_number(result);
    }
}

/// EINTR: the connect goes on without the caller, as with EINPROGRESS.
int attempt_connect(const Operation& operation) noexcept {
    if (::connect(operation.fd, address_of(operation), length_of(operation)) == 0) return 0;
    switch (errno) {
        case EINTR:
        case EINPROGRESS:
        case EALREADY: return would_block;
        case EAGAIN: return -EBUSY;
        default: return -errno;
    }
}

int attempt_recvmsg(const Operation& operation) noexcept {
    const int flags = operation.flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    auto* message = static_cast<msghdr*>(operation.buffer);
    return retried([&] { return ::recvmsg(operation.fd, message, flags); });
}

int attempt_sendmsg(const Operation& operation) noexcept {
    const int flags = operation.flags | MSG_DONTWAIT | MSG_NOSIGNAL;
    const auto* message = static_cast<const msghdr*>(operation.buffer);
    return retried([&] { return ::sendmsg(operation.fd, message, flags); });
}

int attempt_recvmmsg(const Operation& operation) noexcept {
    const int flags = operation.flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    auto* messages = static_cast<mmsghdr*>(operation.buffer);
    const auto count = static_cast<unsigned>(operation.size);
    return retried([&] { return ::recvmmsg(operation.fd, messages, count, flags, nullptr); });
}

int attempt_sendmmsg(const Operation& operation) noexcept {
    const int flags = operation.flags | MSG_DONTWAIT | MSG_NOSIGNAL;
    auto* messages = static_cast<mmsghdr*>(operation.buffer);
    const auto count = static_cast<unsigned>(operation.size);
    return retried([&] { return ::sendmmsg(operation.fd, messages, count, flags); });
}

int attempt_sendfile(const Operation& operation) noexcept {
    off_t offset = operation.offset;
    off_t* place = offset < 0 ? nullptr : &offset;
    return retried(
        [&] { return ::sendfile(operation.fd, operation.second_fd, place, operation.size); });
}

}  // namespace asyncio::lowlevel
