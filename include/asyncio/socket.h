#pragma once
// Sockets, call by call: what Python's `loop.sock_recv`, `sock_accept` and their kin do.
//
// Most programs use streams (`connection.h`, `server.h`), which buffer and split into lines. A
// program takes a `Socket` where it wants the single calls of the kernel: its own protocol of
// datagrams, raw sockets, descriptors that are passed to another process.
//
// A socket belongs to the loop that ran when it was made. Every call that waits is an operation of
// the back-end, so it works on all of them, also in the simulated world, whose sockets are in
// memory.
//
// What a cancellation does. The operation is reported before the task continues, and what it has
// done is never dropped: bytes that were received are returned, and so is a connection that was
// accepted, although the request to cancel came in the meantime. The request then stays with the
// task, and its next await delivers it.
//
// Several tasks may use one socket at the same time. Two that receive each get a part of the bytes.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/loop_fd.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/sendfile.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio {

class Socket;

namespace internal {

class FilePart;

/// The base of the awaiters of a socket: one operation on its descriptor.
class SocketAwaiter : public lowlevel::OperationAwaiter {
public:
    bool await_ready();

protected:
    SocketAwaiter(const Socket& socket, lowlevel::OperationKind kind, const char* function);

    /// The result, which is not negative. Throws: CancelledError; OsError that names `function` and
    /// the socket.
    int value();

    /// What the error says: "receive from descriptor 7".
    const char* function_;

private:
    lowlevel::Loop* loop_;
};

/// What `recv` wants: how many bytes at the most.
struct RecvRequest {
    const Socket* socket;
    std::size_t most_bytes;
};

/// The awaiter of `Socket::recv`. While it waits it has no memory for the bytes.
class RecvAwaiter final : public SocketAwaiter {
public:
    explicit RecvAwaiter(const RecvRequest& request);
    std::string await_resume();

private:
    static void receive(lowlevel::Operation& operation, std::span<const char> bytes) noexcept;

    std::string bytes_;
};

/// What `recv_into`, `send` and others want: the memory, which is only read by a send.
struct BytesRequest {
    const Socket* socket;
    lowlevel::OperationKind kind;
    const char* function;
    char* bytes;
    std::size_t size;
};

class BytesAwaiter final : public SocketAwaiter {
public:
    explicit BytesAwaiter(const BytesRequest& request);
    std::size_t await_resume() { return static_cast<std::size_t>(value()); }
};

}  // namespace internal

/// A datagram, or any message with the address of its sender.
struct ReceivedFrom {
    std::string data;
    Address address;
    /// The message was longer than the memory for it, and the rest of it is lost.
    bool truncated = false;
};

/// How much was received into the caller's memory, and from where.
struct ReceivedIntoFrom {
    std::size_t size = 0;
    Address address;
    /// The message was longer than the memory, and the rest of it is lost.
    bool truncated = false;
};

/// What `recv_fds` has received.
struct ReceivedFds {
    std::string data;
    /// Close-on-exec, in the order in which they were sent.
    std::vector<lowlevel::Fd> fds;
    /// There were more descriptors, or more bytes of a datagram, than there was room. They are
    /// lost; the descriptors are closed.
    bool truncated = false;
};

/// A connection that a listener has accepted; the return type of `Socket::accept`.
struct Accepted;

/// A socket. Move-only; the destructor closes it. A socket that was default-constructed, moved
/// from, or closed has no descriptor, and its functions throw OsError with EBADF.
/// Python: `socket.socket` in non-blocking mode, with the `sock_*` functions of the loop.
class Socket {
public:
    /// Has no descriptor.
    Socket() noexcept = default;
    /// A new socket of the running loop, with the numbers of <sys/socket.h>: `Socket(AF_INET,
    /// SOCK_DGRAM)`. Throws: OsError; RuntimeError if no loop runs.
    explicit Socket(int family, int type = default_type, int proto = 0);
    /// Takes a socket of the kernel over, and switches it to non-blocking mode. Throws: OsError if
    /// `fd` is no open descriptor; it is closed then. RuntimeError if no loop runs.
    explicit Socket(lowlevel::Fd fd);
    Socket(Socket&&) noexcept = default;
    Socket& operator=(Socket&&) noexcept = default;
    ~Socket() = default;

    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
    /// The descriptor, which stays the socket's; −1 if there is none.
    int fileno() const noexcept { return fd_.get(); }

    // Calls that never wait. Each throws OsError.

    /// Gives the socket its local address.
    void bind(const Address& address) const;
    /// Lets the socket accept connections. `backlog` is how many may wait to be accepted.
    void listen(int backlog = 100) const;
    /// Ends a direction: SHUT_RD, SHUT_WR or SHUT_RDWR.
    void shutdown(int how) const;
    void setsockopt(int level, int option, int value) const;
    void setsockopt(int level, int option, std::string_view value) const;
    int getsockopt(int level, int option) const;
    Address getsockname() const;
    Address getpeername() const;

    /// Closes the socket. Operations in flight on it end with an OsError. Closing twice is allowed.
    void close() noexcept { fd_.reset(); }
    /// Gives the descriptor away. No operation may be in flight on it.
    [[nodiscard]] lowlevel::Fd detach() noexcept;

