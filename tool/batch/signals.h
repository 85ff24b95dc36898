#pragma once
// Signals: which ones a batch hears, how it hears them, and how it dies of them.
//
//   SIGINT SIGTERM SIGHUP    end the commands in order, then die of the signal; so does every other
//                            signal that ends a program by default
//   a second one, SIGQUIT    kill the commands at once
//   SIGUSR1                  list the commands that run
//   SIGUSR2                  start no more, let those that run end
//   SIGTSTP                  stop the commands and the clocks of their limits, until SIGCONT
//
// No handlers are installed: signals are blocked, and taken when somebody is there to take them. So
// a command inherits what the launcher has had ignored (`nohup`), and nothing else: the library
// gives every command an empty mask. What the launcher had *blocked* is therefore not passed on.
// Programs with threads block signals for reasons of their own, and a command that is deaf to
// SIGTERM could not be ended in order.

#include <asyncio.h>

#include <csignal>

namespace batch {

/// What the guard waits for: every signal that can be caught, without those that stay without
/// effect by default, that are ignored by the launcher's wish, or that mean the terminal's output.
sigset_t signals_of_guard() noexcept;

/// What the worker waits for while its loop runs. Contains SIGTERM in any case, by which it learns
/// of its guard's death.
sigset_t signals_of_worker() noexcept;

/// Whether `signal` asks for the end of a batch.
bool asks_for_end(int signal) noexcept;

/// The mask of the worker outside of its loop: nothing is held back that ends a program, and
/// nothing gets through that is no request to end.
void use_mask_of_worker() noexcept;

bool is_ignored(int signal) noexcept;

/// Ends this process by `signal`, so that a shell that waits for it sees what has happened and ends
/// its own loop, too. Returns only in the first process of a container, which no signal ends.
void die_of(int signal) noexcept;

/// While it lives, `signal` does not reach this thread; one that comes is forgotten.
class WithoutSignal {
public:
    explicit WithoutSignal(int signal) noexcept;
    WithoutSignal(const WithoutSignal&) = delete;
    WithoutSignal& operator=(const WithoutSignal&) = delete;
    ~WithoutSignal();

private:
    sigset_t signal_;
    sigset_t before_;
};

/// The signals of `signals_of_worker`, one by one, inside a loop. While it lives they are blocked.
class SignalReader {
public:
    /// Throws: OsError if there is no descriptor left.
    SignalReader();
    SignalReader(const SignalReader&) = delete;
    SignalReader& operator=(const SignalReader&) = delete;

    /// The next signal.
    asyncio::Coro<int> next();

private:
    asyncio::lowlevel::Fd descriptor_;
};

}  // namespace batch
