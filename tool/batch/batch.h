#pragma once
// `asyncio batch`: runs shell commands together, each with a time limit.

#include "batch/options.h"

namespace batch {

/// Runs the batch and returns the exit status of the program. To be called before there are threads
/// or an event loop; it returns in two processes (`guard.h`).
int main(Options options);

}  // namespace batch
