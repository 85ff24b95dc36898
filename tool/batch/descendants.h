#pragma once
// The processes that descend from this one, by whatever way they were started.
//
// Both the guard and the worker are *subreapers* (prctl(2)): a process below them whose parent dies
// becomes their child, and not one of init's. So nobody gets away by forking twice or by `setsid`,
// and "all descendants" is a tree that can be walked in /proc.
//
// Where /proc is missing, or shows another namespace's processes under other numbers, the tree
// cannot be seen, but children can: the kernel says of every number whether it is a child's. That
// is enough to end the tree, as the children of what was killed become children of this process.
//
// Between the moment in which a number is read and the one in which it is used, the kernel would
// have to hand out every other number once before it meant another process.
//
// Thread-safety: none; for processes with one thread.

#include <vector>

#include <sys/types.h>

namespace batch {

/// From now on, orphans below this process become its children.
void adopt_orphans() noexcept;

/// Every descendant of `process` that can be seen now, parents before their children. Empty where
/// /proc is no help.
std::vector<pid_t> descendants_of(pid_t process);

/// The children of this process, those that have died and are not reaped among them. Empty where
/// /proc is no help.
std::vector<pid_t> own_children();

/// Kills every descendant of this process and reaps it; returns when there is none any more.
///
/// Every pass kills what it sees. The children of what was killed then are children of this
/// process, and the next pass sees them, so it ends even with programs that keep forking. False if
/// somebody is left and for two seconds nobody has died: a process that belongs to another user
/// (`sudo`), or one that the kernel cannot end, as it waits for a broken disk.
bool end_descendants();

}  // namespace batch
