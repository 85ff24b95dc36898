#pragma once
// Whether a signal handler may call the unwinder.
//
// A signal may arrive in the middle of a throw. There are two places where the unwinder must not be
// called again from the handler.
//
// The lock. Before it can walk up a stack, the unwinder needs the tables of each function on it. In
// a static program, and for code that was generated at run time, the tables are registered, and the
// unwinder of gcc before 13 takes a lock whenever it searches them. A handler that interrupts such
// a search waits for a lock that its own thread holds.
//
// The stack. When a throw has found its handler, the unwinder writes the registers of the function
// it goes to over those of its own caller. In the middle of this the stack leads nowhere, and a
// walk along it reads memory that is no stack.
//
// At both places, an address inside certain functions of the unwinder is the place of the
// interruption, or a return address near the top of the interrupted stack. So the handler looks at
// the words there, and does not call the unwinder if one of them could be such an address. The word
// may be a remainder of an earlier call. The handler then notes no stack, and a later signal may
// find one.
//
// Where the interrupted stack ends matters. Between it and the handler lies the record that the
// kernel has made of the registers. The record has holes, in which the remainders of earlier throws
// stay. A step that is stuck in one system call has the record at the same place at every signal,
// so a remainder there would hide the step for as long as it lasts.
//
// Thread-safety: any thread; `may_be_inside_unwinder` also in signal handlers.

#include <cstdint>
#include <span>

namespace asyncio::internal {

/// The addresses of a function's code.
struct CodeRange {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;

    /// The address after the last instruction counts, too: it is the return address of a call that
    /// is the last instruction.
    bool contains(std::uintptr_t address) const noexcept {
        return address >= begin && address <= end;
    }
};

/// Finds out where those functions are. The work is done once; the first call must not come from a
/// signal handler.
void prepare_unwinder_check() noexcept;

/// Whether the code that was interrupted may be at one of those places. `begin` is in the frame of
/// the signal handler, `context` is the handler's third argument (a `ucontext_t`), and `end` is the
/// end of the part of the stack that matters. Also true if this is not known, because the handler
/// runs on another stack than that of `end`.
bool may_be_inside_unwinder(const void* begin, const void* context, const void* end) noexcept;

/// The same for the given functions.
bool may_be_inside(std::span<const CodeRange> functions, const void* begin, const void* context,
                   const void* end) noexcept;

/// Whether a word between `begin` and `end` is an address of one of the functions.
bool is_on_stack(std::span<const CodeRange> functions, const void* begin, const void* end) noexcept;

/// The function to whose code `code` belongs; empty if that is not known.
CodeRange code_range_of(const void* code) noexcept;

}  // namespace asyncio::internal
