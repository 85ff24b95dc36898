// `Socket`: requests filled in, and results turned into values and errors.
//
// Every operation says that its descriptor is owned (`Blocking::owned`): a `Socket` is closed
// through its loop, and `detach` tells the loop before the descriptor leaves it.
//
// `recv`, `recv_into` and `send` are plain awaiters, because a program calls them once per message.
// The others need memory for addresses and headers besides the operation. They are coroutines: the
// memory lies in their frame, which stays until the operation is reported.
//
// The program may close the socket while a coroutine of it waits. The operation then ends with an
// error, whose message still needs the number. So the coroutines copy it.
//
// An error says what was done and to what: "connect to 127.0.0.1:80: Connection refused". The
// address is known to the caller of `connect` and `sendto`; for the rest the descriptor names the
// socket.

#include <asyncio/socket.h>

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/perform_now.h>
#include <asyncio/sleep.h>

#include "base/control_messages.h"
#include "net/growing_pause.h"
#include "net/message.h"
#include "streams/loop_descriptors.h"
#include "streams/socket_facts.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio {

using internal::Message;
using lowlevel::OperationKind;
using lowlevel::OperationRequest;

namespace {

std::string named(int fd) { return "descriptor " + std::to_string(fd); }

/// `result` is −errno, as every operation gives it. `function` is a verb that `what` completes.
[[noreturn]] void throw_failed(int result, const char* function, const std::string& what) {
    throw OsError(-result, std::string(function) + " " + what);
}

/// A socket of a simulated world is no descriptor of the kernel.
bool is_known_to_backend(EventLoop& loop, int fd) {
    int type = 0;
    return lowlevel::perform_now(loop, {.kind = OperationKind::getsockopt,
                                        .fd = fd,
                                        .second_fd = SO_TYPE,
                                        .flags = SOL_SOCKET,
                                        .buffer = &type,
                                        .size = sizeof type}) >= 0;
}

/// A blocking socket would hold the loop (rule 6 of the back-end's contract). In a simulated world
/// no call blocks.
void set_non_blocking(EventLoop& loop, int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0) return;
    const int error = errno;
    if (!is_known_to_backend(loop, fd)) throw OsError(error, "use " + named(fd) + " as a socket");
}

}  // namespace

namespace internal {

/// Takes the number and the loop out of the socket, which may be closed or moved while the task
/// waits.
SocketAwaiter::SocketAwaiter(const Socket& socket, OperationKind kind, const char* function)
    : function_(function), loop_(socket.fd_.loop()) {
    operation_.kind = kind;
    operation_.fd = socket.fileno();
    operation_.blocking = lowlevel::Blocking::owned;
}

/// A task of another loop would put the operation into a back-end that does not know the socket.
bool SocketAwaiter::await_ready() {
    lowlevel::Loop& own = task("a function of Socket").loop();
    if (loop_ != nullptr && loop_ != &own)
        throw RuntimeError(named(operation_.fd) + " is a socket of another event loop");
    return start();
}

int SocketAwaiter::value() {
    const int outcome = result();
    if (outcome < 0) throw_failed(outcome, function_, named(operation_.fd));
    return outcome;
}

/// Without a buffer: `receive` gets the bytes when they are there, so a task that waits for hours
/// holds no memory for them.
RecvAwaiter::RecvAwaiter(const RecvRequest& request)
    : SocketAwaiter(*request.socket, OperationKind::recv, "receive from") {
    operation_.size = request.most_bytes;
    operation_.receive = &receive;
}

/// Without memory for the bytes they stay lost, so the result says ENOMEM and not a number.
void RecvAwaiter::receive(lowlevel::Operation& operation, std::span<const char> bytes) noexcept {
    auto& self = static_cast<RecvAwaiter&>(*static_cast<OwnOperation&>(operation).awaiter);
    try {
        self.bytes_.assign(bytes.data(), bytes.size());
    } catch (const std::bad_alloc&) {
        self.bytes_.clear();
    }
}

std::string RecvAwaiter::await_resume() {
    if (value() > 0 && bytes_.empty()) throw std::bad_alloc();
    return std::move(bytes_);
}

BytesAwaiter::BytesAwaiter(const BytesRequest& request)
    : SocketAwaiter(*request.socket, request.kind, request.function) {
    operation_.buffer = request.bytes;
    operation_.size = request.size;
}

}  // namespace internal

// --- Making and asking --------------------------------------------------------------------------

