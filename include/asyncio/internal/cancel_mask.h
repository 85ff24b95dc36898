#pragma once
// Holding cancellation back while a task cleans up.
//
// A cleanup may have to wait: for a peer's good-bye, for a file to be written. The cancellation
// that led to it has been delivered and disturbs it no more, but a second one would cut it short.
// While a mask lives, requests from outside are kept in it, and are made when it goes: a limit or a
// group that began outside is outside too.
//
// What begins under the mask is not held back by it, so a cleanup can have a limit of its own. Each
// scope therefore remembers the mask under which it began, and names it with its request: a request
// passes if no mask has come since, and otherwise is kept by the first that did.
//
// A request that is held back is not counted by `cancelling()` until it is made. Were it counted, a
// limit inside the cleanup could not tell that its own request was the only one to be felt there.
//
// Thread-safety: loop thread only. Masks of a task nest as its coroutines do.

#include <asyncio/internal/task_core.h>

#include <memory>
#include <string>
#include <string_view>

namespace asyncio::internal {

class CancelMask {
public:
    /// For `task`, from now on. A request that is pending is held back as well.
    explicit CancelMask(TaskCore& task) noexcept;
    CancelMask(const CancelMask&) = delete;
    CancelMask& operator=(const CancelMask&) = delete;
    /// What was held back is requested now; the next wait delivers it.
    ~CancelMask();

private:
    friend TaskCore;

    void hold(std::string_view message, bool by_itself) noexcept;

    TaskCore& task_;
    CancelMask* outer_;
    /// Requests that are not counted yet.
    std::uint32_t held_ = 0;
    /// One that is counted, and was not yet delivered when the mask came.
    bool pending_;
    bool by_itself_ = false;
    /// The reason that was given last; null if there is none.
    std::unique_ptr<std::string> message_;
};

}  // namespace asyncio::internal
