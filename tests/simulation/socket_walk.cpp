#include "simulation/socket_walk.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

namespace simulation {

using asyncio::lowlevel::Backend;
using asyncio::lowlevel::Operation;
using asyncio::lowlevel::OperationKind;
using asyncio::lowlevel::OperationList;
using asyncio::lowlevel::OperationRequest;
using namespace std::chrono_literals;

namespace {

/// Bytes whose values depend on their places, so that a wrong piece is seen.
std::string pattern(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + i % 26);
    return bytes;
}

Address loopback(int family) {
    Address address;
    if (family == AF_INET) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
        v4.sin_family = AF_INET;
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.length = sizeof v4;
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
        v6.sin6_family = AF_INET6;
        v6.sin6_addr = in6addr_loopback;
        address.length = sizeof v6;
    }
    return address;
}

/// An abstract name that no other process has.
Address unused_name() {
    static std::atomic<int> names{0};
    const std::string name =
        "asyncio-walk-" + std::to_string(::getpid()) + "-" + std::to_string(++names);
    Address address;
    auto& of_unix = reinterpret_cast<sockaddr_un&>(address.storage);
    of_unix.sun_family = AF_UNIX;
    std::memcpy(of_unix.sun_path + 1, name.data(), name.size());
    address.length = offsetof(sockaddr_un, sun_path) + 1 + name.size();
    return address;
}

}  // namespace

SocketWalk::SocketWalk(std::unique_ptr<Backend> backend, std::uint64_t seed)
    : backend_(std::move(backend)), random_(seed) {}

SocketWalk::~SocketWalk() {
    for (const int fd : std::vector<int>(open_)) close(fd);
}

int SocketWalk::ask(const OperationRequest& request, bool patient) {
    Operation operation;
    static_cast<OperationRequest&>(operation) = request;
    if (backend_->submit(operation) == Backend::Submitted::finished) {
        return operation.result;
    }
    const auto wait = [&](asyncio::TimePoint deadline) {
        OperationList finished;
        backend_->wait(deadline, finished);
        while (!finished.empty()) finished.pop_front();
    };
    const auto is_done = [&] { return operation.state == Operation::State::finished; };
    const asyncio::TimePoint end = backend_->now() + 10s;
    wait(asyncio::internal::at_once);
    while (patient && !is_done() && backend_->now() < end) wait(end);
    if (is_done()) return operation.result;
    backend_->cancel(operation);
    while (!is_done()) wait(asyncio::internal::at_once);
    return operation.result == -ECANCELED ? waits : operation.result;
}

void SocketWalk::note(const std::string& what, int answer) {
    story_ += what + ": ";
    if (answer == waits) {
        story_ += "waits\n";
    } else {
        story_ += (answer < 0 ? std::strerror(-answer) : std::to_string(answer)) + '\n';
    }
}

int SocketWalk::socket(int family, int type) {
    const int fd = ask({.kind = OperationKind::socket,
                        .events = static_cast<std::int16_t>(family),
                        .flags = type});
    EXPECT_GE(fd, 0);
    open_.push_back(fd);
    return fd;
}

int SocketWalk::close(int fd) {
    std::erase(open_, fd);
    return ask({.kind = OperationKind::close, .fd = fd}, true);
}

Address SocketWalk::local(int fd) {
    Address address;
    Operation operation;
    operation.kind = OperationKind::getsockname;
    operation.fd = fd;
    operation.buffer = &address.storage;
    operation.size = address.length;
    backend_->submit(operation);
    EXPECT_EQ(operation.result, 0);
    address.length = operation.size;
    return address;
}

int SocketWalk::bind(int fd, const Address& address) {
    return ask({.kind = OperationKind::bind,
                .fd = fd,
                .buffer = const_cast<sockaddr_storage*>(&address.storage),
                .size = address.length});
}

int SocketWalk::connect(int fd, const Address& address) {
    return ask({.kind = OperationKind::connect,
                .fd = fd,
                .buffer = const_cast<sockaddr_storage*>(&address.storage),
                .size = address.length},
               true);
}

int SocketWalk::accept(int listener) {
    const int fd = ask({.kind = OperationKind::accept, .fd = listener}, true);
    EXPECT_GE(fd, 0);
    open_.push_back(fd);
    return fd;
}

int SocketWalk::bound(int family, int type) {
    const int fd = socket(family, type);
    EXPECT_EQ(bind(fd, family == AF_UNIX ? unused_name() : loopback(family)), 0);
    return fd;
}

int SocketWalk::listener(int family, int backlog) {
    const int fd = bound(family, SOCK_STREAM);
    EXPECT_EQ(
        ask({.kind = OperationKind::listen, .fd = fd, .size = static_cast<std::size_t>(backlog)}),
        0);
    return fd;
}

std::pair<int, int> SocketWalk::stream_pair(int family) {
    const int listening = listener(family);
    const int client = socket(family, SOCK_STREAM);
    EXPECT_EQ(connect(client, local(listening)), 0);
    const int server = accept(listening);
    close(listening);
    // Otherwise the kernel holds back small pieces until the ones before are acknowledged.
    int on = 1;
    for (const int fd : {client, server}) {
        if (family == AF_UNIX) continue;
        ask({.kind = OperationKind::setsockopt,
             .fd = fd,
             .second_fd = TCP_NODELAY,
             .flags = IPPROTO_TCP,
             .buffer = &on,
             .size = sizeof on});
    }
    return {client, server};
}

