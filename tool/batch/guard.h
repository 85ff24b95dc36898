#pragma once
// Why nothing of a batch outlives it: the process that the user starts is a guard, and the work is
// done by its child, the worker.
//
//   guard           waits for the worker, passes signals on to it, and ends what is left after it
//   └─ worker       runs the loop and the commands
//      ├─ sh -c …
//      └─ sh -c …
//
// Whatever happens to the worker - an error in it, `kill -9`, the second Ctrl-C - the guard is
// alive and ends every process below (`descendants.h`). If the guard is killed, the worker is told
// by the kernel, ends the commands in order and then itself. Only when both are killed in the same
// instant nobody is left to do it; the kernel offers no help against that, short of a container.
//
// The worker has a process group of its own, so a Ctrl-C in the terminal reaches the guard alone
// and the worker gets every signal once, from it.

#include <functional>

namespace batch {

/// Runs `work` in a worker and returns its exit status; in the worker, too. 128 and the signal's
/// number if a signal has ended it. To be called before there are threads or an event loop.
int guarded(const std::function<int()>& work);

}  // namespace batch
