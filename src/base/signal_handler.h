#pragma once
// The signal handler of the library: one function, for every signal that a part of it listens to.
//
// A disposition belongs to the process, and the parts of a program that want one signal do not know
// each other: two loops in two threads, a library and its user, `run` and a subscriber. So the
// library installs one handler for a signal, and keeps a list of listeners behind it. The first
// listener installs the handler. The last one restores the disposition that was there before.
//
// There are two ranks. A *listener* has asked for the signal. A *stand-by* has an answer for the
// case that the program has none: Ctrl-C and SIGTERM cancel the main task of `run`, and SIGQUIT
// prints the tasks. A signal goes to the listeners. It goes to the stand-bys only while there are
// no listeners. So a program that subscribes to SIGINT takes Ctrl-C over from `run`, and gives it
// back when it unsubscribes.
//
// Foreign code may change a disposition meanwhile. The last decision holds: if the handler is not
// installed any more when the last listener leaves, the disposition stays as it is. A new listener
// installs the handler again.
//
// Thread-safety: any thread, outside signal handlers.

#include <atomic>
#include <csignal>

namespace asyncio::internal {

class SignalListener;

/// From now on the signal calls the listener, in the signal handler. Returns 0, or the errno of
/// sigaction(2). The listener must not listen already. Its signal has passed `require_catchable`.
int listen_to_signal(SignalListener& listener) noexcept;

/// The dispositions over which a stand-by takes effect.
enum class StandByOver : std::uint8_t {
    default_action,   ///< A program that has its own handler wants that one called.
    all_but_ignored,  ///< A signal that the launcher ignores (`nohup`) stays ignored.
};
/// The same as a stand-by. Returns whether it takes effect.
bool stand_by_for_signal(SignalListener& listener, StandByOver over) noexcept;

/// Ends both. When this returns, no handler is in the listener and none will be, so the listener
/// may be destroyed. No effect on a listener that does not listen.
void stop_listening(SignalListener& listener) noexcept;

/// Throws: `std::invalid_argument` if `signal` is not the number of a signal; RuntimeError if a
/// handler that only leaves a note makes no sense for it: the kernel allows no handler, or the
/// signal is the report of a fault.
void require_catchable(int signal);

/// Ends the process by the default action of `signal`, as if the signal had not been caught. Safe
/// in a signal handler. Nothing is flushed.
[[noreturn]] void end_process_by(int signal) noexcept;

/// An object that a signal calls. It stands in the list of one signal, from `listen_to_signal` or
/// `stand_by_for_signal` until `stop_listening`.
class SignalListener {
public:
    /// Called in the signal handler, on whichever thread the kernel has chosen, and possibly on
    /// several at the same time. May do only what is safe there.
    using Function = void (*)(SignalListener& listener) noexcept;

    SignalListener(int signal, Function hear) noexcept : signal_(signal), hear_(hear) {}
    SignalListener(const SignalListener&) = delete;
    SignalListener& operator=(const SignalListener&) = delete;

    int signal() const noexcept { return signal_; }

protected:
    ~SignalListener() = default;

private:
    friend struct SignalSlot;

    int signal_;
    Function hear_;
    /// The next listener of the same rank. Changed under the lock of the table, and read by
    /// handlers. It stays as it is when the listener leaves the list: a handler that stands at this
    /// listener goes on from here.
    std::atomic<SignalListener*> next_{nullptr};
};

}  // namespace asyncio::internal
