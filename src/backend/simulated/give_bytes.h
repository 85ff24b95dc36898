#pragma once
// How a read of the simulated world gets its bytes: into its own buffer, or, if it brings none,
// through the world's scratch buffer to its `receive`.
//
// Thread-safety: none.

#include "backend/simulated/object.h"

#include <cerrno>
#include <cstddef>
#include <span>

namespace asyncio::lowlevel::simulated {

/// How many bytes a read can be given at once.
inline std::size_t room_of(const Operation& operation) noexcept {
    const bool brings_none = operation.receive != nullptr;
    return brings_none ? std::min(operation.size, Scratch::size_bytes) : operation.size;
}

/// Gives `count` bytes, at most `room_of` and at least one, to the read. `write_to(memory)` puts
/// them there, and is not called without memory. Returns the result of the read.
template <class WriteTo>
int give_bytes(Operation& operation, std::size_t count, Scratch& scratch, WriteTo write_to) {
    if (operation.receive == nullptr) {
        write_to(static_cast<char*>(operation.buffer));
        return static_cast<int>(count);
    }
    const std::span<char> room = scratch.take(count);
    if (room.data() == nullptr) return -ENOMEM;
    write_to(room.data());
    operation.receive(operation, room);
    return static_cast<int>(count);
}

}  // namespace asyncio::lowlevel::simulated