/// Making a socket never waits, so a constructor can do it, although it is an operation of the
/// back-end like all others.
Socket::Socket(int family, int type, int proto) {
    EventLoop& loop = internal::running_loop("asyncio::Socket()");
    OperationRequest request{.kind = OperationKind::socket,
                             .events = static_cast<std::int16_t>(family),
                             .flags = type,
                             .offset = proto};
    const int made = lowlevel::perform_now(loop, request);
    if (made < 0) throw OsError(-made, "make a socket");
    internal::forget_descriptor(loop, made);
    fd_ = lowlevel::LoopFd(loop, lowlevel::Fd(made));
}

/// A descriptor in blocking mode would stop the whole loop at the first call that has to wait. The
/// mode belongs to the open file, so other processes that share the file see it change.
Socket::Socket(lowlevel::Fd fd) {
    EventLoop& loop = internal::running_loop("asyncio::Socket()");
    set_non_blocking(loop, fd.get());
    fd_ = lowlevel::LoopFd(loop, std::move(fd));
}

/// The request is in the frame of the coroutine that awaits.
lowlevel::PerformInPlace Socket::call(OperationRequest& request) const {
    lowlevel::Loop* const loop = fd_.loop();
    if (loop != nullptr && loop != &internal::running_task("a function of Socket").loop())
        throw RuntimeError(named(fileno()) + " is a socket of another event loop");
    request.fd = fileno();
    request.blocking = lowlevel::Blocking::owned;
    return lowlevel::perform_in_place(request);
}

/// Without a descriptor there is no loop to ask, and the answer is the kernel's for no descriptor.
int Socket::perform_now(OperationRequest request, const char* function) const {
    request.fd = fileno();
    const int result = fd_ ? lowlevel::perform_now(*fd_.loop(), request) : -EBADF;
    if (result < 0) throw_failed(result, function, named(fileno()));
    return result;
}

/// Not `perform_now`, because the message names the address and not the socket.
void Socket::bind(const Address& address) const {
    OperationRequest request{.kind = OperationKind::bind,
                             .fd = fileno(),
                             .buffer = const_cast<sockaddr*>(address.data()),
                             .size = address.size()};
    const int result = fd_ ? lowlevel::perform_now(*fd_.loop(), request) : -EBADF;
    if (result < 0) throw_failed(result, "bind to", address.to_string());
}

void Socket::listen(int backlog) const {
    perform_now({.kind = OperationKind::listen, .size = static_cast<std::size_t>(backlog)},
                "listen on");
}

void Socket::shutdown(int how) const {
    perform_now({.kind = OperationKind::shutdown, .flags = how}, "shut down");
}

void Socket::setsockopt(int level, int option, int value) const {
    setsockopt(level, option,
               std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
}

/// The value has the layout that the option wants: a number, or a structure.
void Socket::setsockopt(int level, int option, std::string_view value) const {
    perform_now({.kind = OperationKind::setsockopt,
                 .second_fd = option,
                 .flags = level,
                 .buffer = const_cast<char*>(value.data()),
                 .size = value.size()},
                "set an option of");
}

/// For options whose value is a number, as most are.
int Socket::getsockopt(int level, int option) const {
    int value = 0;
    perform_now({.kind = OperationKind::getsockopt,
                 .second_fd = option,
                 .flags = level,
                 .buffer = &value,
                 .size = sizeof value},
                "ask for an option of");
    return value;
}

namespace {

/// The kernel reports the full length of an address, also if there was less room for it. So the
/// length is cut to the room before it is used.
Address address_asked_for(const Socket& socket, lowlevel::Loop* loop, OperationKind kind,
                          const char* function) {
    sockaddr_storage storage{};
    OperationRequest request{
        .kind = kind, .fd = socket.fileno(), .buffer = &storage, .size = sizeof storage};
    const int result = socket ? lowlevel::perform_now(*loop, request) : -EBADF;
    if (result < 0) throw_failed(result, function, named(socket.fileno()));
    const auto size = static_cast<std::uint32_t>(std::min(request.size, sizeof storage));
    return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), size);
}

}  // namespace

Address Socket::getsockname() const {
    return address_asked_for(*this, fd_.loop(), OperationKind::getsockname,
                             "ask for the address of");
}

Address Socket::getpeername() const {
    return address_asked_for(*this, fd_.loop(), OperationKind::getpeername, "ask for the peer of");
}

/// The back-end forgets the descriptor, which may now be closed without its knowledge.
lowlevel::Fd Socket::detach() noexcept {
    if (fd_) fd_.loop()->disown(fd_.get());
    return lowlevel::Fd(fd_.release());
}

// --- Connections --------------------------------------------------------------------------------

/// No event tells when the queue of a Unix listener has room, so the wait is a number of short
/// sleeps.
Coro<void> Socket::connect(Address address) const {
    internal::GrowingPause pause;
    OperationRequest request{.kind = OperationKind::connect,
                             .buffer = const_cast<sockaddr*>(address.data()),
                             .size = address.size()};
    for (;;) {
        const int result = co_await call(request);
        if (result >= 0) co_return;
        if (result != -EBUSY) throw_failed(result, "connect to", address.to_string());
        co_await sleep(pause.next());
    }
}

