#pragma once
// What has to be forgotten in the child of a fork.

namespace asyncio::internal {

/// From now on every child of `fork` calls `function` first, on its only thread. Not undone.
/// Without memory for the registration nothing happens. Thread-safety: any thread.
void call_in_forked_children(void (*function)()) noexcept;

}  // namespace asyncio::internal
