// Replaces `operator new` and `operator delete` for the whole program; see failing_memory.h.

#include "failing_memory.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace memory {
namespace {

// Before any frame and any loop is made.
[[maybe_unused]] const int plain = ::setenv("ASYNCIO_FRAME_POOL", "0", 1);
[[maybe_unused]] const int simulated = ::setenv("ASYNCIO_BACKEND", "simulated", 1);

constinit std::atomic<long> live_blocks{0};
constinit std::atomic<long> number{0};
constinit std::atomic<long> first_failing{0};
constinit std::atomic<long> last_failing{0};
constinit std::atomic<bool> counts{false};

}  // namespace

/// Its own function, so that a debugger can stop here.
[[gnu::noinline]] void fail() { throw std::bad_alloc(); }

static void* take(std::size_t size_bytes, std::size_t boundary) {
    if (counts.load(std::memory_order_relaxed)) {
        const long mine = number.fetch_add(1) + 1;
        if (mine >= first_failing && mine <= last_failing) fail();
    }
    // aligned_alloc wants a multiple of the boundary.
    const std::size_t rounded = (size_bytes + boundary) / boundary * boundary;
    void* const block = std::aligned_alloc(boundary, rounded);
    if (block == nullptr) std::abort();
    live_blocks.fetch_add(1, std::memory_order_relaxed);
    return block;
}

static void give(void* block) noexcept {
    if (block != nullptr) live_blocks.fetch_sub(1, std::memory_order_relaxed);
    std::free(block);
}

void begin(long first, long count) noexcept {
    number = 0;
    first_failing = first;
    last_failing = first == 0 ? 0 : first + count - 1;
    counts = true;
}

long end() noexcept {
    counts = false;
    return number;
}

bool has_failed() noexcept { return first_failing != 0 && number >= first_failing; }

long failing() noexcept { return first_failing == 0 ? 0 : last_failing - first_failing + 1; }

long live() noexcept { return live_blocks; }

}  // namespace memory

// All forms: a sanitizer has its own for those that are not replaced.

void* operator new(std::size_t size_bytes) {
    return memory::take(size_bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size_bytes, std::align_val_t boundary) {
    return memory::take(size_bytes, static_cast<std::size_t>(boundary));
}
void* operator new(std::size_t size_bytes, const std::nothrow_t&) noexcept {
    try {
        return operator new(size_bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void* operator new[](std::size_t size_bytes) { return operator new(size_bytes); }
void* operator new[](std::size_t size_bytes, std::align_val_t boundary) {
    return operator new(size_bytes, boundary);
}
void* operator new[](std::size_t size_bytes, const std::nothrow_t& nothrow) noexcept {
    return operator new(size_bytes, nothrow);
}

void operator delete(void* block) noexcept { memory::give(block); }
void operator delete(void* block, std::size_t) noexcept { memory::give(block); }
void operator delete(void* block, std::align_val_t) noexcept { memory::give(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { memory::give(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { memory::give(block); }
void operator delete[](void* block) noexcept { memory::give(block); }
void operator delete[](void* block, std::size_t) noexcept { memory::give(block); }
void operator delete[](void* block, std::align_val_t) noexcept { memory::give(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { memory::give(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { memory::give(block); }
