#include "process/spawn_turn.h"

#include <algorithm>

namespace asyncio::internal {

/// Those who wait on one loop. The first in the list is the one whose turn it is.
struct SpawnTurnAwaiter::Line {
    EventLoop* loop;
    IntrusiveList<Place> places;
};

/// Few threads have more than one loop. A line exists while somebody is in it.
SpawnTurnAwaiter::Lines& SpawnTurnAwaiter::lines_of_thread() {
    thread_local Lines lines;
    return lines;
}

SpawnTurnAwaiter::Lines::iterator SpawnTurnAwaiter::find_line(EventLoop& loop) {
    Lines& lines = lines_of_thread();
    return std::find_if(lines.begin(), lines.end(),
                        [&](const auto& line) { return line->loop == &loop; });
}

/// True if nobody was there before.
bool SpawnTurnAwaiter::stand_in_line() {
    EventLoop& loop = task().loop();
    Lines& lines = lines_of_thread();
    auto line = find_line(loop);
    if (line == lines.end()) line = lines.insert(line, std::make_unique<Line>(&loop));
    is_first_ = (*line)->places.empty();
    (*line)->places.push_back(place_);
    return is_first_;
}

void SpawnTurnAwaiter::await_resume() {
    if (is_first_) let_next_go();
    resumed();
}

void SpawnTurnAwaiter::let_next_go() noexcept {
    place_.unlink();
    const auto line = find_line(task().loop());
    if ((*line)->places.empty()) {
        lines_of_thread().erase(line);
        return;
    }
    SpawnTurnAwaiter& next = *(*line)->places.front().awaiter;
    next.is_first_ = true;
    task().loop().schedule(next.task());
}

lowlevel::Waiter::Abort SpawnTurnAwaiter::abort(lowlevel::Waiter& waiter,
                                                std::string_view) noexcept {
    auto& self = static_cast<SpawnTurnAwaiter&>(waiter);
    if (self.is_first_) return Abort::too_late;
    self.place_.unlink();
    return Abort::removed;
}

}  // namespace asyncio::internal
