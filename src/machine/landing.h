#pragma once
// The place where the program continues when a call ends with an exception: a reader of the tables
// behind `try` and `catch`.
//
// For every function the compiler writes tables that say at which of its calls an exception is
// caught, and where the function then continues. The unwinder of the runtime library reads these
// tables for all functions on the stack. Here they are read for one call of one function.
//
// The format is that of the Itanium C++ ABI and of DWARF, as g++ and clang write it and libgcc
// reads it. Anything unusual in it counts as "not known".
//
// Thread-safety: any thread.

#include <cstdint>
#include <exception>
#include <optional>

namespace asyncio::internal {

/// How the function continues when the call has ended with an exception.
struct Landing {
    std::uintptr_t address = 0;
    /// The number by which the code there tells which of its handlers is meant.
    std::int64_t selector = 0;
    /// The address that the handler sees: for a base class, that part of the thrown object.
    void* object = nullptr;
    /// The places in the tables where this is written. The runtime library keeps them in the
    /// exception's header.
    const unsigned char* action = nullptr;
    const unsigned char* lsda = nullptr;
};

/// The handler of the call at `address` that takes `error`. None if the calling function has no
/// such handler, or if that is not known.
std::optional<Landing> find_landing(std::uintptr_t address, const std::exception_ptr& error);

}  // namespace asyncio::internal
