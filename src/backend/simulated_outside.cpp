#include "backend/simulated_outside.h"

#include <asyncio/exceptions.h>

#include "backend/attempt.h"
#include "backend/operation_kind.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace asyncio::lowlevel::simulated {

namespace {

timespec as_timespec(Duration duration) noexcept {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    return {static_cast<time_t>(seconds.count()), static_cast<long>((duration - seconds).count())};
}

}  // namespace

Outside::Outside() : watched_(1) {}

Doorbell::Doorbell() : eventfd_(clear_of_standard(Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)))) {
    if (!eventfd_) throw OsError(errno, "eventfd for the simulated back-end");
}

void Doorbell::ring() noexcept {
    // Whoever finds the flag up leaves the rest to the one who raised it.
    if (rung_.exchange(true)) return;
    const int saved_errno = errno;
    // Cannot fail for lack of room: the counter would have to reach 2⁶⁴ first.
    (void)::eventfd_write(eventfd_.get(), 1);
    errno = saved_errno;
}

bool Doorbell::answer() noexcept {
    if (!rung_.load()) return false;
    silence();
    return true;
}

void Doorbell::silence() noexcept {
    // An exchange rather than a store: it reads what the ringing thread wrote, so whatever that
    // thread did before it rang is visible to whoever waited.
    rung_.exchange(false);
    eventfd_t rings = 0;
    (void)::eventfd_read(eventfd_.get(), &rings);
}

void Outside::expect_rings(int change) noexcept {
    if (empty()) last_asked_ = Clock::now();
    expected_rings_ += change;
}

void Outside::keep(Operation& operation) {
    if (empty()) last_asked_ = Clock::now();
    kept_.push_back(operation);
}

Duration Outside::time_passed() noexcept {
    const TimePoint asked_before = last_asked_;
    last_asked_ = Clock::now();
    return last_asked_ - asked_before;
}

/// False if there is no memory for it; only the bell is watched then.
bool Outside::list_descriptors() noexcept {
    place_.clear();
    watched_.resize(1);  // as long as the bell's, for which the constructor has made room
    watched_.front() = pollfd{doorbell_.number(), POLLIN, 0};
    try {
        kept_.for_each([&](Operation& operation) {
            if (useless_.contains(operation.fd)) return;
            const auto [entry, is_new] = place_.try_emplace(operation.fd, watched_.size());
            if (is_new) watched_.push_back(pollfd{operation.fd, 0, 0});
            watched_[entry->second].events |= static_cast<std::int16_t>(events_of(operation));
        });
    } catch (const std::bad_alloc&) {
        watched_.resize(1);
        return false;
    }
    return true;
}

/// Without memory it is only asked once more before it should be.
void Outside::leave_out(int fd) noexcept {
    try {
        useless_.insert(fd);
    } catch (const std::bad_alloc&) {
    }
}

void Outside::look(Duration limit, OperationList& carried_out) noexcept {
    const bool is_listed = list_descriptors();
    const std::unordered_set<int> left_out = std::exchange(useless_, {});
    constexpr Duration moment = std::chrono::milliseconds{1};
    if (!left_out.empty() || !is_listed) limit = std::min(limit, moment);
    const timespec timeout = as_timespec(limit);
    const bool endless = limit == Duration::max();
    const int ready =
        ::ppoll(watched_.data(), watched_.size(), endless ? nullptr : &timeout, nullptr);
    if (ready == 0 && left_out.empty() && is_listed) return;

    // A negative answer tells nothing of the descriptors. Mostly a signal came, whose handler may
    // have rung the bell; or the kernel could not afford the list. Then everything is tried.
    const bool unknown = ready < 0 || !is_listed;
    if (unknown || watched_.front().revents != 0) doorbell_.silence();
    kept_.for_each([&](Operation& operation) {
        // One of several operations on a descriptor may have been meant; the others are tried in
        // vain.
        const bool is_watched = is_listed && !left_out.contains(operation.fd);
        const int answer = is_watched ? watched_[place_.at(operation.fd)].revents : POLLERR;
        if (!unknown && answer == 0) return;
        operation.result = attempt(operation, scratch_);
        if (operation.result == would_block) {
            if ((answer & (POLLERR | POLLHUP)) != 0 && is_listed) leave_out(operation.fd);
            return;
        }
        operation.unlink();
        carried_out.push_back(operation);
    });
}

}  // namespace asyncio::lowlevel::simulated
