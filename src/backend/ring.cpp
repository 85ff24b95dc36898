#ifdef ASYNCIO_WITH_IO_URING

#include "backend/ring.h"

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/fd.h>

#include "backend/ring_flags.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace asyncio::lowlevel {
namespace {

using namespace std::chrono_literals;

// Newer than the headers of Debian 12 (Linux 6.15).
constexpr unsigned feature_no_iowait = 1U << 17;
constexpr unsigned enter_no_iowait = 1U << 7;

/// Requests per submission. More are possible: a full queue is submitted and goes on.
constexpr unsigned submission_entries = 256;
/// Completions per look. More are possible: the kernel keeps what does not fit (FEAT_NODROP).
constexpr unsigned completion_entries = 1024;

/// EXT_ARG (5.11) is the wait with a time limit; NODROP (5.5) keeps completions that do not fit;
/// RSRC_TAGS (5.13) is here for its age: the multishot poll has no flag of its own, and came with
/// it.
constexpr unsigned needed_features =
    IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_RSRC_TAGS;

const char* likely_reason(int error) noexcept {
    switch (error) {
        case EPERM: return "a seccomp filter or the sysctl kernel.io_uring_disabled forbids it";
        case EACCES: return "a security module forbids it";
        case ENOSYS: return "this kernel, or the sandbox in front of it, has no io_uring";
        case EINVAL: return "this kernel's io_uring is older than Linux 5.13";
        case ENOMEM: return "no memory, or the limit on locked memory (ulimit -l) is too low";
        case EMFILE: return "this process has no file descriptor left (ulimit -n)";
        case ENFILE: return "this system has no file descriptor left";
        default: return "for a reason this library does not know";
    }
}

[[noreturn]] void refuse(const char* call, int error) {
    throw OsError(error, std::string(call) + ": " + likely_reason(error));
}

/// A sandbox may allow io_uring_setup and refuse the calls that use the ring. Better to learn that
/// now, when epoll can still take over, than at the first wait.
void try_remaining_calls(io_uring& ring) {
    // The one answer that only the kernel itself gives: "this ring is not enabled yet".
    const int entered = ::io_uring_enter2(static_cast<unsigned>(ring.ring_fd), 0, 0, 0, nullptr, 0);
    if (entered != -EBADFD) refuse("io_uring_enter", entered < 0 ? -entered : EINVAL);
    // A harmless question (which requests are known), asked to learn whether it may be asked.
    io_uring_probe answer{};
    const int registered =
        ::io_uring_register(static_cast<unsigned>(ring.ring_fd), IORING_REGISTER_PROBE, &answer, 0);
    if (registered < 0) refuse("io_uring_register", -registered);
}

void keep_clear_of_standard_numbers(io_uring& ring) {
    Fd lifted = clear_of_standard(Fd(std::exchange(ring.ring_fd, -1)));
    if (!lifted) refuse("fcntl", errno);
    ring.ring_fd = ring.enter_ring_fd = lifted.release();
}

/// Every other timed wait of Linux may end late by so much (`timerslack_ns` in proc(5)), so that
/// deadlines that lie close to each other share an interrupt. A ring's wait is given no slack by
/// the kernel. A million timers in a second would then ask for an interrupt every few microseconds,
/// and in a virtual machine each of them costs more than ten.
constexpr Duration timer_slack = 50us;

/// What follows would be a loop that never learns of its completions.
[[noreturn]] void give_up(const char* call, int error) noexcept {
    std::fprintf(stderr, "asyncio: %s: %s\n", call, std::strerror(error));
    std::abort();
}

unsigned queued(const io_uring& ring) noexcept { return ::io_uring_sq_ready(&ring); }

/// Shows the kernel what was queued. liburing does this inside its submitting calls only.
unsigned publish(io_uring& ring) noexcept {
    io_uring_sq& queue = ring.sq;
    queue.sqe_head = queue.sqe_tail;
    io_uring_smp_store_release(queue.ktail, queue.sqe_tail);
    return queued(ring);
}

}  // namespace

