#pragma once
// Whether exceptions are here what the quick throw takes them for.
//
// The quick throw (`rethrow.cpp`) relies on an ABI that no header declares. So before the first of
// them, an error is thrown the usual way and the runtime library's notes about it are compared with
// what is expected. Then the same function throws the same error the quick way, and both catches
// have to see the same. If anything differs, all throws of the process are the usual ones.
//
// The environment can rule quick throws out, too: ASYNCIO_QUICK_THROW=0.
//
// Thread-safety: any thread.

#include <exception>

namespace asyncio::internal {

struct DependentException;

/// What is known of an exception that has been thrown the usual way and is being handled.
struct ExpectedException {
    const void* object = nullptr;
    const void* next_caught = nullptr;
    /// Where the function with the handler begins.
    const void* function = nullptr;
};

/// Whether the header has at each place what belongs there.
bool is_as_expected(const DependentException& header, const ExpectedException& expected) noexcept;

/// Whether this process throws the quick way where it can. The first call finds out; until it has,
/// other threads are told no.
bool may_throw_quickly() noexcept;

}  // namespace asyncio::internal
