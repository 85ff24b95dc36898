#pragma once
// Several errors into the one that leaves a scope, so that none is lost.

#include <cstdint>
#include <exception>
#include <vector>

namespace asyncio::internal {

/// How a single error leaves: unchanged, so that a caller that catches its type need not look into
/// a group; or in a group, where the caller always expects one.
enum class SingleError : std::uint8_t { unchanged, in_group };

/// The error that leaves a scope in which `errors` have happened. Null elements are skipped. If
/// there are errors besides cancellations, the cancellations are left out, and several errors make
/// an ExceptionGroup in the order given. If there are only cancellations, the first one is
/// returned. Null if there is nothing.
std::exception_ptr joined_errors(std::vector<std::exception_ptr> errors, const char* message,
                                 SingleError single = SingleError::unchanged);

}  // namespace asyncio::internal
