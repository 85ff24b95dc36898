#pragma once
// A request to the kernel, as data.
//
// An operation lives in the frame of the coroutine that waits for it, or in an object that outlives
// the wait (the state of a stream or of a child process). So a read or a write allocates nothing.
// The request is a tag and a few numbers, and not a virtual method. So only the back-end decides
// how a kind is carried out. The compiler demands a new kind at every place that must know it
// (src/backend/operation_kind.h lists the places).
//
// How an operation is used
//
//  1. The caller fills in the request (`kind`, `fd`, `buffer`, …) and `on_finished`.
//  2. `Backend::submit` carries it out at once (state `finished`, and `on_finished` is not called),
//     or keeps it (state `in_flight`).
//  3. A later `Backend::wait` puts the operation on the list of finished ones, with its `result`.
//     The loop then calls `on_finished`, once.
//  4. The caller may fill the operation in and submit it again, for example to write the rest of a
//     buffer.
//
// Step 3 happens after a cancel, too. A caller that gives up therefore does not free the operation:
// it asks the back-end for the early end and waits for the report.
//
// Owner and lifetime. From `submit` until the report, the operation *and the memory it points to*
// belong to the back-end. The back-end links the operation into its own lists, keeps notes in
// `marks` and `result`, and gives the operation's address to the kernel as the name of the request.
// So an operation must not move while it is in flight, and it cannot: a list node is neither copied
// nor moved.
//
// The base class is the node of an intrusive list. An operation is in one list at a time, and
// leaving that list from the middle, which is what a cancellation does, needs no search and no
// memory.
//
// `on_finished` is a plain function pointer and not a coroutine's handle, because back-end and loop
// do not know coroutines. Most callers make a task ready there; a stream's writer submits its next
// piece instead, with no task involved.
//
// A read without memory. A program with a hundred thousand idle connections would hold a hundred
// thousand buffers for bytes that have not come. So a read may name a function (`receive`) instead
// of a buffer. The back-end reads into one buffer of its own when there is something to read, and
// calls that function with the bytes.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/base/intrusive_list.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace asyncio::lowlevel {

/// The kind of a request. A kind stands here if the library has a caller for it.
///
/// Most kinds have the name of their system call, and their results are the call's: section 2 of
/// the manual describes them. The table says where the arguments stand. A length that the call
/// reads and writes stands in `size`. Bytes that the call only reads, and text, are behind `buffer`
/// all the same, whose type has no `const`.
///
///     kind                       fd         buffer, size            flags     further
///     read, write                any        bytes
///     recv, send                 socket     bytes                   MSG_…
///     recvmsg, sendmsg           socket     one msghdr              MSG_…
///     recvmmsg, sendmmsg         socket     mmsghdr[size]           MSG_…
///     poll                       any                                          events
///     accept                     listener   address out             SOCK_…
///     connect, bind              socket     address
///     listen                     socket     –, size = backlog
///     shutdown                   socket                             SHUT_…
///     getsockname, getpeername   socket     address out
///     setsockopt, getsockopt     socket     value                   level     second_fd = option
///     sendfile                   socket     –, size                           second_fd = file,
///                                                                             offset
///     socket                                                        type      events = family,
///                                                                             offset = protocol
///     pipe                                  int[2]
///     close                      any
///     open                       folder     path, size = mode       O_…
///     pread, pwrite              file       bytes                             offset
///     fsync                      file                               1 = data only
///     ftruncate                  file                                         offset = length
///     getdents                   folder     records
///     statx                      folder     path, size = mask       AT_…      second = the answer
///     unlink                     folder     path                    AT_…
///     mkdir                      folder     path, size = mode
///     rename                     folder     path                    RENAME_…  second = new path,
///                                                                             second_fd = folder
///     inotify_init
///     inotify_add_watch          watcher    path, size = mask
///     inotify_rm_watch           watcher                                      offset = watch
enum class OperationKind : std::uint8_t {
    read,   ///< Up to `size` bytes into `buffer`; 0 is the end of the stream.
    write,  ///< Up to `size` bytes from `buffer`; may write fewer, never 0 unless asked to.
    /// Waits until one of `events` (POLLIN, POLLOUT, …) holds. The result is the mask of those that
    /// do. A pidfd becomes readable when its process has ended.
    poll,
    /// Makes a pipe: `buffer` is `int[2]`, read end first. Both ends non-blocking and
    /// close-on-exec.
    pipe,
    /// Closes `fd`. Afterwards the number is free, whatever the result says. The operations in
    /// flight on the descriptor end (rule 9 in backend.h).
    close,

    socket,       ///< The result is a descriptor, non-blocking and close-on-exec.
    bind,         ///< Gives the socket its local address.
    listen,       ///< Lets the socket accept connections.
    shutdown,     ///< Ends one direction of a connection, or both.
    getsockname,  ///< The local address; `size` becomes its length, as with getsockname(2).
    getpeername,  ///< The address of the peer.
    setsockopt,   ///< Sets an option of the socket.
    getsockopt,   ///< Asks for an option of the socket.
    /// The next connection: the result is a descriptor, non-blocking and close-on-exec. `buffer`
    /// may be null; otherwise it gets the address of the peer, and `size` becomes its length.
    /// Connections that broke before they were accepted are skipped.
    accept,
    /// Connects, and waits until the connection stands or has failed. It is one request and no
    /// attempt: a descriptor whose connect was cancelled is fit for `close` only. The result −EBUSY
    /// means that the queue of a Unix listener is full, for which no event exists: try again later.
    connect,
    // With MSG_DONTWAIT in its flags, each of the next six finishes within `submit`. Its result is
    // −EAGAIN where it would have to wait.
    recv,      ///< As `read`, with flags. A socket alone.
    send,      ///< As `write`, with flags. Never raises SIGPIPE.
    recvmsg,   ///< With addresses, ancillary data and several buffers. Descriptors that come are
               ///< close-on-exec.
    sendmsg,   ///< As `send`, with addresses, ancillary data and several buffers.
    recvmmsg,  ///< Several datagrams at once: as many as there are, one at least.
    sendmmsg,  ///< Several datagrams at once: as many as fit, one at least.
    /// From a file into a socket, without a copy. `offset` −1: from the position of the file. The
    /// thread may wait for the disk.
    sendfile,

