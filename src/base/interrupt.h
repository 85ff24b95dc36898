#pragma once
// The answers of a run to signals for which the program has no answer of its own: SIGINT (Ctrl-C),
// SIGQUIT (Ctrl-\), and the signals with which a service is asked to end.
//
// A guard is a stand-by (`signal_handler.h`): it answers while no part of the program listens.
//
// The second request ends the process. The first one has asked the program to stop, and a user who
// asks twice has seen that it does not. The process then dies of the signal itself, so a shell sees
// that and stops its loop of commands.
//
// Two requests in a moment are one, for signals that programs send. timeout(1) sends SIGTERM to its
// command, and then to the group in which the command is. Launchers and service managers pass on a
// signal that the group has got already. The cleanup that the first request has begun would not
// survive the second. So only a request that comes half a second later counts as another one.
// Ctrl-C is typed by a person, and has no such rule.

#include <asyncio/internal/base/time.h>

#include "base/signal_handler.h"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace asyncio::internal {

/// While the guard lives, the signal calls `function(argument, signal)` in the signal handler,
/// which may do only what is safe there.
///
/// The end waits for a handler that runs on another thread. Afterwards the objects that the
/// function uses may be destroyed.
class SignalGuard : SignalListener {
public:
    using Function = void (*)(void* argument, int signal) noexcept;

    ~SignalGuard() { end(); }

    /// The signal has its previous action again, if no other part of the program listens. The
    /// destructor does it, too; a second call does nothing.
    void end() noexcept;
    /// How many of the signals have come; also after the end.
    int count() const noexcept { return count_.load(); }

protected:
    /// The effect of the second signal and of all that follow it.
    enum class Second : std::uint8_t {
        calls,        ///< Calls the function again.
        ends,         ///< Ends the process.
        ends_if_late  ///< Ends the process, or belongs to the first one if it comes soon after it.
    };

    SignalGuard(int signal, Second second, Function function, void* argument) noexcept
        : SignalListener(signal, &hear),
          second_(second),
          function_(function),
          argument_(argument) {}

    /// No effect if it has begun and not ended.
    void begin(StandByOver over) noexcept {
        if (!took_effect_) took_effect_ = stand_by_for_signal(*this, over);
    }

private:
    static void hear(SignalListener& listener) noexcept;
    void hear_again(Duration after_first) const noexcept;

    Second second_;
    Function function_;
    void* argument_;
    bool took_effect_ = false;
    /// For how long a request belongs to the one before it.
    static constexpr Duration one_request = std::chrono::milliseconds(500);

    std::atomic<int> count_{0};
    /// The time of the first signal on the clock of the machine; 0 until it comes. Whichever thread
    /// sets it handles the first signal: several may handle signals at the same time.
    std::atomic<Duration::rep> first_at_{0};
    static_assert(std::atomic<Duration::rep>::is_always_lock_free, "signal handlers use it");
};

/// Ctrl-C, on the main thread only, and only over the default action: the second one ends the
/// process.
class InterruptGuard : public SignalGuard {
public:
    InterruptGuard(Function on_interrupt, void* argument) noexcept;
};

/// SIGQUIT, on any thread, over the default action: every one of them calls the function.
class QuitGuard : public SignalGuard {
public:
    QuitGuard(bool wanted, Function on_quit, void* argument) noexcept;
};

/// A signal that asks for the end, on any thread, over any disposition but "ignored". The second
/// one ends the process, if it comes half a second after the first.
class TerminationGuard : public SignalGuard {
public:
    TerminationGuard(int signal, Function on_signal, void* argument) noexcept;

    /// Begins again after `end`. The signals from before the end count as well.
    void begin() noexcept { SignalGuard::begin(StandByOver::all_but_ignored); }
};

/// Whether the calling thread is the process's first.
bool on_main_thread() noexcept;

}  // namespace asyncio::internal
