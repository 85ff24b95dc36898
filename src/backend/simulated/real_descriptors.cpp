// Real descriptors under the simulated clock: a small back-end on ppoll(2).
//
// poll and not epoll, because it keeps nothing in the kernel. A simulated program has a few real
// descriptors for a short time, most often the pipes of a child process. So a list that is built
// anew for each look costs little, and the problems that epoll has with closed numbers do not
// exist.
//
// A look, step by step (`RealDescriptors::wait_for_readiness`). Before and after it, the operations
// are collected that threads have carried out. A thread rings the bell, which ends the wait.
//
//  1. The list is built: the bell, and each descriptor once with all that is waited for on it.
//     Descriptors whose last answer was useless are left out.
//  2. ppoll waits, until the limit at the most. With descriptors left out, or without memory for
//     the list, the limit is a millisecond.
//  3. If nothing was reported and nothing was left out, the look is over.
//  4. The bell is silenced if it rang, or if that is not known.
//  5. Every operation whose descriptor was reported, or about which nothing is known, is tried with
//     the real call. An operation that succeeds or fails is done; if it would block, it stays.
//
// Why a descriptor can be useless. POLLERR and POLLHUP are reported unasked and for as long as they
// hold, also when the call would block. Such a descriptor would end every poll at once, and the
// world would spin. So the next look leaves it out and tries its operations after a millisecond:
// late by that much in a rare case, and never without end.

#include "backend/simulated/real_descriptors.h"

#include <asyncio/exceptions.h>

#include "backend/attempt.h"
#include "backend/marks.h"
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

/// For a limit without end the result is not used; ppoll then gets no limit at all.
timespec as_timespec(Duration duration) noexcept {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    return {static_cast<time_t>(seconds.count()), static_cast<long>((duration - seconds).count())};
}

}  // namespace

RealDescriptors::RealDescriptors() : watched_(1) {}

Doorbell::Doorbell() : eventfd_(clear_of_standard(Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)))) {
    if (!eventfd_) throw OsError(errno, "eventfd for the simulated back-end");
}

void Doorbell::ring() noexcept {
    // The flag is up already: the thread that raised it writes, or has written, to the eventfd.
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
    // An exchange and not a store: it reads what the ringing thread wrote, so this thread sees what
    // that one did before it rang. The flag goes down before the eventfd is emptied. In the other
    // order a ring in between would be lost: its flag and its hint would both be gone.
    rung_.exchange(false);
    eventfd_t rings = 0;
    (void)::eventfd_read(eventfd_.get(), &rings);
}

/// The real time is noted when time becomes real for the first reason, here and in `keep`: what
/// passed before, while time was virtual, does not count.
void RealDescriptors::expect_rings(int change) noexcept {
    if (empty()) last_asked_ = Clock::now();
    expected_rings_ += change;
}

int RealDescriptors::attempt(Operation& operation) noexcept {
    const bool closes = operation.kind == OperationKind::close;
    const bool needs_thread = closes ? !let_go(operation.fd) : attempt_may_block(operation);
    operation.marks = needs_thread ? waits_for_disk : 0;
    return needs_thread ? attempt_from_cache(operation, scratch_)
                        : lowlevel::attempt(operation, scratch_);
}

/// Rule 9 of the contract. The operation must not stay until its next attempt, since the number may
/// mean another file by then.
bool RealDescriptors::let_go(int fd) noexcept {
    kept_.for_each([&](Operation& operation) {
        if (operation.fd != fd) return;
        operation.unlink();
        end_here(operation, -ECANCELED);
    });
    useless_.erase(fd);
    return file_threads_.let_go(fd);
}

void RealDescriptors::end_here(Operation& operation, int result) noexcept {
    operation.result = result;
    mark(operation, done_here);
    done_here_.push_back(operation);
}

void RealDescriptors::keep(Operation& operation) noexcept {
    if (empty()) last_asked_ = Clock::now();
    has(operation, waits_for_disk) ? give_to_threads(operation) : kept_.push_back(operation);
}

