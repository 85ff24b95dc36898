#pragma once
// Running other programs.
//
// The library learns the end of a process from the process itself, through a pidfd, and never from
// its pipes: a grandchild may hold the pipes open for any time. Signals go through the pidfd, too.
// So a signal reaches this process or no process at all, even if the process has ended and its
// number belongs to another one. And only this library reaps the process; until then its number,
// and the number of its group, cannot be given to another process.
//
// A child starts with an empty signal mask and with the default actions of SIGPIPE and SIGINT. It
// inherits the descriptors that the options name, and no others.
//
// A process that is dropped is killed, because a child without a handle has no owner that could
// wait for it. The loop still waits for its end and reaps it, so no zombie is left.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/delay.h>
#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/streams.h>

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio {

/// Where one of a child's three standard descriptors leads.
class Stdio {
public:
    /// As `INHERIT`, `PIPE`, `STDOUT`, `DEVNULL`, and `fd`.
    enum class Kind : std::uint8_t { inherit, pipe, output, null, descriptor };

    constexpr explicit Stdio(Kind kind, int number = -1) noexcept : kind_(kind), number_(number) {}
    /// A descriptor of this process: a file, a socket, the end of a pipe. The child gets a copy,
    /// and the descriptor stays the caller's.
    static constexpr Stdio fd(int number) noexcept { return Stdio(Kind::descriptor, number); }

    constexpr Kind kind() const noexcept { return kind_; }
    constexpr int number() const noexcept { return number_; }

private:
    Kind kind_;
    int number_;
};

/// The child uses the same file as this process. Python: `None`.
inline constexpr Stdio INHERIT{Stdio::Kind::inherit};
/// A new pipe, whose other end is `Process::stdin`, `stdout` or `stderr`.
inline constexpr Stdio PIPE{Stdio::Kind::pipe};
/// For stderr only: the file to which the child's stdout leads.
inline constexpr Stdio STDOUT{Stdio::Kind::output};
/// /dev/null.
inline constexpr Stdio DEVNULL{Stdio::Kind::null};

/// How a program is started. The texts and lists behind the views are copied when the function that
/// takes the options is called.
struct SubprocessOptions {
    /// Where the child's standard input, output and error lead.
    Stdio stdin = INHERIT;
    Stdio stdout = INHERIT;
    Stdio stderr = INHERIT;
    /// The child's working directory. Empty: that of this process.
    std::string_view cwd = {};
    /// The whole environment of the child, each element "NAME=value". Without a value: the
    /// environment of this process.
    std::optional<std::span<const std::string>> env = {};
    /// Makes the child the leader of a new session (setsid(2)): without a terminal, and with a
    /// process group of its own.
    bool start_new_session = false;
    /// The process group that the child joins. 0: a new group, whose number is the child's. Without
    /// a value: the group of this process.
    std::optional<int> process_group = {};
    /// Kills the rest of the child's process group when the child has ended, before its end is
    /// reported. Needs a group of its own. `communicate` then ends with the child as well, since no
    /// process of the group is left that holds the pipes. (A process that has left the group may
    /// still hold them.)
    bool end_group_at_exit = false;
    /// Descriptors that the child gets, under the numbers that they have in this process.
    std::span<const int> pass_fds = {};
    /// The limit of the readers of stdout and stderr, as `StreamOptions::limit`.
    std::size_t limit = default_stream_limit_bytes;
};

namespace internal {

class ProcessState;

/// The awaiter of `Process::wait`. It stands in a line of the process until that has been reaped.
class ProcessWaiter : public lowlevel::LineWaiter {
public:
    explicit ProcessWaiter(Ref<ProcessState> process);
    ~ProcessWaiter();

    bool await_ready() const noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(line(), coroutine);
    }
    int await_resume();

private:
    /// The line of the process. Throws: RuntimeError if the process belongs to another loop.
    lowlevel::Line& line();

    Ref<ProcessState> process_;
};

}  // namespace internal

/// The return type of `Process::wait`: `co_await` gives an `int`.
class [[nodiscard]] ProcessWait {
public:
    explicit ProcessWait(internal::Ref<internal::ProcessState> process) noexcept;
    ProcessWait(const ProcessWait&) noexcept;
    ProcessWait& operator=(const ProcessWait&) = delete;
    ~ProcessWait();
    internal::ProcessWaiter operator co_await() const;

private:
    internal::Ref<internal::ProcessState> process_;
};

