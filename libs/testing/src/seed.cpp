// How the seed in the environment is read. The simulated back-end reads the variable by the same
// rules (src/backend/make_backend.cpp). The code stands twice, because this library uses the public
// headers of asyncio only, and the rules are no part of them.
//
// The variable is read at each call and not remembered, so a program may set it before a test.
//
// `std::from_chars` and not `std::strtoull`: the latter takes a sign and spaces, and stops without
// an error at a letter. A run with a seed that was read wrongly would look like the wanted run.

#include <asyncio/testing/seed.h>

#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace asyncio::testing {
namespace {

/// Empty if the variable is not set: `ASYNCIO_SEED= program` then works as a user of a shell
/// expects.
std::string_view given_seed() noexcept {
    const char* value = std::getenv("ASYNCIO_SEED");
    return value == nullptr ? std::string_view() : value;
}

}  // namespace

bool seed_is_given() noexcept { return !given_seed().empty(); }

std::uint64_t seed_or(std::uint64_t usual) {
    const std::string_view word = given_seed();
    if (word.empty()) return usual;
    std::uint64_t seed = 0;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, seed);
    if (error == std::errc() && stop == end) return seed;
    throw std::invalid_argument("ASYNCIO_SEED=" + std::string(word) +
                                " is not a seed: give a whole number from 0 to 2^64-1");
}

}  // namespace asyncio::testing
