// A throw that knows where it goes.
//
// The usual throw. It walks up the stack until it finds a handler, and then walks up a second time
// to leave the functions in between. On the way lie the runtime library's own functions, and at the
// end the function with the handler. For each of them the runtime library finds the description,
// replays from it what the function has done to the stack, and so finds the registers of the next
// one. In this library that means five functions and about ten thousand instructions for each
// coroutine through which an error passes. A task that is cancelled ten awaits deep spends nine
// tenths of its ending on them.
//
// The short cut. `rethrow` is called by the very function that has the handler: the body of a
// coroutine, into which the compiler has inlined `await_resume`, and around which the language puts
// a handler for everything. No function lies in between. The registers that a function relies on
// after a call are those it had before, so no other registers have to be found. A single table is
// enough, the one that says where the handlers of a call are (the language specific data area,
// LSDA). It gives an address at which to continue, and a number, the selector, by which the code
// there tells which of its handlers is meant. The unwinder would have found the same two. The ABI
// wants the exception in rax and the selector in rdx, and a jump to the address takes the place of
// the return.
//
// The way back to the usual throw. Anything out of the ordinary (no fitting handler in the calling
// function, as in code that is not optimised; a description of a kind not known here; another
// processor or runtime library) is left to `std::rethrow_exception`. Only the search differs: an
// exception that was thrown this way is like any other, and any code may catch it, keep it and
// throw it again. A debugger that stops at throws (`catch throw`) sees the first throw of an error
// and not these, and neither do probes on `__cxa_throw` and `_Unwind_RaiseException`. The build
// option ASYNCIO_QUICK_THROW=OFF makes all throws the usual ones, and so does the environment
// variable ASYNCIO_QUICK_THROW=0 for one run.
//
// The foundations: the Itanium C++ ABI, part II (exception handling), which fixes the layout of an
// exception's header; and the tables as g++ and clang write and libgcc reads them. The functions of
// the runtime library that are called are exported by it with a version of their own. All this is
// tried out before the first quick throw of a process (`rethrow_check.h`).
//
// Destructors. The jump goes to a landing in the function that called. The compiler puts the
// destructors of the objects that the handler's `try` block leaves into that landing, so they run.
// The unwinder is never asked to continue from a place that it has not walked to itself.
//
// The thread's count. `std::uncaught_exceptions` counts an exception from here on, as the usual
// throw does, and `__cxa_begin_catch` at the landing counts it back. The exception is a dependent
// one: the object that is thrown stays shared with every `exception_ptr` that refers to it.

#include <asyncio/internal/machine/rethrow.h>

#include "machine/landing.h"
#include "machine/rethrow_check.h"

#include <utility>

namespace asyncio::internal {

/// A slot per thread is enough: the caller throws it at once, and `rethrow` empties it.
std::exception_ptr& to_throw(const std::exception_ptr& error) noexcept {
    thread_local std::exception_ptr kept;
    kept = error;
    return kept;
}

}  // namespace asyncio::internal

#ifdef ASYNCIO_WITH_QUICK_THROW

#include "machine/exception_header.h"

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>

#include <cxxabi.h>
#include <unwind.h>

