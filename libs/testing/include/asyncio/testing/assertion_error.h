#pragma once
// The failures of asyncio::testing are exceptions, so the library works with every test framework
// and needs none: each framework reports an exception that leaves a test.

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>

namespace asyncio::testing {

/// A check has failed. Helpers of this library throw it; a test may throw it, too.
/// Python: `AssertionError`, which is `unittest.TestCase.failureException`.
class [[gnu::visibility("default")]] AssertionError : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

/// A test has failed in the simulated world of one seed. `what()` has the seed, the text of the
/// error, and the setting that repeats the run: `ASYNCIO_SEED=7`.
class [[gnu::visibility("default")]] SeedError : public AssertionError {
public:
    /// `faults` is the text of the plan of the faults that happened; empty if there were none.
    SeedError(std::uint64_t seed, std::exception_ptr error, const std::string& faults = {});

    /// The seed of the run that failed.
    std::uint64_t seed() const noexcept { return seed_; }
    /// The error that left the test.
    const std::exception_ptr& error() const noexcept { return error_; }

private:
    std::uint64_t seed_;
    std::exception_ptr error_;
};

}  // namespace asyncio::testing
