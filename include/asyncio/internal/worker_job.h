#pragma once
// What a pool of threads runs: a link, and what to do.

#include <typeinfo>

namespace asyncio::internal {

/// A job for a worker thread. Whoever takes it calls `run` or `drop`, once, and does not touch it
/// afterwards. Both belong to any thread.
struct WorkerJob {
    /// For the queue it stands in.
    WorkerJob* next = nullptr;
    void (*run)(WorkerJob&) noexcept = nullptr;
    /// It will not be run.
    void (*drop)(WorkerJob&) noexcept = nullptr;
    /// What is called, to name it to somebody who waits for its end: a type, and for a plain
    /// function its address.
    const std::type_info* called = nullptr;
    const void* code = nullptr;
};

}  // namespace asyncio::internal
