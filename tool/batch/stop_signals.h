#pragma once
// How the worker is asked to stop.
//
// The library has a protocol for Ctrl-C: the first SIGINT cancels the main task, the second ends
// the process as the signal does by default. SIGTERM and SIGHUP ask for the same orderly end, so
// they are turned into the first SIGINT; what has been asked is remembered for the exit status.
//
// That a second request ends the worker at once is right as long as the guard lives, which then
// ends all that is left (`guard.h`). A worker whose guard is dead is the last one who can, and so
// does not let itself be killed by a request that it is following already. Its guard's death is
// such a request, too.

#include <sys/types.h>

namespace batch {

/// For the worker, before it has a loop: SIGTERM, SIGHUP and the death of `guard` ask it to stop.
/// False if the guard is dead already.
bool listen_to_stop_signals(pid_t guard) noexcept;

/// For the main task: puts this protocol in front of the library's. SIGINT is as it was when the
/// library's handler goes.
void take_over_interrupts() noexcept;

/// Which signal has asked for the end: SIGINT unless another one came first.
int stop_signal() noexcept;

}  // namespace batch
