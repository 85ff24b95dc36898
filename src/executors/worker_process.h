#pragma once
// A process that carries out requests: this program, started again, at the other end of a socket.
//
// Why the program is started again and not forked. A fork copies one thread of many. A mutex that
// another thread holds, of the allocator or of any library, stays held for ever in the copy. Only
// an exec makes a clean process. `posix_spawn` does nothing between fork and exec that is not safe
// there.
//
// The owner of the process. The kernel ends it when the thread that started it ends
// (PR_SET_PDEATHSIG looks at the thread, not at the process), so a process belongs to one thread
// for its whole life. It also ends by itself when its socket is closed.
//
// How its end is noticed. A job may leave processes of its own behind, and these hold the worker's
// end of the socket. So the socket alone does not tell that the worker has ended. Every wait for
// the socket is also a wait for the process, by its pidfd, where the kernel has pidfds (5.3).
//
// Thread-safety: a `WorkerProcess` belongs to the thread that made it.

#include <asyncio/lowlevel/fd.h>

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace asyncio::internal {

/// Messages over a socket: a length and that many bytes.
class WorkerChannel {
public:
    /// `pidfd` is of the process at the other end; −1: only the socket tells that it has gone.
    explicit WorkerChannel(int socket, int pidfd = -1) noexcept : socket_(socket), pidfd_(pidfd) {}

    /// Both block; false if the other end is gone. If there is no memory for a message, its rest
    /// stays in the socket, so the channel is of no use afterwards.
    bool send_message(std::string_view message) const noexcept;
    bool receive_message(std::string& message) const;

private:
    bool send_all(const char* bytes, std::size_t count) const noexcept;
    bool receive_all(char* bytes, std::size_t count) const noexcept;
    bool wait_for(short events) const noexcept;

    int socket_;
    int pidfd_;
};

class WorkerProcess {
public:
    /// Throws: OsError, "start a worker process: reason".
    WorkerProcess();
    WorkerProcess(const WorkerProcess&) = delete;
    WorkerProcess& operator=(const WorkerProcess&) = delete;
    /// Asks the process to end, waits for that for two seconds, and then kills it.
    ~WorkerProcess();

    pid_t pid() const noexcept { return pid_; }
    /// Whether the process has not ended, and its end of the socket is open.
    bool is_there() const noexcept;
    /// Sends a request and blocks until the answer has come; nothing if the process has ended
    /// instead.
    std::optional<std::string> ask(std::string_view request);
    /// How the process has ended: "was killed by signal 11 (Segmentation fault)". Reaps it, and
    /// ends it first if it runs.
    std::string describe_end() noexcept;

private:
    void end_within_patience() const noexcept;
    void reap() noexcept;

    lowlevel::Fd channel_;
    pid_t pid_ = -1;
    /// Empty if the kernel has none.
    lowlevel::Fd pidfd_;
    /// The status as waitpid(2) gives it; nothing if other code of the program has collected it.
    std::optional<int> status_;
};

/// The descriptor of the channel, if this process was started as a worker; the process is then
/// prepared to be one. −1 otherwise. To be called once, while there is one thread.
int enter_worker_process() noexcept;

/// Ends a worker: its output is written, and nothing is destroyed.
[[noreturn]] void leave_worker_process() noexcept;

}  // namespace asyncio::internal
