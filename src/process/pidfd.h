#pragma once
// The two system calls on pidfds. glibc 2.36 has wrappers for them, but its header forgets to say
// that they are C.
//
// Thread-safety: stateless.

#include <csignal>

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace asyncio::internal {

/// Of pidfd_send_signal(2), since Linux 6.9: the whole group that the process leads.
inline constexpr unsigned pidfd_signal_process_group = 1U << 2;

/// pidfd_open(2), since Linux 5.3. The descriptor is closed by exec.
inline int open_pidfd(pid_t pid) noexcept {
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
}

/// pidfd_send_signal(2), since Linux 5.1.
inline int send_signal_to_pidfd(int pidfd, int signal_number, unsigned flags) noexcept {
    return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, flags));
}

}  // namespace asyncio::internal
