// Chooses a back-end: the one that the caller names, else the one that the environment names, else
// the best one that the kernel grants.
//
// A back-end that was demanded by name is never replaced by another one. A test that asks for
// io_uring and silently runs on epoll would prove nothing. When the choice is free, a ring that the
// kernel refuses is normal (containers forbid it by default), so epoll takes over and only the
// debug log tells.
//
// The environment is read at each call and not remembered: a program may set the variables itself,
// before it makes its loop.

#include "backend/make_backend.h"

#include <asyncio/exceptions.h>

#include "backend/attempt.h"
#include "base/log.h"

#include <charconv>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace asyncio::lowlevel {
namespace {

constexpr std::string_view backend_variable = "ASYNCIO_BACKEND";
constexpr std::string_view seed_variable = "ASYNCIO_SEED";

/// An empty value counts as not set, as with `ASYNCIO_DEBUG`, so that `ASYNCIO_BACKEND= program`
/// works as the user of a shell expects.
std::optional<std::string_view> from_environment(std::string_view variable) {
    const char* value = std::getenv(variable.data());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
}

BackendKind kind_named(std::string_view word) {
    if (word == "io_uring") return BackendKind::io_uring;
    if (word == "epoll") return BackendKind::epoll;
    if (word == "simulated") return BackendKind::simulated;
    throw std::invalid_argument(
        std::string(backend_variable) + "=" + std::string(word) +
        " is not a back-end; the back-ends are io_uring, epoll and simulated");
}

/// A decimal number, whole, and within 64 bits. A seed that was cut off at a letter would replay
/// another run, so it is refused.
std::uint64_t seed_from(std::string_view word) {
    std::uint64_t seed = 0;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, seed);
    if (error == std::errc() && stop == end) return seed;
    throw std::invalid_argument(std::string(seed_variable) + "=" + std::string(word) +
                                " is not a seed: give a whole number from 0 to 2^64-1");
}

SimulationOptions simulation_from_environment() {
    SimulationOptions options;
    if (const auto word = from_environment(seed_variable)) options.seed = seed_from(*word);
    return options;
}

/// The ring was demanded, so its refusal is an error. The message says what demanded it, why it is
/// impossible, and both ways out.
std::unique_ptr<Backend> demand_io_uring(const std::string& demanded_by) {
    try {
        return make_io_uring_backend();
    } catch (const OsError& refusal) {
        throw OsError(refusal.error(),
                      "the io_uring back-end, requested by " + demanded_by +
                          ", is not available (" + refusal.what() +
                          "). Allow io_uring for this process, or set " +
                          std::string(backend_variable) +
                          "=epoll, or leave the choice to the library. Error of the kernel");
    }
}

/// Only `OsError` leads to epoll. Any other error, `bad_alloc` for example, would occur with epoll
/// as well.
std::unique_ptr<Backend> io_uring_or_epoll() {
    try {
        return make_io_uring_backend();
    } catch (const OsError& refusal) {
        internal::log(LogLevel::debug, "using epoll, because io_uring is not available: " +
                                           std::string(refusal.what()));
        return make_epoll_backend();
    }
}

std::unique_ptr<Backend> make_as_environment_says() {
    const auto word = from_environment(backend_variable);
    if (!word) return io_uring_or_epoll();
    switch (kind_named(*word)) {
        case BackendKind::io_uring:
            return demand_io_uring(std::string(backend_variable) + "=io_uring");
        case BackendKind::simulated: return make_simulated_backend(simulation_from_environment());
        // `kind_named` returns one of three kinds, so this is epoll.
        default: return make_epoll_backend();
    }
}

}  // namespace

std::unique_ptr<Backend> make_backend(BackendKind kind) {
    // Here for all back-ends: the simulated world has no real pipes of its own, but a program under
    // simulation may write into real ones.
    ignore_sigpipe();
    switch (kind) {
        case BackendKind::automatic: return make_as_environment_says();
        case BackendKind::io_uring: return demand_io_uring("BackendKind::io_uring");
        case BackendKind::epoll: return make_epoll_backend();
        case BackendKind::simulated: return make_simulated_backend(SimulationOptions{});
    }
    throw std::invalid_argument("the value is not a BackendKind");
}

}  // namespace asyncio::lowlevel
