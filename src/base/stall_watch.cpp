#include "base/stall_watch.h"

#include "base/log.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

namespace asyncio::internal {
namespace {

using Nanoseconds = Duration::rep;

constexpr int signal_number = SIGURG;

/// More often the watcher does not look, however short the limit.
constexpr Duration shortest_limit = std::chrono::milliseconds(1);
/// A limit nobody will see the end of, and one that can be doubled without overflow.
constexpr Duration longest_limit = std::chrono::hours(24);

constexpr Nanoseconds endless = Duration::max().count();

/// A step that has lasted for so long is named although it has not ended.
constexpr Nanoseconds long_lasting = Duration(std::chrono::seconds(1)).count();
/// How often the watcher looks whether the handler has written its note, and after what time. A
/// thread that blocks the signal writes none; its step is then named without one.
constexpr int looks_for_note = 20;
constexpr Nanoseconds between_looks = Duration(std::chrono::milliseconds(1)).count();

Nanoseconds nanoseconds_of(TimePoint when) noexcept { return when.time_since_epoch().count(); }

/// What the signal handler finds its way by. Without constructor, so that a handler may read it.
constinit thread_local StallWatch* mine = nullptr;

}  // namespace

// --- The watching thread -------------------------------------------------------------------------

/// Lives until the process ends, and its thread with it, so neither is ever waited for.
class Watchdog {
public:
    /// The process's; made when first asked for. Throws: `std::system_error` when there can be no
    /// further thread, `std::bad_alloc`.
    static Watchdog& of_process();
    static std::atomic<Watchdog*> current;

    void remember(StallWatch& watch);
    void forget(StallWatch& watch) noexcept;

    /// For every beginning: wakes the watcher if it would sleep through the new step.
    void expect(Nanoseconds limit) noexcept {
        if (limit < patience_.load(std::memory_order_seq_cst)) [[unlikely]]
            wake(limit);
    }

private:
    /// A thread, and what the watcher knows of its step in progress.
    struct Watched {
        StallWatch* watch;
        pthread_t thread;
        Nanoseconds began = 0;
        /// At what age of the step the next signal is due.
        Nanoseconds due = 0;
        /// How many more looks the note of a long step is waited for; 0: it is not waited for.
        int looks_left = 0;
    };
    /// A step that lasts, as it is to be logged.
    struct Lasting {
        std::string text() const;

        std::string name;
        RawStack stack;
        Nanoseconds held;
        Nanoseconds limit;
    };

    void start_once();
    void run() noexcept;
    void fall_asleep(std::unique_lock<std::mutex>& lock) noexcept;
    void prepare_report(std::unique_lock<std::mutex>& lock) noexcept;
    Nanoseconds look(Nanoseconds now) noexcept;
    Nanoseconds look_at(Watched& watched, Nanoseconds now) noexcept;
    Nanoseconds look_for_note(Watched& watched, Nanoseconds now) noexcept;
    void report_lasting(std::unique_lock<std::mutex>& lock) noexcept;
    void wake(Nanoseconds limit) noexcept;

    std::mutex mutex_;
    /// There is the thread, or another thread is about to start it.
    std::atomic<bool> is_started_{false};
    std::condition_variable woken_;
    std::vector<Watched> watched_;
    std::vector<Lasting> lasting_;
    /// For how long the watcher may sleep at most: the shortest limit it has met since it was last
    /// woken; endless while it sleeps. Written under the mutex.
    std::atomic<Nanoseconds> patience_{endless};
    bool has_signalled_ = false;
    bool is_prepared_ = false;
};

constinit std::atomic<Watchdog*> Watchdog::current{nullptr};

namespace {

/// A child has the threads that called `fork`, and no watcher. What the watcher was is left alone:
/// its mutex may have been locked. It stays reachable, so that it is no leak.
constinit std::atomic<Watchdog*> left_behind{nullptr};

void after_fork_in_child() noexcept { left_behind.store(Watchdog::current.exchange(nullptr)); }

bool install_handler(void (*handler)(int)) noexcept {
    struct sigaction present{};
    if (::sigaction(signal_number, nullptr, &present) != 0) return false;
    if (present.sa_handler != SIG_DFL && present.sa_handler != SIG_IGN) return false;
    struct sigaction wanted{};
    wanted.sa_handler = handler;
    wanted.sa_flags = SA_RESTART;
    sigemptyset(&wanted.sa_mask);
    return ::sigaction(signal_number, &wanted, nullptr) == 0;
}

}  // namespace

Watchdog& Watchdog::of_process() {
    static const int registered = ::pthread_atfork(nullptr, nullptr, &after_fork_in_child);
    static_cast<void>(registered);
    if (current.load() == nullptr) {
        auto made = std::make_unique<Watchdog>();
        Watchdog* other = nullptr;
        if (current.compare_exchange_strong(other, made.get())) static_cast<void>(made.release());
    }
    Watchdog& watchdog = *current.load();
    watchdog.start_once();
    return watchdog;
}

namespace {

/// While it lives, no signal is delivered to this thread, and a thread that is started takes none.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
};

}  // namespace

