#pragma once
// Operations whose calls never wait, for code that is no coroutine.
//
// `getsockname`, `setsockopt`, `bind` and a few others finish within `submit` on every back-end
// (rule 11 in backend.h), and so does a message with MSG_DONTWAIT. They are operations all the
// same, and not plain system calls: a socket of the simulated world is known to its back-end alone.
//
// Thread-safety: loop thread only.

#include <asyncio/lowlevel/loop.h>
#include <asyncio/lowlevel/operation.h>

#include <cassert>

namespace asyncio::lowlevel {

/// Carries out `request`, which must be one that finishes within `submit`. Returns the result, ≥ 0
/// or −errno. Where the call writes a length, `request.size` is that length afterwards.
/// Python: none; a method of `socket.socket`.
inline int perform_now(Loop& loop, OperationRequest& request) {
    Operation operation;
    static_cast<OperationRequest&>(operation) = request;
    [[maybe_unused]] const Backend::Submitted submitted = loop.submit(operation);
    assert(submitted == Backend::Submitted::finished && "only for what never waits");
    request.size = operation.size;
    return operation.result;
}
inline int perform_now(Loop& loop, OperationRequest&& request) {
    return perform_now(loop, request);
}

}  // namespace asyncio::lowlevel
