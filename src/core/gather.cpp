#include <asyncio/gather.h>

#include "base/log.h"

namespace asyncio::internal {

void GatherBase::keep_until_reported() noexcept {
    outer().retain();
    outer().loop().at_close().push_back(*this);
}

FutureBase* GatherBase::receive(std::string_view) noexcept {
    any_will_end_ = false;
    asked_ = 0;
    return outer().done() ? nullptr : awaited(0);
}

FutureBase* GatherBase::answered(bool will_end, std::string_view message) noexcept {
    any_will_end_ |= will_end;
    if (FutureBase* const next = awaited(++asked_)) return next;
    if (any_will_end_) {
        cancel_requested_ = true;
        outer().set_cancel_message(message);
    }
    return nullptr;
}

void GatherBase::future_ended(std::size_t, FutureBase& child) noexcept {
    if (!child.succeeded()) child_failed(child);
    if (--unfinished_ > 0) return;
    conclude();
    AtClose::unlink();
    outer().release();  // the gather's reference to itself
}

/// What has not reported never will. As any future of a closed loop that is not done, this stays
/// so, for whoever still has a handle.
void GatherBase::loop_closes(AtClose& listener) noexcept {
    auto& gather = static_cast<GatherBase&>(listener);
    gather.stop_watching();
    gather.outer().release();  // the gather's reference to itself
}

void GatherBase::child_failed(FutureBase& child) {
    if (errors_are_results_) return;
    std::exception_ptr error = child.error();
    child.mark_retrieved();
    // While a cancelled gather waits for its children, a failure outranks the cancellations it
    // asked for.
    const bool outranks = cancel_requested_ && first_error_ != nullptr &&
                          is_cancellation(first_error_) && !is_cancellation(error);
    if (first_error_ == nullptr || outranks) {
        first_error_ = error;
        if (!cancel_requested_ && !outer().done()) set_error(std::move(error));
    } else if (outer().loop().get_debug()) {
        // Python drops it without a word.
        log(LogLevel::debug, "a part of a gather that had failed already ended with an error", [&] {
            return "a part of a gather that had failed already ended with: " + describe(error);
        });
    }
}

/// The last child has reported.
void GatherBase::conclude() {
    if (outer().done()) return;
    if (first_error_ != nullptr) return set_error(std::move(first_error_));
    if (cancel_requested_) return set_error(outer().make_cancellation());
    try {
        collect();
    } catch (...) {
        // A value that could not be copied, or that somebody else has moved out.
        set_error(std::current_exception());
    }
}

}  // namespace asyncio::internal
