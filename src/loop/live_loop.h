#pragma once
// The list of the loops that exist.
//
// A future or a task may be held longer than its loop lives, and another loop may come to lie at
// the same address. So handles know their loop by a number as well, and ask here before they touch
// a loop that does not run on their thread.
//
// Thread-safety: any thread. The answer is only sure while the caller knows that the loop is not
// being destroyed at the same time.

#include <cstdint>

namespace asyncio::internal {

bool loop_exists(std::uint32_t number) noexcept;

}  // namespace asyncio::internal
