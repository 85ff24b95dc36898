#include "loop/live_loop.h"

#include <asyncio/event_loop.h>

#include <mutex>

#include <pthread.h>

namespace asyncio::internal {
namespace {

std::mutex mutex;
IntrusiveList<LiveLoop>& live() noexcept {
    static IntrusiveList<LiveLoop> list;
    return list;
}
std::uint32_t last_number = 0;

/// A fork may come while another thread holds the lock; in the child nobody would give it back.
void keep_usable_after_fork() noexcept {
    ::pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, [] { mutex.unlock(); });
}

}  // namespace

LiveLoop::LiveLoop() noexcept {
    [[maybe_unused]] static const bool kept = (keep_usable_after_fork(), true);
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
