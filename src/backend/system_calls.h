#pragma once
// The system calls behind the operations on sockets and files, each tried once. `attempt` calls
// them, and attempt.cpp describes what they have in common.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include <cerrno>
#include <cstdint>
#include <span>

#include <sys/types.h>

namespace asyncio::lowlevel {

/// The result of a system call as the contract wants it. The loop is bounded by the signals that
/// arrive: each round needs another one.
template <class Call>
int retried(Call call) noexcept {
    for (;;) {
        const auto result = call();
        // Linux moves 2 GiB minus a page per call at the most, so a count always fits an int.
        if (result >= 0) return static_cast<int>(result);
        if (errno != EINTR) return -errno;
    }
}

/// The result of a call that makes a descriptor, with a number above 2; −errno without one. An
/// error stays as it is.
int clear_of_standard_number(int number) noexcept;

// Sockets. Descriptors are in non-blocking mode, or the call has a flag of that meaning, so none of
// these waits. `accept`, `getsockname` and their like write a length into the operation.

int attempt_socket(const Operation& operation) noexcept;
int attempt_bind(const Operation& operation) noexcept;
int attempt_listen(const Operation& operation) noexcept;
int attempt_shutdown(const Operation& operation) noexcept;
int attempt_getsockname(Operation& operation) noexcept;
int attempt_getpeername(Operation& operation) noexcept;
int attempt_setsockopt(const Operation& operation) noexcept;
int attempt_getsockopt(Operation& operation) noexcept;
int attempt_accept(Operation& operation) noexcept;
int attempt_connect(const Operation& operation) noexcept;
int attempt_recvmsg(const Operation& operation) noexcept;
int attempt_sendmsg(const Operation& operation) noexcept;
int attempt_recvmmsg(const Operation& operation) noexcept;
int attempt_sendmmsg(const Operation& operation) noexcept;
int attempt_sendfile(const Operation& operation) noexcept;

// Files, from what the kernel has in memory. `would_block` if that is not enough, or if the kernel
// or the file system cannot tell.

ssize_t read_from_cache(int fd, std::span<char> room, std::int64_t offset) noexcept;
int pread_from_cache(const Operation& operation) noexcept;
/// Offset −1: at the position of the file.
int write_into_cache(const Operation& operation, std::int64_t offset) noexcept;
int open_from_cache(const Operation& operation) noexcept;
/// `would_block` for the errors by which the kernel says that it cannot tell.
int unless_unsupported(int result) noexcept;

// Files. The calls may wait for the disk.

int attempt_open(const Operation& operation) noexcept;
int attempt_pread(const Operation& operation) noexcept;
int attempt_pwrite(const Operation& operation) noexcept;
int attempt_fsync(const Operation& operation) noexcept;
int attempt_ftruncate(const Operation& operation) noexcept;
int attempt_getdents(const Operation& operation) noexcept;
int attempt_statx(const Operation& operation) noexcept;
int attempt_unlink(const Operation& operation) noexcept;
int attempt_mkdir(const Operation& operation) noexcept;
int attempt_rename(const Operation& operation) noexcept;
int attempt_inotify_init() noexcept;
int attempt_inotify_add_watch(const Operation& operation) noexcept;
int attempt_inotify_rm_watch(const Operation& operation) noexcept;

}  // namespace asyncio::lowlevel
