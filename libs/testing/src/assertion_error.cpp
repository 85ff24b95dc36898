// The text of a failed seed: what failed, and how to repeat the run.

#include <asyncio/testing/assertion_error.h>

#include <asyncio/exceptions.h>

#include <utility>

namespace asyncio::testing {
namespace {

/// The setting stands on a line of its own, so that it can be copied.
std::string seed_text(std::uint64_t seed, const std::exception_ptr& error,
                      const std::string& faults) {
    const std::string number = std::to_string(seed);
    std::string text = "seed " + number + " fails: " + describe(error) +
                       "\nto repeat this run, set ASYNCIO_SEED=" + number;
    if (!faults.empty()) text += "\nthe faults of this run:\n" + faults;
    return text;
}

}  // namespace

SeedError::SeedError(std::uint64_t seed, std::exception_ptr error, const std::string& faults)
    : AssertionError(seed_text(seed, error, faults)), seed_(seed), error_(std::move(error)) {}

}  // namespace asyncio::testing
