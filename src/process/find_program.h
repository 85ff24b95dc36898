#pragma once
// Finds the file to execute for the name of a program, as a shell does. The answer is a path that
// the child can use from its own working directory.

#include "process/spawn.h"

#include <string>

namespace asyncio::internal {

/// A name with a slash is a path. Any other name is looked up in the directories of PATH: in the
/// PATH of the request's environment if that has one, else in the PATH of this process.
/// Throws: OsError if no directory has the file: ENOENT, or EACCES if a file was found that may not
/// be executed.
std::string find_program(const SpawnRequest& request);

}  // namespace asyncio::internal
