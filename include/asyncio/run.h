#pragma once
// The way in: a loop, a main coroutine, and an orderly end.

#include <asyncio/context.h>
#include <asyncio/task.h>

#include <memory>
#include <optional>

namespace asyncio {
namespace internal {

/// Lives where an error leaves `run`. It is still there when the error turns out to be uncaught,
/// for then nothing is unwound, and the report is made; see uncaught.h.
class LeavingRun {
public:
    LeavingRun() noexcept;
    LeavingRun(const LeavingRun&) = delete;
    LeavingRun& operator=(const LeavingRun&) = delete;
    ~LeavingRun();
};

}  // namespace internal

/// What Ctrl-C does while a Runner runs on the process's main thread.
enum class Sigint : std::uint8_t {
    /// The first one cancels the main task, and `run` throws KeyboardInterrupt when that was the
    /// reason it ended. The second one ends the process as the signal does by default. Does nothing
    /// if the program has its own handler.
    cancel_main,
    /// The Runner leaves signals alone.
    ignore,
};

struct RunOptions {
    /// Nothing: as `ASYNCIO_DEBUG` says.
    std::optional<bool> debug = std::nullopt;
    lowlevel::BackendKind backend = lowlevel::BackendKind::automatic;
    Sigint sigint = Sigint::cancel_main;
    /// As `EventLoop::set_eager_tasks`.
    bool eager_tasks = false;
    /// How long the end waits for jobs on threads of the default executor. Those that are still
    /// busy then are named in the log and left to themselves.
    Delay executor_limit = std::chrono::seconds(300);
};

/// Several `run`s on one loop.
///
/// Thread-safety: one thread. Python: `asyncio.Runner`; here the destructor closes.
class Runner {
public:
    explicit Runner(RunOptions options = {});
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;
    ~Runner();

    /// Runs `main` (a Coro, a function that returns one, or anything that can be awaited) to its
    /// end; returns its value or throws its error.
    /// The runner has a context, a copy of the one in which it was made: what one `run` sets, the
    /// next one sees. `context` is used in its place if there is one.
    /// Throws also: KeyboardInterrupt; RuntimeError inside a running loop or after `close`;
    /// DeadlockError.
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

    /// The loop, made at first use. Throws: RuntimeError after `close`.
    EventLoop& get_loop();

    /// Cancels every task that is left, waits for all of them, and reports the errors they end
    /// with; shuts the default executor down; then closes the loop. A task that refuses to end is
    /// waited for, and after five seconds named in the log. Idempotent. Throws: RuntimeError while
    /// it runs.
    void close();

private:
    EventLoop& loop_to_run();
    void shut_down();
    void wind_up();
    void run_main(TaskRef task, internal::FutureBase& future);
    void run_interruptibly(TaskRef& task, internal::FutureBase& future);

    RunOptions options_;
    Context context_ = copy_context();
    std::unique_ptr<EventLoop> loop_;
    bool closed_ = false;
};

/// Runs `main` on a loop of its own: the entry point of a program. `run(amain())`, `run(amain)`.
///
/// When `main` ends, tasks that are left are cancelled and waited for, and what they throw is
/// logged.
/// Throws: what `main` throws; KeyboardInterrupt if Ctrl-C ended it; RuntimeError inside a running
/// loop. A KeyboardInterrupt that nobody catches ends the program by SIGINT; any other error is
/// shown with the awaits it came through before `std::terminate` ends the program.
/// Python: `asyncio.run`.
template <internal::Startable Main>
decltype(auto) run(Main&& main, RunOptions options = {}) {
    Runner runner(options);
    try {
        return runner.run(std::forward<Main>(main));
    } catch (...) {
        // An error that nobody catches unwinds nothing, and the tasks that are left are to end.
        runner.close();
        const internal::LeavingRun leaving;
        throw;
    }
}

}  // namespace asyncio
