// The system calls behind the operations, each tried once without waiting.
//
// The back-ends come here twice for an operation: when it is submitted, and each time its
// descriptor may have become ready. Most operations succeed at the first attempt, so this is the
// library's usual way into the kernel. The ring and epoll serve the rest, the operations that must
// wait.
//
// An attempt has three outcomes: a result ≥ 0, an error (−errno), or `would_block`. EINTR never
// leaves this file, by rule 5 of the contract. The operation itself stays as it was. The back-end
// decides what a result means for the operation's state, because it knows whether the operation was
// in flight.
//
// Why an attempt does not block. The contract asks for descriptors in non-blocking mode. A regular
// file has no such mode, and a call on it waits for the disk. So a back-end first asks
// `attempt_may_block`. It tries such an operation with what the kernel has in memory
// (`attempt_from_cache`), and leaves the rest to the kernel's workers (io_uring) or to a thread.
// (MSG_DONTWAIT makes the calls of sockets independent of the mode, except accept and connect,
// which have no flags of this kind.)
//
// The scratch buffer is one for all reads of a back-end. It also counts what was received in a
// wait, so that a back-end can stop before the bytes of the first tasks have left the cache.
//
// Kernel facts that this file relies on
//  - read(2) and write(2) move at most 0x7ffff000 bytes in one call (2 GiB minus a page).
//  - close(2) frees the number even when it reports an error.
//  - poll(2) reports POLLERR, POLLHUP and POLLNVAL unasked, and skips negative descriptors.
//  - A pipe has no flag like MSG_NOSIGNAL: a write without a reader raises SIGPIPE.
//
// The calls of sockets stand in socket_calls.cpp and those of files in file_calls.cpp. `recv` and
// `send` are here, because they are `read` and `write` with flags.
//
// Thread-safety: stateless; a `Scratch` belongs to one back-end.

#include "backend/attempt.h"

#include <asyncio/lowlevel/fd.h>

#include "backend/operation_kind.h"
#include "backend/system_calls.h"

#include <algorithm>
#include <csignal>
#include <new>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::lowlevel {
namespace {

/// Whether the descriptor is a file or a folder. Such a descriptor reports only that it can be read
/// and written. A wait for any other event would never end in the ring or in poll(2), and epoll
/// refuses to watch it at all. So all back-ends answer with epoll's error, EPERM.
bool never_changes(int fd) noexcept {
    struct stat about{};
    return ::fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
}

int attempt_poll(const Operation& operation) noexcept {
    // poll(2) skips negative numbers and would report nothing: a mistake would become a wait
    // without end.
    if (operation.fd < 0) return -EBADF;
    pollfd asked{operation.fd, operation.events, 0};
    const int ready = retried([&] { return ::poll(&asked, 1, 0); });
    if (ready < 0) return ready;
    if (ready == 0) return never_changes(operation.fd) ? -EPERM : would_block;
    return (asked.revents & POLLNVAL) != 0 ? -EBADF : asked.revents;
}

/// `call` is read(2) or recv(2) without the memory. Without a `buffer` the bytes go to `receive`
/// before this returns, because the next read will overwrite the scratch buffer. A count of 0 (the
/// end of the stream) and errors are not passed on: they reach the caller as the result.
template <class Call>
int attempt_read(Operation& operation, Scratch& scratch, Call call) noexcept {
    std::span<char> room(static_cast<char*>(operation.buffer), operation.size);
    if (operation.receive != nullptr) {
        room = scratch.take(operation.size);
        if (room.data() == nullptr) return -ENOMEM;
    }
    const int count = retried([&] { return call(room); });
    if (operation.receive != nullptr && count > 0) {
        scratch.passed_on(static_cast<std::size_t>(count));
        operation.receive(operation, room.first(static_cast<std::size_t>(count)));
    }
    return count;
}

/// Both ends have an owner before anything is checked, so no end leaks when the other one finds no
/// number above the standard ones.
int attempt_pipe(const Operation& operation) noexcept {
    int numbers[2];
    if (::pipe2(numbers, O_NONBLOCK | O_CLOEXEC) != 0) return -errno;
    Fd reader = clear_of_standard(Fd(numbers[0]));
    Fd writer = clear_of_standard(Fd(numbers[1]));
    if (!reader || !writer) return -EMFILE;
    auto* ends = static_cast<int*>(operation.buffer);
    ends[0] = reader.release();
    ends[1] = writer.release();
    return 0;
}

/// Not retried: when close(2) says EINTR, Linux has closed the descriptor nevertheless. By then the
/// number may belong to another file, which a second close would hit.
int attempt_close(int fd) noexcept {
    if (::close(fd) == 0 || errno == EINTR) return 0;
    return -errno;
}

}  // namespace

int clear_of_standard_number(int number) noexcept {
    if (number < 0) return number;
    Fd fd = clear_of_standard(Fd(number));
    return fd ? fd.release() : -errno;
}

/// The memory is made by the first read that needs it: a loop that only sleeps never pays for it.
/// The memory then stays, because a loop that reads once reads again.
std::span<char> Scratch::take(std::size_t wanted) noexcept {
    if (!memory_) memory_.reset(new (std::nothrow) char[size_bytes]);
    if (!memory_) return {};
    return {memory_.get(), std::min(wanted, size_bytes)};
}

