#pragma once
// The descriptors of this process: how many it may have, which ones it has inherited, and the three
// standard ones.

#include <cstddef>
#include <vector>

namespace tool {

/// Raises the limit of descriptors for `commands` commands at once, as far as the system allows.
/// Returns how many commands have room then: at least one. If the current limit is enough, it does
/// not change, because the commands inherit it: old programs that use select(2) fail with
/// descriptors beyond 1024.
std::size_t make_room_for(std::size_t commands) noexcept;

/// The open descriptors from 3 on. If the caller calls it before it opens a file, these are the
/// descriptors that the launcher has left open for this program and its commands.
std::vector<int> inherited_descriptors();

/// Opens /dev/null in place of standard streams that are closed, so that no other file gets their
/// numbers. A read then finds the end, and a write fails.
void fill_standard_streams() noexcept;

}  // namespace tool
