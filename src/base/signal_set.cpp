// The names of signals, and the refusal of a number that no signal has.

#include <asyncio/signal_set.h>

#include <csignal>
#include <cstring>
#include <stdexcept>

namespace asyncio {

void SignalSet::refuse(int signal) {
    throw std::invalid_argument(std::to_string(signal) + " is not the number of a signal");
}

/// The C library knows the names without "SIG". It keeps the real-time signals below SIGRTMIN for
/// itself, and gives them no name.
std::string signal_name(int signal) {
    if (const char* const name = ::sigabbrev_np(signal)) return std::string("SIG") + name;
    if (signal < SIGRTMIN || signal > SIGRTMAX) return "signal " + std::to_string(signal);
    const int above = signal - SIGRTMIN;
    return above == 0 ? "SIGRTMIN" : "SIGRTMIN+" + std::to_string(above);
}

}  // namespace asyncio
