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

/// Set to nothing is not set, as with `ASYNCIO_DEBUG`.
std::optional<std::string_view> from_environment(std::string_view variable) {
    const char* value = std::getenv(variable.data());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
}

BackendKind kind_named(std::string_view word) {
    if (word == "io_uring") return BackendKind::io_uring;
    if (word == "epoll") return BackendKind::epoll;
    if (word == "simulated") return BackendKind::simulated;
    throw std::invalid_argument(std::string(backend_variable) + "=" + std::string(word) +
                                " names no back-end: there are io_uring, epoll and simulated");
}

/// Decimal, whole, and within 64 bits: a seed that was cut off at a letter would replay another
/// run.
std::uint64_t seed_from(std::string_view word) {
    std::uint64_t seed = 0;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, seed);
    if (error == std::errc() && stop == end) return seed;
    throw std::invalid_argument(std::string(seed_variable) + "=" + std::string(word) +
                                " is no seed: it takes a whole number from 0 to 2^64-1");
}

SimulationOptions simulation_from_environment() {
    SimulationOptions options;
    if (const auto word = from_environment(seed_variable)) options.seed = seed_from(*word);
    return options;
}

/// The ring was demanded, so its refusal is the caller's to know: who demanded it, why it cannot
/// be, and both ways out.
std::unique_ptr<Backend> demand_io_uring(const std::string& demanded_by) {
    try {
        return make_io_uring_backend();
    } catch (const OsError& refusal) {
        throw OsError(refusal.error(), "the io_uring back-end, demanded by " + demanded_by +
                                           ", cannot be had (" + refusal.what() +
                                           "). Allow io_uring to this process, or set " +
                                           std::string(backend_variable) +
                                           "=epoll, or leave the choice to the "
                                           "library. The kernel's word");
    }
}

std::unique_ptr<Backend> io_uring_or_epoll() {
    try {
        return make_io_uring_backend();
    } catch (const OsError& refusal) {
        internal::log(LogLevel::debug,
                      "epoll is used, because io_uring cannot be: " + std::string(refusal.what()));
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
        default: return make_epoll_backend();
    }
}

}  // namespace

std::unique_ptr<Backend> make_backend(BackendKind kind) {
    // The simulated world does not do it itself, and yet may write into real pipes.
    ignore_sigpipe();
    switch (kind) {
        case BackendKind::automatic: return make_as_environment_says();
        case BackendKind::io_uring: return demand_io_uring("BackendKind::io_uring");
        case BackendKind::epoll: return make_epoll_backend();
        case BackendKind::simulated: return make_simulated_backend(SimulationOptions{});
    }
    throw std::invalid_argument("not a BackendKind");
}

}  // namespace asyncio::lowlevel