/// The signals of the process are for its own threads, so the watcher blocks them. A watcher whose
/// thread cannot be had stays, and the next thread that runs a loop tries again.
void Watchdog::start_once() {
    if (is_started_.exchange(true)) return;
    try {
        const SignalsBlocked blocked;
        std::thread([this] { run(); }).detach();
    } catch (...) {
        is_started_ = false;
        throw;
    }
}

void Watchdog::remember(StallWatch& watch) {
    const std::lock_guard lock(mutex_);
    watched_.push_back({&watch, ::pthread_self()});
}

/// Returns when the watcher has no signal for this thread on its way.
void Watchdog::forget(StallWatch& watch) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase_if(watched_, [&](const Watched& watched) { return watched.watch == &watch; });
}

void Watchdog::wake(Nanoseconds limit) noexcept {
    {
        const std::lock_guard lock(mutex_);
        patience_.store(std::min(limit, patience_.load()));
    }
    woken_.notify_one();
}

void Watchdog::run() noexcept {
    ::pthread_setname_np(::pthread_self(), "asyncio-stalls");
    std::unique_lock lock(mutex_);
    for (;;) {
        const Nanoseconds now = nanoseconds_of(Clock::now());
        const Nanoseconds due = look(now);
        if (has_signalled_ && !is_prepared_) {
            prepare_report(lock);
        } else if (!lasting_.empty()) {
            report_lasting(lock);
        } else if (due == endless) {
            fall_asleep(lock);
        } else {
            const Duration nap(std::min(due - now, patience_.load()));
            woken_.wait_until(lock, TimePoint(Duration(now)) + nap);
        }
    }
}

/// There is going to be a report, and it needs debug information. That is read here, while the
/// thread is stuck anyway, rather than by the thread when it is not.
void Watchdog::prepare_report(std::unique_lock<std::mutex>& lock) noexcept {
    is_prepared_ = true;
    lock.unlock();
    try {
        prepare_names();
    } catch (...) {
        // Without memory it is read when there is a report.
    }
    lock.lock();
}

/// Nobody is in a step. A step that begins now either finds the patience endless and wakes the
/// watcher, or has begun before the second look: both sides write first and read then.
void Watchdog::fall_asleep(std::unique_lock<std::mutex>& lock) noexcept {
    const Nanoseconds patience = patience_.exchange(endless);
    if (look(nanoseconds_of(Clock::now())) != endless) {
        patience_.store(patience);
    } else {
        woken_.wait(lock, [this] { return patience_.load() != endless; });
    }
}

/// Looks at every thread. Returns when the next signal is due; endless if no step is in progress.
Nanoseconds Watchdog::look(Nanoseconds now) noexcept {
    Nanoseconds next = endless;
    for (Watched& watched : watched_) next = std::min(next, look_at(watched, now));
    return next;
}

Nanoseconds Watchdog::look_at(Watched& watched, Nanoseconds now) noexcept {
    const Nanoseconds began = watched.watch->began_.load(std::memory_order_seq_cst);
    if (began == 0) return endless;
    if (began != watched.began) {
        watched.began = began;
        watched.due = watched.watch->limit_.load(std::memory_order_relaxed);
    }
    if (now - began >= watched.due) {
        // The step may end before the signal arrives. The handler then finds no step, or the
        // beginning of the next, whose own signals will replace what it notes.
        watched.watch->is_asked_.store(true, std::memory_order_relaxed);
        ::pthread_kill(watched.thread, signal_number);
        has_signalled_ = true;
        if (now - began >= long_lasting) watched.looks_left = looks_for_note;
        while (now - began >= watched.due) watched.due *= 2;
    }
    if (watched.looks_left > 0) return look_for_note(watched, now);
    return began + watched.due;
}

