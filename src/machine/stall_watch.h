#pragma once
// Finds out where a thread is stuck, while it is stuck.
//
// A thread that runs a loop in debug mode says when a step begins and when it ends. A second
// thread, one for the whole process, watches. When a step has lasted longer than its limit, the
// watcher sends the stuck thread a signal. The handler runs on that thread, on top of the step, and
// notes the stack. When the step ends, the report names the place where it was stuck.
//
// When the watcher looks. If the watcher slept until the deadline of each step, each step would
// have to wake it, which costs a system call. It looks instead at least once in every limit. A step
// that becomes too long lasts for at least a limit, so one look falls into it before the limit has
// passed, and that look knows the deadline. So a beginning costs two stores, and the signal comes
// when the limit has passed and not later. When a look finds no step at all, the watcher goes to
// sleep, and the next beginning wakes it.
//
// The stack is noted when the step has lasted for 1, 2, 4, 8, … limits, and each note replaces the
// one before. So the last note is from the second half of the step: a step that first computes for
// a moment and then blocks for an hour is reported where it blocked.
//
// A step that does not end is reported while it lasts: when it has lasted for a second, and again
// at each later note, the watcher itself logs what the handler has noted. The watcher never reads
// the stuck thread's own objects, because the thread may change them at any moment. The handler
// can, since it runs on that thread. It writes the name of the task beside the stack, and says when
// both are complete; then the watcher reads them. The handler writes only when the watcher has
// asked, so it does not write while the watcher reads.
//
// The signal is SIGURG, which is ignored by default and which few programs use. A program that has
// its own handler for it keeps it; the report then says how long a step took but not where it was.
// System calls of the stuck step are restarted, except for the few that never are (poll, select and
// similar calls return EINTR, as they may at any time).
//
// Thread-safety: a `StallWatch` belongs to its thread.

#include <asyncio/internal/base/time.h>

#include "machine/call_stack.h"

#include <array>
#include <atomic>
#include <csignal>
#include <span>
#include <string>

namespace asyncio::internal {

class Watchdog;

/// "1.234 s".
std::string seconds_text(Duration duration);

/// The chain of calls from where a step was stuck up to where it began; empty if none is known.
std::string chain_of_calls(const RawStack& stack);

class StallWatch {
public:
    /// Writes what runs, "the task Task-7", into `text`, and returns how many characters that took.
    /// Called in a signal handler on the thread that runs it: no allocation, no lock.
    using Describe = std::size_t (*)(std::span<char> text) noexcept;

    /// The watch of the calling thread. The first call of a process starts the watching thread; if
    /// it cannot be started, steps are timed and not watched. Null if there is no memory.
    static StallWatch* of_this_thread() noexcept;

    StallWatch() noexcept = default;
    StallWatch(const StallWatch&) = delete;
    StallWatch& operator=(const StallWatch&) = delete;
    ~StallWatch();

    /// A step begins. Steps do not nest. The part of the stack below the frame at `stack_end` (its
    /// `__builtin_frame_address`) belongs to the step.
    void begin(Duration limit, const void* stack_end, Describe describe) noexcept;

    /// The step has ended. Returns how long it took, in real time, whatever the loop's clock says.
    Duration end() noexcept;

    /// The place of the step in progress, or else of the last one, when it was last looked at;
    /// empty if it was not looked at.
    const RawStack& stack() const noexcept;

private:
    friend Watchdog;
    using Nanoseconds = Duration::rep;

    static void handle_signal(int, siginfo_t*, void* context) noexcept;
    void write_note(const void* context) noexcept;
    void enroll() noexcept;

    /// When the step in progress began, on the steady clock; 0 between steps. Stored by the thread,
    /// read by the watcher and by the handler.
    std::atomic<Nanoseconds> began_{0};
    std::atomic<Nanoseconds> limit_{0};

    /// The watcher has asked for a note, and the handler has not begun it.
    std::atomic<bool> is_asked_{false};
    /// The beginning of the step to which the note belongs. Stored after the note.
    std::atomic<Nanoseconds> noted_{0};

    // The note. The handler writes it, on this thread and within a step only.
    RawStack stack_;
    std::array<char, 80> name_{};
    std::size_t name_size_ = 0;

    // The thread's own.
    const void* stack_end_ = nullptr;
    Describe describe_ = nullptr;
    Nanoseconds last_began_ = 0;
    /// The watchdog that watches; null if there is none. After a fork it is the parent's watchdog,
    /// which is of no use here. A comparison with the current watchdog shows this.
    Watchdog* watchdog_ = nullptr;
};

}  // namespace asyncio::internal
