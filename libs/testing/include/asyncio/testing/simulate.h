#pragma once
// Runs a coroutine in a simulated world: with a clock that jumps to the next deadline, with pipes
// in memory, and with a seed that decides what a kernel may decide freely.
//
// The same seed gives the same run. So a test that fails under one seed of many fails again under
// this seed, and the error says how to repeat the run.

#include <asyncio/testing/assertion_error.h>
#include <asyncio/testing/seed.h>
#include <asyncio/testing/test_loop.h>

#include <cstdint>
#include <exception>
#include <optional>
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
};

/// Which worlds `simulate_seeds` runs a test in.
struct SeedOptions {
    /// The first seed.
    std::uint64_t first = 0;
    /// How many seeds, from `first` on. 0 runs nothing.
    std::uint64_t count = 100;
    /// Whether the loops run in debug mode.
    bool debug = false;
};

/// Runs `body()`, a coroutine or another awaitable, in a simulated world. Returns its value.
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
    TestLoop loop(lowlevel::make_simulated_backend({.seed = seed}), {.debug = options.debug});
    return run_in(loop, body);
}

/// Runs a test in many simulated worlds, one after the other, and stops at the first that fails.
/// `body` is called once for each seed, as `body(seed)` if it takes a number, else as `body()`.
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
        auto with_seed = [&] {
            if constexpr (std::is_invocable_v<Body&, std::uint64_t>) {
                return body(seed);
            } else {
                return body();
            }
        };
        try {
            static_cast<void>(simulate(with_seed, {.seed = seed, .debug = options.debug}));
        } catch (...) {
            throw SeedError(seed, std::current_exception());
        }
    }
}

}  // namespace asyncio::testing
