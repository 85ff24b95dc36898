#pragma once
// Memory for things that may become very large: on huge pages where that pays.
//
// A million small objects lie in thousands of ordinary pages. Getting such a page from the kernel
// costs about a microsecond. When the pages are then touched in random order, nearly every access
// misses the processor's table of pages as well as its cache. So large blocks ask for huge pages.
// If the kernel has none to give, it gives ordinary ones.
//
// The request is madvise(2) and not MAP_HUGETLB, which takes from a reserve that an administrator
// has to set up. The advice works only for memory that is aligned to a huge page; small blocks
// cannot use it, and are aligned to a cache line.
//
// Thread-safety: all functions, any thread.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <sys/mman.h>

namespace asyncio::internal {

inline constexpr std::size_t huge_page_bytes = 2 * 1024 * 1024;
inline constexpr std::size_t cache_line_bytes = 64;

constexpr std::align_val_t large_memory_alignment(std::size_t size_bytes) noexcept {
    return std::align_val_t(size_bytes < huge_page_bytes ? cache_line_bytes : huge_page_bytes);
}

/// A block that begins with a cache line, or at a multiple of `alignment_bytes`, and with a huge
/// page if it is as large as one.
inline void* allocate_large(std::size_t size_bytes, std::size_t alignment_bytes = 1) {
    const auto alignment =
        std::max(large_memory_alignment(size_bytes), std::align_val_t(alignment_bytes));
    void* memory = ::operator new(size_bytes, alignment);
    // The advice fails where the kernel has no huge pages at all; the memory is then as good as
    // any.
    if (size_bytes >= huge_page_bytes) madvise(memory, size_bytes, MADV_HUGEPAGE);
    return memory;
}

/// `size_bytes` is the size that was asked for. The memory must have been allocated with the
/// default alignment.
inline void free_large(void* memory, std::size_t size_bytes) noexcept {
    ::operator delete(memory, large_memory_alignment(size_bytes));
}

/// The same as an allocator for containers. New elements without a value are not written to: the
/// caller is about to write them, and writing them twice would touch all of the memory twice.
template <class T>
struct LargeAllocator {
    using value_type = T;

    LargeAllocator() noexcept = default;
    template <class Other>
    explicit(false) LargeAllocator(const LargeAllocator<Other>&) noexcept {}

    T* allocate(std::size_t count) { return static_cast<T*>(allocate_large(count * sizeof(T))); }
    void deallocate(T* memory, std::size_t count) noexcept {
        free_large(memory, count * sizeof(T));
    }
    template <class Element, class... Arguments>
    void construct(Element* place, Arguments&&... arguments) {
        if constexpr (sizeof...(Arguments) > 0) {
            std::construct_at(place, std::forward<Arguments>(arguments)...);
        } else {
            static_assert(std::is_trivially_copyable_v<Element>,
                          "the memory is used without a constructor");
        }
    }
    bool operator==(const LargeAllocator&) const noexcept { return true; }
};

}  // namespace asyncio::internal
