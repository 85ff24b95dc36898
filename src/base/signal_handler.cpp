// The table of signals, the handler, and how a listener leaves while a handler may be running.
//
// Why the handler is safe in a signal. It loads pointers from the table and calls the listeners.
// The table is static, and the words that the handler uses are lock-free atomics. A listener of
// this library adds to an atomic counter and posts a node to the inbox of its loop: two more
// atomics, and a write(2) to an eventfd that wakes the loop. None of this allocates, locks or
// throws. The system calls are getpid(2) and write(2), and for the end of the process sigaction(2),
// raise(3) and _exit(2); signal-safety(7) lists all of them. `errno` is restored, because the
// interrupted code may be about to read it.
//
// The flags of the handler:
//  - SA_RESTART: a read(2) that the program makes on another thread goes on. The loop needs no
//    EINTR, because the eventfd wakes it.
//  - SA_ONSTACK: a thread that has given itself a stack for signals uses it. Threads with small
//    stacks exist (those of Go, for example).
//  - The mask is full: no other handler runs inside this one. So the handler needs little stack,
//    and no foreign handler can fork in the middle of it.
//
// Reading and leaving. A thread cannot lock in a handler, so the lists are read without a lock, and
// changed under a mutex that no handler takes. A listener that leaves must not be destroyed under a
// handler. So a handler counts itself in `running` before it reads a list. The thread that removes
// a listener takes it out of the list first and reads `running` after that. Both use the strongest
// order, so at least one of them sees the other: the handler finds the listener gone, or the thread
// waits for the handler. The wait is short (`brief_wait.h`). A listener that has left keeps its
// `next_`, so a handler that stands at it finds the rest of the list.
//
// No signal falls between two actions. A listener is put on the list before the handler is
// installed for it, and the old disposition is restored before it is taken off. In between the
// kernel still has the old disposition, or the handler finds the listener. A signal that arrives in
// these moments gets one of the two.
//
// Forks. The child of a fork has the parent's table, its handlers, and its descriptors: the eventfd
// that wakes a loop is the parent's. So a child restores every disposition before it runs the
// program's code. That is what it would have had without the library, and a child that makes a loop
// of its own begins with an empty table. Two children do not run this code: the child of a bare
// clone(2), and one that is hit by a signal before it comes to the code. The handler notices them
// by the number of the process. It restores the disposition of this signal and raises the signal
// again. It changes no memory then, because the child of vfork(2) shares it with the parent.
//
// Rejected: signalfd(2). The signals would have to be blocked in every thread of the program, and
// children would inherit the mask. Rejected: a thread that waits in sigwaitinfo(2), for the same
// reason. Rejected: one self-pipe for all, as in CPython (`set_wakeup_fd`): there can be only one
// for the process, and a full pipe loses signals.

#include "base/signal_handler.h"

#include <asyncio/exceptions.h>
#include <asyncio/signal_set.h>

#include "base/after_fork.h"
#include "base/brief_wait.h"

#include <array>
#include <cerrno>
#include <mutex>
#include <string>

#include <unistd.h>

namespace asyncio::internal {

/// What the library knows about one signal. `listeners`, `stand_bys` and `running` are used by
/// handlers.
struct SignalSlot {
    using List = std::atomic<SignalListener*>;

    /// The first of each rank.
    List listeners{nullptr};
    List stand_bys{nullptr};
    /// How many handlers of this signal run at this moment, on any thread.
    std::atomic<int> running{0};
    /// The disposition that the last of the lists will restore. Valid while one of the lists is not
    /// empty. Written under the mutex, before the handler is installed.
    struct sigaction previous{};

    bool idle() const noexcept { return listeners == nullptr && stand_bys == nullptr; }

    /// In the handler.
    void call() noexcept {
        running.fetch_add(1);
        SignalListener* listener = listeners.load();
        if (listener == nullptr) listener = stand_bys.load();
        for (; listener != nullptr; listener = listener->next_.load()) listener->hear_(*listener);
        running.fetch_sub(1);
    }

    // Under the mutex.

    /// The place in `list` that points to `listener`: null at the end, if the listener is not in
    /// the list.
    static List& place_of(List& list, const SignalListener* listener) noexcept {
        List* place = &list;
        while (*place != nullptr && *place != listener) place = &place->load()->next_;
        return *place;
    }
    static void add(List& list, SignalListener& listener) noexcept {
        listener.next_ = nullptr;
        place_of(list, nullptr) = &listener;
    }
    /// False if it was not in the list.
    static bool remove(List& list, SignalListener& listener) noexcept {
        List& place = place_of(list, &listener);
        if (place == nullptr) return false;
        place = listener.next_.load();
        return true;
    }
    bool has_only(const SignalListener& listener) const noexcept {
        const bool first = listeners == &listener || stand_bys == &listener;
        return first && listener.next_ == nullptr && (listeners == nullptr || stand_bys == nullptr);
    }

