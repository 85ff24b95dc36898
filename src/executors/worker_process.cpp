// The worker process of a process pool: how it is started, how the two sides talk, and how its end
// is noticed.
//
// The start, step by step
//
//  1. A socket pair is made: two ends of one channel, both closed by exec. Both get numbers above
//     3, so that the copy onto number 3 in the child cannot overwrite one of them.
//  2. posix_spawn starts /proc/self/exe, which is this program even if its file was moved or
//     replaced. In the child, standard input becomes empty, the socket becomes descriptor 3, and
//     everything above is closed. glibc does this with vfork, so a large program starts a worker as
//     quickly as a small one.
//  3. A variable in the environment tells the new process that it is a worker, and whose. A command
//     line would not do: the library has no access to `main`, and the program may refuse unknown
//     arguments.
//  4. The worker (`enter_worker_process`) checks that its parent is the process named there and
//     that the other end of the socket belongs to it. It then removes the variable and serves.
//
// Talking. A message is a length of eight bytes and that many bytes. A single request is under way
// at a time, since a worker belongs to one thread of the pool, which waits for the answer. So no
// message needs a number, and a lost one means that the process is lost.
//
// The end. Three things can end a worker, and each must be noticed without a limit of time, because
// a job may run for hours.
//  - The pool closes the channel: the worker sees the end of its input and leaves. `shutdown` is
//    used and not close alone, because a process that the program has forked may hold a copy of
//    this end and would keep it open.
//  - The worker crashes: its pidfd becomes readable and ends the wait for its answer.
//  - The thread that started it ends without closing (the program is killed): the kernel kills the
//    worker (PR_SET_PDEATHSIG). The parent may have ended before that request was in force, so the
//    worker looks at its parent's number afterwards.
//
// Security. The channel carries addresses of functions that the worker calls. The worker trusts
// them because the other end is its parent with the same user, as the kernel confirms
// (SO_PEERCRED). If a variable in the environment were enough, any caller of a set-user-id program
// could choose what it runs. `secure_getenv` ignores the variable in such a program.

#include "executors/worker_process.h"

#include <asyncio/exceptions.h>

#include "base/spawn_setup.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::internal {
namespace {

using lowlevel::Fd;

/// "ASYNCIO_PROCESS_WORKER=parent": tells the new process that it is a worker of the process with
/// this number.
constexpr const char* variable = "ASYNCIO_PROCESS_WORKER";
/// The number of the socket in the worker.
constexpr int channel_number = 3;
/// A process that has been told to end and does not is killed after this time.
constexpr int patience_ms = 2000;

constexpr const char* operation = "start a worker process";

[[noreturn]] void refuse(int error) { throw OsError(error, operation); }

/// Makes both ends, close-on-exec, with numbers above that of the channel in the worker. A program
/// that was started without standard streams would otherwise get a number that the child
/// overwrites.
void make_channel(Fd& ours, Fd& theirs) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) refuse(errno);
    ours = Fd(ends[0]);
    theirs = Fd(ends[1]);
    for (Fd* end : {&ours, &theirs}) {
        if (end->get() > channel_number) continue;
        *end = Fd(::fcntl(end->get(), F_DUPFD_CLOEXEC, channel_number + 1));
        if (!*end) refuse(errno);
    }
}

/// The environment is that of the program with one variable more. It is copied, because setenv(3)
/// is not safe while other threads read. The second argument is what ps(1) shows.
pid_t start_own_program(int channel) {
    // Between fork and exec, standard input becomes empty, the socket gets its number, and
    // everything above is closed. The copy of the socket does not have the flag close-on-exec, so
    // it survives. Standard output and error stay those of the program, so that what jobs print is
    // seen.
    SpawnFileActions actions(operation);
    actions.open(STDIN_FILENO, "/dev/null", O_RDONLY);
    actions.copy(channel, channel_number);
    actions.close_from(channel_number + 1);
    const SpawnAttributes attributes(operation);
    std::string marker = std::string(variable) + "=" + std::to_string(::getpid());
    std::vector<char*> environment;
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry)
        environment.push_back(*entry);
    environment.push_back(marker.data());
    environment.push_back(nullptr);
    char mark[] = "(worker)";
    char* arguments[] = {program_invocation_name, mark, nullptr};
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, "/proc/self/exe", actions.get(), attributes.get(),
                                    arguments, environment.data());
    if (error != 0) refuse(error);
    return pid;
}

