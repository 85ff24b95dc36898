#pragma once
// Holding cancellation back while a task cleans up.
//
// A cleanup may have to wait: for a peer's last message, for a file to be written. The cancellation
// that led to the cleanup has been delivered and does not disturb it any more, but a second one
// would cut it short. While a mask lives, it keeps requests from outside, and makes them when it is
// destroyed. A limit or a group that began before the mask is outside, too.
//
// A scope that begins under the mask is not held back by it, so a cleanup can have a limit of its
// own. Each scope therefore remembers the mask under which it began, and names it with its request.
// The request passes if no mask has come since; otherwise the first mask that came since keeps it.
//
// `cancelling()` does not count a request that is held back until it is made. Otherwise a limit
// inside the cleanup could not tell that its own request was the only one delivered there.
//
// Without memory for the reason of a request, the request is kept without it.
//
// Thread-safety: loop thread only. Masks of a task nest as its coroutines do.

#include <asyncio/internal/core/task_core.h>

#include <memory>
#include <string>
#include <string_view>

namespace asyncio::internal {

/// Lives in the frame that runs the cleanup. The task points to the innermost mask, and each mask
/// to the one outside it.
class CancelMask {
public:
    /// Begins at once, for `task`. A request that is pending is held back as well.
    explicit CancelMask(TaskCore& task) noexcept;
    CancelMask(const CancelMask&) = delete;
    CancelMask& operator=(const CancelMask&) = delete;
    /// Makes the requests that were held back; the next wait delivers them.
    ~CancelMask();

private:
    friend TaskCore;

    void hold(std::string_view message, bool by_itself) noexcept;

    TaskCore& task_;
    /// The mask that was innermost when this one began; null if there was none.
    CancelMask* outer_;
    /// Requests that are not counted yet.
    std::uint32_t held_ = 0;
    /// A request that is counted already, and was not delivered yet when the mask began.
    bool pending_;
    /// The last of the requests was made in the task's own step (`TaskCore::by_itself_`).
    bool by_itself_ = false;
    /// The reason that was given last; null if there is none.
    std::unique_ptr<std::string> message_;
};

}  // namespace asyncio::internal
