#include "loop/callback.h"

#include "loop/step_watch.h"

namespace asyncio {
namespace internal {

CallbackNode::CallbackNode(EventLoop& loop, UniqueFunction<void()> function)
    : loop_(loop), function_(std::move(function)), context_(current_context().copy()) {
    run = &run_node;
    timer.target = this;
}

bool CallbackNode::leave_scheduled(State to) noexcept {
    State expected = State::scheduled;
    return state_.compare_exchange_strong(expected, to, std::memory_order_acq_rel);
}

void CallbackNode::cancel() noexcept {
    if (!leave_scheduled(State::cancelled)) return wait_while_running();
    function_ = {};
    // A callback with a deadline is the loop thread's alone, so its timer can go at once. One that
    // is queued stays queued, because another thread may be cancelling it, and is skipped when its
    // turn comes.
    if (timer.armed()) {
        loop_.disarm(timer);
        release();
    }
}

bool CallbackNode::cancelled() const noexcept {
    wait_while_running();
    return state_.load(std::memory_order_acquire) == State::cancelled;
}

void CallbackNode::wait_while_running() const noexcept {
    if (here.loop != &loop_) state_.wait(State::running, std::memory_order_acquire);
}

void CallbackNode::run_node(Ready& ready) noexcept {
    auto& node = static_cast<CallbackNode&>(ready);
    if (node.loop_.is_closed()) node.cancel();
    if (node.leave_scheduled(State::running)) node.call();
    node.release();
}

void CallbackNode::call() noexcept {
    const StepWatch watch(
        loop_, [](std::span<char> text) noexcept { return StepWatch::write(text, "a callback"); });
    here.context = &context_;
    try {
        function_();
    } catch (...) {
        loop_.call_exception_handler(
            {.message = "an exception left a callback", .exception = std::current_exception()});
    }
    here.context = nullptr;
    watch.end([] { return std::string("a callback"); });
    function_ = {};
    context_ = {};
    state_.store(State::done, std::memory_order_release);
    state_.notify_all();
}

}  // namespace internal

Handle::Handle(internal::CallbackNode* node) noexcept : node_(node) {
    if (node_ != nullptr) node_->retain();
}

Handle::Handle(const Handle& other) noexcept : Handle(other.node_) {}

Handle::~Handle() {
    if (node_ != nullptr) node_->release();
}

void Handle::cancel() noexcept {
    if (node_ != nullptr) node_->cancel();
}

bool Handle::cancelled() const noexcept { return node_ != nullptr && node_->cancelled(); }

TimePoint TimerHandle::when() const {
    if (node_ == nullptr) internal::throw_empty("TimerHandle");
    return node_->when;
}

}  // namespace asyncio