/// A child process. A handle that was moved from refers to no process, and throws RuntimeError when
/// it is used.
///
/// Dropping the handle of a process that runs kills the process. The loop reaps it, at the latest
/// when the loop closes.
/// Python: `asyncio.subprocess.Process`.
class Process {
public:
    /// The bytes that a process wrote to its pipes.
    struct Output {
        std::string stdout;
        std::string stderr;
    };

    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();

    /// This process's ends of the pipes. A stream is false if there is no pipe.
    StreamWriter stdin;
    StreamReader stdout;
    StreamReader stderr;

    /// The number of the process.
    int pid() const;

    /// The exit status; −N if signal N has ended the process. Without a value while the process
    /// runs, or has ended and the loop has not noticed yet. 255 if other code has reaped the
    /// process, because its status is lost then.
    std::optional<int> returncode() const;

    /// Waits for the end of the process only: its pipes may still hold output, and its children may
    /// still run. Many tasks may wait.
    /// Returns the value of `returncode()`.
    /// Cancellation: a cancellation point if it must wait. The process continues.
    /// Python: `process.wait()`, which before 3.14 waits for the pipes, too.
    ProcessWait wait() const;

    /// Writes `input` to stdin and closes it, reads stdout and stderr until both have ended, and
    /// waits for the process.
    ///
    /// A process that does not read its input is no error.
    /// Throws: `std::invalid_argument` for input without a pipe to stdin, or input in a second
    /// call; OsError when a pipe cannot be read.
    /// Cancellation: a cancellation point if it must wait. The process continues, the input is
    /// still written, and the bytes that were read are kept: call this again to continue, or call
    /// `take_output`.
    Coro<Output> communicate(std::string input = {});

    /// Takes the bytes that a cancelled `communicate` had read. Never waits.
    Output take_output();

    /// Sends a signal. If the process has ended, the call has no effect, and no other process gets
    /// the signal.
    /// Throws: OsError (EPERM for a process that has changed to another user, EINVAL for a number
    /// that is no signal).
    void send_signal(int signal_number) const;
    /// Sends SIGTERM, which asks the process to end.
    void terminate() const;
    /// Sends SIGKILL, which the process cannot catch.
    void kill() const;

    /// Sends a signal to every process in the process's own group, so also to its children.
    ///
    /// The call has no effect if no process of the group is left. Linux before 6.9 cannot name a
    /// group safely after its leader was reaped; the call has no effect then, either.
    /// Throws: RuntimeError if the process has no group of its own (`process_group`,
    /// `start_new_session`); OsError.
    void send_signal_to_group(int signal_number) const;

    /// Ends the process and all other processes of its group. Asks them first: SIGTERM, and SIGCONT
    /// because a stopped process acts on SIGTERM only when it continues. When all of them have
    /// ended, or after `grace`, sends SIGKILL to the group, and waits for the process.
    ///
    /// With a `grace` of zero or less, sends SIGKILL at once. The other processes of the group are
    /// not waited for after SIGKILL: they run no more code, and the kernel needs a moment to remove
    /// them. A process that has left the group (setsid) is not ended.
    ///
    /// Linux before 6.9 cannot name a group safely after its leader was reaped. There the rest of
    /// the group is killed as soon as the process has ended, and gets no further grace.
    /// Returns the value of `returncode()`.
    /// Throws: RuntimeError if the process has no group of its own (`process_group`,
    /// `start_new_session`), or belongs to another loop; OsError (EPERM) if all processes of the
    /// group have changed to another user.
    /// Cancellation: a cancellation point if it must wait. When it is cancelled during the grace,
    /// the whole group is sent SIGKILL at once, before the CancelledError leaves. The same happens
    /// when the awaiting coroutine is destroyed. So no process of the group continues in any case.
    /// Lifetime: the handle may be moved or destroyed meanwhile. A dropped handle kills the
    /// process, as always, and the rest of the group keeps its grace.
    /// Cost: the end of a group is no event of the kernel. After the process has ended, this looks
    /// for the rest of its group every 5 to 50 ms, in /proc as well.
    /// Python: none; `os.killpg`, `asyncio.wait_for` and `os.killpg` again.
    Coro<int> end_group(Delay grace) const;

private:
    friend internal::ProcessState;
    Process(internal::Ref<internal::ProcessState> state, StreamWriter input, StreamReader output,
            StreamReader errors) noexcept;
    void drop() noexcept;
    internal::ProcessState& state() const;
    internal::Ref<internal::ProcessState> shared_state() const;

    internal::Ref<internal::ProcessState> state_;
};

