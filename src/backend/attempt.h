#pragma once
// "Try the system call now". A back-end does this first with every operation, before it waits for
// anything, and again when the descriptor has become ready. The second attempt is what turns
// readiness into a completion.
//
// Thread-safety: stateless.

#include <asyncio/lowlevel/operation.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>

namespace asyncio::lowlevel {

/// The answer of `attempt` instead of waiting. Never the result of a finished operation: rule 5 of
/// the contract keeps EAGAIN out of results.
inline constexpr int would_block = -EAGAIN;

/// The buffer for all reads that have none of their own. A back-end needs only one, since it
/// carries out one read at a time, and `receive` copies the bytes before the next one.
class Scratch {
public:
    /// As much as a Linux pipe holds, and little enough to stay in the processor's cache.
    static constexpr std::size_t size_bytes = 64 * 1024;

    /// How many bytes a back-end receives in one `wait` before it returns. The bytes are still in
    /// the processor's cache then, when the tasks run that wanted them. A hundred connections that
    /// are all served first would leave their bytes in slower memory.
    static constexpr std::size_t bytes_per_wait = 64 * 1024;

    /// `wanted` bytes, or `size_bytes` if that is less; none at all without memory.
    std::span<char> take(std::size_t wanted) noexcept;

    /// Notes that bytes were given to a `receive`.
    void passed_on(std::size_t bytes) noexcept { passed_bytes_ += bytes; }
    /// A `wait` begins.
    void begin_wait() noexcept { passed_bytes_ = 0; }
    /// Whether this wait has received enough.
    bool had_enough() const noexcept { return passed_bytes_ >= bytes_per_wait; }

private:
    std::unique_ptr<char[]> memory_;
    std::size_t passed_bytes_ = 0;
};

/// Carries out `operation` if that is possible without waiting. Returns its result (≥ 0 or −errno),
/// or `would_block`. EINTR is retried. The operation itself is left as it was.
///
/// "Without waiting" relies on rule 6 of the contract: the descriptor is in non-blocking mode, or
/// it has no such mode and never answers EAGAIN (a regular file).
int attempt(Operation& operation, Scratch& scratch) noexcept;

/// Whether `attempt` may block the thread: the operation waits for a disk, or the mode of the
/// descriptor decides for this kind, and the descriptor is not in non-blocking mode. By rule 6 this
/// is a regular file or a block device. If the operation does not say, the answer costs one system
/// call.
bool attempt_may_block(const Operation& operation) noexcept;

/// As `attempt`, for operations that may block: carries out the operation if the kernel has at hand
/// what it needs, as it usually has for data that were read or written before. So the usual case
/// costs one system call, and neither a thread nor a turn of the ring. `would_block` also where the
/// kernel cannot tell.
int attempt_from_cache(Operation& operation, Scratch& scratch) noexcept;

/// Carries out the operation on a thread that may block. `would_block` only if the descriptor is in
/// non-blocking mode and no file. A `read` needs a buffer (`lend_buffer`). Any thread.
int attempt_in_thread(Operation& operation) noexcept;

/// How many bytes a `read` may ask for: with a lent buffer, as many as fit into it.
std::size_t read_size(const Operation& operation) noexcept;

/// The flags for the system call of an `open`: those of the operation, and those of rule 6.
int open_flags(const Operation& operation) noexcept;

/// For a `read` without a buffer that is going to wait for a disk. The kernel or a thread writes
/// into the buffer at any time, so the shared scratch buffer will not do, and the operation gets
/// memory of its own until `take_back_buffer`. No effect on an operation that needs none. False
/// without memory. A program has few such reads at a time, so the allocation does not matter.
bool lend_buffer(Operation& operation) noexcept;
/// The read has ended with `result`. Its bytes go to `receive` and the memory is freed, also after
/// an error.
void take_back_buffer(Operation& operation, int result) noexcept;

/// Makes a write into a pipe without readers answer EPIPE instead of killing the process.
///
/// The signal has to be ignored for the whole process because there is no narrower way. Sockets
/// have MSG_NOSIGNAL, pipes have nothing, and blocking the signal around each write would cost two
/// system calls. So a process that makes a back-end ignores SIGPIPE, as Python does when it starts.
/// A disposition that the program has chosen is left alone. The disposition is inherited through
/// exec, so code that starts programs resets it to SIG_DFL for them.
void ignore_sigpipe() noexcept;

}  // namespace asyncio::lowlevel
