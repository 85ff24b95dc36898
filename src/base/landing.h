#pragma once
// Where an exception goes that is thrown by a call: the tables behind `try` and `catch`.
//
// For every function the compiler writes down at which of its calls an exception is caught, and
// where the function then goes on. The unwinder of the runtime library reads these tables for all
// functions on the stack. Here they are read for one call of one function.
//
// The format is that of the Itanium C++ ABI and of DWARF, as g++ and clang write it and libgcc
// reads it. What is in any way unusual counts as "not known".
//
// Thread-safety: any thread.

#include <cstdint>
#include <exception>
#include <optional>

namespace asyncio::internal {

/// Where a call is to be continued that ends with an exception.
struct Landing {
    std::uintptr_t address = 0;
    /// By which the code there knows which of its handlers is meant.
    std::int64_t selector = 0;
    /// The exception as its handler sees it: for a base class, that part of it.
    void* object = nullptr;
    /// Where in the tables this is written.
    const unsigned char* action = nullptr;
    const unsigned char* lsda = nullptr;
};

/// The handler of the call at `address` that takes `error`. None if the function that calls has no
/// such handler, or if that is not known.
std::optional<Landing> find_landing(std::uintptr_t address, const std::exception_ptr& error);

}  // namespace asyncio::internal
