#pragma once
// Waiting for some of several tasks, without cancelling any.

#include <asyncio/internal/awaitable.h>
#include <asyncio/task.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

namespace asyncio {

/// When `wait` returns. The names are Python's constants.
enum class ReturnWhen : std::uint8_t {
    ALL_COMPLETED,    ///< When every task is done.
    FIRST_COMPLETED,  ///< When one is.
    FIRST_EXCEPTION,  ///< When one has failed (a cancelled one has not), or all are done.
};
using enum ReturnWhen;

struct WaitOptions {
    /// Nothing: without limit.
    std::optional<Duration> timeout = std::nullopt;
    ReturnWhen return_when = ReturnWhen::ALL_COMPLETED;
};

/// Every task given to `wait` is in one of the two, in the order given.
template <class Handle>
struct WaitResult {
    std::vector<Handle> done;
    std::vector<Handle> pending;
};

namespace internal {

/// One wait in progress. Its nodes stand in the waiting lists of the futures until it is over.
class WaitState {
public:
    WaitState(EventLoop& loop, const WaitOptions& options, std::size_t count);
    WaitState(const WaitState&) = delete;
    WaitState& operator=(const WaitState&) = delete;
    ~WaitState();

    void watch(std::size_t index, FutureBase& future) noexcept;
    /// Done when the wait is over.
    const Future<>& released() const noexcept { return released_; }

private:
    struct Part : Ready {
        WaitState* wait;
        FutureBase* future;
    };
    struct Expiry : Ready {
        WaitState* wait;
    };

    static void part_done(Ready& node) noexcept;
    void release() noexcept;

    EventLoop& loop_;
    ReturnWhen return_when_;
    std::size_t count_;
    std::size_t unfinished_;
    std::unique_ptr<Part[]> parts_;
    Timer timer_;
    Expiry expiry_;
    Future<> released_;
};

}  // namespace internal

/// Waits for tasks or futures, all of one type, as `options` say.
///
/// Never cancels one and never throws an error of one: look at `done`. When the timeout passes,
/// what is not done is in `pending`.
/// Throws: `std::invalid_argument` if there is nothing to wait for.
/// Cancellation: the tasks go on.
/// Python: `asyncio.wait`.
template <class Handle>
    requires internal::FutureLike<Handle>
Coro<WaitResult<Handle>> wait(std::vector<Handle> handles, WaitOptions options = {}) {
    if (handles.empty()) throw std::invalid_argument("wait: there is nothing to wait for");
    internal::WaitState state(get_running_loop(), options, handles.size());
    for (std::size_t index = 0; index < handles.size(); ++index)
        state.watch(index, *handles[index].state());
    Outcome<void> waited = co_await internal::settle(state.released());
    if (waited.failed()) co_return Outcome<WaitResult<Handle>>::failure(waited.error());
    WaitResult<Handle> result;
    for (Handle& handle : handles)
        (handle.done() ? result.done : result.pending).push_back(std::move(handle));
    co_return result;
}

}  // namespace asyncio
