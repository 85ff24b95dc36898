#include "base/workers_process.h"

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

/// "ASYNCIO_PROCESS_WORKER=parent": what tells the new process what it is.
constexpr const char* variable = "ASYNCIO_PROCESS_WORKER";
/// The socket's number there.
constexpr int channel_number = 3;
/// A process that has been told to end and does not is killed after so many milliseconds.
constexpr int patience_ms = 2000;

constexpr const char* operation = "start a worker process";

[[noreturn]] void refuse(int error) { throw OsError(error, operation); }

/// Both ends, close-on-exec, with numbers that the process's own cannot collide with.
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

pid_t start_own_program(int channel) {
    // Standard input is empty, the socket has its number, and every other descriptor is closed.
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

/// Empty where the kernel has none. The child is not reaped yet, so its number means it.
Fd pidfd_of(pid_t pid) noexcept {
    const Fd low(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
    return low ? Fd(::fcntl(low.get(), F_DUPFD_CLOEXEC, channel_number)) : Fd();
}

}  // namespace

// --- Messages ------------------------------------------------------------------------------------

bool WorkerChannel::send_all(const char* bytes, std::size_t count) const noexcept {
    while (count > 0) {
        if (!wait_for(POLLOUT)) return false;
        // Without MSG_NOSIGNAL an end that is gone would end us as well.
        const ssize_t sent = ::send(socket_, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (sent <= 0) return false;
        bytes += sent;
        count -= static_cast<std::size_t>(sent);
    }
    return true;
}

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

/// What the process has sent before it ended is still to be had, so the socket is looked at first.
bool WorkerChannel::wait_for(short events) const noexcept {
    pollfd both[] = {{socket_, events, 0}, {pidfd_, POLLIN, 0}};
    while (::poll(both, 2, -1) < 0) {
        if (errno != EINTR) return false;
    }
    return both[0].revents != 0;
}

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
        // More than there can be: something else has written into the socket.
        return false;
    }
    return receive_all(message.data(), count);
}

// --- The program's side --------------------------------------------------------------------------

WorkerProcess::WorkerProcess() {
    Fd theirs;
    make_channel(channel_, theirs);
    pid_ = start_own_program(theirs.get());
    pidfd_ = pidfd_of(pid_);
}

WorkerProcess::~WorkerProcess() {
    // It sees the end of its input.
    ::shutdown(channel_.get(), SHUT_WR);
    end_within_patience();
    reap();
}

/// Kills the process if it does not end by itself soon. Without a pidfd, the end of the socket has
/// to do for the end of the process.
void WorkerProcess::end_within_patience() const noexcept {
    pollfd ended{pidfd_ ? pidfd_.get() : channel_.get(), POLLIN, 0};
    if (::poll(&ended, 1, patience_ms) != 1) ::kill(pid_, SIGKILL);
}

bool WorkerProcess::is_there() const noexcept {
    pollfd ended{pidfd_.get(), POLLIN, 0};
    if (pidfd_ && ::poll(&ended, 1, 0) == 1) return false;
    char byte;
    const ssize_t peeked = ::recv(channel_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return peeked < 0 && (errno == EAGAIN || errno == EINTR);
}

std::optional<std::string> WorkerProcess::ask(std::string_view request) {
    std::string answer;
    const WorkerChannel channel(channel_.get(), pidfd_.get());
    if (!channel.send_message(request) || !channel.receive_message(answer)) return std::nullopt;
    return answer;
}

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
    // What does not talk any more is no use, whatever else it does.
    if (pid_ >= 0) end_within_patience();
    reap();
    if (!status_) return "has ended, nobody knows how";
    if (WIFSIGNALED(*status_)) {
        return "was killed by signal " + std::to_string(WTERMSIG(*status_)) + " (" +
               ::strsignal(WTERMSIG(*status_)) + ")";
    }
    return "has ended with status " + std::to_string(WEXITSTATUS(*status_));
}

// --- The worker's side ---------------------------------------------------------------------------

/// Whether the other end of the channel is the process that started this one, and has its user. The
/// channel carries addresses of functions to be called: a worker that took them from anything else
/// would run what a stranger wants.
static bool is_from_parent(pid_t parent) noexcept {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(channel_number, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.pid == parent && peer.uid == ::getuid();
}

/// A program that has more rights than the user who starts it (set-user-id, capabilities) takes no
/// orders from the environment, so it is never a worker.
int enter_worker_process() noexcept {
    const char* parent = ::secure_getenv(variable);
    if (parent == nullptr) return -1;
    const long parent_pid = std::atol(parent);
    ::unsetenv(variable);  // the processes it starts are no workers of this pool
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent may have ended before that was in force.
    if (::getppid() != parent_pid || !is_from_parent(::getppid())) ::_exit(1);
    ::fcntl(channel_number, F_SETFD, FD_CLOEXEC);
    // Ctrl-C reaches every process of a terminal. The program decides what it means.
    std::signal(SIGINT, SIG_IGN);
    return channel_number;
}

void leave_worker_process() noexcept {
    std::fflush(nullptr);
    ::_exit(0);
}

}  // namespace asyncio::internal
