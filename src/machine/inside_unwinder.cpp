// The search of the interrupted stack for addresses in the unwinder.
//
// The search may give a false alarm, but it must not overlook an address. It reads the words near
// the top of the stack and compares each with the code of a few functions. A word that lies in such
// a function may be a true return address or a remainder of an earlier call. Both count, because
// the price of a false alarm is one note of the stack, and the price of an overlooked address is a
// process that hangs or crashes in a signal handler.
//
// Where the code of a function ends is not known from any symbol at run time. So `code_range_of`
// asks the unwinder's own tables, address by address, how far the function reaches. This happens
// once, outside of signal handlers.

#include "machine/inside_unwinder.h"

#include <algorithm>
#include <atomic>
#include <cstddef>

#include <ucontext.h>
#include <unwind.h>

// A runtime library other than gcc's may lack some of them, so they are weak: a missing function
// has a null address, and its range is empty.
extern "C" {
/// Finds the tables of a function, and takes the lock for it.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the name is gcc's.
[[gnu::weak]] const void* _Unwind_Find_FDE(void* address, void* bases);
/// The others jump to a handler, and so overwrite their own stack. They are declared in <unwind.h>.
[[gnu::weak]] _Unwind_Reason_Code _Unwind_RaiseException(_Unwind_Exception*);
[[gnu::weak]] _Unwind_Reason_Code _Unwind_Resume_or_Rethrow(_Unwind_Exception*);
[[gnu::weak]] void _Unwind_Resume(_Unwind_Exception*);
}

namespace asyncio::internal {
namespace {

/// The code of the four functions. Plain memory, written once before the flag is set: a signal
/// handler can read it without a lock.
CodeRange places[4];
/// Whether the array above has been written.
constinit std::atomic<bool> are_known{false};

/// How far to search. The kernel's record of a signal and the unwinder's own frames take less than
/// this.
constexpr std::ptrdiff_t searched_bytes = 24 * 1024;

/// A larger distance than this means that the two ends lie on different stacks.
constexpr std::uintptr_t longest_stack_bytes = 8 * 1024 * 1024;

std::uintptr_t address_of(const void* place) noexcept {
    return reinterpret_cast<std::uintptr_t>(place);
}

bool contains(std::span<const CodeRange> functions, std::uintptr_t address) noexcept {
    return std::ranges::any_of(
        functions, [&](const CodeRange& function) { return function.contains(address); });
}

/// What the kernel tells of the code that it has interrupted. `caller` is the return address where
/// the processor keeps it in a register. All are zero for a processor that is not known here.
struct Interruption {
    const void* stack = nullptr;
    std::uintptr_t instruction = 0;
    std::uintptr_t caller = 0;
};

Interruption interruption_of([[maybe_unused]] const void* context) noexcept {
#if defined __x86_64__
    const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
    return {reinterpret_cast<const void*>(registers[REG_RSP]),
            static_cast<std::uintptr_t>(registers[REG_RIP]), 0};
#elif defined __aarch64__
    const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext;
    return {reinterpret_cast<const void*>(registers.sp), registers.pc, registers.regs[30]};
#else
    return {};
#endif
}

template <class Function>
CodeRange range_of(Function* function) noexcept {
    return function != nullptr ? code_range_of(reinterpret_cast<const void*>(function))
                               : CodeRange{};
}

}  // namespace

CodeRange code_range_of(const void* code) noexcept {
    constexpr std::size_t step_bytes = 16;
    constexpr std::size_t longest_bytes = 64 * 1024;
    // The function takes a pointer to memory that it never writes, and looks at the byte before it.
    auto* at = static_cast<char*>(const_cast<void*>(code)) + 1;
    void* const begin = _Unwind_FindEnclosingFunction(at);
    if (begin == nullptr) return {};
    std::size_t length = 0;
    // In steps of 16 bytes, to which functions are aligned. Bounded, because a wrong table could
    // name one function for everything.
    while (length < longest_bytes && _Unwind_FindEnclosingFunction(at + length) == begin) {
        length += step_bytes;
    }
    return {reinterpret_cast<std::uintptr_t>(begin),
            reinterpret_cast<std::uintptr_t>(code) + length};
}

/// The release here and the acquire in `may_be_inside_unwinder` make the array visible to handlers
/// on other threads.
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

/// An unknown answer is "yes", which costs one note.
bool may_be_inside_unwinder(const void* begin, const void* context, const void* end) noexcept {
    return !are_known.load(std::memory_order_acquire) || may_be_inside(places, begin, context, end);
}

/// The thread sanitizer calls handlers later than the kernel does, with a context that it has
/// stored elsewhere. Such a context says nothing, and then the search begins in the handler.
bool may_be_inside(std::span<const CodeRange> functions, const void* begin, const void* context,
                   const void* end) noexcept {
    const auto distance = address_of(end) - address_of(begin);
    if (distance > longest_stack_bytes) return true;
    const auto* first = static_cast<const char*>(begin);
    const Interruption interrupted = interruption_of(context);
    const std::uintptr_t stack = address_of(interrupted.stack);
    if (address_of(begin) < address_of(context) && address_of(context) < stack &&
        stack <= address_of(end)) {
        if (contains(functions, interrupted.instruction) || contains(functions, interrupted.caller))
            return true;
        first = static_cast<const char*>(interrupted.stack);
    }
    const auto left = static_cast<std::ptrdiff_t>(address_of(end) - address_of(first));
    return is_on_stack(functions, first, first + std::min(left, searched_bytes));
}

/// Reads the memory word by word. It belongs to many objects and contains red zones of the
/// sanitizer, which would report the reads as errors.
__attribute__((no_sanitize("address"))) bool
is_on_stack(std::span<const CodeRange> functions, const void* begin, const void* end) noexcept {
    using Word [[gnu::may_alias]] = const std::uintptr_t;
    const auto* last = static_cast<Word*>(end);
    for (const auto* word = static_cast<Word*>(begin); word < last; ++word) {
        if (contains(functions, *word)) return true;
    }
    return false;
}

}  // namespace asyncio::internal
