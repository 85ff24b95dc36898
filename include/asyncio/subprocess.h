#pragma once
// Running other programs.
//
// That a process has ended is learnt from the process itself, through a pidfd, never from its
// pipes: a grandchild may hold those open for as long as it likes. Signals go through the pidfd
// too, so they reach this process or nobody, whatever has become of its number. And nobody reaps
// the process but us, so until then its number, and its group's, cannot be anybody else's.
//
// A child starts with an empty signal mask and with SIGPIPE and SIGINT as by default, and of our
// descriptors inherits those that the options name, no others.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/waiter.h>
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
    enum class Kind : std::uint8_t { inherit, pipe, output, null, descriptor };

    constexpr explicit Stdio(Kind kind, int number = -1) noexcept : kind_(kind), number_(number) {}
    /// A descriptor of ours, which stays ours: a file, a socket, the end of some pipe.
    static constexpr Stdio fd(int number) noexcept { return Stdio(Kind::descriptor, number); }

    constexpr Kind kind() const noexcept { return kind_; }
    constexpr int number() const noexcept { return number_; }

private:
    Kind kind_;
    int number_;
};

/// Where ours leads. Python: `None`.
inline constexpr Stdio INHERIT{Stdio::Kind::inherit};
/// To `Process::stdin`, `stdout`, `stderr`.
inline constexpr Stdio PIPE{Stdio::Kind::pipe};
/// For stderr alone: where stdout leads.
inline constexpr Stdio STDOUT{Stdio::Kind::output};
/// /dev/null.
inline constexpr Stdio DEVNULL{Stdio::Kind::null};

/// What views refer to is copied when the function that takes the options is called.
struct SubprocessOptions {
    Stdio stdin = INHERIT;
    Stdio stdout = INHERIT;
    Stdio stderr = INHERIT;
    /// The child's working directory. Empty: ours.
    std::string_view cwd = {};
    /// "NAME=value", all of the child's environment. Nothing: ours.
    std::optional<std::span<const std::string>> env = {};
    /// Makes it a session leader (setsid(2)): without a terminal, and with a group of its own.
    bool start_new_session = false;
    /// The process group to join; 0: a new one, whose number is the child's. Nothing: ours.
    std::optional<int> process_group = {};
    /// When the child ends, what is left of its own group is killed, before anybody can learn of
    /// the end. Needs a group of its own. Then `communicate` ends with the child, too: nobody is
    /// left to hold the pipes, but for those who left the group.
    bool end_group_at_exit = false;
    /// Descriptors that the child gets under the numbers they have here.
    std::span<const int> pass_fds = {};
    /// For the readers of stdout and stderr, as `StreamOptions::limit`.
    std::size_t limit = default_stream_limit_bytes;
};

namespace internal {

class ProcessState;

class ProcessWaiter : public lowlevel::Waiter {
public:
    explicit ProcessWaiter(Ref<ProcessState> process);
    ~ProcessWaiter();

    bool await_ready() const noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        stand_in_line();
        park(coroutine, &abort);
    }
    int await_resume();

private:
    friend ProcessState;
    struct Place : ListNode {
        ProcessWaiter* waiter = nullptr;
    };

    void stand_in_line();
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept;

    Ref<ProcessState> process_;
    Place place_;
};

}  // namespace internal

/// What `Process::wait` returns: `co_await` gives an `int`.
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

/// A child process. A handle; one that was moved from refers to none, and throws RuntimeError when
/// it is used.
///
/// Dropping the handle of a process that runs kills it; the loop reaps it, now or when it closes.
/// Python: `asyncio.subprocess.Process`.
class Process {
public:
    /// What a process wrote, as far as it went to a pipe.
    struct Output {
        std::string stdout;
        std::string stderr;
    };

    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();

    /// Our ends of the pipes; false where there is none.
    StreamWriter stdin;
    StreamReader stdout;
    StreamReader stderr;

    int pid() const;

    /// The exit status; −N if signal N ended it; nothing while it runs, as far as the loop has
    /// noticed. 255 if somebody else has reaped it.
    std::optional<int> returncode() const;

    /// Waits for the end of the process, and for nothing else: its pipes may still hold output, and
    /// its children may live. Returns `returncode()`. Many tasks may wait.
    /// Cancellation: a cancellation point if it must wait; the process goes on.
    /// Python: waits for the pipes too, until 3.14.
    ProcessWait wait() const;

    /// Writes `input` to stdin and closes it, reads stdout and stderr until both have ended, and
    /// waits for the process.
    ///
    /// That the process does not read its input is no error.
    /// Throws: `std::invalid_argument` for input without a pipe to stdin, or input in a second
    /// call; OsError when a pipe cannot be read.
    /// Cancellation: a cancellation point if it must wait. The process goes on, the input is still
    /// written, and what was read is kept: call again to go on, or `take_output`.
    Coro<Output> communicate(std::string input = {});

    /// What a `communicate` that was cancelled had read so far. Never waits.
    Output take_output();

    /// Sends a signal. Nothing happens, and nobody else is hit, if the process has ended.
    /// Throws: OsError (EPERM for a process that became somebody else's, EINVAL for no signal).
    void send_signal(int signal_number) const;
    /// SIGTERM.
    void terminate() const;
    /// SIGKILL.
    void kill() const;

    /// Sends a signal to every process in the process's own group, its children among them.
    ///
    /// Nothing happens if there is none left. Linux before 6.9 cannot name a group safely once its
    /// leader was reaped; nothing happens then either.
    /// Throws: RuntimeError if the process has no group of its own (`process_group`,
    /// `start_new_session`); OsError.
    void send_signal_to_group(int signal_number) const;

private:
    friend internal::ProcessState;
    Process(internal::Ref<internal::ProcessState> state, StreamWriter input, StreamReader output,
            StreamReader errors) noexcept;
    void drop() noexcept;
    internal::ProcessState& state() const;
    internal::Ref<internal::ProcessState> shared_state() const;

    internal::Ref<internal::ProcessState> state_;
};

/// Starts a program. `arguments[0]` is its name, looked up in PATH (that of `options.env` if that
/// has one) unless it contains a slash.
///
/// Starting is done by vfork and exec and holds the loop for a fraction of a millisecond. To keep
/// timers and other tasks going, one program is started per iteration of the loop, in the order of
/// the calls.
/// Throws: OsError naming the program ("spawn /bin/nosuch: No such file or directory"), also when
/// there are no descriptors (EMFILE, ENFILE) or processes (EAGAIN) to be had; nothing runs then.
/// `std::invalid_argument` for no arguments, a zero byte, STDOUT where it has no meaning, or
/// `end_group_at_exit` without a group.
/// Cancellation: always yields, before anything is started: if it is cancelled, nothing was.
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

/// The same with the arguments one by one: `create_subprocess_exec("ls", "-l")`.
template <internal::ProgramArgument... Words>
    requires(sizeof...(Words) > 0)
Coro<Process> create_subprocess_exec(const Words&... words) {
    return internal::exec_words({}, words...);
}

// And with options: `create_subprocess_exec("ls", "-l", {.stdout = PIPE})`. One function for each
// number of arguments, for options in braces can be passed only to a parameter of a known type.
// Beyond seven, pass a vector.

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

/// Runs `command` with `/bin/sh -c --`. Otherwise as `create_subprocess_exec`.
/// Python: `asyncio.create_subprocess_shell`, which gives a command that begins with a dash to the
/// shell as an option.
Coro<Process> create_subprocess_shell(std::string command, SubprocessOptions options = {});

}  // namespace asyncio
