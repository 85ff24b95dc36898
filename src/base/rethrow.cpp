// A throw that knows where it goes.
//
// What the usual throw does. It walks up the stack until it finds a handler, and then walks up a
// second time to leave what is in between. For each function on the way, which are itself, the
// runtime library's, and at last the one with the handler, it finds the description of the
// function, replays from it what the function has done to the stack, and so gets at the registers
// of the next one. Here that makes five functions and some ten thousand instructions for each
// coroutine an error passes. A task that is cancelled ten awaits deep spends nine tenths of its end
// on them.
//
// What is known here. `rethrow` is called by the very function that has the handler: the body of a
// coroutine, into which the compiler has inlined `await_resume`, and around which the language puts
// a handler for everything. Nothing is in between. The registers a function relies on after a call
// are those it had before, and no other registers need to be found. So there is one description to
// be read, and of that only the table that says where the handlers of a call are (the language
// specific data area, LSDA): the address to go on at, and a number, the selector, by which the code
// there tells which of its handlers is meant. Both are what the unwinder would have found. The
// selector and the exception go where the ABI wants them, into rdx and rax, and a jump to the
// address takes the place of the return.
//
// When it is not known. Whatever is out of the ordinary (no fitting handler in the calling
// function, as in code that is not optimised; a description of a kind not known here; another
// processor or runtime library) is left to `std::rethrow_exception`. This concerns the search only:
// an exception that was thrown this way is like any other, and may be caught, kept, and thrown
// again by anybody. A debugger that stops at throws (`catch throw`) sees the first of an error and
// not these, and neither do probes on `__cxa_throw` and `_Unwind_RaiseException`. The build option
// ASYNCIO_QUICK_THROW=OFF makes all throws the usual ones, and so does the environment variable
// ASYNCIO_QUICK_THROW=0 for one run.
//
// What is relied upon: the Itanium C++ ABI, in part II, exception handling, which fixes the layout
// of an exception's header, and the tables as g++ and clang write and libgcc reads them. The
// functions of the runtime library that are called are exported by it with a version of their own.
//
// Before the first of them, it is tried out (`rethrow_check.h`).
//
// Since there is always a handler in the function, its destructors are called on the way there, and
// nothing ever asks the unwinder to go on from where it has never been.

#include <asyncio/internal/rethrow.h>

#include "base/landing.h"
#include "base/rethrow_check.h"

#include <utility>

namespace asyncio::internal {

std::exception_ptr& to_throw(const std::exception_ptr& error) noexcept {
    thread_local std::exception_ptr kept;
    kept = error;
    return kept;
}

}  // namespace asyncio::internal

#ifdef ASYNCIO_WITH_QUICK_THROW

#include "base/exception_header.h"

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>

#include <cxxabi.h>
#include <unwind.h>

namespace asyncio::internal {
namespace {

// --- The throw -----------------------------------------------------------------------------------

/// What the assembly below puts into registers.
struct Jump {
    std::uintptr_t address;
    std::int64_t selector;
};

DependentException* header_of(_Unwind_Exception* exception) noexcept {
    return reinterpret_cast<DependentException*>(reinterpret_cast<char*>(exception) -
                                                 offsetof(DependentException, unwind));
}

/// Called when the last handler has been left.
void destroy(_Unwind_Reason_Code, _Unwind_Exception* exception) noexcept {
    DependentException* header = header_of(exception);
    const std::exception_ptr primary = std::move(header->primary);
    header->primary.~exception_ptr();
    abi::__cxa_free_dependent_exception(reinterpret_cast<abi::__cxa_dependent_exception*>(header));
}

/// Makes the exception that is on its way to `landing`.
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

/// Finds where an `error` that is thrown by the call which returns to `return_address` goes on, and
/// makes the exception for it; null if that is left to the usual throw.
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

/// The usual throw.
extern "C" [[noreturn, gnu::used, gnu::visibility("hidden")]] void
asyncio_rethrow_slowly(std::exception_ptr* error) {
    std::rethrow_exception(std::exchange(*error, nullptr));
}

}  // namespace asyncio::internal

// `rethrow` itself. In rdi is the error. On the stack, from the top: the `Jump` (two words), the
// error, the return address. Where the processor keeps a second stack of return addresses, ours is
// taken from there as well.
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
