#pragma once
// Buffers without an owner: the memory that waiting connections have given back, for the next
// connection that has something to read or write.
//
// Most connections wait most of the time, and a connection that waits holds no buffer. With the
// memory of the system for a buffer, each record would then allocate and free two of them, up to 64
// KiB each. A connection takes a spare buffer instead, and a few are enough: as many as there are
// connections that are busy at the same time. The others go back to the system.
//
// They belong to the context, and not to the thread: a variable of the thread would be gone when a
// static object of the program ends its connection.
//
// Thread-safety: any thread.

#include <array>
#include <cstddef>
#include <mutex>
#include <string>

namespace asyncio::tls::engine {

class SpareBuffers {
public:
    SpareBuffers() noexcept = default;
    SpareBuffers(const SpareBuffers&) = delete;
    SpareBuffers& operator=(const SpareBuffers&) = delete;

    /// Gives memory to a buffer that has none, if there is a spare one. `buffer` is empty.
    void provide(std::string& buffer) noexcept;
    /// Takes the memory of an empty buffer.
    void take_back(std::string& buffer) noexcept;

private:
    /// Together at most 2 MiB.
    static constexpr std::size_t most_spares = 16;
    static constexpr std::size_t largest_bytes = 128 * 1024;

    std::mutex mutex_;
    std::array<std::string, most_spares> spares_;
    std::size_t count_ = 0;
};

}  // namespace asyncio::tls::engine
