#pragma once
// The request with which a scope cancels the task that runs it, and how the scope finds out whether
// the CancelledError that follows is its own doing.
//
// A limit, a task group and Ctrl-C end the code inside them by cancelling a task. The code then
// ends with a CancelledError, and the scope has to decide: it turns its own cancellation into a
// TimeoutError, an ExceptionGroup or nothing, and it must let every other one pass. The error
// itself does not say who has asked, and it cannot: several requests in one iteration are delivered
// as one CancelledError.
//
// So the task counts, as in CPython: `cancel` adds one to `cancelling()`, and `uncancel` takes one
// away. The scope takes its own request back at its end and looks at what is left. Two counts
// decide:
//
// - The count at the entry of the scope. Requests that were delivered before the scope began still
//   count, although the program has caught them; they say nothing about the scope's end.
//   `asked_by_others` compares with this count.
// - Zero. A task group compares with zero, as CPython does: as long as any request counts, the
//   CancelledError leaves the group.
//
// A request that was pending when the scope began is not part of the count at the entry. It has not
// been delivered yet, so it ends the code inside, and it is not the doing of the scope. (CPython
// counts it; there a limit of zero turns a request from outside into a TimeoutError.)
//
// Taking back has a second half. A request may have come too late for the last wait inside. It is
// then still pending, and would hit the first wait behind the scope. `uncancel` withdraws the
// pending request only when the count falls to zero, since no other request can be meant in that
// case. A scope that knows better calls `withdraw`.
//
// The request names the mask under which the scope began (`cancel_mask.h`). So a limit set inside a
// cleanup reaches the cleanup, and a limit around it is held back until the cleanup has ended.
//
// Thread-safety: loop thread only. Lifetime: the task lives longer than this object.

#include <asyncio/internal/core/task_core.h>

#include <cstdint>
#include <exception>

namespace asyncio::internal {

/// A scope has one and makes at most one request with it.
class OwnRequest {
public:
    /// The scope begins in `task`, or around it before its first step.
    explicit OwnRequest(TaskCore& task) noexcept
        : task_(task),
          mask_(task.mask()),
          at_entry_(std::int64_t{task.cancelling()} - (task.must_cancel() ? 1 : 0)) {}

    /// Cancels the task. No request is made if the task has ended.
    void make() { is_made_ = task_.cancel({}, mask_); }
    /// Whether `make` has made a request, also after `take_back`.
    bool is_made() const noexcept { return is_made_; }

    /// Takes the request back. Returns how many requests still count; zero means that no code but
    /// the scope has asked.
    std::uint32_t take_back() noexcept { return task_.uncancel(); }
    /// Whether more requests count than at the entry. The scope's own request is one of them as
    /// long as it counts.
    bool asked_by_others() const noexcept { return std::int64_t{task_.cancelling()} > at_entry_; }
    /// Withdraws the pending request, which is the scope's own: the code inside never received it.
    void withdraw() noexcept { task_.withdraw(); }

    /// The CancelledError of a request that other code made after the scope's own request was
    /// delivered, and that was not delivered to the code inside. It carries the reason of that
    /// request. Null if there is no such request.
    std::exception_ptr take_pending() {
        return is_made_ && task_.must_cancel() ? task_.take_cancellation() : nullptr;
    }
    /// Makes the next wait behind the scope deliver the requests of others once more. The count
    /// stays as it is. CPython does the same two calls.
    void renew_others() {
        if (task_.cancelling() == 0) return;
        task_.uncancel();
        task_.cancel({}, mask_);
    }

private:
    TaskCore& task_;
    const CancelMask* mask_;
    /// Signed: a task may have a pending request and a count of zero.
    std::int64_t at_entry_;
    bool is_made_ = false;
};

}  // namespace asyncio::internal