namespace asyncio::internal {
namespace {

// --- The throw -----------------------------------------------------------------------------------

/// The two words that the assembly below puts into registers.
struct Jump {
    std::uintptr_t address;
    std::int64_t selector;
};

/// The runtime library passes a pointer to the last member of the header.
DependentException* header_of(_Unwind_Exception* exception) noexcept {
    return reinterpret_cast<DependentException*>(reinterpret_cast<char*>(exception) -
                                                 offsetof(DependentException, unwind));
}

/// Called by the runtime library when the last handler has been left. Gives up the reference to the
/// thrown object and the header. The reference is moved out first, because the destructor of the
/// user's error may throw and catch exceptions itself, and the header must be free by then.
void destroy(_Unwind_Reason_Code, _Unwind_Exception* exception) noexcept {
    DependentException* header = header_of(exception);
    const std::exception_ptr primary = std::move(header->primary);
    header->primary.~exception_ptr();
    abi::__cxa_free_dependent_exception(reinterpret_cast<abi::__cxa_dependent_exception*>(header));
}

/// Makes the exception that is on its way to `landing`, in the state that the usual throw leaves it
/// in when it arrives there. The allocation does not fail: the runtime library keeps a reserve for
/// exceptions.
_Unwind_Exception* make_exception(std::exception_ptr& error, const Landing& landing) noexcept {
    auto* header = reinterpret_cast<DependentException*>(abi::__cxa_allocate_dependent_exception());
    new (&header->primary) std::exception_ptr(std::move(error));
    header->terminate_handler = std::get_terminate();
    header->selector = static_cast<int>(landing.selector);
    header->action = landing.action;
    header->lsda = landing.lsda;
    header->landing = landing.address;
    header->caught_object = landing.object;
    header->unwind.exception_class = dependent_class;
    header->unwind.exception_cleanup = &destroy;
    ++reinterpret_cast<ThreadExceptions*>(abi::__cxa_get_globals())->uncaught;
    return &header->unwind;
}

}  // namespace

/// Finds where the program continues when the call that returns to `return_address` throws `error`,
/// and makes the exception for it. Null if this is left to the usual throw. C linkage, because the
/// assembly calls it by name.
extern "C" [[gnu::used, gnu::visibility("hidden")]] _Unwind_Exception*
asyncio_rethrow_prepare(std::exception_ptr* error, std::uintptr_t return_address,
                        Jump* jump) noexcept {
    if (!may_throw_quickly()) return nullptr;
    // The call is the instruction before the one it returns to, and the table is one of calls.
    const std::optional<Landing> landing = find_landing(return_address - 1, *error);
    if (!landing) return nullptr;
    *jump = {landing->address, landing->selector};
    return make_exception(*error, *landing);
}

/// The usual throw. The pointer is emptied first: the throw does not return, and the caller's
/// object may live long.
extern "C" [[noreturn, gnu::used, gnu::visibility("hidden")]] void
asyncio_rethrow_slowly(std::exception_ptr* error) {
    std::rethrow_exception(std::exchange(*error, nullptr));
}

}  // namespace asyncio::internal

// `rethrow` itself. rdi holds the error. On the stack lie, from the top: the `Jump` (two words),
// the error, the return address. If the processor keeps a second stack of return addresses (SHSTK),
// the return address is removed from there as well, because this function does not return. The .cfi
// lines describe the stack for the unwinder, which walks over this function in a usual throw.
asm(R"(
    .text
    .globl asyncio_rethrow
    .type asyncio_rethrow, @function
asyncio_rethrow:
    .cfi_startproc
    endbr64
    subq $24, %rsp
    .cfi_adjust_cfa_offset 24
    movq %rdi, 16(%rsp)
    movq 24(%rsp), %rsi
    movq %rsp, %rdx
    call asyncio_rethrow_prepare
    testq %rax, %rax
    je 2f
    xorl %ecx, %ecx
    rdsspq %rcx
    testq %rcx, %rcx
    je 1f
    movl $1, %ecx
    incsspq %rcx
1:  movq (%rsp), %rcx
    movq 8(%rsp), %rdx
    addq $32, %rsp
    .cfi_adjust_cfa_offset -32
    jmp *%rcx
    .cfi_adjust_cfa_offset 32
2:  movq 16(%rsp), %rdi
    addq $24, %rsp
    .cfi_adjust_cfa_offset -24
    jmp asyncio_rethrow_slowly
    .cfi_endproc
    .size asyncio_rethrow, . - asyncio_rethrow
)");

#else

void asyncio::internal::rethrow(std::exception_ptr& error) {
    std::rethrow_exception(std::exchange(error, nullptr));
}

#endif
