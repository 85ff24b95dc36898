#pragma once
// A scenario, and the sweep over it: its first allocation fails, then in another run its second,
// and so on until a run had none that failed.
//
//   SCENARIO(a_task_is_awaited) { co_await create_task(f()); }
//
// is a test. Its body is the main coroutine of a `run`, from whose beginning to whose end the
// allocations count, those of the loop itself included. A `PROGRAM` makes its loops by hand. Both
// run on the simulated back-end; a `SCENARIO_EVERYWHERE` runs on each.

#include <asyncio/lowlevel/backend.h>
#include <asyncio/run.h>

#include <functional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace allocations {

/// Runs `scenario` once for every allocation that it makes, and reports each run that did not end
/// as it should.
void sweep(const char* name, const std::function<void()>& scenario);

/// The same on every back-end that can be had here. `scenario` is to use the one it is given.
void sweep_everywhere(const char* name,
                      const std::function<void(asyncio::lowlevel::BackendKind)>& scenario);

/// The same where nothing was used before: each run is the first of its process. What is made once
/// per process, and not at all in other sweeps, is made in it.
void sweep_first_use(const char* name, const std::function<void()>& scenario);

/// What a scenario checks about its results. A run in which an allocation fails may end well, and
/// then everything must be right.
inline void require(bool holds, const char* what) {
    if (!holds) throw std::logic_error(what);
}

}  // namespace allocations

#define SCENARIO(name)                                                      \
    static asyncio::Coro<> scenario_##name();                               \
    TEST(allocations, name) {                                               \
        allocations::sweep(#name, [] { asyncio::run(scenario_##name()); }); \
    }                                                                       \
    static asyncio::Coro<> scenario_##name()

#define SCENARIO_EVERYWHERE(name)                                                         \
    static asyncio::Coro<> scenario_##name();                                             \
    TEST(allocations, name) {                                                             \
        allocations::sweep_everywhere(#name, [](asyncio::lowlevel::BackendKind backend) { \
            asyncio::run(scenario_##name(), {.backend = backend});                        \
        });                                                                               \
    }                                                                                     \
    static asyncio::Coro<> scenario_##name()

#define PROGRAM(name)                                                       \
    static void program_##name();                                           \
    TEST(allocations, name) { allocations::sweep(#name, &program_##name); } \
    static void program_##name()
