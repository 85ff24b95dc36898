#pragma once
// Protecting a task from the cancellation of those who wait for it.

#include <asyncio/task.h>

namespace asyncio {
namespace internal {

/// The future a shield hands out. It follows the inner one; the inner one knows nothing of it.
///
/// It keeps itself and the inner one alive until that has ended, or the loop closes.
template <class T>
class ShieldState final : public FutureState<T>, private Ready, private AtClose {
public:
    explicit ShieldState(Ref<FutureState<T>> inner)
        : FutureState<T>(inner->loop()), inner_(std::move(inner)) {
        Ready::run = [](Ready& node) noexcept { static_cast<ShieldState&>(node).inner_done(); };
        AtClose::run = [](AtClose& listener) noexcept {
            static_cast<ShieldState&>(listener).loop_closes();
        };
        this->retain();  // our own
        this->loop_.at_close().push_back(*this);
        inner_->notify(*this);
    }

private:
    void inner_done() noexcept {
        if (!this->done()) {
            end_as_inner();
        } else if (!inner_->cancelled() && inner_->error() != nullptr) {
            // Whoever waited has been cancelled, so nobody is left to see this error.
            inner_->mark_retrieved();
            this->report_error("an exception in a shielded task, which nobody waits for any more",
                               inner_->error(), {});
        }
        AtClose::unlink();
        this->release();
    }

    void loop_closes() noexcept {
        if (Ready::linked()) Ready::unlink();
        this->release();
    }

    void end_as_inner() noexcept {
        using End = FutureBase::Status;
        try {
            this->outcome_ = inner_->hand_over();
        } catch (...) {
            this->outcome_.fail(std::current_exception());
        }
        this->complete(inner_->cancelled()       ? End::cancelled
                       : this->outcome_.failed() ? End::failed
                                                 : End::succeeded);
    }

    Ref<FutureState<T>> inner_;
};

}  // namespace internal

/// Awaits `task` so that cancelling the waiter does not cancel it: the waiter gets its
/// CancelledError, the task goes on.
///
/// Takes a task, not a coroutine, so that the program has a name for what goes on. An error the
/// task ends with after its waiter was cancelled is reported once to the exception handler. A task
/// that is cancelled itself, or is done, is seen as such.
/// Python: `asyncio.shield`.
template <class Handle>
    requires internal::FutureLike<Handle>
auto shield(const Handle& task) {
    using T = typename Handle::value_type;
    if (task.done()) return Future<T>(task.state());
    return Future<T>(
        internal::Ref<internal::FutureState<T>>::adopt(new internal::ShieldState<T>(task.state())));
}

template <class T>
void shield(Coro<T>) =
    delete;  // Make a task of it and keep the handle: `auto task = create_task(…)`.

}  // namespace asyncio
