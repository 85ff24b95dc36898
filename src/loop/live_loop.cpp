// The list of loops that exist, behind one mutex for the process.
//
// The list is searched when a handle is used outside its loop, and changed when a loop is made or
// destroyed, so a list without an index is enough. A number is given once: 32 bits last for four
// billion loops.

#include "loop/live_loop.h"

#include <asyncio/event_loop.h>

#include "base/after_fork.h"

#include <mutex>

namespace asyncio::internal {
namespace {

std::mutex mutex;
/// Made at first use: a loop may be a static object of the program, which is constructed before the
/// static objects of this file.
IntrusiveList<LiveLoop>& live() noexcept {
    static IntrusiveList<LiveLoop> list;
    return list;
}
/// Guarded by the mutex. 0 is the number of no loop.
std::uint32_t last_number = 0;

}  // namespace

/// The handler of forks is installed with the first loop: a program without loops does not get one.
LiveLoop::LiveLoop() noexcept {
    [[maybe_unused]] static const bool safe =
        (lock_across_forks([] { mutex.lock(); }, [] { mutex.unlock(); }), true);
    const std::lock_guard lock(mutex);
    number_ = ++last_number;
    live().push_back(*this);
}

LiveLoop::~LiveLoop() {
    const std::lock_guard lock(mutex);
    unlink();
}

bool loop_exists(std::uint32_t number) noexcept {
    const std::lock_guard lock(mutex);
    bool exists = false;
    live().for_each([&](const LiveLoop& loop) { exists |= loop.number() == number; });
    return exists;
}

}  // namespace asyncio::internal
