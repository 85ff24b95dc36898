// A gather: the end of a part, a cancellation, and the close of the loop.
//
// The gather watches the futures of its parts (`FutureWatch`). A part that ends is reported to
// `future_ended` one iteration later. The last report completes the gather's own future, and the
// task that awaits the gather runs one iteration after that. So a gather resumes two iterations
// after its last part has ended. This is CPython's order, where `_done_callback` is a done-callback
// of each child.
//
// Ownership. The gather holds handles of its parts. The lists of the parts' futures point into the
// array of nodes of the watch, which is part of the gather. Therefore the gather holds a reference
// to itself from its beginning until the last part has reported. A part may be a future that is
// never set and never reports. So the gather is also in the list of objects that the loop calls at
// its end (`AtClose`). Otherwise such a gather would be a leak.
//
// Errors. The first error of a part completes the gather at once. The other parts continue: this is
// Python's rule, and programs depend on it. Their later errors are marked as seen, as in Python:
// the gather has failed already and can have one error only. Debug mode logs them.
//
// A cancelled gather waits until all parts have ended, unlike Python's, so that no part runs on
// without an owner. `cancel_requested_` is set when at least one part has accepted the request.
// From then on the first error is stored and not delivered, and a failure replaces a cancellation.
// The CancelledErrors of the parts are only the answer to the request, while a failure in a cleanup
// must reach the caller. If no part fails or is cancelled (all of them ignored the request), the
// gather still ends with a CancelledError.

#include <asyncio/gather.h>

#include "base/log.h"

namespace asyncio::internal {

void GatherBase::keep_until_reported() noexcept {
    outer().retain();
    outer().loop().at_close().push_back(*this);
}

/// The request visits the parts one after the other: `receive` names the first, `answered` each
/// further one. The walk stays a loop that way, however the gathers are nested. `asked_` can be a
/// member, because a walk visits every gather at most once.
FutureBase* GatherBase::receive(std::string_view) noexcept {
    any_will_end_ = false;
    asked_ = 0;
    return outer().done() ? nullptr : awaited(0);
}

/// As in Python, the gather counts as cancelled only if a part has accepted the request. If all
/// parts had ended, their results stand although they have not been reported yet.
FutureBase* GatherBase::answered(bool will_end, std::string_view message) noexcept {
    any_will_end_ |= will_end;
    if (FutureBase* const next = awaited(++asked_)) return next;
    if (any_will_end_) {
        cancel_requested_ = true;
        outer().set_cancel_message(message);
    }
    return nullptr;
}

/// The reference to itself goes last. It may be the last one, when the program has dropped the
/// future of the gather.
void GatherBase::future_ended(std::size_t, FutureBase& child) noexcept {
    if (!child.succeeded()) child_failed(child);
    if (--unfinished_ > 0) return;
    conclude();
    AtClose::unlink();
    outer().release();  // the gather's reference to itself
}

/// Parts that have not reported never will, because their loop is closing. The gather stays
/// pending, as any future of a closed loop that is not done, for a program that still has a handle.
/// The watch must end first: the futures of the parts may live longer than the gather.
void GatherBase::loop_closes(AtClose& listener) noexcept {
    auto& gather = static_cast<GatherBase&>(listener);
    gather.stop_watching();
    gather.outer().release();  // the gather's reference to itself
}

void GatherBase::child_failed(FutureBase& child) {
    if (errors_are_results_) return;
    std::exception_ptr error = child.error();
    child.mark_retrieved();
    // See "Errors" above: a failure outranks the cancellations that the gather itself asked for.
    const bool outranks = cancel_requested_ && first_error_ != nullptr &&
                          is_cancellation(first_error_) && !is_cancellation(error);
    if (first_error_ == nullptr || outranks) {
        first_error_ = error;
        if (!cancel_requested_ && !outer().done()) set_error(std::move(error));
    } else if (outer().loop().get_debug()) {
        // Python drops it silently.
        log(LogLevel::debug,
            "after the failure of a gather, another part of it ended with an error", [&] {
                return "after the failure of a gather, another part of it ended with: " +
                       describe(error);
            });
    }
}

/// The last part has reported. A gather that failed early has been done since then.
void GatherBase::conclude() {
    if (outer().done()) return;
    if (first_error_ != nullptr) return set_error(std::move(first_error_));
    if (cancel_requested_) return set_error(outer().make_cancellation());
    try {
        collect();
    } catch (...) {
        // A value could not be copied, or another handle has moved it out of its task.
        set_error(std::current_exception());
    }
}

}  // namespace asyncio::internal