    int install(int signal) noexcept;
    void restore(int signal) const noexcept;
};

namespace {

static_assert(SignalSlot::List::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "signal handlers use these words");

/// The slot of a signal is the one with its number.
constinit std::array<SignalSlot, SignalSet::highest + 1> signal_slots{};
/// Held while a list or a disposition is changed. Never in a signal handler.
constinit std::mutex signal_mutex;
/// The process whose table this is: its number. 0 before the first use.
constinit std::atomic<int> signal_process{0};

/// What the child of a fork does if it has not restored its dispositions yet. The signal is blocked
/// here, and is delivered when the handler returns.
void leave_to_previous(int signal) noexcept {
    ::sigaction(signal, &signal_slots[static_cast<std::size_t>(signal)].previous, nullptr);
    ::raise(signal);
}

void handle_signal(int signal) {
    const int saved_errno = errno;
    if (signal_process.load(std::memory_order_relaxed) == ::getpid()) [[likely]] {
        signal_slots[static_cast<std::size_t>(signal)].call();
    } else {
        leave_to_previous(signal);
    }
    errno = saved_errno;
}

bool is_ours(const struct sigaction& action) noexcept {
    return action.sa_handler == &handle_signal;
}

/// The lists name objects of another process's memory, of which this process has a copy. A handler
/// that ran on a thread of the parent has not come along.
void forget_parent() noexcept {
    signal_process = ::getpid();
    for (int signal = 1; signal <= SignalSet::highest; ++signal) {
        SignalSlot& slot = signal_slots[static_cast<std::size_t>(signal)];
        if (!slot.idle()) slot.restore(signal);
        slot.listeners = nullptr;
        slot.stand_bys = nullptr;
        slot.running = 0;
    }
}

/// Locks the table, and prepares it for this process. The unlock comes before `forget_parent` in a
/// child, as the registrations do.
std::unique_lock<std::mutex> lock_signals() noexcept {
    [[maybe_unused]] static const bool registered = [] {
        lock_across_forks([] { signal_mutex.lock(); }, [] { signal_mutex.unlock(); });
        call_in_forked_children(&forget_parent);
        return true;
    }();
    std::unique_lock lock(signal_mutex);
    if (signal_process.load(std::memory_order_relaxed) != ::getpid()) forget_parent();
    return lock;
}

SignalSlot& slot_of(const SignalListener& listener) noexcept {
    return signal_slots[static_cast<std::size_t>(listener.signal())];
}

}  // namespace

/// Installs the handler if it is not. Returns 0 or an errno. A disposition that foreign code has
/// set since becomes the one to restore.
int SignalSlot::install(int signal) noexcept {
    struct sigaction present{};
    if (::sigaction(signal, nullptr, &present) != 0) return errno;
    if (is_ours(present)) return 0;
    previous = present;
    struct sigaction action{};
    action.sa_handler = &handle_signal;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    return ::sigaction(signal, &action, nullptr) == 0 ? 0 : errno;
}

/// No effect if foreign code has set another disposition.
void SignalSlot::restore(int signal) const noexcept {
    struct sigaction present{};
    if (::sigaction(signal, nullptr, &present) == 0 && is_ours(present))
        ::sigaction(signal, &previous, nullptr);
}

int listen_to_signal(SignalListener& listener) noexcept {
    const auto lock = lock_signals();
    SignalSlot& slot = slot_of(listener);
    SignalSlot::add(slot.listeners, listener);
    const int error = slot.install(listener.signal());
    // The handler was never installed, so no handler can have seen the listener.
    if (error != 0) SignalSlot::remove(slot.listeners, listener);
    return error;
}

/// Behind the library's own handler the disposition counts that this one has replaced.
bool stand_by_for_signal(SignalListener& listener, StandByOver over) noexcept {
    const auto lock = lock_signals();
    SignalSlot& slot = slot_of(listener);
    struct sigaction present{};
    if (::sigaction(listener.signal(), nullptr, &present) != 0) return false;
    const auto handler = is_ours(present) ? slot.previous.sa_handler : present.sa_handler;
    const bool applies =
        over == StandByOver::default_action ? handler == SIG_DFL : handler != SIG_IGN;
    if (!applies) return false;
    SignalSlot::add(slot.stand_bys, listener);
    if (slot.install(listener.signal()) == 0) return true;
    SignalSlot::remove(slot.stand_bys, listener);
    return false;
}

/// In a forked child the lists are empty, and there is nothing to do.
void stop_listening(SignalListener& listener) noexcept {
    SignalSlot& slot = slot_of(listener);
    {
        const auto lock = lock_signals();
        if (slot.has_only(listener)) slot.restore(listener.signal());
        if (!SignalSlot::remove(slot.listeners, listener) &&
            !SignalSlot::remove(slot.stand_bys, listener))
            return;
    }
    wait_briefly([&slot] { return slot.running.load() == 0; });
}

/// A fault is raised by an instruction, which would be repeated when the handler returns, and raise
/// the signal again, for ever. The kernel refuses handlers of SIGKILL and SIGSTOP, and the C
/// library those of the signals that it needs for threads. (It refuses even the question.)
void require_catchable(int signal) {
    static_cast<void>(SignalSet(signal));  // throws if this is no signal
    if (SignalSet(SIGSEGV, SIGBUS, SIGFPE, SIGILL).contains(signal))
        throw RuntimeError(signal_name(signal) +
                           " cannot be left to an event loop: the fault would be repeated as soon "
                           "as the signal handler returns");
    struct sigaction present{};
    if (SignalSet(SIGKILL, SIGSTOP).contains(signal) || ::sigaction(signal, nullptr, &present) != 0)
        throw RuntimeError(signal_name(signal) + " cannot be caught");
}

/// The signal may be blocked, in its handler for example. Some signals do not end a process, and no
/// signal ends the first process of a container: the exit status then says what the signal would
/// have said to a shell.
void end_process_by(int signal) noexcept {
    ::signal(signal, SIG_DFL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
    ::raise(signal);
    ::_exit(128 + signal);
}

}  // namespace asyncio::internal
