#pragma once
// The unit of work of a pool of threads: a link, and the functions to call.
//
// A job says its name by a function and two facts, because the text is rarely wanted, and by then
// the job itself may be gone: the pool copies the facts, and asks the function when it reports a
// busy thread.

#include <string>
#include <typeinfo>

namespace asyncio::internal {

/// A job for a worker thread. The thread that takes it calls `run` or `drop`, once, and does not
/// touch the job afterwards. Both functions may be called on any thread.
struct WorkerJob {
    /// The next job in the queue of the pool.
    WorkerJob* next = nullptr;
    void (*run)(WorkerJob&) noexcept = nullptr;
    /// Called instead of `run` if the job will not be run.
    void (*drop)(WorkerJob&) noexcept = nullptr;
    /// The function of the job, for reports of busy threads: its type, and for a plain function its
    /// address.
    const std::type_info* called = nullptr;
    const void* code = nullptr;
    /// Makes a text of these two. Without it the pool reports "a job".
    std::string (*name)(const std::type_info* called, const void* code) = nullptr;
};

}  // namespace asyncio::internal