/// Returns when to look again.
Nanoseconds Watchdog::look_for_note(Watched& watched, Nanoseconds now) noexcept {
    const StallWatch& watch = *watched.watch;
    const bool is_noted = !watch.is_asked_.load(std::memory_order_relaxed) &&
                          watch.noted_.load(std::memory_order_acquire) == watched.began;
    if (!is_noted && --watched.looks_left > 0) return now + between_looks;
    watched.looks_left = 0;
    try {
        Lasting lasting{
            "a step", {}, now - watched.began, watch.limit_.load(std::memory_order_relaxed)};
        if (is_noted) {
            lasting.name.assign(watch.name_.data(), watch.name_size_);
            lasting.stack = watch.stack_;
        }
        lasting_.push_back(std::move(lasting));
    } catch (...) {
        // Without memory this note is not reported. The next one may be.
    }
    return now;
}

std::string Watchdog::Lasting::text() const {
    std::string line = name + " has held the loop for " + seconds_text(Duration(held)) +
                       " and goes on (limit " + seconds_text(Duration(limit)) + ")";
    const std::string where = chain_of_calls(stack);
    if (!where.empty()) line += "; it is at " + where;
    return line;
}

/// The log may call a sink of the program's, and that may take its time.
void Watchdog::report_lasting(std::unique_lock<std::mutex>& lock) noexcept {
    const std::vector<Lasting> all = std::exchange(lasting_, {});
    lock.unlock();
    try {
        for (const Lasting& lasting : all) log(LogLevel::warning, lasting.text());
    } catch (...) {
        // Without memory there is no report.
    }
    lock.lock();
}

// --- The watched threads -------------------------------------------------------------------------

StallWatch* StallWatch::of_this_thread() noexcept {
    thread_local std::unique_ptr<StallWatch> own;
    if (mine == nullptr) {
        own.reset(new (std::nothrow) StallWatch());
        mine = own.get();
        if (mine != nullptr) mine->enroll();
    }
    return mine;
}

StallWatch::~StallWatch() {
    mine = nullptr;
    if (watchdog_ != nullptr && watchdog_ == Watchdog::current.load()) watchdog_->forget(*this);
}

void StallWatch::enroll() noexcept {
    watchdog_ = nullptr;
    try {
        // Whatever the unwinder has to prepare, it prepares here and not in the handler.
        prepare_to_interrupt();
        Watchdog& watchdog = Watchdog::of_process();
        install_handler(&handle_signal);
        watchdog.remember(*this);
        watchdog_ = &watchdog;
    } catch (...) {
        // Without memory or a thread, steps are timed and not looked at.
    }
}

std::string seconds_text(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f s", std::chrono::duration<double>(duration).count());
    return text;
}

std::string chain_of_calls(const RawStack& stack) {
    std::string text;
    for (const SourceFrame& frame : user_frames(stack.span())) {
        text += (text.empty() ? "" : " ← ") + to_string(frame);
    }
    return text;
}

void StallWatch::begin(Duration limit, const void* stack_end, Describe describe) noexcept {
    if (watchdog_ != Watchdog::current.load(std::memory_order_relaxed)) [[unlikely]]
        enroll();
    stack_end_ = stack_end;
    describe_ = describe;
    const Nanoseconds sampled = std::clamp(limit, shortest_limit, longest_limit).count();
    limit_.store(sampled, std::memory_order_relaxed);
    began_.store(nanoseconds_of(Clock::now()), std::memory_order_seq_cst);
    if (watchdog_ != nullptr) watchdog_->expect(sampled);
}

Duration StallWatch::end() noexcept {
    last_began_ = began_.exchange(0, std::memory_order_seq_cst);
    return Duration(nanoseconds_of(Clock::now()) - last_began_);
}

const RawStack& StallWatch::stack() const noexcept {
    static constexpr RawStack none{};
    const Nanoseconds in_progress = began_.load(std::memory_order_relaxed);
    const Nanoseconds began = in_progress != 0 ? in_progress : last_began_;
    return noted_.load(std::memory_order_relaxed) == began ? stack_ : none;
}

void StallWatch::write_note() noexcept {
    const Nanoseconds began = began_.load(std::memory_order_relaxed);
    if (began == 0 || !is_asked_.exchange(false, std::memory_order_acquire)) return;
    if (!capture_interrupted_stack(stack_, stack_end_)) return;
    name_size_ = describe_(name_);
    noted_.store(began, std::memory_order_release);
}

void StallWatch::handle_signal(int) noexcept {
    const int saved_errno = errno;
    if (mine != nullptr) mine->write_note();
    errno = saved_errno;
}

}  // namespace asyncio::internal
