#include "base/inside_unwinder.h"

#include <algorithm>
#include <atomic>
#include <cstddef>

#include <unwind.h>

// Another runtime library than gcc's need not have all of them.
extern "C" {
/// Takes the lock.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the name is gcc's.
[[gnu::weak]] const void* _Unwind_Find_FDE(void* address, void* bases);
/// The others go to a handler, and are declared in <unwind.h>.
[[gnu::weak]] _Unwind_Reason_Code _Unwind_RaiseException(_Unwind_Exception*);
[[gnu::weak]] _Unwind_Reason_Code _Unwind_Resume_or_Rethrow(_Unwind_Exception*);
[[gnu::weak]] void _Unwind_Resume(_Unwind_Exception*);
}

namespace asyncio::internal {
namespace {

CodeRange places[4];
/// Whether the array above has been written.
constinit std::atomic<bool> are_known{false};

/// Of what the system writes on the stack for a signal, and of the unwinder's frames above, there
/// is less than that.
constexpr std::ptrdiff_t searched_bytes = 24 * 1024;

/// The two ends are on one stack if there is no more between them.
constexpr std::uintptr_t longest_stack_bytes = 8 * 1024 * 1024;

template <class Function>
CodeRange range_of(Function* function) noexcept {
    return function != nullptr ? code_range_of(reinterpret_cast<const void*>(function))
                               : CodeRange{};
}

}  // namespace

CodeRange code_range_of(const void* code) noexcept {
    constexpr std::size_t step_bytes = 16;
    constexpr std::size_t longest_bytes = 64 * 1024;
    // The interface takes a pointer to what it never writes, and means the byte before it.
    auto* at = static_cast<char*>(const_cast<void*>(code)) + 1;
    void* const begin = _Unwind_FindEnclosingFunction(at);
    if (begin == nullptr) return {};
    std::size_t length = 0;
    while (length < longest_bytes && _Unwind_FindEnclosingFunction(at + length) == begin) {
        length += step_bytes;
    }
    return {reinterpret_cast<std::uintptr_t>(begin),
            reinterpret_cast<std::uintptr_t>(code) + length};
}

void prepare_unwinder_check() noexcept {
    static const bool once = []() noexcept {
        places[0] = range_of(&_Unwind_Find_FDE);
        places[1] = range_of(&_Unwind_RaiseException);
        places[2] = range_of(&_Unwind_Resume_or_Rethrow);
        places[3] = range_of(&_Unwind_Resume);
        return true;
    }();
    are_known.store(once, std::memory_order_release);
}

bool may_be_inside_unwinder(const void* begin, const void* end) noexcept {
    if (!are_known.load(std::memory_order_acquire)) return true;
    const auto distance =
        reinterpret_cast<std::uintptr_t>(end) - reinterpret_cast<std::uintptr_t>(begin);
    if (distance > longest_stack_bytes) return true;
    const auto* last = static_cast<const char*>(begin) +
                       std::min(static_cast<std::ptrdiff_t>(distance), searched_bytes);
    return is_on_stack(places, begin, last);
}

/// Reads what is no object of its own, red zones of the sanitizer included.
__attribute__((no_sanitize("address"))) bool
is_on_stack(std::span<const CodeRange> functions, const void* begin, const void* end) noexcept {
    using Word [[gnu::may_alias]] = const std::uintptr_t;
    const auto* last = static_cast<Word*>(end);
    for (const auto* word = static_cast<Word*>(begin); word < last; ++word) {
        for (const CodeRange& function : functions) {
            if (function.contains(*word)) return true;
        }
    }
    return false;
}

}  // namespace asyncio::internal
