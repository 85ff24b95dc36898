#pragma once
// What turns a start of the program into a worker process: a hook before `main`.

namespace asyncio::internal {

/// Does nothing. Code that starts worker processes calls it, so that the hook is linked into the
/// program.
void require_worker_hook() noexcept;

}  // namespace asyncio::internal
