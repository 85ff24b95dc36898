#pragma once
// The processes that descend from this process, however they were started.
//
// Both the guard and the worker are *subreapers* (prctl(2)): when the parent of a process below
// them dies, the process becomes their child, and not a child of init. So no process escapes by
// forking twice or by `setsid`, and "all descendants" is a tree that can be walked in /proc.
//
// /proc may be missing, or it may show the processes of another namespace under other numbers. Then
// the tree cannot be seen, but children can: the kernel says for every number whether it belongs to
// a child. This is enough to end the tree, because the children of a killed process become children
// of this process.
//
// A number is read at one moment and used at a later moment. It can name another process by then
// only if the kernel has given out every other number once in between.
//
// Thread-safety: none; for processes with one thread.

#include <vector>

#include <sys/types.h>

namespace tool {

/// From now on, orphans below this process become its children.
void adopt_orphans() noexcept;

/// Every descendant of `process` that exists now, parents before their children. Empty where /proc
/// cannot be used.
std::vector<pid_t> descendants_of(pid_t process);

/// The children of this process, also the dead children that were not reaped. Empty where /proc
/// cannot be used.
std::vector<pid_t> own_children();

/// Kills every descendant of this process and reaps it. Returns true when none is left.
///
/// Every pass kills the processes that it sees. The children of a killed process become children of
/// this process, and the next pass sees them. So the function ends even with programs that keep
/// forking. Returns false if processes are left and none has died for two seconds. Such a process
/// belongs to another user (`sudo`), or the kernel cannot end it because it waits for a broken
/// disk.
bool end_descendants();

}  // namespace tool