/// The descriptor has an owner before anything that can throw, so it never leaks.
Coro<Accepted> Socket::accept() const {
    const int fd = fileno();
    lowlevel::Loop* const loop = fd_.loop();
    sockaddr_storage storage{};
    OperationRequest request{
        .kind = OperationKind::accept, .buffer = &storage, .size = sizeof storage};
    const int result = co_await call(request);
    if (result < 0) throw_failed(result, "accept on", named(fd));
    Accepted accepted{Socket(lowlevel::LoopFd(*loop, lowlevel::Fd(result))), {}};
    internal::forget_descriptor(internal::face_of(*loop), result);
    const auto size = static_cast<std::uint32_t>(std::min(request.size, sizeof storage));
    accepted.address = Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), size);
    co_return accepted;
}

// --- Messages -----------------------------------------------------------------------------------

/// The text is as long as the longest message that is wanted, and is cut afterwards.
Coro<ReceivedFrom> Socket::recvfrom(std::size_t most_bytes) const {
    std::string data(most_bytes, '\0');
    ReceivedIntoFrom received = co_await recvfrom_into(data);
    data.resize(received.size);
    co_return ReceivedFrom{std::move(data), received.address, received.truncated};
}

/// The header of the message lies in the frame, which stays until the operation is reported.
Coro<ReceivedIntoFrom> Socket::recvfrom_into(std::span<char> room) const {
    const int fd = fileno();
    Message message(room);
    message.with_room_for_address();
    const int result = co_await call(message.as(OperationKind::recvmsg));
    if (result < 0) throw_failed(result, "receive from", named(fd));
    co_return ReceivedIntoFrom{static_cast<std::size_t>(result), message.address(),
                               message.truncated()};
}

/// Empty data is sent once, which says whether the connection stands.
Coro<void> Socket::sendall(std::string_view data) const {
    do {
        data.remove_prefix(co_await send(data));
    } while (!data.empty());
}

/// A datagram goes whole or not at all, so there is no rest to send. No event tells when the
/// receiver at a Unix address has room.
Coro<std::size_t> Socket::sendto(std::string_view data, Address address) const {
    Message message(data);
    message.to(address);
    internal::GrowingPause pause;
    for (;;) {
        OperationRequest& request = message.as(OperationKind::sendmsg);
        if (address.is_local()) request.flags = MSG_DONTWAIT;
        const int result = co_await call(request);
        if (result >= 0) co_return static_cast<std::size_t>(result);
        if (result != -EAGAIN) throw_failed(result, "send to", address.to_string());
        co_await sleep(pause.next());
    }
}

// --- Descriptors --------------------------------------------------------------------------------

/// The descriptors travel in a control message beside the first byte. The kernel has its own
/// references to the open files from the call on.
Coro<std::size_t> Socket::send_fds(std::string_view data, std::span<const int> fds) const {
    const int fd = fileno();
    if (data.empty()) throw std::invalid_argument("send_fds: at least one byte must be sent");
    Message message(data);
    std::vector<char> control(CMSG_SPACE(fds.size_bytes()));
    if (!fds.empty()) {
        message.header.msg_control = control.data();
        message.header.msg_controllen = control.size();
        cmsghdr* header = CMSG_FIRSTHDR(&message.header);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    const int result = co_await call(message.as(OperationKind::sendmsg));
    if (result < 0) throw_failed(result, "send descriptors to", named(fd));
    co_return static_cast<std::size_t>(result);
}

Coro<ReceivedFds> Socket::recv_fds(std::size_t most_bytes, std::size_t most_fds) const {
    const int fd = fileno();
    ReceivedFds received;
    received.data.resize(most_bytes);
    std::vector<char> control(CMSG_SPACE(most_fds * sizeof(int)));
    // The kernel fills the room to the end, which may be room for one more because of alignment.
    received.fds.reserve(control.size() / sizeof(int));
    Message message(received.data);
    message.header.msg_control = control.data();
    message.header.msg_controllen = control.size();
    const int result = co_await call(message.as(OperationKind::recvmsg));
    if (result < 0) throw_failed(result, "receive descriptors from", named(fd));
    // Each descriptor gets an owner in turn. The room for the owners is there, so none leaks.
    internal::visit_descriptors(message.header,
                                [&](int number) { received.fds.emplace_back(number); });
    received.truncated = (message.header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    received.data.resize(static_cast<std::size_t>(result));
    co_return received;
}

}  // namespace asyncio
