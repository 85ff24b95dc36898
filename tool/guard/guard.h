#pragma once
// The guard: the reason why no process of a batch outlives the batch. The process that the user
// starts is the guard, and its child, the worker, does the work.
//
//   guard           waits for the worker, passes signals on to it, and ends what is left after it
//   └─ worker       runs the loop and the commands
//      ├─ sh -c …
//      └─ sh -c …
//
// The worker may end early: by an error in it, by `kill -9`, by the second Ctrl-C. The guard is
// still alive then, and ends every process below it (`descendants.h`). If the guard is killed, the
// kernel tells the worker, which ends the commands and then itself. If both are killed in the same
// instant, no process is left that could end the commands. The kernel offers no help against this,
// except a container.
//
// The worker has a process group of its own. So a Ctrl-C in the terminal reaches only the guard,
// and the worker gets every signal once, from the guard.
//
// A process keeps its children through exec. So the program may have children that it did not
// start: the children of a script that ended in `exec asyncio batch`. They do not belong to the
// batch, but their orphans could not be distinguished from the batch's orphans. In this case, and
// as the first process of a container, the program is only a front: it starts the guard as a
// separate process, passes signals on, and ends in the same way as the guard.
//
//   front           has children of its own, and leaves them alone
//   ├─ …
//   └─ guard
//      └─ worker

#include <functional>
#include <string_view>

namespace tool {

/// Runs `work` in a worker process and returns its exit status, in the guard and in the worker. If
/// a signal has ended the worker, the guard ends by the same signal. The caller must call it before
/// the process has threads or an event loop.
///
/// `command` is the name of the subcommand, for a remark about a process that cannot be ended.
int guarded(std::string_view command, const std::function<int()>& work);

}  // namespace tool
