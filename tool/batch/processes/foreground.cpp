// How the foreground group of the terminal is changed.
//
// Every change asks first which group is in the foreground, because the user's shell may have taken
// the terminal meanwhile. A change without the question would take it from the shell. Between the
// question and the change the shell may still act; the kernel has no call that does both.
//
// tcsetpgrp from a background process raises SIGTTOU. The worker has this signal blocked, and then
// the call succeeds (`use_mask_of_worker`).

#include "batch/processes/foreground.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

namespace tool::batch {

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
    // The command may have asked for the terminal a moment too early, and the kernel has stopped
    // it.
    ::kill(-group, SIGCONT);
}

void Foreground::take_back(pid_t group) const noexcept {
    if (has_it(group)) ::tcsetpgrp(terminal_.get(), owner_);
}

}  // namespace tool::batch
