#pragma once
// Which loops there are.
//
// A future or a task may be held longer than its loop lives, and another loop may come to lie at
// the same address. So handles know their loop by a number as well, and ask here before they touch
// one that does not run on their thread.
//
// Thread-safety: any thread.

#include <cstdint>

namespace asyncio::internal {

bool loop_exists(std::uint32_t number) noexcept;

}  // namespace asyncio::internal