/// Starts a program. `arguments[0]` is its name. A name without a slash is looked up in PATH: in
/// that of `options.env` if it has one, otherwise in that of this process.
///
/// The program is started by vfork and exec, which blocks the loop for a fraction of a millisecond.
/// So that timers and other tasks continue, one program is started in each iteration of the loop,
/// in the order of the calls.
/// Throws: OsError with the name of the program ("spawn /bin/nosuch: No such file or directory"),
/// also if there are no more descriptors (EMFILE, ENFILE) or processes (EAGAIN); no program runs
/// then. `std::invalid_argument` if there are no arguments, for a zero byte in a text, for STDOUT
/// where it has no meaning, and for `end_group_at_exit` without a group.
/// Cancellation: always yields, before the program is started. If the call is cancelled, no program
/// was started.
/// Python: `asyncio.create_subprocess_exec`.
Coro<Process> create_subprocess_exec(std::vector<std::string> arguments,
                                     SubprocessOptions options = {});

namespace internal {

template <class T>
concept ProgramArgument = std::convertible_to<T, std::string_view>;

template <ProgramArgument... Words>
Coro<Process> exec_words(const SubprocessOptions& options, const Words&... words) {
    std::vector<std::string> arguments;
    arguments.reserve(sizeof...(words));
    (arguments.emplace_back(std::string_view(words)), ...);
    return create_subprocess_exec(std::move(arguments), options);
}

}  // namespace internal

/// The same with each argument as a parameter: `create_subprocess_exec("ls", "-l")`.
template <internal::ProgramArgument... Words>
    requires(sizeof...(Words) > 0)
Coro<Process> create_subprocess_exec(const Words&... words) {
    return internal::exec_words({}, words...);
}

// The same with options: `create_subprocess_exec("ls", "-l", {.stdout = PIPE})`. There is one
// function for each number of arguments, because options in braces can be passed only to a
// parameter of a known type. For more than seven arguments, pass a vector.

template <internal::ProgramArgument A>
Coro<Process> create_subprocess_exec(const A& a, SubprocessOptions options) {
    return internal::exec_words(options, a);
}
template <internal::ProgramArgument A, internal::ProgramArgument B>
Coro<Process> create_subprocess_exec(const A& a, const B& b, SubprocessOptions options) {
    return internal::exec_words(options, a, b);
}
template <internal::ProgramArgument A, internal::ProgramArgument B, internal::ProgramArgument C>
Coro<Process> create_subprocess_exec(const A& a, const B& b, const C& c,
                                     SubprocessOptions options) {
    return internal::exec_words(options, a, b, c);
}
template <internal::ProgramArgument A, internal::ProgramArgument B, internal::ProgramArgument C,
          internal::ProgramArgument D>
Coro<Process> create_subprocess_exec(const A& a, const B& b, const C& c, const D& d,
                                     SubprocessOptions options) {
    return internal::exec_words(options, a, b, c, d);
}
template <internal::ProgramArgument A, internal::ProgramArgument B, internal::ProgramArgument C,
          internal::ProgramArgument D, internal::ProgramArgument E>
Coro<Process> create_subprocess_exec(const A& a, const B& b, const C& c, const D& d, const E& e,
                                     SubprocessOptions options) {
    return internal::exec_words(options, a, b, c, d, e);
}
template <internal::ProgramArgument A, internal::ProgramArgument B, internal::ProgramArgument C,
          internal::ProgramArgument D, internal::ProgramArgument E, internal::ProgramArgument F>
Coro<Process> create_subprocess_exec(const A& a, const B& b, const C& c, const D& d, const E& e,
                                     const F& f, SubprocessOptions options) {
    return internal::exec_words(options, a, b, c, d, e, f);
}
template <internal::ProgramArgument A, internal::ProgramArgument B, internal::ProgramArgument C,
          internal::ProgramArgument D, internal::ProgramArgument E, internal::ProgramArgument F,
          internal::ProgramArgument G>
Coro<Process> create_subprocess_exec(const A& a, const B& b, const C& c, const D& d, const E& e,
                                     const F& f, const G& g, SubprocessOptions options) {
    return internal::exec_words(options, a, b, c, d, e, f, g);
}

/// Runs `command` by `/bin/sh -c --`. Otherwise as `create_subprocess_exec`.
/// Python: `asyncio.create_subprocess_shell`. There a command that begins with a dash is an option
/// of the shell.
Coro<Process> create_subprocess_shell(std::string command, SubprocessOptions options = {});

}  // namespace asyncio
