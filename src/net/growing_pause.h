#pragma once
// The time between two attempts, where no event tells when the next one can succeed.
//
// Linux has two such places, both at Unix sockets. A listener whose queue is full takes no
// connection, and the socket that connects is writable all the time. A receiver that is full takes
// no datagram, and an unconnected sender is writable all the time. A wait for readiness would come
// back at once there, and the loop would use a whole processor.
//
// The pauses grow, because a receiver that is slow once is slow for longer.
//
// Thread-safety: none.

#include <asyncio/delay.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace asyncio::internal {

class GrowingPause {
public:
    Duration next() noexcept { return std::exchange(pause_, std::min(2 * pause_, longest)); }
    /// An attempt has succeeded.
    void reset() noexcept { pause_ = shortest; }

private:
    static constexpr Duration shortest = std::chrono::milliseconds(1);
    static constexpr Duration longest = std::chrono::milliseconds(50);

    Duration pause_ = shortest;
};

}  // namespace asyncio::internal
