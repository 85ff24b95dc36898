// The system calls of files. Each may wait for the disk, so a back-end that must not wait gives the
// operation to the kernel's workers or to a thread.
//
// Kernel facts that this file relies on
//  - fdatasync(2) writes the length of the file, too, if that is needed to read the data later.

#include <asyncio/lowlevel/fd.h>

#include "backend/system_calls.h"

#include <cstdio>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::lowlevel {
namespace {

const char* path_of(const Operation& operation) noexcept {
    return static_cast<const char*>(operation.buffer);
}

}  // namespace

int attempt_open(const Operation& operation) noexcept {
    const int flags = operation.flags | O_CLOEXEC;
    const auto mode = static_cast<mode_t>(operation.size);
    const int made =
        retried([&] { return ::openat(operation.fd, path_of(operation), flags, mode); });
    if (made < 0) return made;
    Fd fd = clear_of_standard(Fd(made));
    return fd ? fd.release() : -errno;
}

int attempt_pread(const Operation& operation) noexcept {
    return retried(
        [&] { return ::pread(operation.fd, operation.buffer, operation.size, operation.offset); });
}

int attempt_pwrite(const Operation& operation) noexcept {
    return retried(
        [&] { return ::pwrite(operation.fd, operation.buffer, operation.size, operation.offset); });
}

int attempt_fsync(const Operation& operation) noexcept {
    const bool data_only = operation.flags == 1;
    return retried([&] { return data_only ? ::fdatasync(operation.fd) : ::fsync(operation.fd); });
}

int attempt_ftruncate(const Operation& operation) noexcept {
    return retried([&] { return ::ftruncate(operation.fd, operation.offset); });
}

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

}  // namespace asyncio::lowlevel
