#pragma once
// The header that the C++ runtime library keeps in front of an exception, as far as the quick throw
// writes it.
//
// The layout is that of the Itanium C++ ABI, part II, as the GNU C++ library has had it since gcc
// 4.4. The layout is checked before it is used: `rethrow_check.cpp` compares it with an exception
// that the runtime library has made.

#include <cstddef>
#include <cstdint>
#include <exception>

#include <unwind.h>

namespace asyncio::internal {

/// A thread's own record of exceptions, as the ABI defines it: those being handled, and how many
/// are on their way.
struct ThreadExceptions {
    void* caught;
    unsigned int uncaught;
};

/// An exception that refers to another one, which is thrown once more. `std::exception_ptr` needs
/// this, since the same error may be thrown in several places at a time. The ABI calls it a
/// dependent exception, and this is its header.
struct DependentException {
    std::exception_ptr primary;  // in the ABI a pointer to the error, which is what this holds
    void* unused;
    void (*unexpected_handler)();
    std::terminate_handler terminate_handler;
    void* next_caught;
    int handler_count;
    int selector;
    const unsigned char* action;
    const unsigned char* lsda;
    std::uintptr_t landing;
    void* caught_object;
    _Unwind_Exception unwind;
};
static_assert(sizeof(std::exception_ptr) == sizeof(void*));
static_assert(offsetof(DependentException, unwind) == 80 && sizeof(DependentException) == 112);

/// "GNUCC++" and 1 for a dependent exception.
inline constexpr _Unwind_Exception_Class dependent_class = 0x474e5543432b2b01;

}  // namespace asyncio::internal
