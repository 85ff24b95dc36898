#pragma once
// `shield`: protecting a task from the cancellation of the tasks that wait for it.
//
// A request to cancel a waiting task is passed on to the task that it awaits. A shield is a second
// future between the two: it ends when the inner one ends, and the inner one does not know of it. A
// request that reaches the shield ends the shield alone.
//
// Thread-safety: loop thread only.

#include <asyncio/task.h>

namespace asyncio {
namespace internal {

/// The future that `shield` returns. It ends as the inner future ends; the inner future does not
/// know of it.
///
/// The shield keeps itself and the inner future alive until the inner one has ended, or until the
/// loop closes. The program may drop its handle of the shield before.
template <class T>
class ShieldState final : public FutureState<T>, private Ready, private AtClose {
public:
    explicit ShieldState(Ref<FutureState<T>> inner)
        : FutureState<T>(inner->loop()), inner_(std::move(inner)) {
        Ready::run = [](Ready& node) noexcept { static_cast<ShieldState&>(node).inner_done(); };
        AtClose::run = [](AtClose& listener) noexcept {
            static_cast<ShieldState&>(listener).loop_closes();
        };
        this->retain();  // until `inner_done` or `loop_closes`
        this->loop_.at_close().push_back(*this);
        inner_->notify(*this);
    }

private:
    /// The inner future has ended. If the shield was cancelled before, an error of the inner one
    /// has no receiver any more, and is reported.
    void inner_done() noexcept {
        if (!this->done()) {
            end_as_inner();
        } else if (!inner_->cancelled() && inner_->error() != nullptr) {
            // The task that waited has been cancelled, so no task is left that could see this
            // error.
            inner_->mark_retrieved();
            this->report_error(
                "a shielded task ended with an exception, and no task waits for it any more",
                inner_->error(), {});
        }
        AtClose::unlink();
        this->release();
    }

    /// The inner future will never end. Drops the reference to itself.
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

namespace no_adl {

/// Returns a future that ends as `task` ends. Cancelling a task that awaits this future does not
/// cancel `task`: the waiting task gets its CancelledError, and `task` continues.
///
/// `shield` takes a task, not a coroutine, so that the program has a handle for the work that
/// continues. If the waiting task was cancelled and `task` ends with an error later, the error is
/// reported to the exception handler once. If `task` itself is cancelled, the shield ends as
/// cancelled.
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

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
