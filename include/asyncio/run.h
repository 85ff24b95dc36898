#pragma once
// `run` and `Runner`: the entry to a program that uses the library. A loop, a main coroutine, and
// an orderly end.
//
// The end has an order. When the main coroutine has ended, the tasks that are left are cancelled
// and waited for; then the asynchronous generators that are left are closed; then the default
// executor is shut down; then the loop is closed. Each step may start new tasks, so the tasks are
// brought to an end again after each. Nothing is destroyed in the middle, and errors on the way go
// to the exception handler.
//
// An error that leaves `run` and is not caught is a special case. C++ then unwinds nothing:
// `std::terminate` is called at the throw. So `run` closes the runner before it lets an error pass,
// and marks the error, so that the report of `std::terminate` can show the awaits through which it
// came (`internal/core/uncaught.h`).

#include <asyncio/context.h>
#include <asyncio/signal_set.h>
#include <asyncio/task.h>

#include <memory>
#include <optional>

namespace asyncio {
namespace internal {

/// An object on the stack at the place where an error leaves `run`. If the error turns out to be
/// uncaught, nothing is unwound, so the object is still there when the report is made; see
/// uncaught.h.
class LeavingRun {
public:
    LeavingRun() noexcept;
    LeavingRun(const LeavingRun&) = delete;
    LeavingRun& operator=(const LeavingRun&) = delete;
    ~LeavingRun();
};

class SingleRun;
class StopSignals;

}  // namespace internal

/// The effect of Ctrl-C while a Runner runs on the main thread of the process.
enum class Sigint : std::uint8_t {
    /// The first Ctrl-C cancels the main task, and `run` throws KeyboardInterrupt if that was the
    /// reason for the end of the task. The second one ends the process, which is the default action
    /// of the signal: the first one has shown that the program does not stop by itself. If the
    /// program has its own handler, or is subscribed to the signal, the Runner leaves it alone.
    cancel_main,
    /// The Runner leaves signals alone.
    ignore,
};

/// How `run` and `Runner` make and end the loop.
struct RunOptions {
    /// Whether the loop runs in debug mode. Without a value, `ASYNCIO_DEBUG` decides.
    std::optional<bool> debug = std::nullopt;
    /// How the loop reaches the kernel. `simulated` gives a world with a virtual clock, for tests.
    lowlevel::BackendKind backend = lowlevel::BackendKind::automatic;
    /// The effect of Ctrl-C.
    Sigint sigint = Sigint::cancel_main;
    /// Signals that ask the program to end, for a service: `{SIGTERM}`, or `{SIGTERM, SIGHUP}`.
    ///
    /// The first one cancels the main task, as Ctrl-C does, and `run` throws `Terminated` if that
    /// was the reason for the end of the task. A second one of the same kind ends the process, if
    /// it comes half a second later. (Earlier ones belong to the first: timeout(1), for example,
    /// sends SIGTERM twice.) A signal that comes after the main task has ended does not break off
    /// the cleanup of the tasks that are left. It is kept, and ends the process after that.
    ///
    /// This holds on every thread. A handler that the program has installed is replaced for the
    /// time of the run. A signal that is ignored when the run begins stays ignored. While the
    /// program is subscribed to a signal (`on_signal`, `SignalStream`), the subscribers get it, and
    /// not the run.
    /// `run` throws RuntimeError if one of the signals cannot be caught.
    /// Python: none; a program calls `loop.add_signal_handler` to cancel its main task.
    SignalSet terminate_on = {};
    /// As `EventLoop::set_eager_tasks`.
    bool eager_tasks = false;
    /// How long the end waits for jobs on threads of the default executor. Threads that are still
    /// busy after that are named in the log and left to themselves.
    Delay executor_limit = std::chrono::seconds(300);
};

/// Runs several main coroutines on one loop, one after the other.
///
/// Thread-safety: one thread.
/// Python: `asyncio.Runner`; here the destructor closes the loop.
class Runner {
public:
    /// Makes a runner. The loop is made at its first use.
    explicit Runner(RunOptions options = {});
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;
    /// `close()`.
    ~Runner();

