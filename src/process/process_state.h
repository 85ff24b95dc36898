#pragma once
// The life of a child, from exec to the collected exit status.
//
// The state itself, and not a task, keeps a poll on the child's pidfd in flight, and with it a
// reference to itself. So a child is reaped in any case, whether a task waits for it or not:
//
//     running ──(the pidfd is readable)──► its group ended, if asked for ──► reaped, `returncode`
//
// Until it is reaped, the child's number is its own, and so is the number of its group. This makes
// it safe to end the group at that point. A debugger that traces the child has the first right to
// its status; until the debugger has taken it, the state looks again every few milliseconds.
//
// A child whose handle was dropped, or whose loop closes, is killed: no code could ask about it any
// more. The loop waits for its end as it does for any operation in flight.
//
// Thread-safety: none.

#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/subprocess.h>

#include "process/spawn.h"

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>

namespace asyncio::internal {

class ProcessState final : public Pooled, private AtClose, private lowlevel::Alarm<ProcessState> {
public:
    /// Starts the child. Throws: as `spawn`.
    static Process start(EventLoop& loop, const SpawnRequest& request);

    ProcessState(const ProcessState&) = delete;
    ProcessState& operator=(const ProcessState&) = delete;

    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) delete this;
    }

    int pid() const noexcept { return pid_; }
    /// Throws: RuntimeError if the process belongs to another loop than `task`.
    void require_loop_of(TaskCore& task, const char* function) const;
    std::optional<int> returncode() const noexcept { return returncode_; }

    void send_signal(int signal_number);
    void send_signal_to_group(int signal_number);
    /// `Process::end_group` begins. Where the kernel cannot name a group without its leader, the
    /// rest of the group will be killed with the leader.
    /// Throws: RuntimeError if the process has no group of its own.
    void begin_to_end_group();
    /// SIGKILL to the group. Errors are not reported, because the caller could do nothing about
    /// them.
    void kill_group() noexcept { signal_group(SIGKILL); }
    /// Whether a process of the group can still be named, dead ones that were not reaped included.
    bool group_is_left() noexcept;
    /// The handle is destroyed: kills the process if it runs.
    void drop() noexcept;

    /// Gives the child its input and closes the pipe. Throws: `std::invalid_argument`.
    void feed(std::string input);
    /// Reads both outputs to their ends. The bytes stay in the state, also when the read is
    /// cancelled.
    static Coro<> receive_outputs(Ref<ProcessState> process);
    Process::Output take_output();

    lowlevel::Line& line() noexcept { return line_; }

private:
    /// Lets the callback, which knows the operation alone, find the state.
    struct ExitPoll : lowlevel::Operation {
        ProcessState* process = nullptr;
    };
    friend Alarm;

    ProcessState(EventLoop& loop, const SpawnRequest& request);
    ~ProcessState();

    void adopt(Spawned& child) noexcept;
    Process open_streams(const SpawnRequest& request, Spawned& child);
    static Coro<> receive(Ref<ProcessState> process, std::string Process::Output::* part);
    static Coro<> receive_both(Ref<ProcessState> process);
    std::string name() const;

    void watch() noexcept;
    bool reap() noexcept;
    void reap_killed() noexcept;
    void report_lost_status() noexcept;
    bool has_ended() const noexcept;
    void look_again_later() noexcept;
    void ended(int returncode) noexcept;
    /// Both return 0 or an errno, and never signal a process that is reaped.
    int signal_child(int signal_number) noexcept;
    int signal_group(int signal_number) noexcept;
    void check_sent(int error, int signal_number) const;
    void require_group() const;

    static void exit_reported(lowlevel::Operation& operation) noexcept;
    /// It is time to look again. The alarm holds a reference, which this gives back.
    void alarm_rings() noexcept;
    static void loop_closes(AtClose& listener) noexcept;

    EventLoop& loop_;
    /// Empty when the process is reaped, except while its group can still get signals.
    lowlevel::Fd pidfd_;
    ExitPoll exit_poll_;
    /// The tasks that wait for the end.
    lowlevel::Line line_;

    // Second handles to the streams, which do not own them, for a `communicate` that continues when
    // the `Process` has moved.
    StreamWriter stdin_;
    StreamReader stdout_;
    StreamReader stderr_;
    /// The output that was read to its end while a `communicate` still waits for the rest.
    Process::Output output_;

    /// For messages: the name as the caller gave it.
    std::string program_;
    /// Set once, when the process is reaped. From then on its number is not used any more.
    std::optional<int> returncode_;
    int pid_ = -1;
    /// Begins with the reference of `start`. No atomic: a state belongs to one loop.
    std::uint32_t references_ = 1;
    /// The child leads a group of its own.
    bool has_group_;
    /// The rest of that group is killed when the child has ended. Set by the option, or by
    /// `begin_to_end_group`.
    bool ends_group_;
    /// `communicate` has given the input. A later call continues to read and has none to give.
    bool has_communicated_ = false;
};

}  // namespace asyncio::internal
