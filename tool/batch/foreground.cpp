#include "batch/foreground.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

namespace batch {

Foreground::Foreground(pid_t owner)
    : terminal_(::open("/dev/tty", O_RDWR | O_CLOEXEC)), owner_(owner) {
    if (!terminal_) throw asyncio::OsError(errno, "--tty: open the terminal");
}

bool Foreground::has_it(pid_t group) const noexcept {
    return ::tcgetpgrp(terminal_.get()) == group;
}

void Foreground::lend(pid_t group) const noexcept {
    if (!has_it(owner_)) return;
    ::tcsetpgrp(terminal_.get(), group);
    // It may have asked before it had the terminal, and been stopped for that.
    ::kill(-group, SIGCONT);
}

void Foreground::take_back(pid_t group) const noexcept {
    if (has_it(group)) ::tcsetpgrp(terminal_.get(), owner_);
}

}  // namespace batch
