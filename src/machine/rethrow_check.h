#pragma once
// Whether exceptions in this process look as the quick throw expects them to.
//
// The quick throw (`rethrow.cpp`) relies on an ABI that no header declares. So before the first
// quick throw, an error is thrown the usual way, and the notes of the runtime library about it are
// compared with what is expected. Then the same function throws the same error the quick way, and
// both catches have to see the same. If anything differs, all throws of the process are the usual
// ones.
//
// The environment can exclude quick throws, too: ASYNCIO_QUICK_THROW=0.
//
// Thread-safety: any thread.

#include <exception>

namespace asyncio::internal {

struct DependentException;

/// The facts known about an exception that was thrown the usual way and is being handled.
struct ExpectedException {
    const void* object = nullptr;
    const void* next_caught = nullptr;
    /// Where the function with the handler begins.
    const void* function = nullptr;
};

/// Whether every field of the header that is written by the quick throw holds what it should.
bool is_as_expected(const DependentException& header, const ExpectedException& expected) noexcept;

/// Whether this process throws the quick way where it can. The first call finds out. Until then,
/// the answer for other threads is no.
bool may_throw_quickly() noexcept;

}  // namespace asyncio::internal
