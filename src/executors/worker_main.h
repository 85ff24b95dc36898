#pragma once
// The hook before `main` that turns a start of the program into a worker process.

namespace asyncio::internal {

/// Does nothing. Code that starts worker processes calls it, so that the hook is linked into the
/// program.
void require_worker_hook() noexcept;

}  // namespace asyncio::internal
