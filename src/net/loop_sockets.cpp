// The functions of sockets under the names that Python's loop has for them.
//
// Each checks that it runs in the loop whose function was called, and then is the function of
// `Socket`. The memory that the arguments refer to belongs to the caller, as in `Socket`.
//
// A program that is written here uses the functions of `Socket`, which are shorter. These exist so
// that a program can be brought from Python line by line. So they cost one coroutine frame more,
// and are defined here: the header of the loop only names the types of sockets, and a program
// that needs none of them does not read their headers.
//
// A closed loop is refused when the function is called, since nothing could await it. A task of
// another loop is refused when the result is awaited: only then it is known which task that is.

#include <asyncio/connection.h>
#include <asyncio/event_loop.h>
#include <asyncio/exceptions.h>
#include <asyncio/names.h>
#include <asyncio/socket.h>

#include <stdexcept>
#include <utility>

#include <sys/socket.h>

namespace asyncio {

namespace {

/// Throws: RuntimeError if no task of `loop` runs.
void require_task_of(const EventLoop& loop, const char* function) {
    if (&internal::running_task(function).loop() != &loop)
        throw RuntimeError(std::string(function) + " must be awaited in a task of that loop");
}

/// Awaits a call of a socket in a task of `loop`. The call is made here, behind the check, because
/// its coroutine would begin in a foreign loop otherwise. `call` stays in the frame of this
/// coroutine until the result is there.
template <class Result, class Call>
Coro<Result> in_task_of(EventLoop& loop, const char* function, Call call) {
    require_task_of(loop, function);
    co_return co_await call();
}

/// The address of `host` that fits the socket: a name may have addresses of other families. Only
/// the first address is tried, as in Python. A program that wants to try all of them calls
/// `open_connection`.
Coro<void> connect_by_name(EventLoop& loop, const Socket& socket, std::string host, int port) {
    require_task_of(loop, "EventLoop::sock_connect()");
    const AddressHints hints{.family = socket.getsockopt(SOL_SOCKET, SO_DOMAIN),
                             .type = socket.getsockopt(SOL_SOCKET, SO_TYPE),
                             .proto = socket.getsockopt(SOL_SOCKET, SO_PROTOCOL)};
    const std::vector<AddressInfo> found = co_await loop.getaddrinfo(std::move(host), port, hints);
    co_await socket.connect(found.front().address);
}

}  // namespace

// Each function from here on has the same parts: its name for the errors, the check that its loop
// is open, and the call of the socket behind the check of the task.
Coro<std::string> EventLoop::sock_recv(const Socket& socket, std::size_t most_bytes) {
    constexpr auto function = "EventLoop::sock_recv()";
    check_open(function);
    return in_task_of<std::string>(*this, function,
                                   [&socket, most_bytes] { return socket.recv(most_bytes); });
}

Coro<std::size_t> EventLoop::sock_recv_into(const Socket& socket, std::span<char> room) {
    constexpr auto function = "EventLoop::sock_recv_into()";
    check_open(function);
    return in_task_of<std::size_t>(*this, function,
                                   [&socket, room] { return socket.recv_into(room); });
}

Coro<ReceivedFrom> EventLoop::sock_recvfrom(const Socket& socket, std::size_t most_bytes) {
    constexpr auto function = "EventLoop::sock_recvfrom()";
    check_open(function);
    return in_task_of<ReceivedFrom>(*this, function,
                                    [&socket, most_bytes] { return socket.recvfrom(most_bytes); });
}

Coro<ReceivedIntoFrom> EventLoop::sock_recvfrom_into(const Socket& socket, std::span<char> room) {
    constexpr auto function = "EventLoop::sock_recvfrom_into()";
    check_open(function);
    return in_task_of<ReceivedIntoFrom>(*this, function,
                                        [&socket, room] { return socket.recvfrom_into(room); });
}

/// Python's `nbytes`, whose zero means the whole buffer.
Coro<ReceivedIntoFrom> EventLoop::sock_recvfrom_into(const Socket& socket, std::span<char> room,
                                                     std::size_t most_bytes) {
    if (most_bytes > room.size())
        throw std::invalid_argument("sock_recvfrom_into: more bytes are wanted than there is room");
    return sock_recvfrom_into(socket, most_bytes == 0 ? room : room.first(most_bytes));
}

Coro<void> EventLoop::sock_sendall(const Socket& socket, std::string_view data) {
    constexpr auto function = "EventLoop::sock_sendall()";
    check_open(function);
    return in_task_of<void>(*this, function, [&socket, data] { return socket.sendall(data); });
}

Coro<std::size_t> EventLoop::sock_sendto(const Socket& socket, std::string_view data,
                                         Address address) {
    constexpr auto function = "EventLoop::sock_sendto()";
    check_open(function);
    return in_task_of<std::size_t>(
        *this, function, [&socket, data, address] { return socket.sendto(data, address); });
}

Coro<void> EventLoop::sock_connect(const Socket& socket, Address address) {
    constexpr auto function = "EventLoop::sock_connect()";
    check_open(function);
    return in_task_of<void>(*this, function,
                            [&socket, address] { return socket.connect(address); });
}

/// The name is looked up by the loop, whose kept answers serve this call as well.
Coro<void> EventLoop::sock_connect(const Socket& socket, std::string host, int port) {
    check_open("EventLoop::sock_connect()");
    return connect_by_name(*this, socket, std::move(host), port);
}

Coro<Accepted> EventLoop::sock_accept(const Socket& socket) {
    constexpr auto function = "EventLoop::sock_accept()";
    check_open(function);
    return in_task_of<Accepted>(*this, function, [&socket] { return socket.accept(); });
}

/// An overload and no default argument: the header of the loop only names the type of the options.
Coro<std::uint64_t> EventLoop::sock_sendfile(const Socket& socket, int file) {
    return sock_sendfile(socket, file, {});
}

Coro<std::uint64_t> EventLoop::sock_sendfile(const Socket& socket, int file,
                                             const SendfileOptions& options) {
    constexpr auto function = "EventLoop::sock_sendfile()";
    check_open(function);
    return in_task_of<std::uint64_t>(
        *this, function, [&socket, file, options] { return socket.sendfile(file, options); });
}

Stream EventLoop::connect_accepted_socket(Socket socket) {
    return connect_accepted_socket(std::move(socket), {});
}

/// Waits for nothing, so a callback may call it, too.
Stream EventLoop::connect_accepted_socket(Socket socket, const StreamOptions& options) {
    constexpr auto function = "EventLoop::connect_accepted_socket()";
    check_open(function);
    if (internal::here.loop != this)
        throw RuntimeError(std::string(function) + " must be called in that loop");
    return asyncio::connect_accepted_socket(std::move(socket), options);
}

}  // namespace asyncio
