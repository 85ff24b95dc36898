#pragma once
// "Try the system call now": what both back-ends of the kernel do before they wait, and what a
// readiness that has come is turned into a completion with.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>

namespace asyncio::lowlevel {

/// What `attempt` answers instead of waiting. Never the result of a finished operation.
inline constexpr int would_block = -EAGAIN;

/// The one buffer for all reads that bring none. Taken up when the first of them is tried.
class Scratch {
public:
    static constexpr std::size_t size_bytes = 64 * 1024;

    /// `wanted` bytes, or `size_bytes` if that is less; none at all without memory.
    std::span<char> take(std::size_t wanted) noexcept;

private:
    std::unique_ptr<char[]> memory_;
};

/// Carries out `operation` if that is possible without waiting. Returns its result (≥ 0 or −errno),
/// or `would_block`. EINTR is retried. The operation itself is left as it was.
///
/// "Without waiting" leans on rule 6 of the contract: the descriptor is in non-blocking mode, or is
/// one that has no such mode and never says EAGAIN (a regular file).
int attempt(Operation& operation, Scratch& scratch) noexcept;

/// Whether `attempt` may hold up the thread: a read or write on a descriptor that is not in
/// non-blocking mode, which by rule 6 is a regular file or a block device. One cheap system call if
/// the operation does not say.
bool attempt_may_block(const Operation& operation) noexcept;

/// Makes a write into a pipe without readers answer EPIPE instead of killing the process.
///
/// The signal must go because there is no other way to be rid of it: sockets have MSG_NOSIGNAL,
/// pipes have nothing, and blocking it around every write costs two system calls. So, as Python
/// does when it starts, a process that makes a back-end ignores SIGPIPE. A disposition the program
/// chose itself is left alone. Ignoring is inherited through exec: whoever starts programs gives
/// them SIG_DFL back.
void ignore_sigpipe() noexcept;

}  // namespace asyncio::lowlevel
