#pragma once
// `asyncio batch`: runs shell commands together, each with a time limit.

#include "batch/options/options.h"

namespace tool::batch {

/// Runs the batch and returns the exit status of the program. The caller must call it before the
/// process has threads or an event loop, because it forks. It returns in two processes: in the
/// guard and in the worker (`guard.h`). Both must then end with the returned status.
int main(Options options);

}  // namespace tool::batch
