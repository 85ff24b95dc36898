#pragma once
// The seed of a test: a number from which all of its random choices follow.

#include <cstdint>

namespace asyncio::testing {

/// The number in the environment variable `ASYNCIO_SEED`, or `usual` if the variable is not set or
/// empty. The simulated back-end reads the same variable, so one number names the whole run.
///
/// Throws: `std::invalid_argument` if the value is not a whole number from 0 to 2^64-1. A seed that
/// was cut off at a letter would repeat another run.
std::uint64_t seed_or(std::uint64_t usual);

/// Whether `ASYNCIO_SEED` is set and not empty.
bool seed_is_given() noexcept;

}  // namespace asyncio::testing
