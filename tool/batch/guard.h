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
//
// A process keeps its children through exec. So the program may have children that it did not
// start: those of the script that ended in `exec asyncio batch`. They are none of the batch, but
// their orphans could not be told from the batch's. In this case, and as the first process of a
// container, the program only stands in front: it starts the guard as a process of its own, passes
// signals on, and ends as the guard ends.
//
//   front           has children of its own, and leaves them alone
//   ├─ …
//   └─ guard
//      └─ worker

#include <functional>

namespace batch {

/// Runs `work` in a worker and returns its exit status; in the worker, too. If a signal has ended
/// the worker, the program ends by that signal. To be called before there are threads or an event
/// loop.
int guarded(const std::function<int()>& work);

}  // namespace batch
