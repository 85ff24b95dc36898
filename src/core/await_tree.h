#pragma once
// The places of awaits, as text.

#include <source_location>
#include <string>

namespace asyncio::internal {

/// Appends "file.cpp:42 in function", on a line of its own below what it belongs to.
void append_place(std::string& text, const std::source_location& place);

/// Whether the place is in the library's own code, for example between the body of a scope and the
/// scope's user.
bool is_own(const std::source_location& place) noexcept;

}  // namespace asyncio::internal
