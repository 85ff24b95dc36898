#pragma once
// Whether a signal handler may call the unwinder.
//
// A signal may arrive in the middle of a throw. There are two places where the unwinder must not be
// called again from the handler.
//
// Before it can walk up a stack, the unwinder needs the tables of each function on it. In a static
// program, and where a compiler at run time has made code, the tables are registered, and the
// unwinder of gcc before 13 takes a lock whenever it looks through them. A handler that interrupts
// that waits for a lock which its own thread has.
//
// When a throw has found its handler, the unwinder writes the registers of the function it goes to
// over those of its own caller. In the middle of that the stack leads nowhere, and a walk along it
// reads what is no address.
//
// At both places, an address inside certain functions of the unwinder is near the top of the stack:
// a return address, or the place of the interruption, which the system has left there for the end
// of the signal handler. So the handler looks at the words there, and lets the unwinder alone if
// one of them could be such an address. A word may be a remainder of an earlier call. The handler
// then does without the stack; the next signal may have more luck.
//
// Thread-safety: any thread; `may_be_inside_unwinder` also in signal handlers.

#include <cstdint>
#include <span>

namespace asyncio::internal {

/// The addresses of a function's code.
struct CodeRange {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;

    /// The address behind the last instruction is that function's, too: a call may be the last.
    bool contains(std::uintptr_t address) const noexcept {
        return address >= begin && address <= end;
    }
};

/// Finds out where those functions are. Once, and not in a signal handler.
void prepare_unwinder_check() noexcept;

/// Whether the code that was interrupted may be at one of those places. `begin` is in the frame of
/// the signal handler, `end` where the part of the stack ends that matters. True, too, if this is
/// not known: the handler runs on another stack than that of `end`.
bool may_be_inside_unwinder(const void* begin, const void* end) noexcept;

/// Whether a word between `begin` and `end` is an address of one of the functions.
bool is_on_stack(std::span<const CodeRange> functions, const void* begin, const void* end) noexcept;

/// Where the function lies that `code` is an address of; empty if that is not known.
CodeRange code_range_of(const void* code) noexcept;

}  // namespace asyncio::internal
