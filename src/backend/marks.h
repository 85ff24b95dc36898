#pragma once
// The bits in which a back-end keeps notes about an operation in flight (`Operation::marks`). Each
// back-end gives its bits their meaning.
//
// Thread-safety: loop thread only. A thread that carries out an operation does not touch them.

#include <asyncio/lowlevel/operation.h>

#include <cstdint>

namespace asyncio::lowlevel {

inline bool has(const Operation& operation, unsigned mark) noexcept {
    return (operation.marks & mark) != 0;
}

inline void mark(Operation& operation, unsigned with) noexcept {
    operation.marks = static_cast<std::uint16_t>(operation.marks | with);
}

inline void unmark(Operation& operation, unsigned what) noexcept {
    operation.marks = static_cast<std::uint16_t>(operation.marks & ~what);
}

}  // namespace asyncio::lowlevel
