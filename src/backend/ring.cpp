// How the ring is made, entered, and kept from overflowing.
//
// An io_uring is two queues in memory that the process shares with the kernel: requests (entries)
// go into the submission queue, and completions come out of the completion queue. A single system
// call, io_uring_enter(2), takes over what was submitted, waits, and lets the kernel post
// completions.
//
// Made step by step, in the constructor
//
//  1. io_uring_setup(2) with every flag, and with fewer while the kernel does not know them
//     (ring_flags.h).
//  2. Without the features in `needed_features` the ring is refused: epoll is then the better
//     choice.
//  3. The other two calls are tried, because a sandbox may allow the first and refuse these. The
//     second one asks which requests the kernel knows.
//  4. The descriptor moves above the numbers 0 to 2. A program that was started without standard
//     streams would otherwise take the ring for one of them. The shared memory stays mapped: it
//     belongs to the open file and not to the number.
//  5. The ring stays disabled until `start`. The kernel binds it to the thread that enables it, and
//     a loop may be made in one thread and run in another.
//
// Entered only when it helps. With IORING_SETUP_DEFER_TASKRUN the kernel does the work behind a
// completion when the thread enters and asks for events, and at no other time: a poll that has come
// true is invisible until then. So `look` cannot simply read the completion queue. Two flags in
// shared memory tell whether entering would bring something: TASKRUN (there is deferred work) and
// CQ_OVERFLOW (completions did not fit). When neither is set and nothing is queued, a look costs
// two reads of memory and no system call. On kernels without these flags completions are posted by
// interrupts, and the queue itself tells.
//
// Never full. `next_entry` submits when the submission queue is full, and continues. The kernel
// keeps completions that do not fit into the completion queue (feature NODROP) and posts them at a
// later entry. Kernels before 5.19 accept no submission as long as some do not fit. So before it
// submits in the middle of an iteration, `next_entry` takes out what is posted and sets it aside
// for `collect`, which hands it out first: completions keep their order.
//
// An entry that fails for a passing reason needs no repair: requests that the kernel has not taken
// are still queued and are submitted by the next entry, and completions stay posted. Every other
// failure ends the process. A loop that never learns of its completions would wait without end, and
// the reason would be lost.

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

// Numbers of Linux 6.15, which the headers of Debian 12 do not have. An older kernel does not
// report the feature, and the flag is then not used.
constexpr unsigned feature_no_iowait = 1U << 17;
constexpr unsigned enter_no_iowait = 1U << 7;

/// Requests per submission. There may be more: a full queue is submitted, and filling continues.
constexpr unsigned submission_entries = 256;
/// Completions per look. There may be more: the kernel keeps what does not fit (FEAT_NODROP).
constexpr unsigned completion_entries = 1024;

/// EXT_ARG (5.11) is the wait with a time limit. NODROP (5.5) keeps completions that do not fit.
/// RSRC_TAGS (5.13) stands for the multishot poll, which has no feature bit of its own and came in
/// the same release.
constexpr unsigned needed_features =
    IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_RSRC_TAGS;

/// The usual cause of an error of the set-up, so that the user can do something about
/// it. The kernel's own text ("Operation not permitted") names neither seccomp nor the sysctl.
const char* likely_reason(int error) noexcept {
    switch (error) {
        case EPERM: return "a seccomp filter or the sysctl kernel.io_uring_disabled forbids it";
        case EACCES: return "a security module forbids it";
        case ENOSYS: return "this kernel, or the sandbox in front of it, has no io_uring";
        case EINVAL: return "this kernel's io_uring is older than Linux 5.13";
        case ENOMEM: return "no memory, or the limit on locked memory (ulimit -l) is too low";
        case EMFILE: return "this process has no file descriptor left (ulimit -n)";
        case ENFILE: return "this system has no file descriptor left";
        default: return "the reason is not known";
    }
}

[[noreturn]] void refuse(const char* call, int error) {
    throw OsError(error, std::string(call) + ": " + likely_reason(error));
}

/// The requests that the kernel knows, a bit for each of the first 64. A sandbox may refuse to
/// tell, as it may refuse every call.
std::uint64_t ask_for_requests(const io_uring& ring) {
    constexpr unsigned most = 64;
    alignas(
        io_uring_probe) char memory[sizeof(io_uring_probe) + most * sizeof(io_uring_probe_op)]{};
    auto* answer = reinterpret_cast<io_uring_probe*>(memory);
    const int asked = ::io_uring_register(static_cast<unsigned>(ring.ring_fd),
                                          IORING_REGISTER_PROBE, answer, most);
    if (asked < 0) refuse("io_uring_register", -asked);
    std::uint64_t known = 0;
    for (unsigned i = 0; i < answer->ops_len && i < most; ++i) {
        const bool is_known = (answer->ops[i].flags & IO_URING_OP_SUPPORTED) != 0;
        if (is_known) known |= std::uint64_t{1} << answer->ops[i].op;
    }
    return known;
}

/// What a kernel of the age that a plain ring stands for would know: no request that came later.
constexpr std::uint64_t requests_of_old_kernel = (std::uint64_t{1} << IORING_OP_MKDIRAT) - 1;

/// A sandbox may allow io_uring_setup and refuse the calls that use the ring. The refusal should
/// show here, when epoll can still take over, and not at the first wait. (Registering is tried by
/// `ask_for_requests`.)
void try_entering(const io_uring& ring) {
    // EBADFD, "this ring is not enabled yet", is an answer that only the kernel itself gives. A
    // sandbox that refuses, or pretends success, gives another one.
    const int entered = ::io_uring_enter2(static_cast<unsigned>(ring.ring_fd), 0, 0, 0, nullptr, 0);
    if (entered != -EBADFD) refuse("io_uring_enter", entered < 0 ? -entered : EINVAL);
}