/// A pidfd of the child; empty where the kernel has none (before 5.3). The child is not reaped yet,
/// so its number still means it. Above the standard numbers, as every descriptor of the library.
Fd pidfd_of(pid_t pid) noexcept {
    const Fd low(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
    return low ? Fd(::fcntl(low.get(), F_DUPFD_CLOEXEC, channel_number)) : Fd();
}

}  // namespace

// --- Messages ------------------------------------------------------------------------------------

/// Without blocking in `send` itself: a send that blocks would not notice that the process has
/// ended. So each round waits for the socket and for the process.
bool WorkerChannel::send_all(const char* bytes, std::size_t count) const noexcept {
    while (count > 0) {
        if (!wait_for(POLLOUT)) return false;
        // Without MSG_NOSIGNAL the signal SIGPIPE would end this process when the other end is
        // gone.
        const ssize_t sent = ::send(socket_, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (sent <= 0) return false;
        bytes += sent;
        count -= static_cast<std::size_t>(sent);
    }
    return true;
}

/// 0 bytes mean that the other end was closed, in the middle of a message or between two.
bool WorkerChannel::receive_all(char* bytes, std::size_t count) const noexcept {
    while (count > 0) {
        if (!wait_for(POLLIN)) return false;
        const ssize_t received = ::recv(socket_, bytes, count, MSG_DONTWAIT);
        if (received < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (received <= 0) return false;
        bytes += received;
        count -= static_cast<std::size_t>(received);
    }
    return true;
}

/// Waits until the socket is ready or the process has ended; false if only the process has ended.
/// The socket counts first: the process may have sent its answer before it ended. A negative pidfd
/// is skipped by poll(2).
bool WorkerChannel::wait_for(short events) const noexcept {
    pollfd both[] = {{socket_, events, 0}, {pidfd_, POLLIN, 0}};
    while (::poll(both, 2, -1) < 0) {
        if (errno != EINTR) return false;
    }
    return both[0].revents != 0;
}

/// The length has the byte order of the machine: both ends are the same program.
bool WorkerChannel::send_message(std::string_view message) const noexcept {
    const std::uint64_t count = message.size();
    return send_all(reinterpret_cast<const char*>(&count), sizeof count) &&
           send_all(message.data(), message.size());
}

bool WorkerChannel::receive_message(std::string& message) const {
    std::uint64_t count = 0;
    if (!receive_all(reinterpret_cast<char*>(&count), sizeof count)) return false;
    try {
        message.resize(count);
    } catch (const std::length_error&) {
        // A length that no string can have: code in a job has written into the socket.
        return false;
    }
    return receive_all(message.data(), count);
}

// --- The program's side --------------------------------------------------------------------------

/// The other end of the socket is closed here when the constructor returns; only the worker holds
/// it then. So the end of the worker closes the channel.
WorkerProcess::WorkerProcess() {
    Fd theirs;
    make_channel(channel_, theirs);
    pid_ = start_own_program(theirs.get());
    pidfd_ = pidfd_of(pid_);
}

WorkerProcess::~WorkerProcess() {
    // The worker sees the end of its input and leaves by itself.
    ::shutdown(channel_.get(), SHUT_WR);
    end_within_patience();
    reap();
}

/// Kills the process if it does not end by itself soon. Without a pidfd the end of the socket has
/// to stand for the end of the process. Killing is safe as long as the process is not reaped: its
/// number cannot belong to another one.
void WorkerProcess::end_within_patience() const noexcept {
    pollfd ended{pidfd_ ? pidfd_.get() : channel_.get(), POLLIN, 0};
    if (::poll(&ended, 1, patience_ms) != 1) ::kill(pid_, SIGKILL);
}

/// Asked before a request is sent. A socket without a message and without an end answers EAGAIN,
/// and nothing is taken out of it. If a byte is there, no request has asked for it, so the channel
/// cannot be used any more.
bool WorkerProcess::is_there() const noexcept {
    pollfd ended{pidfd_.get(), POLLIN, 0};
    if (pidfd_ && ::poll(&ended, 1, 0) == 1) return false;
    char byte;
    const ssize_t peeked = ::recv(channel_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return peeked < 0 && (errno == EAGAIN || errno == EINTR);
}

/// The answer is nothing as soon as the process is known to have ended; `describe_end` then says
/// how.
std::optional<std::string> WorkerProcess::ask(std::string_view request) {
    std::string answer;
    const WorkerChannel channel(channel_.get(), pidfd_.get());
    if (!channel.send_message(request) || !channel.receive_message(answer)) return std::nullopt;
    return answer;
}

/// Waits for the end, which has come or has been forced. Another part of the program may have
/// collected the status (a loop over waitpid(−1)); then it stays unknown.
void WorkerProcess::reap() noexcept {
    if (pid_ < 0) return;
    int status = 0;
    pid_t reaped = -1;
    do {
        reaped = ::waitpid(pid_, &status, 0);
    } while (reaped < 0 && errno == EINTR);
    if (reaped == pid_) status_ = status;
    pid_ = -1;
}

std::string WorkerProcess::describe_end() noexcept {
    // A process that does not talk any more is of no use, whatever else it does.
    if (pid_ >= 0) end_within_patience();
    reap();
    if (!status_) return "has ended with an unknown status";
    if (WIFSIGNALED(*status_)) {
        return "was killed by signal " + std::to_string(WTERMSIG(*status_)) + " (" +
               ::strsignal(WTERMSIG(*status_)) + ")";
    }
    return "has ended with status " + std::to_string(WEXITSTATUS(*status_));
}

// --- The worker's side ---------------------------------------------------------------------------

/// Whether the other end of the channel is the process that started this one, and has its user. The
/// channel carries addresses of functions: a worker that took them from another process would run
/// code that an attacker chooses. SO_PEERCRED is the kernel's note of which process made the socket
/// pair.
static bool is_from_parent(pid_t parent) noexcept {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(channel_number, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.pid == parent && peer.uid == ::getuid();
}

/// Makes this process a worker, if it was started as one. A program that has more rights than the
/// user who starts it (set-user-id, capabilities) takes no orders from the environment, so it never
/// becomes a worker. Called before `main`, while there is one thread: changing the environment is
/// safe then.
int enter_worker_process() noexcept {
    const char* parent = ::secure_getenv(variable);
    if (parent == nullptr) return -1;
    const long parent_pid = std::atol(parent);
    ::unsetenv(variable);  // processes that a job starts are not workers
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent may have ended before the request was in force. The process would then have
    // another parent, and the signal would never come.
    if (::getppid() != parent_pid || !is_from_parent(::getppid())) ::_exit(1);
    // Programs that a job starts must not hold the channel open.
    ::fcntl(channel_number, F_SETFD, FD_CLOEXEC);
    // Ctrl-C reaches every process of a terminal. The program decides what it means, and ends its
    // workers itself.
    std::signal(SIGINT, SIG_IGN);
    return channel_number;
}

/// `_exit` and not `exit`: destructors of static objects and functions of atexit belong to the
/// program that was started, whose `main` has never run here.
void leave_worker_process() noexcept {
    std::fflush(nullptr);
    ::_exit(0);
}

}  // namespace asyncio::internal
