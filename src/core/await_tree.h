#pragma once
// The places of awaits, as text.

#include <source_location>
#include <string>

namespace asyncio::internal {

/// "file.cpp:42 in function", on a line of its own below what it belongs to.
void append_place(std::string& text, const std::source_location& place);

/// Whether it is the library's own: between the body of a scope and the scope's user, say.
bool is_own(const std::source_location& place) noexcept;

}  // namespace asyncio::internal
