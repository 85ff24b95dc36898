#pragma once
// The life of a child, from exec to the collected exit status.
//
// The state, not a task, keeps a poll on the child's pidfd in flight, and with it a reference to
// itself. So a child is reaped whoever is interested, and whatever becomes of those who were:
//
//     running ──(the pidfd is readable)──► its group ended, if asked for ──► reaped, `returncode`
//
// Until it is reaped the child's number is its own, and so is that of its group: which is what
// makes it safe to end the group at that point. A debugger that traces the child has the first
// right to its status; until it has had it, the state looks again every now and then.
//
// A child that nobody can ask about any more, because its handle was dropped or its loop closes,
// is killed. The loop waits for its end as it does for any operation in flight.
//
// Thread-safety: none.

#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/subprocess.h>

#include "process/spawn.h"

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
    /// The handle is gone.
    void drop() noexcept;

    /// Gives the child its input and closes the pipe. Throws: `std::invalid_argument`.
    void feed(std::string input);
    /// Reads both outputs to their ends. What has come stays here, also when it is cancelled.
    static Coro<> receive_outputs(Ref<ProcessState> process);
    Process::Output take_output();

    IntrusiveList<ProcessWaiter::Place>& line() noexcept { return line_; }

private:
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
    int signal_child(int signal_number) noexcept;
    int signal_group(int signal_number) noexcept;
    void check_sent(int error, int signal_number) const;

    static void exit_reported(lowlevel::Operation& operation) noexcept;
    /// It is time to look again.
    void alarm_rings() noexcept;
    static void loop_closes(AtClose& listener) noexcept;

    EventLoop& loop_;
    lowlevel::Fd pidfd_;
    ExitPoll exit_poll_;
    IntrusiveList<ProcessWaiter::Place> line_;

    // Second handles to the streams, for a `communicate` that goes on when the Process has moved.
    StreamWriter stdin_;
    StreamReader stdout_;
    StreamReader stderr_;
    /// What was read to its end while a `communicate` still waits for the rest.
    Process::Output output_;

    std::string program_;
    std::optional<int> returncode_;
    int pid_ = -1;
    std::uint32_t references_ = 1;
    bool has_group_;
    bool ends_group_;
    bool has_communicated_ = false;
};

}  // namespace asyncio::internal
