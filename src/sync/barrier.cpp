#include <asyncio/barrier.h>

#include <stdexcept>

namespace asyncio {
namespace internal {

BarrierAwaiter::BarrierAwaiter(Barrier& barrier) noexcept : barrier_(barrier) { run = &look_again; }

bool BarrierAwaiter::await_ready() noexcept { return !must_wait(); }

void BarrierAwaiter::look_again(Ready& node) noexcept {
    auto& self = static_cast<BarrierAwaiter&>(node);
    if (self.cancelled() || !self.must_wait()) return run_task(node);
    self.leave();
    self.barrier_.waiting_.wait_again(self);
}

/// Takes every step that the state of the barrier allows.
bool BarrierAwaiter::must_wait() noexcept {
    using State = Barrier::State;
    const State& state = barrier_.state_;
    if (place_ == Place::outside) {
        if (state == State::draining || state == State::resetting) return true;
        arrive();
    }
    return place_ == Place::inside && state == State::filling;
}

void BarrierAwaiter::arrive() noexcept {
    if (barrier_.broken()) {
        place_ = Place::refused;
        return;
    }
    place_ = Place::inside;
    index_ = barrier_.inside_++;
    if (barrier_.inside_ < barrier_.parties_) return;
    barrier_.state_ = Barrier::State::draining;
    barrier_.waiting_.wake_all();
}

void BarrierAwaiter::leave_barrier() noexcept {
    using State = Barrier::State;
    if (--barrier_.inside_ > 0) return;
    if (barrier_.state_ != State::broken) barrier_.state_ = State::filling;
    barrier_.waiting_.wake_all();
}

/// True if a CancelledError is to be thrown.
bool BarrierAwaiter::end_wait() noexcept {
    leave();
    return cancelled();
}

/// The barrier goes: notes what it has to say to a waiter that was woken. True if that is the end
/// of the wait.
bool BarrierAwaiter::settle(QueuedWaiter& waiter) noexcept {
    auto& self = static_cast<BarrierAwaiter&>(waiter);
    if (self.place_ == Place::outside) {
        if (self.barrier_.broken()) self.place_ = Place::refused;
    } else if (self.place_ == Place::inside && self.must_fail()) {
        self.place_ = Place::dismissed;
    }
    return self.place_ != Place::outside && self.barrier_.state_ != Barrier::State::filling;
}

bool BarrierAwaiter::must_fail() const noexcept {
    using State = Barrier::State;
    return barrier_.state_ == State::broken || barrier_.state_ == State::resetting;
}

Outcome<std::size_t> BarrierAwaiter::take_outcome() {
    const bool is_cancelled = parked() && end_wait();
    if (!parked() || !detached()) {
        const bool is_broken = must_fail();
        if (place_ == Place::inside) leave_barrier();
        if (is_broken && place_ == Place::inside) place_ = Place::dismissed;
    }
    Outcome<std::size_t> outcome;
    if (is_cancelled) {
        outcome.fail(task().take_cancellation());
    } else if (place_ == Place::refused || place_ == Place::dismissed) {
        outcome.fail(std::make_exception_ptr(BrokenBarrierError(
            place_ == Place::refused ? "the barrier is broken" : "the barrier was reset")));
    } else {
        outcome.emplace(index_);
    }
    return outcome;
}

}  // namespace internal

Barrier::Barrier(std::ptrdiff_t parties) : parties_(static_cast<std::size_t>(parties)) {
    if (parties < 1) throw std::invalid_argument("a barrier needs at least one party");
}

void Barrier::reset() {
    waiting_.check_thread();
    state_ = inside_ > 0 ? State::resetting : State::filling;
    waiting_.wake_all();
}

void Barrier::abort() {
    waiting_.check_thread();
    state_ = State::broken;
    waiting_.wake_all();
}

}  // namespace asyncio