std::pair<int, int> SocketWalk::datagram_pair(int family) {
    const int one = bound(family, SOCK_DGRAM);
    const int other = bound(family, SOCK_DGRAM);
    EXPECT_EQ(connect(one, local(other)), 0);
    EXPECT_EQ(connect(other, local(one)), 0);
    return {one, other};
}

void SocketWalk::send(int fd, std::size_t size, int flags) {
    std::string bytes = pattern(size);
    note("send", ask({.kind = OperationKind::send,
                      .fd = fd,
                      .flags = flags,
                      .buffer = bytes.data(),
                      .size = size}));
}

void SocketWalk::send_message(int fd, std::size_t size, const Address* to) {
    std::string bytes = pattern(size);
    iovec parts[2] = {{bytes.data(), size / 2}, {bytes.data() + size / 2, size - size / 2}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    if (to != nullptr) {
        message.msg_name = const_cast<sockaddr_storage*>(&to->storage);
        message.msg_namelen = static_cast<socklen_t>(to->length);
    }
    note("sendmsg", ask({.kind = OperationKind::sendmsg, .fd = fd, .buffer = &message, .size = 1}));
}

void SocketWalk::receive(int fd, std::size_t size, int flags) {
    std::string bytes(size, '.');
    const int count = ask({.kind = OperationKind::recv,
                           .fd = fd,
                           .flags = flags,
                           .buffer = bytes.data(),
                           .size = size});
    note("recv " + bytes, count);
}

void SocketWalk::receive_message(int fd, std::size_t size, int flags) {
    std::string bytes(size, '.');
    iovec parts[2] = {{bytes.data(), size / 3}, {bytes.data() + size / 3, size - size / 3}};
    Address from;
    char control[64];
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    message.msg_name = &from.storage;
    message.msg_namelen = sizeof from.storage;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const int count = ask(
        {.kind = OperationKind::recvmsg, .fd = fd, .flags = flags, .buffer = &message, .size = 1});
    note("recvmsg " + bytes, count);
    if (count < 0) return;
    // The names of the two worlds differ in length where they are abstract.
    note("with a name", message.msg_namelen > 0 ? 1 : 0);
    note("flags", message.msg_flags & ~MSG_CMSG_CLOEXEC);
    note("control", static_cast<int>(message.msg_controllen));
}

void SocketWalk::shutdown(int fd, int how) {
    note("shutdown", ask({.kind = OperationKind::shutdown, .fd = fd, .flags = how}));
}

/// All events of poll(2). POLLIN and its like are reported together, so the answer shows all.
void SocketWalk::poll(int fd) {
    constexpr std::int16_t all =
        POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM | POLLRDBAND | POLLWRBAND;
    note("poll", ask({.kind = OperationKind::poll, .fd = fd, .events = all}));
}

void SocketWalk::option(int fd, int level, int name) {
    int value = -1;
    const int result = ask({.kind = OperationKind::getsockopt,
                            .fd = fd,
                            .second_fd = name,
                            .flags = level,
                            .buffer = &value,
                            .size = sizeof value});
    const std::string what = "option " + std::to_string(level) + "." + std::to_string(name) + " = ";
    note(what + std::to_string(value), result);
}

void SocketWalk::set_option(int fd, int level, int name, int value) {
    const std::string what = "set " + std::to_string(level) + "." + std::to_string(name) + " = ";
    note(what + std::to_string(value), ask({.kind = OperationKind::setsockopt,
                                            .fd = fd,
                                            .second_fd = name,
                                            .flags = level,
                                            .buffer = &value,
                                            .size = sizeof value}));
}

void SocketWalk::linger(int fd, int seconds) {
    struct linger value{1, seconds};
    note("linger", ask({.kind = OperationKind::setsockopt,
                        .fd = fd,
                        .second_fd = SO_LINGER,
                        .flags = SOL_SOCKET,
                        .buffer = &value,
                        .size = sizeof value}));
}

void SocketWalk::listen(int fd, int backlog) {
    note("listen",
         ask({.kind = OperationKind::listen, .fd = fd, .size = static_cast<std::size_t>(backlog)}));
}

void SocketWalk::address(const std::string& what, int fd, OperationKind kind) {
    sockaddr_storage address{};
    const int result = ask({.kind = kind, .fd = fd, .buffer = &address, .size = sizeof address});
    char text[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_INET) {
        ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in&>(address).sin_addr, text, sizeof text);
    } else {
        ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6&>(address).sin6_addr, text,
                    sizeof text);
    }
    note(what + " " + text, result);
}

void SocketWalk::peer(int fd) {
    sockaddr_storage address{};
    note("peer", ask({.kind = OperationKind::getpeername,
                      .fd = fd,
                      .buffer = &address,
                      .size = sizeof address}));
}

}  // namespace simulation