Ring::Ring(RingFlags choice) {
    io_uring_params granted{};
    const int error = set_up_with_known_flags(
        [&](unsigned flags) {
            granted = {};
            granted.flags = flags;
            granted.cq_entries = completion_entries;
            return ::io_uring_queue_init_params(submission_entries, &ring_, &granted);
        },
        choice);
    if (error != 0) refuse("io_uring_setup", -error);
    try {
        if ((granted.features & needed_features) != needed_features) {
            refuse("io_uring_setup", EINVAL);
        }
        try_remaining_calls(ring_);
        keep_clear_of_standard_numbers(ring_);
        set_aside_.reserve(completion_entries);
    } catch (...) {
        ::io_uring_queue_exit(&ring_);
        throw;
    }
    enter_flags_ = IORING_ENTER_GETEVENTS;
    // Without this an idle loop is accounted as a machine that waits for its disks.
    if ((granted.features & feature_no_iowait) != 0) enter_flags_ |= enter_no_iowait;
}

void Ring::start() noexcept {
    // io_uring_enable_rings is declared by liburing 2.3, and missing from its library.
    const int error = ::io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                          IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (error < 0) give_up("io_uring_register", -error);
}

io_uring_sqe& Ring::next_entry() noexcept {
    // Bounded by the kernel's memory: every round submits, unless there is none for a request
    // (EAGAIN).
    for (;;) {
        if (io_uring_sqe* entry = ::io_uring_get_sqe(&ring_); entry != nullptr) return *entry;
        // Kernels before 5.19 take no submission (EBUSY) while completions overflow.
        set_aside_completions();
        enter(0, 0, nullptr);
    }
}

void Ring::set_aside_completions() noexcept {
    take_posted([this](const Completion& completion) { set_aside_.push_back(completion); });
}

bool Ring::anything_posted() const noexcept {
    return !set_aside_.empty() || ::io_uring_cq_ready(&ring_) != 0;
}

/// Something to submit, or something that the kernel posts when it is entered.
bool Ring::worth_entering() const noexcept {
    const unsigned kernel_says = IO_URING_READ_ONCE(*ring_.sq.kflags);
    return queued(ring_) != 0 || (kernel_says & something_to_post) != 0;
}

void Ring::look() noexcept {
    if (worth_entering()) enter(0, enter_flags_, nullptr);
}

void Ring::wait(TimePoint deadline) noexcept {
    if (deadline == internal::at_once || anything_posted()) return look();
    if (deadline == internal::never) return enter(1, enter_flags_, nullptr);
    const Duration left = deadline - Clock::now();
    if (left <= 0ns) return look();
    const Duration with_slack = left + timer_slack;
    enter(1, enter_flags_, &with_slack);
}

/// The one entrance: submits everything queued, and does what `flags` say.
void Ring::enter(unsigned wait_for, unsigned flags, const Duration* limit) noexcept {
    __kernel_timespec time{};
    io_uring_getevents_arg argument{};
    if (limit != nullptr) {
        time.tv_sec = *limit / 1s;
        time.tv_nsec = (*limit % 1s).count();
        argument.ts = reinterpret_cast<std::uintptr_t>(&time);
    }
    const int result = ::io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), publish(ring_),
                                         wait_for, flags | IORING_ENTER_EXT_ARG,
                                         reinterpret_cast<sigset_t*>(&argument), sizeof argument);
    // The limit passed; a signal came; no memory for a request now, or no room for completions: in
    // each case the requests are still queued, or the completions still posted, and the next time
    // finds them.
    if (result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
        result == -EBUSY) {
        return;
    }
    give_up(result == -EEXIST ? "io_uring_enter, called on another thread than the loop's"
                              : "io_uring_enter",
            -result);
}

}  // namespace asyncio::lowlevel

#endif  // ASYNCIO_WITH_IO_URING
