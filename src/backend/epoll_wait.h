#pragma once
// epoll's waiting call, with a deadline that is kept to a fraction of a millisecond.
//
// Thread-safety: any thread.

#include <asyncio/internal/base/time.h>

#include <span>

#include <sys/epoll.h>

namespace asyncio::lowlevel {

/// Waits until `deadline` (`internal::at_once`: does not wait; `internal::never`: without end) and
/// returns how many of `events` were filled in. May return early with none: a signal came, or the
/// wait is long and was cut in two (see the source). A single system call.
int wait_for_events(int epoll_fd, std::span<epoll_event> events, TimePoint deadline) noexcept;

}  // namespace asyncio::lowlevel
