#pragma once
// From the name of a program to the file to execute, as a shell does it.

#include "process/spawn.h"

#include <string>

namespace asyncio::internal {

/// A name with a slash is a path. Any other is looked for in the directories of PATH: the one in
/// the request's environment if that has one, else ours.
/// Throws: OsError if it is in none of them; EACCES if it is, but may not be executed.
std::string find_program(const SpawnRequest& request);

}  // namespace asyncio::internal
