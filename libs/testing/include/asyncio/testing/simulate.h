#pragma once
// Runs a coroutine in a simulated world: with a clock that jumps to the next deadline, with pipes,
// files and a network in memory, and with a seed that decides what a kernel may decide freely.
//
// A test that takes a `Network&` gets the network of its world, with hosts and faults (network.h).
// A test that does not has the network of one host: its sockets reach each other on 127.0.0.1 and
// ::1, and no other address. In neither case do sockets, names or files of the machine play a part,
// so a test finds nothing in use and leaves nothing behind.
//
// The same seed gives the same run. So a test that fails under one seed of many fails again under
// this seed, and the error says how to repeat the run.

#include <asyncio/lowlevel/simulated_network.h>
#include <asyncio/testing/assertion_error.h>
#include <asyncio/testing/network.h>
#include <asyncio/testing/seed.h>
#include <asyncio/testing/test_loop.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace asyncio::testing {

/// How `simulate` runs a test.
struct SimulateOptions {
    /// The seed of the world. Without a value: the number in `ASYNCIO_SEED`, else 0, which is the
    /// plainest world: every operation finishes at once, completely, and in order.
    std::optional<std::uint64_t> seed = std::nullopt;
    /// Whether the loop runs in debug mode.
    bool debug = false;
    /// How many bytes the files of a host may hold together. Beyond that writes fail with ENOSPC.
    std::uint64_t disk_size_bytes = lowlevel::SimulationOptions{}.disk_size_bytes;
};

/// Which worlds `simulate_seeds` runs a test in.
struct SeedOptions {
    /// The first seed.
    std::uint64_t first = 0;
    /// How many seeds, from `first` on. 0 runs nothing.
    std::uint64_t count = 100;
    /// Whether the loops run in debug mode.
    bool debug = false;
    /// As in `SimulateOptions`.
    std::uint64_t disk_size_bytes = lowlevel::SimulationOptions{}.disk_size_bytes;
};

namespace internal {

/// Writes down the faults of a network when its test ends, in whatever way it ends.
class HistoryKeeper {
public:
    HistoryKeeper(const Network& network, std::string& story) : network_(network), story_(story) {}
    HistoryKeeper(const HistoryKeeper&) = delete;
    HistoryKeeper& operator=(const HistoryKeeper&) = delete;
    ~HistoryKeeper() { story_ = to_text(network_.history()); }

private:
    const Network& network_;
    std::string& story_;
};

/// `body` without the seed, which it may take as its last argument.
template <class Body>
auto with_seed(Body& body, std::uint64_t seed) {
    constexpr bool takes_both = std::is_invocable_v<Body&, Network&, std::uint64_t>;
    if constexpr (takes_both || std::is_invocable_v<Body&, Network&>) {
        return [&body, seed](Network& network) {
            static_cast<void>(seed);
            if constexpr (takes_both) {
                return body(network, seed);
            } else {
                return body(network);
            }
        };
    } else {
        return [&body, seed] {
            static_cast<void>(seed);
            if constexpr (std::is_invocable_v<Body&, std::uint64_t>) {
                return body(seed);
            } else {
                return body();
            }
        };
    }
}

/// Runs a test in one world. `story` becomes the faults of its network.
template <class Body>
auto simulate_world(Body& body, std::uint64_t seed, const SimulateOptions& options,
                    std::string& story) {
    auto world = lowlevel::make_simulated_backend(
        {.seed = seed, .disk_size_bytes = options.disk_size_bytes});
    if constexpr (std::is_invocable_v<Body&, Network&>) {
        lowlevel::SimulatedNetwork& simulated = *lowlevel::simulated_network(*world);
        // The network goes after the loop, whose end may have to end tasks that use it.
        std::optional<Network> network;
        TestLoop loop(std::move(world), {.debug = options.debug});
        network.emplace(*loop, simulated);
        const HistoryKeeper keeper(*network, story);
        auto with_network = [&] { return network->run_test(body(*network)); };
        return run_in(loop, with_network);
    } else {
        TestLoop loop(std::move(world), {.debug = options.debug});
        return run_in(loop, body);
    }
}

}  // namespace internal

/// Runs `body()`, a coroutine or another awaitable, in a simulated world. Returns its value.
/// `body(network)` is called if it takes a `Network&`.
///
/// Afterwards nothing may be left: no task, no timer, and no warning in the log.
/// Throws: the error of the body; AssertionError if something is left; DeadlockError if the tasks
/// can never continue, with the await tree.
/// Lifetime: `body` lives until the coroutine has ended, so a closure may have captures.
/// Cost: no real time passes for waits of the simulated world. Threads, child processes and
/// descriptors from outside are real and take real time.
/// Python: `unittest.IsolatedAsyncioTestCase`, with a clock that does not wait.
template <class Body>
auto simulate(Body&& body, SimulateOptions options = {}) {
    const std::uint64_t seed = options.seed ? *options.seed : seed_or(0);
    std::string story;
    return internal::simulate_world(body, seed, options, story);
}

/// Runs a test in many simulated worlds, one after the other, and stops at the first that fails.
/// `body` is called once for each seed, as `body(seed)` if it takes a number, as `body(network)` if
/// it takes a `Network&`, as `body(network, seed)`, or as `body()`.
///
/// If `ASYNCIO_SEED` is set, the test runs in the world of this seed only. So the setting that the
/// error shows repeats the run that failed.
/// Throws: SeedError at the first seed for which `simulate` throws.
template <class Body>
void simulate_seeds(Body&& body, SeedOptions options = {}) {
    const bool one = seed_is_given();
    const std::uint64_t first = one ? seed_or(0) : options.first;
    const std::uint64_t count = one ? 1 : options.count;
    for (std::uint64_t done = 0; done < count; ++done) {
        const std::uint64_t seed = first + done;
        const SimulateOptions of_world{.debug = options.debug,
                                       .disk_size_bytes = options.disk_size_bytes};
        std::string story;
        try {
            auto with_seed = internal::with_seed(body, seed);
            static_cast<void>(internal::simulate_world(with_seed, seed, of_world, story));
        } catch (...) {
            throw SeedError(seed, std::current_exception(), story);
        }
    }
}

}  // namespace asyncio::testing
