// The only call that a test can replace: the wait.

#include <asyncio/testing/probe_backend.h>

namespace asyncio::testing {

lowlevel::Backend::Waited ProbeBackend::wait(TimePoint deadline,
                                             lowlevel::OperationList& finished) noexcept {
    ++waits;
    // By contract this deadline means "look, do not wait".
    const bool only_looks = deadline == TimePoint::min();
    if (!instead_of_waiting || only_looks) return real_->wait(deadline, finished);
    instead_of_waiting(deadline);
    return Waited::ok;
}

}  // namespace asyncio::testing
