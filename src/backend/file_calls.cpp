// The system calls of files. Each may wait for the disk, so a back-end that must not wait gives the
// operation to the kernel's workers or to a thread.
//
// Three calls have a variant that answers EAGAIN instead of waiting (RWF_NOWAIT, RESOLVE_CACHED). A
// read of data in the cache costs half a microsecond so, and five to ten through a thread. Where a
// file system does not know the variant, the attempt is wasted: a quarter of a microsecond. (ext4
// knows it for reads alone, tmpfs not at all.)
//
// Kernel facts that this file relies on
//  - fdatasync(2) writes the length of the file, too, if that is needed to read the data later.
//  - O_NONBLOCK has no effect on a file, with one exception: while another process holds a lease on
//    the file, the open answers EAGAIN.
//  - RESOLVE_CACHED (5.12) is refused for an open that may create or truncate.

#include "backend/attempt.h"
#include "backend/system_calls.h"

#include <cstdio>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace asyncio::lowlevel {
namespace {

/// The path of `open`, `statx` and the like, which ends with a zero.
const char* path_of(const Operation& operation) noexcept {
    return static_cast<const char*>(operation.buffer);
}

}  // namespace

/// O_NONBLOCK is for what only looks like a file. The open of a named pipe waits for the other end
/// without it, for ever if none comes, and neither a thread nor a cancellation could end that wait.
/// A read of such a descriptor then answers EAGAIN, and waits for readiness as with any pipe.
int open_flags(const Operation& operation) noexcept {
    return operation.flags | O_CLOEXEC | O_NONBLOCK;
}

/// The file system has no such variant, or the kernel does not know the flag, or the call.
int unless_unsupported(int result) noexcept {
    return result == -EOPNOTSUPP || result == -ENOSYS ? would_block : result;
}

ssize_t read_from_cache(int fd, std::span<char> room, std::int64_t offset) noexcept {
    const iovec bytes{room.data(), room.size()};
    return ::preadv2(fd, &bytes, 1, offset, RWF_NOWAIT);
}

int pread_from_cache(const Operation& operation) noexcept {
    const std::span room(static_cast<char*>(operation.buffer), operation.size);
    return unless_unsupported(
        retried([&] { return read_from_cache(operation.fd, room, operation.offset); }));
}

int write_into_cache(const Operation& operation, std::int64_t offset) noexcept {
    const iovec bytes{operation.buffer, operation.size};
    return unless_unsupported(
        retried([&] { return ::pwritev2(operation.fd, &bytes, 1, offset, RWF_NOWAIT); }));
}

/// An older kernel does not know the call, or not the flag, and a sandbox may refuse the call. All
/// these say so by an error that the usual open reports, too, if it is meant.
int open_from_cache(const Operation& operation) noexcept {
    const int flags = operation.flags;
    const bool makes_file = (flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    if (makes_file || (flags & O_PATH) != 0) return would_block;
    open_how how{};
    how.flags = static_cast<unsigned>(open_flags(operation));
    how.resolve = RESOLVE_CACHED;
    const int made = retried(
        [&] { return ::syscall(SYS_openat2, operation.fd, path_of(operation), &how, sizeof how); });
    if (made == -EINVAL || made == -EPERM) return would_block;
    return clear_of_standard_number(unless_unsupported(made));
}

/// The second call waits until the other process has given up its lease.
int attempt_open(const Operation& operation) noexcept {
    const auto mode = static_cast<mode_t>(operation.size);
    const auto open_with = [&](int flags) {
        return retried([&] { return ::openat(operation.fd, path_of(operation), flags, mode); });
    };
    int made = open_with(open_flags(operation));
    if (made == -EAGAIN) made = open_with(operation.flags | O_CLOEXEC);
    return clear_of_standard_number(made);
}

int attempt_pread(const Operation& operation) noexcept {
    return retried(
        [&] { return ::pread(operation.fd, operation.buffer, operation.size, operation.offset); });
}

int attempt_pwrite(const Operation& operation) noexcept {
    return retried(
        [&] { return ::pwrite(operation.fd, operation.buffer, operation.size, operation.offset); });
}

/// A thread that waits here cannot be interrupted: the disk decides how long it takes.
int attempt_fsync(const Operation& operation) noexcept {
    const bool data_only = operation.flags == 1;
    return retried([&] { return data_only ? ::fdatasync(operation.fd) : ::fsync(operation.fd); });
}

int attempt_ftruncate(const Operation& operation) noexcept {
    return retried([&] { return ::ftruncate(operation.fd, operation.offset); });
}

/// The call itself, and not readdir(3), which would allocate a buffer and hide errors.
int attempt_getdents(const Operation& operation) noexcept {
    return retried([&] { return ::getdents64(operation.fd, operation.buffer, operation.size); });
}

int attempt_statx(const Operation& operation) noexcept {
    auto* answer = static_cast<struct statx*>(operation.second);
    const auto mask = static_cast<unsigned>(operation.size);
    return retried(
        [&] { return ::statx(operation.fd, path_of(operation), operation.flags, mask, answer); });
}

int attempt_unlink(const Operation& operation) noexcept {
    return retried([&] { return ::unlinkat(operation.fd, path_of(operation), operation.flags); });
}

int attempt_mkdir(const Operation& operation) noexcept {
    const auto mode = static_cast<mode_t>(operation.size);
    return retried([&] { return ::mkdirat(operation.fd, path_of(operation), mode); });
}

int attempt_rename(const Operation& operation) noexcept {
    const auto* to = static_cast<const char*>(operation.second);
    const auto flags = static_cast<unsigned>(operation.flags);
    return retried([&] {
        return ::renameat2(operation.fd, path_of(operation), operation.second_fd, to, flags);
    });
}

/// The descriptor is non-blocking, so a read of it waits for readiness on every back-end.
int attempt_inotify_init() noexcept {
    return clear_of_standard_number(
        retried([] { return ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC); }));
}

/// The kernel walks along the path, so this may wait for the disk.
int attempt_inotify_add_watch(const Operation& operation) noexcept {
    const auto mask = static_cast<std::uint32_t>(operation.size);
    return retried([&] { return ::inotify_add_watch(operation.fd, path_of(operation), mask); });
}

int attempt_inotify_rm_watch(const Operation& operation) noexcept {
    return retried(
        [&] { return ::inotify_rm_watch(operation.fd, static_cast<int>(operation.offset)); });
}

}  // namespace asyncio::lowlevel
