#pragma once
// What ThreadSanitizer is told when the program is built with it and this library is not.
//
// The sanitizer knows of an atomic operation only if the code around it is compiled for that. It
// sees what the program writes on one thread and reads on the other, does not see the library hand
// it over, and reports a race. So the atomics by which the library hands over the user's objects
// are announced at run time, where the process has the sanitizer. Where the library itself is built
// with it nothing is announced, and a real fault of an order is found.
//
// Thread-safety: any thread.

#include <atomic>

#if defined(__SANITIZE_THREAD__)
#define ASYNCIO_INTERNAL_SEES_ATOMICS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ASYNCIO_INTERNAL_SEES_ATOMICS 1
#endif
#endif

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are theirs.
extern "C" {
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace asyncio::internal {

#ifdef ASYNCIO_INTERNAL_SEES_ATOMICS
inline constexpr bool tells_thread_sanitizer = false;
#else
inline constexpr bool tells_thread_sanitizer = true;
#endif

/// Before `atomic` is changed with the order "release".
template <class T>
void tell_release(std::atomic<T>& atomic) noexcept {
    if constexpr (tells_thread_sanitizer) {
        if (&__tsan_release != nullptr) __tsan_release(&atomic);
    }
}

/// After `atomic` was read with the order "acquire".
template <class T>
void tell_acquire(std::atomic<T>& atomic) noexcept {
    if constexpr (tells_thread_sanitizer) {
        if (&__tsan_acquire != nullptr) __tsan_acquire(&atomic);
    }
}

/// Gives back one of several references. True if it was the last: then the object may go.
template <class Count>
bool release_reference(std::atomic<Count>& references) noexcept {
    tell_release(references);
    if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
    tell_acquire(references);
    return true;
}

}  // namespace asyncio::internal
