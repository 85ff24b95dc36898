#pragma once
// Seeded randomness for tests: every failure prints the seed that repeats it.
//
// `ASYNCIO_SEED=n` in the environment replaces a test's own seed; the simulated back-end reads the
// same variable, so one number names the whole run.

#include <asyncio/testing/seed.h>

#include <cstdint>
#include <random>
#include <string>

namespace support {

using asyncio::testing::seed_or;

class Random {
public:
    explicit Random(std::uint64_t seed) : seed_(seed), engine_(seed) {}

    std::uint64_t seed() const { return seed_; }
    /// For SCOPED_TRACE.
    std::string name() const { return "ASYNCIO_SEED=" + std::to_string(seed_); }

    /// A number in [0, bound).
    std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
    bool one_in(std::uint64_t count) { return below(count) == 0; }

private:
    std::uint64_t seed_;
    std::mt19937_64 engine_;
};

}  // namespace support
