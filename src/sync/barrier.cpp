#include <asyncio/barrier.h>

#include <stdexcept>

namespace asyncio {
namespace internal {

BarrierAwaiter::BarrierAwaiter(Barrier& barrier) noexcept : barrier_(barrier) { run = &look_again; }

bool BarrierAwaiter::await_ready() noexcept { return !must_wait(); }

void BarrierAwaiter::look_again(Ready& node) noexcept {
    auto& self = static_cast<BarrierAwaiter&>(node);
    if (self.cancelled() || !self.must_wait()) return run_task(node);
    self.barrier_.waiting_.leave(self);
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

Outcome<std::size_t> BarrierAwaiter::take_outcome() {
    using State = Barrier::State;
    const bool is_cancelled = parked() && cancelled();
    if (parked()) barrier_.waiting_.leave(*this);
    if (is_cancelled) barrier_.waiting_.wake_next();
    const bool is_broken = barrier_.state_ == State::broken || barrier_.state_ == State::resetting;
    if (place_ == Place::inside) leave_barrier();
    Outcome<std::size_t> outcome;
    if (is_cancelled) {
        outcome.fail(task().take_cancellation());
    } else if (is_broken) {
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

void Barrier::reset() noexcept {
    state_ = inside_ > 0 ? State::resetting : State::filling;
    waiting_.wake_all();
}

void Barrier::abort() noexcept {
    state_ = State::broken;
    waiting_.wake_all();
}

}  // namespace asyncio
