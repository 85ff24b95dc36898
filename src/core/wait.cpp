#include <asyncio/wait.h>

namespace asyncio::internal {

WaitState::WaitState(EventLoop& loop, const WaitOptions& options, std::size_t count)
    : FutureWatch(count),
      Alarm(loop),
      return_when_(options.return_when),
      unfinished_(count),
      released_(loop.create_future()) {
    if (options.timeout) ring_after(*options.timeout);
}

void WaitState::future_ended(std::size_t, FutureBase& future) noexcept {
    --unfinished_;
    const bool failed = !future.cancelled() && future.error() != nullptr;
    const bool enough = unfinished_ == 0 || return_when_ == ReturnWhen::FIRST_COMPLETED ||
                        (return_when_ == ReturnWhen::FIRST_EXCEPTION && failed);
    if (enough) release();
}

void WaitState::release() noexcept {
    if (!released_.done()) released_.set_result();
}

}  // namespace asyncio::internal
