// The life of a callback: it runs once, or it is cancelled, or the loop closes before its turn. The
// states are in `callback.h`; here each function is one of the steps between them.
//
// The node has one reference of the loop's, from its creation until its turn, and one for each
// handle. The loop's reference is dropped by `run_node`, or by `cancel` if the node waits for a
// deadline and therefore never gets a turn.

#include "loop/callback.h"

#include "loop/step_watch.h"

namespace asyncio {
namespace internal {

/// The context is copied at the call of `call_soon`, as in Python: a variable that the caller sets
/// later is not seen by the callback.
CallbackNode::CallbackNode(EventLoop& loop, UniqueFunction<void()> function)
    : loop_(loop), function_(std::move(function)), context_(current_context().copy()) {
    run = &run_node;
    timer.target = this;
}

/// The only place at which the two sides meet. Exactly one caller gets true, and this caller runs
/// or destroys the callable.
bool CallbackNode::leave_scheduled(State to) noexcept {
    State expected = State::scheduled;
    return state_.compare_exchange_strong(expected, to, std::memory_order_acq_rel);
}

/// The callable is destroyed here and not at the turn of the node, so that what it captured is
/// released when `cancel` returns, as in Python.
void CallbackNode::cancel() noexcept {
    if (!leave_scheduled(State::cancelled)) return wait_while_running();
    function_ = {};
    // A callback with a deadline belongs to the loop's thread alone, so its timer can be disarmed
    // at once. A callback that is queued stays queued, because another thread may be cancelling it,
    // and is skipped when its turn comes.
    if (timer.armed()) {
        loop_.disarm(timer);
        release();
    }
}

/// If the callback runs on another thread, this waits for its end: the state is about to change, so
/// an earlier answer would be out of date.
bool CallbackNode::cancelled() const noexcept {
    wait_while_running();
    return state_.load(std::memory_order_acquire) == State::cancelled;
}

/// `state_.wait` sleeps in the kernel if the callback takes long. The loop's own thread never
/// waits: the callback would be waiting for itself.
void CallbackNode::wait_while_running() const noexcept {
    if (here.loop != &loop_) state_.wait(State::running, std::memory_order_acquire);
}

/// A callback on a closed loop does not run; it is cancelled, so that its callable is destroyed on
/// the loop's thread.
void CallbackNode::run_node(Ready& ready) noexcept {
    auto& node = static_cast<CallbackNode&>(ready);
    if (node.loop_.is_closed()) node.cancel();
    if (node.leave_scheduled(State::running)) node.call();
    node.release();
}

/// The callable and the context are destroyed before the state says `done`: a thread that waits for
/// the end may then take away what they refer to.
void CallbackNode::call() noexcept {
    call_in_loop(loop_, context_, function_);
    function_ = {};
    context_ = {};
    state_.store(State::done, std::memory_order_release);
    state_.notify_all();
}

void call_in_loop(EventLoop& loop, ContextRef& context, UniqueFunction<void()>& function) noexcept {
    const StepWatch watch(
        loop, [](std::span<char> text) noexcept { return StepWatch::write(text, "a callback"); });
    here.context = &context;
    try {
        function();
    } catch (...) {
        loop.call_exception_handler(
            {.message = "a callback threw an exception", .exception = std::current_exception()});
    }
    here.context = nullptr;
    watch.end([] { return std::string("a callback"); });
}

}  // namespace internal

Handle::Handle(internal::CallbackNode* node) noexcept : node_(node) {
    if (node_ != nullptr) node_->retain();
}

Handle::Handle(const Handle& other) noexcept : Handle(other.node_) {}

/// A dropped handle cancels nothing, as in Python: the loop has its own reference.
Handle::~Handle() {
    if (node_ != nullptr) node_->release();
}

void Handle::cancel() noexcept {
    if (node_ != nullptr) node_->cancel();
}

bool Handle::cancelled() const noexcept { return node_ != nullptr && node_->cancelled(); }

/// The time that was given to `call_at`. It is kept after the timer has fired or was cancelled, as
/// in Python.
TimePoint TimerHandle::when() const {
    if (node_ == nullptr) internal::throw_empty("TimerHandle");
    return node_->when;
}

}  // namespace asyncio