    // Files. The calls may wait for the disk, and there is no readiness to wait for. So a worker of
    // the kernel or a thread carries them out, unless the kernel has at hand what they need. `fd`
    // is the folder from which a relative path starts (AT_FDCWD: the working folder).

    /// The result is a descriptor, non-blocking and close-on-exec. The mode has no effect on files.
    /// It lets the open of a named pipe or a device return at once, where it would wait for the
    /// other end.
    open,
    pread,      ///< As `read`, at the place `offset`.
    pwrite,     ///< As `write`, at the place `offset`.
    fsync,      ///< Returns when the file is on the disk; with `flags` 1, its data.
    ftruncate,  ///< Sets the length of the file to `offset`.
    getdents,   ///< The next entries of a folder, as records of getdents64(2).
    statx,      ///< What is known of a file.
    unlink,     ///< Removes a name.
    mkdir,      ///< Makes a folder.
    rename,     ///< Gives a file another name.

    // Watching files: inotify(7). The events come by `read`.
    inotify_init,       ///< The result is a descriptor, non-blocking and close-on-exec.
    inotify_add_watch,  ///< The result is the number of the watch. The call may wait for the disk.
    inotify_rm_watch,   ///< Ends a watch.
};

/// How much the caller of a `read` or `write` knows about the descriptor.
enum class Blocking : std::uint8_t {
    unknown,   ///< No knowledge: a back-end that must know asks the kernel.
    never,     ///< Non-blocking mode: the call says EAGAIN when it must.
    possible,  ///< The call may block the thread, as with a file, whatever the mode is.
    /// As `never`, and the descriptor is closed by an operation `close` of the same back-end, or
    /// given up by `Backend::disown`, and in no other way. The back-end may then remember whether
    /// it is ready. For the kinds of sockets, too.
    owned,
    /// As `owned`, and the descriptor is a connection of TCP: a `recv` that brings less than was
    /// asked for has brought everything that was there.
    owned_tcp,
};

/// Whether a back-end may remember the readiness of the descriptor.
constexpr bool is_owned(Blocking blocking) noexcept {
    return blocking == Blocking::owned || blocking == Blocking::owned_tcp;
}

/// What is asked of the kernel: the part of an operation that the caller fills in. Which members
/// have a meaning depends on the kind; the table above says it.
struct OperationRequest {
    OperationKind kind = OperationKind::poll;
    int fd = -1;
    std::int16_t events = 0;
    Blocking blocking = Blocking::unknown;
    int second_fd = -1;
    int flags = 0;
    void* buffer = nullptr;
    std::size_t size = 0;
    void* second = nullptr;
    std::int64_t offset = 0;
};

/// A request, its present owner, and its result. The top of the file says how it is used.
struct Operation : internal::ListNode, OperationRequest {
    /// The present owner of the operation. Written by the back-end alone, so that the caller can
    /// tell at any time whether it may touch the operation.
    enum class State : std::uint8_t {
        idle,       ///< The caller's: may be filled in, submitted, destroyed.
        in_flight,  ///< The back-end's. It will be reported exactly once.
        finished,   ///< The caller's again; `result` holds.
    };

    /// Whether the operation is still on its way: with the back-end, or finished and in the list of
    /// those that the loop has yet to report.
    bool is_pending() const noexcept { return state == State::in_flight || linked(); }

    State state = State::idle;
    /// Notes of the back-end while the operation is in flight. Each back-end has bits of its own;
    /// `submit` sets them anew.
    std::uint16_t marks = 0;

    /// ≥ 0, or −errno. Valid in state `finished`. In flight it belongs to the back-end, which may
    /// keep a note there.
    int result = 0;

    /// Called by the loop, once, after `Backend::wait` reported the operation. The function must
    /// not block; it usually puts a task into the ready queue. It is not called when `submit`
    /// answered "finished already": that caller has the result in hand.
    void (*on_finished)(Operation&) noexcept = nullptr;

    /// For a `read` or `recv` without a `buffer`. The back-end calls it once, within `submit` or
    /// `wait`, before the operation is finished. `bytes` is what has come: at least one byte and at
    /// most `size`. The function has to copy the bytes, because the next read uses the same buffer.
    /// It is not called at the end of the stream, nor for an error. It must not call the back-end,
    /// which is in the middle of its own work.
    void (*receive)(Operation&, std::span<const char> bytes) noexcept = nullptr;
};

// An operation lies in many frames and in every stream, so its size is watched.
static_assert(sizeof(Operation) <= 2 * 64, "an operation fits into two lines of the cache");

using OperationList = internal::IntrusiveList<Operation>;

}  // namespace asyncio::lowlevel
