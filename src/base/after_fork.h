#pragma once
// Repairs in the child of a fork: the child must forget locks and threads that only the parent has.

namespace asyncio::internal {

/// From now on every child of `fork` calls `function` first, on its only thread, before `fork`
/// returns there. The registration cannot be undone. If there is no memory for it, nothing happens:
/// a fork is then as dangerous as without this function, and most programs never fork. `function`
/// must do only what a signal handler may do. Thread-safety: any thread.
void call_in_forked_children(void (*function)()) noexcept;

}  // namespace asyncio::internal
