#pragma once
// What a fork would leave broken in the child: locks that another thread holds, and threads that
// only the parent has.

namespace asyncio::internal {

/// From now on every child of `fork` calls `function` first, on its only thread, before `fork`
/// returns there. The registration cannot be undone. If there is no memory for it, nothing happens:
/// a fork is then as dangerous as without this function, and most programs never fork. `function`
/// must do only what a signal handler may do. Thread-safety: any thread.
void call_in_forked_children(void (*function)()) noexcept;

/// From now on `fork` calls `lock` before the process forks, and `unlock` in both processes after
/// it. So no other thread holds the lock at that moment, and the child finds it free. Without
/// memory, as above. Thread-safety: any thread.
void lock_across_forks(void (*lock)(), void (*unlock)()) noexcept;

}  // namespace asyncio::internal