/// There is no `default:`, so the compiler warns about a kind that has no case here. The last line
/// is reached only with a number that is no kind.
// NOLINTNEXTLINE(readability-function-size): a table, with a line for each kind.
int attempt(Operation& operation, Scratch& scratch) noexcept {
    const int fd = operation.fd;
    switch (operation.kind) {
        case OperationKind::read:
            return attempt_read(operation, scratch, [fd](std::span<char> room) noexcept {
                return ::read(fd, room.data(), room.size());
            });
        case OperationKind::write:
            return retried([&] { return ::write(fd, operation.buffer, operation.size); });
        case OperationKind::poll: return attempt_poll(operation);
        case OperationKind::pipe: return attempt_pipe(operation);
        case OperationKind::close: return attempt_close(fd);
        case OperationKind::recv:
            return attempt_read(operation, scratch, [&](std::span<char> room) noexcept {
                return ::recv(fd, room.data(), room.size(), operation.flags | MSG_DONTWAIT);
            });
        case OperationKind::send:
            return retried([&] {
                return ::send(fd, operation.buffer, operation.size,
                              operation.flags | MSG_DONTWAIT | MSG_NOSIGNAL);
            });
        case OperationKind::socket: return attempt_socket(operation);
        case OperationKind::bind: return attempt_bind(operation);
        case OperationKind::listen: return attempt_listen(operation);
        case OperationKind::shutdown: return attempt_shutdown(operation);
        case OperationKind::getsockname: return attempt_getsockname(operation);
        case OperationKind::getpeername: return attempt_getpeername(operation);
        case OperationKind::setsockopt: return attempt_setsockopt(operation);
        case OperationKind::getsockopt: return attempt_getsockopt(operation);
        case OperationKind::accept: return attempt_accept(operation);
        case OperationKind::connect: return attempt_connect(operation);
        case OperationKind::recvmsg: return attempt_recvmsg(operation);
        case OperationKind::sendmsg: return attempt_sendmsg(operation);
        case OperationKind::recvmmsg: return attempt_recvmmsg(operation);
        case OperationKind::sendmmsg: return attempt_sendmmsg(operation);
        case OperationKind::sendfile: return attempt_sendfile(operation);
        case OperationKind::open: return attempt_open(operation);
        case OperationKind::pread: return attempt_pread(operation);
        case OperationKind::pwrite: return attempt_pwrite(operation);
        case OperationKind::fsync: return attempt_fsync(operation);
        case OperationKind::ftruncate: return attempt_ftruncate(operation);
        case OperationKind::getdents: return attempt_getdents(operation);
        case OperationKind::statx: return attempt_statx(operation);
        case OperationKind::unlink: return attempt_unlink(operation);
        case OperationKind::mkdir: return attempt_mkdir(operation);
        case OperationKind::rename: return attempt_rename(operation);
        case OperationKind::inotify_init: return attempt_inotify_init();
        case OperationKind::inotify_add_watch: return attempt_inotify_add_watch(operation);
        case OperationKind::inotify_rm_watch: return attempt_inotify_rm_watch(operation);
    }
    return -EINVAL;
}

bool attempt_may_block(const Operation& operation) noexcept {
    switch (facts_of(operation.kind).call) {
        case Call::at_once:
        case Call::ready:
        case Call::message: return false;
        case Call::disk: return true;
        case Call::mode_decides: break;
    }
    if (operation.blocking != Blocking::unknown) return operation.blocking == Blocking::possible;
    const int flags = ::fcntl(operation.fd, F_GETFL);
    // A number that is no descriptor does not block: the attempt then reports the error. The answer
    // is not remembered for the next time, because the mode belongs to the open file and other
    // processes may change it.
    return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

int attempt_from_cache(Operation& operation, Scratch& scratch) noexcept {
    constexpr std::int64_t at_position = -1;
    const OperationKind kind = operation.kind;
    if (kind == OperationKind::read) {
        const int count = attempt_read(operation, scratch, [&](std::span<char> room) noexcept {
            return read_from_cache(operation.fd, room, at_position);
        });
        return unless_unsupported(count);
    }
    if (kind == OperationKind::write) return write_into_cache(operation, at_position);
    if (kind == OperationKind::pread || kind == OperationKind::pwrite) {
        // The calls with flags take −1 for the position of the file.
        if (operation.offset < 0) return -EINVAL;
        return kind == OperationKind::pread ? pread_from_cache(operation)
                                            : write_into_cache(operation, operation.offset);
    }
    return kind == OperationKind::open ? open_from_cache(operation) : would_block;
}

int attempt_in_thread(Operation& operation) noexcept {
    if (operation.kind == OperationKind::read)
        return retried(
            [&] { return ::read(operation.fd, operation.buffer, read_size(operation)); });
    Scratch unused;
    return attempt(operation, unused);
}

std::size_t read_size(const Operation& operation) noexcept {
    const bool is_lent = operation.receive != nullptr;
    return is_lent ? std::min(operation.size, Scratch::size_bytes) : operation.size;
}

bool lend_buffer(Operation& operation) noexcept {
    const bool needs_one = operation.kind == OperationKind::read && operation.receive != nullptr;
    if (needs_one) operation.buffer = new (std::nothrow) char[read_size(operation)];
    return !needs_one || operation.buffer != nullptr;
}

void take_back_buffer(Operation& operation, int result) noexcept {
    if (operation.kind != OperationKind::read || operation.receive == nullptr) return;
    auto* memory = static_cast<char*>(std::exchange(operation.buffer, nullptr));
    if (result > 0) operation.receive(operation, {memory, static_cast<std::size_t>(result)});
    delete[] memory;
}

void ignore_sigpipe() noexcept {
    // Two threads that make their back-ends at the same moment both set the same disposition, so
    // the pair of calls needs no lock.
    struct sigaction current{};
    if (::sigaction(SIGPIPE, nullptr, &current) != 0) return;
    if ((current.sa_flags & SA_SIGINFO) == 0 && current.sa_handler == SIG_DFL) {
        ::signal(SIGPIPE, SIG_IGN);
    }
}

}  // namespace asyncio::lowlevel
