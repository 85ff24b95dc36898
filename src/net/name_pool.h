#pragma once
// The threads that ask the system for names.
//
// A lookup blocks its thread until the system has an answer, which may take as long as a name
// server is silent. The default executor runs the program's own jobs; with lookups among them, one
// dead name server would stop files and computations as well. So names have threads of their own,
// and few of them, because a thread does nothing but wait.
//
// The pool belongs to the process and not to a loop: a thread that hangs in the C library cannot be
// ended, and a program that makes a loop for each test, or for each thread, must not collect such
// threads. The pool is never destroyed. The end of the process hardly waits for it
// (`Workers::AtExit::leave`), since a lookup uses nothing that the program owns.
//
// In a forked child the threads do not exist. The first lookup there makes a new pool.
//
// Thread-safety: any thread.

#include <asyncio/executor.h>

#include <cstddef>

namespace asyncio::internal {

/// The executor of lookups. Throws: `std::bad_alloc`.
Executor& name_executor();

/// The largest number of threads, for this process.
void limit_name_threads(std::size_t limit);

}  // namespace asyncio::internal
