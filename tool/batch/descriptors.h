#pragma once
// How many files this process may have open: three for every command that runs.

#include <cstddef>
#include <vector>

namespace batch {

/// Raises the limit for `commands` at once, as far as it can be raised, and returns how many have
/// room then: at least one. Where the usual limit is enough it stays, as the commands inherit it,
/// and old programs that use select(2) are wrong about descriptors beyond 1024.
std::size_t make_room_for(std::size_t commands) noexcept;

/// The descriptors from 3 on that are open: those that whoever started us has left open for us and
/// our commands, if it is called before anything else is opened.
std::vector<int> inherited_descriptors();

/// Opens /dev/null in place of standard streams that are closed, so that no other file gets their
/// numbers. Reading finds the end, writing fails.
void fill_standard_streams() noexcept;

}  // namespace batch