    /// Runs `main` (a Coro, a function that returns one, or anything that can be awaited) to its
    /// end. Returns its value or throws its error. Other tasks that are left stay in the loop, and
    /// continue at the next `run`. The runner has a context of its own, a copy of the one in which
    /// it was made, so one `run` sees the variables that an earlier one has set. `context` replaces
    /// it if it is not null.
    /// Throws also: KeyboardInterrupt; Terminated; RuntimeError inside a running loop or after
    /// `close`; DeadlockError.
    template <internal::Startable Main>
    decltype(auto) run(Main&& main, const Context* context = nullptr) {
        auto task =
            loop_to_run().create_task(internal::coroutine_of(std::forward<Main>(main)),
                                      {.context = context != nullptr ? context : &context_});
        using Value = typename decltype(task)::value_type;
        run_main(task, *task.state());
        try {
            return static_cast<Value>(std::move(*task.state()).take().value());
        } catch (...) {
            const internal::LeavingRun leaving;
            throw;
        }
    }

    /// The loop, which is made at the first use. Throws: RuntimeError after `close`.
    EventLoop& get_loop();

    /// Cancels every task that is left, waits for all of them, and reports the errors with which
    /// they end. Then closes the generators that are left, shuts the default executor down, and
    /// closes the loop. A task that does not end is waited for; after five seconds the log names
    /// it. Calling this twice is allowed. Throws: RuntimeError while the runner runs.
    void close();

private:
    /// The loop, for `run`. Throws: RuntimeError inside a running loop.
    EventLoop& loop_to_run();
    /// The parts of `close`: the listeners of the end, and all steps of the end in their order.
    void shut_down();
    void wind_up();
    /// The parts of `run` that do not depend on the type: the run itself, and the run with a
    /// handler of Ctrl-C around it.
    void run_main(TaskRef task, internal::FutureBase& future);
    void run_interruptibly(TaskRef& task, internal::FutureBase& future);

    friend internal::SingleRun;

    RunOptions options_;
    Context context_ = copy_context();
    std::unique_ptr<EventLoop> loop_;
    /// Made for each run. Kept until the end, because a signal may come between the end of the main
    /// task and that of the loop.
    std::unique_ptr<internal::StopSignals> stop_signals_;
    bool closed_ = false;
    /// This is a `SingleRun`.
    bool runs_once_ = false;
};

namespace internal {

/// The Runner of the function `run`: after its main task no code of the program runs before the
/// end. So the signals of `terminate_on` are heard from the beginning to the end, without a gap.
class SingleRun : public Runner {
public:
    explicit SingleRun(RunOptions options);
};

}  // namespace internal

namespace no_adl {

/// Runs `main` on a loop of its own: `run(amain())`, `run(amain)`. This is the entry point of a
/// program.
///
/// When `main` has ended, the tasks that are left are cancelled and waited for, and their errors
/// are logged.
/// Throws: what `main` throws; KeyboardInterrupt if Ctrl-C has ended it; Terminated if
/// a signal of `terminate_on` has; RuntimeError inside a running loop. A KeyboardInterrupt or
/// Terminated that is not caught ends the program by the signal. Any other error that is not caught
/// is shown with the awaits through which it came, and then `std::terminate` ends the program.
/// Python: `asyncio.run`.
///
/// A service that cleans up when it is asked to end, in one line:
///
///   int main() { asyncio::run(serve(), {.terminate_on = {SIGTERM}}); }
template <internal::Startable Main>
decltype(auto) run(Main&& main, RunOptions options = {}) {
    internal::SingleRun runner(options);
    try {
        return runner.run(std::forward<Main>(main));
    } catch (...) {
        // An error that is not caught unwinds nothing, so the destructor of the runner would not
        // run. The tasks that are left have to end in that case, too.
        runner.close();
        const internal::LeavingRun leaving;
        throw;
    }
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