/// liburing keeps the number twice, and uses one for entering and the other for everything else.
void keep_clear_of_standard_numbers(io_uring& ring) {
    Fd lifted = clear_of_standard(Fd(std::exchange(ring.ring_fd, -1)));
    if (!lifted) refuse("fcntl", errno);
    ring.ring_fd = ring.enter_ring_fd = lifted.release();
}

/// Every other timed wait of Linux may end late by this much (`timerslack_ns` in proc(5)), so that
/// deadlines that lie close to each other share an interrupt. The kernel gives no slack to a ring's
/// wait. A million timers in a second would then ask for an interrupt every few microseconds, and
/// in a virtual machine each of them costs more than ten.
constexpr Duration timer_slack = 50us;

/// Ends the process. The alternative is a loop that never learns of its completions, and `wait` has
/// no caller to whom it could report this.
[[noreturn]] void give_up(const char* call, int error) noexcept {
    std::fprintf(stderr, "asyncio: %s: %s\n", call, std::strerror(error));
    std::abort();
}

/// How many requests the kernel has not taken yet, also those of an entry that failed.
unsigned queued(const io_uring& ring) noexcept { return ::io_uring_sq_ready(&ring); }

/// Shows the kernel the entries that were filled in, and returns how many it has to take. liburing
/// does this only inside its own submitting calls. The store is a release, so that the kernel never
/// sees the new tail before the entries behind it.
unsigned publish(io_uring& ring) noexcept {
    io_uring_sq& queue = ring.sq;
    queue.sqe_head = queue.sqe_tail;
    io_uring_smp_store_release(queue.ktail, queue.sqe_tail);
    return queued(ring);
}

}  // namespace

Ring::Ring(RingFlags choice) {
    io_uring_params granted{};
    // Set anew for each try: the kernel writes its answer into the same structure.
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
        try_entering(ring_);
        known_requests_ = ask_for_requests(ring_);
        if (choice == RingFlags::none_wished) known_requests_ &= requests_of_old_kernel;
        keep_clear_of_standard_numbers(ring_);
        // Later, when there is no room, `next_entry` cannot report that memory is short.
        set_aside_.reserve(completion_entries);
    } catch (...) {
        ::io_uring_queue_exit(&ring_);
        throw;
    }
    enter_flags_ = IORING_ENTER_GETEVENTS;
    // Without this flag an idle loop counts as a process that waits for its disks (iowait).
    if ((granted.features & feature_no_iowait) != 0) enter_flags_ |= enter_no_iowait;
}

void Ring::start() noexcept {
    // Called by number: io_uring_enable_rings is declared by liburing 2.3 but is not in its
    // library.
    const int error = ::io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                          IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (error < 0) give_up("io_uring_register", -error);
}

io_uring_sqe& Ring::next_entry() noexcept {
    // The loop ends as soon as the kernel takes a request. Every round submits, except while the
    // kernel has no memory for requests (EAGAIN).
    for (;;) {
        if (io_uring_sqe* entry = ::io_uring_get_sqe(&ring_); entry != nullptr) return *entry;
        // Kernels before 5.19 take no submission while completions overflow (EBUSY), so room comes
        // first.
        set_aside_completions();
        enter(0, 0, nullptr);
    }
}

void Ring::set_aside_completions() noexcept {
    take_posted([this](const Completion& completion) { set_aside_.push_back(completion); },
                [] { return false; });
}

bool Ring::anything_posted() const noexcept {
    return !set_aside_.empty() || ::io_uring_cq_ready(&ring_) != 0;
}

/// Whether there is something to submit, or something that the kernel posts when it is entered.
bool Ring::worth_entering() const noexcept {
    const unsigned kernel_says = IO_URING_READ_ONCE(*ring_.sq.kflags);
    return queued(ring_) != 0 || (kernel_says & something_to_post) != 0;
}

/// With GETEVENTS the kernel does its deferred work and posts what did not fit before.
void Ring::look() noexcept {
    if (worth_entering()) enter(0, enter_flags_, nullptr);
}

/// A completion that is already posted ends the wait before it begins, and without a system call if
/// nothing is queued. A wait that a signal ends early returns, too: the loop looks at its signals
/// and its deadline, and waits again.
void Ring::wait(TimePoint deadline) noexcept {
    if (deadline == internal::at_once || anything_posted()) return look();
    if (deadline == internal::never) return enter(1, enter_flags_, nullptr);
    const Duration left = deadline - Clock::now();
    if (left <= 0ns) return look();
    const Duration with_slack = left + timer_slack;
    enter(1, enter_flags_, &with_slack);
}

/// The only place that calls io_uring_enter. Submits everything that is queued, and does what
/// `flags` say. `limit` is a duration and not a point in time, because absolute times need a newer
/// kernel.
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
    // ETIME: the limit has passed. EINTR: a signal came. EAGAIN: there is no memory for a request
    // at the moment. EBUSY: there is no room for completions. In each case the requests are still
    // queued and the completions still posted, and the next entry finds them.
    if (result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
        result == -EBUSY) {
        return;
    }
    give_up(result == -EEXIST ? "io_uring_enter, called on a thread other than the loop's"
                              : "io_uring_enter",
            -result);
}

}  // namespace asyncio::lowlevel

#endif  // ASYNCIO_WITH_IO_URING
