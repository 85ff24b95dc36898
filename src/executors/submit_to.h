#pragma once
// The step from an executor's job to a pool of threads, for executors that are made of one.

#include <asyncio/executor.h>

#include "base/workers.h"

#include <utility>

namespace asyncio::internal {

/// Gives `job` to the pool. If the pool refuses it, the job is given back to `job`, whose
/// destructor drops it: the future of the job ends as cancelled, and the caller gets the error.
/// Throws: as `Workers::submit`.
inline void submit_to(Workers& workers, ExecutorJob job) {
    WorkerJob* given = job.release();
    try {
        workers.submit(*given);
    } catch (...) {
        job = ExecutorJob(*given);
        throw;
    }
}

}  // namespace asyncio::internal
