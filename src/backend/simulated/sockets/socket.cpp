// The kinds of operations, translated for the sockets.
//
// Two questions have no kind of their own. A host without power answers ENETDOWN to everything. A
// list of no messages is done before it begins.

#include "backend/simulated/sockets/socket.h"

#include "backend/operation_kind.h"
#include "backend/simulated/host.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>

namespace asyncio::lowlevel::simulated {

namespace {

msghdr& message_of(const Operation& operation) noexcept {
    return *static_cast<msghdr*>(operation.buffer);
}

std::span<mmsghdr> messages_of(const Operation& operation) noexcept {
    return {static_cast<mmsghdr*>(operation.buffer), operation.size};
}

/// The transfer of an operation with one message or none; of several messages, the first. For a
/// question the operation is only read.
Transfer transfer_of(const Operation& operation) noexcept {
    const OperationKind kind = operation.kind;
    if (kind == OperationKind::recvmsg || kind == OperationKind::sendmsg)
        return {message_of(operation), operation.flags};
    if (kind == OperationKind::recvmmsg || kind == OperationKind::sendmmsg)
        return {messages_of(operation).front().msg_hdr, operation.flags};
    return Transfer(const_cast<Operation&>(operation));
}

/// Whether there are several messages, which are none.
bool is_empty_list(const Operation& operation) noexcept {
    const OperationKind kind = operation.kind;
    const bool is_list = kind == OperationKind::recvmmsg || kind == OperationKind::sendmmsg;
    return is_list && operation.size == 0;
}

/// Writes an address to where the operation wants it.
int answer_address(Operation& operation, const Address& address) noexcept {
    operation.size = copy_out(address, operation.buffer, operation.size);
    return 0;
}

}  // namespace

Socket::Socket(Host& host, int family, int type) noexcept
    : host_(host), family_(family), type_(type), options_(family, type) {
    host.sockets.push_back(*this);
}

Socket::~Socket() { unlink(); }

void Socket::lose_power(Surroundings& around) noexcept {
    is_without_power_ = true;
    around.changes.add(*this);
}

int Socket::accept(Operation&, Surroundings&) { return -EOPNOTSUPP; }

int Socket::listen(int, Surroundings&) { return -EOPNOTSUPP; }

int Socket::can_set(int, int) const noexcept { return 0; }

/// No switch: the kinds of one direction have one answer.
int Socket::foresee(const Operation& operation, int side) const noexcept {
    const OperationKind kind = operation.kind;
    const KindFacts facts = facts_of(kind);
    if (is_without_power_) return -ENETDOWN;
    if (facts.call == Call::at_once || is_empty_list(operation)) return 0;
    if (kind == OperationKind::accept) return can_accept();
    if (kind == OperationKind::connect) return can_connect(operation);
    if (kind == OperationKind::poll) return foresee_poll(operation, side);
    if (kind == OperationKind::sendfile) return error_without_support(kind, true);
    if (facts.interest == Interest::readable) return can_receive(transfer_of(operation));
    if (facts.interest == Interest::writable) return can_send(transfer_of(operation));
    return error_without_support(kind, true);
}

/// A kind that no socket supports does not come here: `foresee` has refused it. The exception is
/// inotify_rm_watch, which never waits and so finds its error here.
int Socket::carry_out(Operation& operation, int, int foreseen, Surroundings& around) {
    switch (operation.kind) {
        case OperationKind::accept: return accept(operation, around);
        case OperationKind::connect: return connect(operation, around);
        case OperationKind::read:
        case OperationKind::recv:
        case OperationKind::recvmsg: return receive(transfer_of(operation), around);
        case OperationKind::write:
        case OperationKind::send:
        case OperationKind::sendmsg: return send(transfer_of(operation), around);
        case OperationKind::recvmmsg: return receive_several(operation, around);
        case OperationKind::sendmmsg: return send_several(operation, around);
        case OperationKind::bind: return bind(operation, around);
        case OperationKind::listen: return listen(static_cast<int>(operation.size), around);
        case OperationKind::shutdown: return shut_down(operation, around);
        case OperationKind::getsockname: return answer_address(operation, local_address());
        case OperationKind::getpeername: return get_peer_address(operation);
        case OperationKind::setsockopt: return set_option(operation);
        case OperationKind::getsockopt: return get_option(operation);
        case OperationKind::poll:
        case OperationKind::sendfile:
        case OperationKind::socket:
        case OperationKind::pipe:
        case OperationKind::close:
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
        case OperationKind::inotify_init:
        case OperationKind::inotify_add_watch: break;
        case OperationKind::inotify_rm_watch: return -EINVAL;
    }
    return foreseen;
}

int Socket::shut_down(const Operation& operation, Surroundings& around) {
    const int how = operation.flags;
    return how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : shutdown(how, around);
}

int Socket::get_peer_address(Operation& operation) const noexcept {
    Address address;
    const int error = peer_address(address);
    return error != 0 ? error : answer_address(operation, address);
}

/// The state of the socket may forbid what its protocol allows.
int Socket::set_option(const Operation& operation) {
    const int level = operation.flags;
    const int name = operation.second_fd;
    if (const int error = can_set(level, name); error != 0) return error;
    return options_.set(level, name, operation.buffer, operation.size);
}

/// The answers that are no options but the state of the socket stand here.
int Socket::get_option(Operation& operation) noexcept {
    const int level = operation.flags;
    const int name = operation.second_fd;
    int answer = 0;
    if (level != SOL_SOCKET) return options_.get(level, name, operation.buffer, operation.size);
    switch (name) {
        case SO_ERROR: answer = -take_error(); break;
        case SO_TYPE: answer = type_; break;
        case SO_DOMAIN: answer = family_; break;
        case SO_ACCEPTCONN: answer = is_listening() ? 1 : 0; break;
        case SO_PROTOCOL:
            if (family_ != AF_UNIX) answer = type_ == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
            break;
        default: return options_.get(level, name, operation.buffer, operation.size);
    }
    operation.size = std::min(operation.size, sizeof answer);
    std::memcpy(operation.buffer, &answer, operation.size);
    return 0;
}

/// As many messages as there are. The first can be received: `foresee` said so. An error of a later
/// one is left for the next request.
int Socket::receive_several(const Operation& operation, Surroundings& around) {
    int count = 0;
    for (mmsghdr& message : messages_of(operation)) {
        const Transfer transfer(message.msg_hdr, operation.flags);
        if (count > 0 && (error_ != 0 || can_receive(transfer) < 0)) break;
        const int result = receive(transfer, around);
        if (result < 0) return count > 0 ? count : result;
        message.msg_len = static_cast<unsigned>(result);
        ++count;
    }
    return count;
}

/// As `receive_several`. A message of a stream of which only a part went out is the last one.
int Socket::send_several(const Operation& operation, Surroundings& around) {
    int count = 0;
    for (mmsghdr& message : messages_of(operation)) {
        const Transfer transfer(message.msg_hdr, operation.flags);
        if (count > 0 && (error_ != 0 || can_send(transfer) < 0)) break;
        const int result = send(transfer, around);
        if (result < 0) return count > 0 ? count : result;
        message.msg_len = static_cast<unsigned>(result);
        ++count;
        if (message.msg_len < transfer.size) break;
    }
    return count;
}

}  // namespace asyncio::lowlevel::simulated
