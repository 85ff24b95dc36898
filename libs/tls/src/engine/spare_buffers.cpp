#include "engine/spare_buffers.h"

namespace asyncio::tls::engine {
namespace {

/// A string keeps a few bytes inside itself. That is no memory to give away.
bool has_memory(const std::string& buffer) noexcept {
    return buffer.capacity() > std::string().capacity();
}

}  // namespace

/// The spare that was given back last is the one that is most likely in the cache.
void SpareBuffers::provide(std::string& buffer) noexcept {
    if (has_memory(buffer)) return;
    const std::lock_guard lock(mutex_);
    if (count_ > 0) buffer.swap(spares_[--count_]);
}

/// Bytes of a connection stay in the memory until they are overwritten, as in memory that was
/// freed. No reader looks behind the end of a string. A buffer that finds no place is freed, after
/// the lock.
void SpareBuffers::take_back(std::string& buffer) noexcept {
    if (!has_memory(buffer)) return;
    std::string leaving;
    leaving.swap(buffer);
    leaving.clear();
    if (leaving.capacity() > largest_bytes) return;
    const std::lock_guard lock(mutex_);
    if (count_ < most_spares) leaving.swap(spares_[count_++]);
}

}  // namespace asyncio::tls::engine
