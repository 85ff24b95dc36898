#include <asyncio/thread_queue.h>

namespace asyncio::internal {

using State = QueuePlace::State;

void ThreadQueueBase::shutdown() {
    Line refused;
    {
        const std::lock_guard lock(lines_->mutex);
        lines_->is_shut_down = true;
        refused.append(lines_->getters);
        refused.append(lines_->putters);
        refused.for_each([](QueuePlace& place) { place.state = State::refused; });
    }
    while (!refused.empty()) {
        QueuePlace& place = refused.pop_front();
        place.wake(place);
    }
}

namespace {

/// The places of threads leave `line` for `threads`.
void take_threads(ThreadQueueBase::Line& line, ThreadQueueBase::Line& threads) noexcept {
    line.for_each([&](QueuePlace& place) {
        if (place.is_task) return;
        place.unlink();
        place.state = State::refused;
        threads.push_back(place);
    });
}

}  // namespace

ThreadQueueBase::~ThreadQueueBase() {
    Line refused;
    {
        const std::lock_guard lock(lines_->mutex);
        take_threads(lines_->getters, refused);
        take_threads(lines_->putters, refused);
    }
    while (!refused.empty()) {
        QueuePlace& place = refused.pop_front();
        place.wake(place);
    }
}

bool ThreadQueueLines::leave(QueuePlace& place) noexcept {
    const std::lock_guard lock(mutex);
    if (place.state != State::waiting) return false;
    place.unlink();
    return true;
}

QueuePlace& ThreadQueueBase::serve_first(Line& line) noexcept {
    QueuePlace& place = line.pop_front();
    place.state = State::served;
    return place;
}

bool ThreadQueueBase::wait_blocking_quietly(ThreadPlace& place, TimePoint deadline) noexcept {
    if (!place.event.wait_until(deadline)) {
        if (place.lines->leave(place)) return false;
        // Whoever has served it is about to say so.
        place.event.wait();
    }
    return place.state == State::served;
}

bool ThreadQueueBase::wait_blocking(ThreadPlace& place, TimePoint deadline) {
    const bool served = wait_blocking_quietly(place, deadline);
    if (place.state == State::refused) throw QueueShutDown();
    return served;
}

QueueWaiter::TaskPlace& QueueWaiter::place_for(const ThreadQueueBase& queue, void* item) {
    lines_ = queue.lines();
    place_.item = item;
    place_.task = &task("ThreadQueue::get(), next() or put()");
    place_.wake = [](QueuePlace& place) noexcept {
        auto& own = static_cast<TaskPlace&>(place);
        TaskCore& task = *own.task;
        if (here.loop == &task.loop()) return task.loop().schedule(task);
        // Once the task has its turn, the place may be gone, and the loop as well: the gate is what
        // keeps the loop from closing in the middle of a post.
        const std::shared_ptr<LoopGate> gate = own.gate;
        gate->post(task);
    };
    place_.gate = task().loop().gate();
    return place_;
}

void QueueWaiter::end_wait_quietly() {
    if (!waits_) return;
    task().loop().expect_wakes(-1);
    resumed_with_effect();
}

void QueueWaiter::end_wait() {
    end_wait_quietly();
    if (place_.state == State::refused) throw QueueShutDown();
}

lowlevel::Waiter::Abort QueueWaiter::abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
    auto& self = static_cast<QueueWaiter&>(waiter);
    return self.lines_->leave(self.place_) ? Abort::removed : Abort::too_late;
}

}  // namespace asyncio::internal
