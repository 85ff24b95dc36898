#pragma once
// Tasks that wait in a line: the base of an awaiter whose source decides when each task continues.
//
// The source has a `Line`; an awaiter derives from `LineWaiter` and joins the line when it parks.
// The source wakes a waiter with `wake`, in whatever order it likes: the first one, all of them, or
// those whose event has come. The waiter is the node of the list and lies in the frame of the
// coroutine that waits, so nothing is allocated.
//
// The answer to a request to cancel is always the same and needs no flag. A waiter that is in the
// line is taken out and never learns of its event (`removed`). A waiter that is in no line any more
// has been woken: it has what it waited for, and the request comes too late for this wait.
//
// The line of `asyncio::Lock` and its kin (`internal/sync/wait_queue.h`) is a different one. It
// follows Python in a point that programs can see: a waiter that was cancelled keeps its place
// until it runs. And that line may be destroyed while tasks wait in it. Neither is needed here.
//
// Thread-safety: loop thread only. Lifetime: the line must be empty when it is destroyed.

#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/lowlevel/waiter.h>

#include <coroutine>
#include <string_view>

namespace asyncio::lowlevel {

/// A task in a line. See the top of the file.
class LineWaiter : public Waiter, public internal::ListNode {
public:
    /// Takes the waiter out of its line. Its task runs in the next iteration. For the source.
    void wake() noexcept {
        unlink();
        internal::TaskCore& parked = task();
        parked.loop().schedule(parked);
    }

protected:
    /// Suspends the task at `coroutine`, as the last in `line`. The source of the line belongs to
    /// the loop of the task; the awaiter has checked that.
    template <class Promise>
    void wait_in(internal::IntrusiveList<LineWaiter>& line,
                 std::coroutine_handle<Promise> coroutine, AbortHook hook = &leave_line) {
        // Called before the waiter enters the list, because it throws outside a task.
        task();
        line.push_back(*this);
        park(coroutine, hook);
    }

    /// The usual hook. A derived class with a hook of its own calls it first.
    static Abort leave_line(Waiter& waiter, std::string_view) noexcept {
        auto& self = static_cast<LineWaiter&>(waiter);
        if (!self.linked()) return Abort::too_late;
        self.unlink();
        return Abort::removed;
    }
};

/// The tasks that wait, the longest wait first.
using Line = internal::IntrusiveList<LineWaiter>;

}  // namespace asyncio::lowlevel
