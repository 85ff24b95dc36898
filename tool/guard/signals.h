#pragma once
// The signals of a batch: which signals it takes, how it takes them, and how it dies of them.
//
//   SIGINT SIGTERM SIGHUP    end the commands with their grace, then die of it; so does every other
//                            signal that ends a program by default
//   a second one, SIGQUIT    kill the commands at once
//   SIGUSR1                  list the commands that run
//   SIGUSR2                  start no more commands; running commands end normally
//   SIGTSTP                  stop the commands and the clocks of their limits, until SIGCONT
//
// The batch installs no handlers. It blocks signals and takes them one by one, when its code is
// ready for them. So a command inherits the signals that the launcher ignores (`nohup`), and
// nothing else: the library gives every command an empty mask. Signals that the launcher had
// *blocked* are therefore not blocked in a command. Programs with threads block signals for their
// own purposes, and a command that does not get SIGTERM could not clean up before it is killed.

#include <asyncio.h>

#include <csignal>

namespace tool {

/// The signals that the guard takes: every signal that can be caught, without three kinds. Some
/// have no effect by default, some are ignored by the launcher, and SIGTTIN and SIGTTOU concern the
/// use of the terminal.
sigset_t signals_of_guard() noexcept;

/// The signals that the worker takes while its loop runs. SIGTERM is always among them: the kernel
/// sends it when the guard dies.
sigset_t signals_of_worker() noexcept;

/// Whether `signal` asks for the end of a batch.
bool asks_for_end(int signal) noexcept;

/// Sets the mask of the worker outside of its loop. Signals that ask for the end are not blocked,
/// so they end the process. All other signals are blocked.
void use_mask_of_worker() noexcept;

/// Whether the launcher has set `signal` to be ignored.
bool is_ignored(int signal) noexcept;

/// Ends this process by `signal`. A shell that waits for the process then sees the signal and ends
/// its own loop as well. Returns only in the first process of a container, which no signal can end.
void die_of(int signal) noexcept;

/// Gives the signals of `signals_of_worker` one by one inside a loop. From its construction on they
/// are blocked.
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

}  // namespace tool
