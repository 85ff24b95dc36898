#pragma once
// The operations that wait on one descriptor, a line for each thing that they wait for.
//
// Within a line the operations are served in the order in which they came.
//
// Thread-safety: none, as for every list of the loop.

#include <asyncio/lowlevel/operation.h>

#include "backend/operation_kind.h"

namespace asyncio::lowlevel {

struct WaitingLines {
    OperationList reads;
    OperationList writes;
    OperationList polls;

    bool idle() const noexcept { return reads.empty() && writes.empty() && polls.empty(); }

    /// The line of an operation whose result depends on the readiness of its descriptor.
    OperationList& line_of(const Operation& operation) noexcept {
        const Interest interest = interest_of(operation.kind);
        return interest == Interest::readable   ? reads
               : interest == Interest::writable ? writes
                                                : polls;
    }

    /// An operation, from whichever line; null if none waits.
    Operation* any() noexcept {
        for (OperationList* line : {&reads, &writes, &polls}) {
            if (!line->empty()) return &line->front();
        }
        return nullptr;
    }

    /// Moves all operations of `other` behind those that are here.
    void append(WaitingLines& other) noexcept {
        reads.append(other.reads);
        writes.append(other.writes);
        polls.append(other.polls);
    }
};

}  // namespace asyncio::lowlevel