/// Without a thread, this one waits for the disk. The next look finds the result.
void RealDescriptors::give_to_threads(Operation& operation) noexcept {
    const bool has_buffer = lend_buffer(operation);
    if (has_buffer && file_threads_.give(operation)) return mark(operation, in_thread);
    const int result = has_buffer ? attempt_in_thread(operation) : -ENOMEM;
    take_back_buffer(operation, result);
    end_here(operation, result);
}

bool RealDescriptors::cancel(Operation& operation) noexcept {
    if (has(operation, done_here)) return false;
    if (has(operation, in_thread)) {
        mark(operation, cancel_requested);
        file_threads_.cancel(operation);
        return false;
    }
    operation.unlink();
    return true;
}

/// A call that would block names no file but a pipe or a terminal in non-blocking mode. From then
/// on its operation waits for readiness.
void RealDescriptors::collect_from_threads(OperationList& carried_out) noexcept {
    carried_out.append(done_here_);
    OperationList ended;
    file_threads_.take_ended(ended);
    while (!ended.empty()) {
        Operation& operation = ended.pop_front();
        take_back_buffer(operation, operation.result);
        const bool is_cancelled = has(operation, cancel_requested);
        operation.marks = 0;
        if (operation.result == would_block && is_cancelled) operation.result = -ECANCELED;
        (operation.result == would_block ? kept_ : carried_out).push_back(operation);
    }
}

Duration RealDescriptors::time_passed() noexcept {
    const TimePoint asked_before = last_asked_;
    last_asked_ = Clock::now();
    return last_asked_ - asked_before;
}

/// Builds the list for ppoll. False if there is no memory for it; then only the bell is watched,
/// whose place the constructor has allocated.
bool RealDescriptors::list_descriptors() noexcept {
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

/// Without memory the descriptor stays in the list, and the next look ends early once more.
void RealDescriptors::leave_out(int fd) noexcept {
    try {
        useless_.insert(fd);
    } catch (const std::bad_alloc&) {
    }
}

void RealDescriptors::look(Duration limit, OperationList& carried_out) noexcept {
    collect_from_threads(carried_out);
    if (!carried_out.empty()) limit = Duration::zero();
    wait_for_readiness(limit, carried_out);
    collect_from_threads(carried_out);
}

void RealDescriptors::wait_for_readiness(Duration limit, OperationList& carried_out) noexcept {
    const bool is_listed = list_descriptors();
    const std::unordered_set<int> left_out = std::exchange(useless_, {});
    constexpr Duration moment = std::chrono::milliseconds{1};
    if (!left_out.empty() || !is_listed) limit = std::min(limit, moment);
    const timespec timeout = as_timespec(limit);
    const bool endless = limit == Duration::max();
    const int ready =
        ::ppoll(watched_.data(), watched_.size(), endless ? nullptr : &timeout, nullptr);
    if (ready == 0 && left_out.empty() && is_listed) return;

    // A negative answer says nothing about the descriptors. Most often a signal came, whose handler
    // may have rung the bell; or the kernel had no memory for the list. Then everything is tried:
    // an attempt never blocks, so trying too much only costs calls.
    const bool unknown = ready < 0 || !is_listed;
    if (unknown || watched_.front().revents != 0) doorbell_.silence();
    kept_.for_each([&](Operation& operation) {
        // An event may belong to one of several operations on a descriptor; the attempts of the
        // others would block again.
        const bool is_watched = is_listed && !left_out.contains(operation.fd);
        const int answer = is_watched ? watched_[place_.at(operation.fd)].revents : POLLERR;
        if (!unknown && answer == 0) return;
        operation.result = lowlevel::attempt(operation, scratch_);
        if (operation.result == would_block) {
            if ((answer & (POLLERR | POLLHUP)) != 0 && is_listed) leave_out(operation.fd);
            return;
        }
        operation.unlink();
        carried_out.push_back(operation);
    });
}

}  // namespace asyncio::lowlevel::simulated
