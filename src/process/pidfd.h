#pragma once
// The two system calls on pidfds. glibc 2.36 has wrappers for them, but its header does not declare
// them as C functions, so a C++ program cannot link them.
//
// A pidfd is a descriptor that refers to a process and not to its number. A number can be given to
// another process as soon as the first one is reaped; a signal sent by number can then reach an
// unrelated process. A signal through a pidfd reaches this process or none. And a pidfd becomes
// readable when its process ends, so the end of a child is an ordinary event of the back-end. The
// alternatives are a handler for SIGCHLD, which the whole program would have to share, and a thread
// for each child.
//
// Thread-safety: stateless.

#include <csignal>

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace asyncio::internal {

/// A flag of pidfd_send_signal(2), since Linux 6.9: the whole group that the process leads. Older
/// kernels answer EINVAL.
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
