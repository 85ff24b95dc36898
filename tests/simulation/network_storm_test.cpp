// Goal: programs over streams and datagrams survive every fault of a network at once, and work
// without an error when the faults are over. Method: the storm of network_storm.h under many seeds,
// with books on every byte, every task and every descriptor.
//
// `ASYNCIO_STORM_SEEDS=10000` runs more seeds, and `ASYNCIO_SEED=n` this seed alone.

#include <asyncio/testing/simulate.h>

#include "simulation/network_storm.h"
#include "support/sanitizer.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace network_storm {
namespace {

/// A seed takes more than a second under the address sanitizer.
std::uint64_t seeds_of_storm() {
    const char* given = std::getenv("ASYNCIO_STORM_SEEDS");
    const std::uint64_t usual = support::under_address_sanitizer ? 40 : 200;
    return given == nullptr ? usual : std::strtoull(given, nullptr, 10);
}

TEST(NetworkStorm, no_byte_is_wrong_nothing_hangs_and_nothing_is_left) {
    NetworkStorm::Books all;
    const auto storm = [&](asyncio::testing::Network& network,
                           std::uint64_t seed) -> asyncio::Coro<> {
        NetworkStorm run(network, seed);
        co_await run.run();
        all += run.books;
    };
    const bool one = asyncio::testing::seed_is_given();
    const std::uint64_t seeds = one ? 1 : seeds_of_storm();
    asyncio::testing::simulate_seeds(storm, {.first = 1, .count = seeds});
    EXPECT_GE(all.sessions, static_cast<long>(seeds * NetworkStorm::clients * 2));
    std::printf("%llu seeds: %ld sessions whole, %ld broken, %ld expired; %ld cancels, %ld reads "
                "cut; %ld starts; %ld datagrams; %ld bytes\n",
                static_cast<unsigned long long>(seeds), all.sessions, all.broken, all.expired,
                all.cancels, all.reads_cut, all.starts, all.datagrams, all.bytes);
    if (seeds < 100) return;
    // It was a storm, and not everything was broken.
    EXPECT_GT(all.broken, 1000);
    EXPECT_GT(all.expired, 50);
    EXPECT_GT(all.reads_cut, 10'000);
    EXPECT_GT(all.datagrams, 1000);
}

}  // namespace
}  // namespace network_storm
