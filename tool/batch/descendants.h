#pragma once
// The processes that descend from this one, by whatever way they were started.
//
// Both the guard and the worker are *subreapers* (prctl(2)): a process below them whose parent dies
// becomes their child, and not one of init's. So nobody gets away by forking twice or by `setsid`,
// and "all descendants" is a tree that can be walked in /proc.
//
// Thread-safety: none; for processes with one thread.

namespace batch {

/// From now on, orphans below this process become its children.
void adopt_orphans() noexcept;

/// Kills every descendant and reaps it; returns when there is none any more.
///
/// Every pass kills what it sees. The children of what was killed then are children of this
/// process, and the next pass sees them, so it ends even with programs that keep forking. False if
/// somebody is left and for two seconds nobody has died: a process that belongs to another user
/// (`sudo`), or one that the kernel cannot end, as it waits for a broken disk.
bool end_descendants();

/// Reaps orphans that have died, so that a long batch does not fill the process table with them.
/// The commands themselves are left to those who wait for them.
void reap_orphans();

}  // namespace batch
