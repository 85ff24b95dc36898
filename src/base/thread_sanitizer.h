#pragma once
// Announcements to ThreadSanitizer, for a program that is built with it while this library is not.
//
// The sanitizer knows of an atomic operation only if the code around it is compiled for that. It
// sees that the program writes an object on one thread and reads it on another. It does not see how
// the library hands the object over, and reports a race. So the atomics by which the library hands
// over the user's objects are announced at run time, if the process has the sanitizer. If the
// library itself is built with it, nothing is announced, so that a real mistake in an order is
// found.
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

/// To be called before `atomic` is changed with the order "release".
template <class T>
void tell_release(std::atomic<T>& atomic) noexcept {
    if constexpr (tells_thread_sanitizer) {
        if (&__tsan_release != nullptr) __tsan_release(&atomic);
    }
}

/// To be called after `atomic` was read with the order "acquire".
template <class T>
void tell_acquire(std::atomic<T>& atomic) noexcept {
    if constexpr (tells_thread_sanitizer) {
        if (&__tsan_acquire != nullptr) __tsan_acquire(&atomic);
    }
}

/// Gives back one of several references. True if it was the last; then the object may be destroyed.
/// The subtraction is release for the threads that still use the object and acquire for the last
/// one, which must see all that the others did to it.
template <class Count>
bool release_reference(std::atomic<Count>& references) noexcept {
    tell_release(references);
    if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
    tell_acquire(references);
    return true;
}

}  // namespace asyncio::internal