    // Calls that wait. What they throw: OsError, and CancelledError if the task is cancelled.

    /// Connects, and waits until the connection stands.
    ///
    /// A Unix listener whose queue is full makes this wait until there is room.
    /// Throws: OsError, which names the address.
    /// Cancellation: the connect goes on inside the kernel. Close the socket, or connect again to
    /// the same address.
    /// Python: `loop.sock_connect`.
    Coro<void> connect(Address address) const;

    /// Waits for a connection and accepts it. The new socket is in non-blocking mode.
    /// Cancellation: a connection that was accepted is returned.
    /// Python: `loop.sock_accept`.
    Coro<Accepted> accept() const;

    /// Receives at most `most_bytes` bytes, and at most 64 KiB, as soon as there are any. Returns
    /// "" at the end of the stream. No memory is used while it waits.
    /// Python: `loop.sock_recv`.
    lowlevel::Awaiting<internal::RecvAwaiter, internal::RecvRequest>
    recv(std::size_t most_bytes) const {
        return lowlevel::Awaiting<internal::RecvAwaiter, internal::RecvRequest>(
            internal::RecvRequest{this, most_bytes});
    }
    /// Receives into `room`, which must live until the await returns, also when the task is
    /// cancelled. Returns how many bytes were received; 0 at the end of the stream.
    /// Python: `loop.sock_recv_into`.
    lowlevel::Awaiting<internal::BytesAwaiter, internal::BytesRequest>
    recv_into(std::span<char> room) const {
        return bytes(lowlevel::OperationKind::recv, "receive from", room.data(), room.size());
    }
    /// Receives one message of at most `most_bytes` bytes, with the address of its sender. What
    /// does not fit of a datagram is lost, which the result says.
    /// Python: `loop.sock_recvfrom`.
    Coro<ReceivedFrom> recvfrom(std::size_t most_bytes) const;
    /// The same into `room`. Python: `loop.sock_recvfrom_into`.
    Coro<ReceivedIntoFrom> recvfrom_into(std::span<char> room) const;

    /// Sends a part of `data` as soon as there is room, and returns how many bytes it was. `data`
    /// must live until the await returns.
    lowlevel::Awaiting<internal::BytesAwaiter, internal::BytesRequest>
    send(std::string_view data) const {
        return bytes(lowlevel::OperationKind::send, "send to", const_cast<char*>(data.data()),
                     data.size());
    }
    /// Sends all of `data`, which must live until the await returns. If it throws, also for a
    /// cancellation, any part may have been sent. Python: `loop.sock_sendall`.
    Coro<void> sendall(std::string_view data) const;
    /// Sends `data` as one message to `address`. Returns how many bytes were sent.
    /// Python: `loop.sock_sendto`.
    Coro<std::size_t> sendto(std::string_view data, Address address) const;

    /// Sends a part of the file `file`, whose descriptor stays the caller's, and returns the number
    /// of bytes. The kernel copies the bytes by itself where it can. Where it cannot, they are read
    /// and sent, unless `options.fallback` is false.
    ///
    /// Throws: SendfileNotAvailableError without a fallback; OsError.
    /// Afterwards, also after an error or a cancellation, the position of the file is behind the
    /// last byte that was sent. A pipe has no position: bytes that were read and could not be sent
    /// are lost, and an offset is an error (ESPIPE).
    /// Python: `loop.sock_sendfile`.
    Coro<std::uint64_t> sendfile(int file, SendfileOptions options = {}) const;

    /// Sends `data`, at least one byte, and with its first byte copies of `fds` to the process at
    /// the other end of a Unix socket. The descriptors stay the caller's.
    /// Returns how many bytes of `data` were sent. Python: `socket.send_fds`.
    Coro<std::size_t> send_fds(std::string_view data, std::span<const int> fds) const;
    /// Receives at most `most_bytes` bytes and at most `most_fds` descriptors.
    /// Python: `socket.recv_fds`.
    Coro<ReceivedFds> recv_fds(std::size_t most_bytes, std::size_t most_fds) const;

private:
    friend class internal::SocketAwaiter;

    /// SOCK_STREAM.
    static constexpr int default_type = 1;

    explicit Socket(lowlevel::LoopFd fd) noexcept : fd_(std::move(fd)) {}

    lowlevel::Awaiting<internal::BytesAwaiter, internal::BytesRequest>
    bytes(lowlevel::OperationKind kind, const char* function, char* data, std::size_t size) const {
        return lowlevel::Awaiting<internal::BytesAwaiter, internal::BytesRequest>(
            internal::BytesRequest{this, kind, function, data, size});
    }
    /// Starts a call. Throws: RuntimeError if the task is one of another loop, whose back-end does
    /// not know the socket.
    lowlevel::PerformInPlace call(lowlevel::OperationRequest& request) const;
    Coro<bool> send_by_kernel(internal::FilePart& part) const;
    Coro<void> send_by_reading(internal::FilePart& part) const;
    int perform_now(lowlevel::OperationRequest request, const char* function) const;

    lowlevel::LoopFd fd_;
};

struct Accepted {
    Socket socket;
    /// Of the peer.
    Address address;
};

}  // namespace asyncio
