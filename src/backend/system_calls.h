#pragma once
// The system calls behind the operations on sockets and files, each tried once. `attempt` calls
// them, and attempt.cpp describes what they have in common.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include <cerrno>

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

// Sockets.

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

}  // namespace asyncio::lowlevel
