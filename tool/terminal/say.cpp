// How a text is written without a loop, to a descriptor that may block, with a limit in time.
//
// The descriptor must not become non-blocking, because other programs use the same open file. So
// poll(2) waits until it can be written, and then no more than PIPE_BUF bytes are written: Linux
// reports a pipe as writable only when this many fit.

#include "terminal/say.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

namespace tool {
namespace {

/// While the object lives, this thread does not die of writing to a pipe without a reader. If
/// SIGPIPE comes meanwhile, the destructor removes it.
class WithoutSigpipe {
public:
    WithoutSigpipe() noexcept {
        sigemptyset(&signal_);
        sigaddset(&signal_, SIGPIPE);
        ::sigprocmask(SIG_BLOCK, &signal_, &before_);
    }
    WithoutSigpipe(const WithoutSigpipe&) = delete;
    WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
    ~WithoutSigpipe() {
        const timespec at_once{};
        while (::sigtimedwait(&signal_, nullptr, &at_once) > 0) {
        }
        ::sigprocmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t signal_;
    sigset_t before_;
};

int milliseconds(std::optional<asyncio::Duration> patience) noexcept {
    if (!patience) return -1;
    return static_cast<int>(
        std::chrono::duration_cast<std::chrono::milliseconds>(*patience).count());
}

/// Returns 0, or an errno. A closed or broken descriptor counts as ready: the write then gives the
/// reason.
int wait_until_writable(int number, int limit) noexcept {
    pollfd descriptor{number, POLLOUT, 0};
    for (;;) {
        const int ready = ::poll(&descriptor, 1, limit);
        if (ready > 0) return 0;
        if (ready == 0) return ETIMEDOUT;
        if (errno != EINTR) return errno;
    }
}

/// Writes at most as many bytes as a writable pipe takes without blocking, and removes them from
/// `text`.
int write_some(int number, std::string_view& text) noexcept {
    const ssize_t count =
        ::write(number, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (count < 0) return errno == EINTR || errno == EAGAIN ? 0 : errno;
    text.remove_prefix(static_cast<std::size_t>(count));
    return 0;
}

}  // namespace

int write_all(int number, std::string_view text,
              std::optional<asyncio::Duration> patience) noexcept {
    const WithoutSigpipe quiet;
    const int limit = milliseconds(patience);
    while (!text.empty()) {
        int error = wait_until_writable(number, limit);
        if (error == 0) error = write_some(number, text);
        if (error != 0) return error;
    }
    return 0;
}

void say_as_is(std::string_view text) noexcept {
    static bool is_read = true;
    const asyncio::Duration patience = is_read ? patience_for_remarks : asyncio::Duration::zero();
    is_read = write_all(STDERR_FILENO, text, patience) != ETIMEDOUT;
}

void say(std::string_view command, std::string_view text) {
    say_as_is(fmt::format("asyncio {}: {}\n", command, text));
}

}  // namespace tool
