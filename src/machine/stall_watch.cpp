// The watcher of debug mode: its thread, the signal handler, and the threads that they watch.
//
// Three parties work together, and none may wait for another for long.
//
//  - The watched thread writes `began_` when a step begins and 0 when it ends. It pays two stores
//    and a reading of the clock for a step, because it does this for every step of every task.
//  - The watcher, one thread for the process, reads `began_` of every watched thread, decides when
//    a step has lasted too long, and sends the signal.
//  - The signal handler runs on the watched thread, on top of the stuck step. It notes the stack
//    and the name of the task, which it may read because the thread itself stands still meanwhile.
//
// How the watcher sleeps. While a step is in progress, it looks at least once in each period of
// `patience_`, which is the shortest limit that it has met. When it finds no step, it sets the
// patience to endless and looks once more before it sleeps; a thread that begins a step writes
// `began_` and then reads the patience. Each side writes first and reads afterwards, in the
// strongest order, so at least one side sees the other: the watcher sees the step, or the thread
// sees the endless patience and wakes the watcher. So an idle program has no thread that wakes up.
//
// The note is handed over by two words. `is_asked_` says that the watcher wants one, and `noted_`
// says of which step the note is, and is stored after it with release. The handler writes only when
// it was asked, and the watcher reads only when the handler is done and before it asks again. So
// the note needs no lock, which a signal handler could not take.
//
// Owners. A `StallWatch` is a thread-local object of its thread. Its destructor takes it off the
// watcher's list under the mutex under which the watcher sends its signals: after that no signal is
// on its way to a thread that has ended. The watcher itself is never destroyed, because its thread
// is not waited for.
//
// The child of a fork has no watcher. It leaves the parent's object alone (its mutex may be locked
// for ever), and enrolls its threads with a new one at their next step.

#include "machine/stall_watch.h"

#include "base/after_fork.h"
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

/// The watcher looks no more often than this, however short the limit.
constexpr Duration shortest_limit = std::chrono::milliseconds(1);
/// A limit that no step reaches, and that can be doubled without overflow.
constexpr Duration longest_limit = std::chrono::hours(24);

constexpr Nanoseconds endless = Duration::max().count();

/// A step that has lasted for this long is reported although it has not ended.
constexpr Nanoseconds long_lasting = Duration(std::chrono::seconds(1)).count();
/// How often the watcher looks for the handler's note, and at what distance. A thread that blocks
/// the signal writes none; its step is then reported without one.
constexpr int looks_for_note = 20;
constexpr Nanoseconds between_looks = Duration(std::chrono::milliseconds(1)).count();

Nanoseconds nanoseconds_of(TimePoint when) noexcept { return when.time_since_epoch().count(); }

/// The watch of this thread, for the signal handler. A plain pointer without a constructor: the
/// first use of an object that has one might allocate, which a handler must not do.
constinit thread_local StallWatch* mine = nullptr;

}  // namespace

// --- The watching thread -------------------------------------------------------------------------

/// Lives until the process ends, and so does its thread: neither is ever waited for.
class Watchdog {
public:
    /// The watchdog of the process, made by the first call. Throws: `std::system_error` when there
    /// can be no further thread, `std::bad_alloc`.
    static Watchdog& of_process();
    static std::atomic<Watchdog*> current;

    void remember(StallWatch& watch);
    void forget(StallWatch& watch) noexcept;

    /// Called at the beginning of every step: wakes the watcher if it would sleep through the new
    /// step.
    void expect(Nanoseconds limit) noexcept {
        if (limit < patience_.load(std::memory_order_seq_cst)) [[unlikely]]
            wake(limit);
    }

private:
    /// A thread, and the watcher's notes about its step in progress. The watcher alone uses them.
    struct Watched {
        StallWatch* watch;
        pthread_t thread;
        Nanoseconds began = 0;
        /// The age of the step at which the next signal is due.
        Nanoseconds due = 0;
        /// For how many more looks the watcher waits for the note of a long step; 0: it does not
        /// wait.
        int looks_left = 0;
    };
    /// The report of a step that lasts. A copy, because it is logged without the mutex.
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
    /// Whether the watcher's thread runs, or another thread is about to start it.
    std::atomic<bool> is_started_{false};
    std::condition_variable woken_;
    std::vector<Watched> watched_;
    std::vector<Lasting> lasting_;
    /// For how long the watcher may sleep at most: the shortest limit it has met since it was last
    /// woken; endless while it sleeps. Written under the mutex, read without it at each step.
    std::atomic<Nanoseconds> patience_{endless};
    // A first signal means that there will be a report, so the debug information is then read,
    // once.
    bool has_signalled_ = false;
    bool is_prepared_ = false;
};

constinit std::atomic<Watchdog*> Watchdog::current{nullptr};

namespace {

/// The watcher of the parent, in the child of a fork. The child has only the thread that called
/// `fork`. The object is left alone, because its mutex may have been locked. It stays reachable, so
/// that a leak checker does not report it.
constinit std::atomic<Watchdog*> left_behind{nullptr};

void leave_behind() noexcept { left_behind.store(Watchdog::current.exchange(nullptr)); }

/// Does nothing if the program has a handler of its own for the signal. With SA_RESTART the system
/// calls of the stuck step continue.
bool install_handler(void (*handler)(int, siginfo_t*, void*)) noexcept {
    struct sigaction present{};
    if (::sigaction(signal_number, nullptr, &present) != 0) return false;
    if (present.sa_handler != SIG_DFL && present.sa_handler != SIG_IGN) return false;
    struct sigaction wanted{};
    wanted.sa_sigaction = handler;
    wanted.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&wanted.sa_mask);
    return ::sigaction(signal_number, &wanted, nullptr) == 0;
}

}  // namespace

/// Two threads may come at once: the first exchange wins, and the other thread destroys its own
/// object, which has no thread yet.
Watchdog& Watchdog::of_process() {
    [[maybe_unused]] static const bool safe = (call_in_forked_children(&leave_behind), true);
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

/// While it lives, no signal is delivered to this thread. A thread that is started meanwhile
/// inherits the blocked set and keeps it.
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

/// The program's signals must be handled on its own threads, so the watcher blocks them all. If its
/// thread cannot be started, the watchdog stays, and the next thread that runs a loop tries again.
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

/// Returns when the watcher has no signal for this thread on its way: it sends under the same
/// mutex.
void Watchdog::forget(StallWatch& watch) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase_if(watched_, [&](const Watched& watched) { return watched.watch == &watch; });
}

/// The patience shrinks under the mutex, so the watcher cannot miss it between its check and its
/// sleep.
void Watchdog::wake(Nanoseconds limit) noexcept {
    {
        const std::lock_guard lock(mutex_);
        patience_.store(std::min(limit, patience_.load()));
    }
    woken_.notify_one();
}

/// The watcher's life. Each round looks at all threads and then does one thing: the preparation of
/// a report, a report, or sleep. The first two release the mutex, and after them the threads are
/// looked at anew.
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

/// There is going to be a report, which needs the debug information. It is read here, while the
/// other thread is stuck anyway, and not by that thread when it could continue.
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

/// No thread is in a step. A step that begins now either finds the patience endless and wakes the
/// watcher, or it has begun before the second look: both sides write first and read afterwards.
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

/// Looks at one thread: notices a new step, sends the signal when it is due, and doubles the time
/// until the next. Returns when to look again.
Nanoseconds Watchdog::look_at(Watched& watched, Nanoseconds now) noexcept {
    const Nanoseconds began = watched.watch->began_.load(std::memory_order_seq_cst);
    if (began == 0) return endless;
    if (began != watched.began) {
        watched.began = began;
        watched.due = watched.watch->limit_.load(std::memory_order_relaxed);
    }
    if (now - began >= watched.due) {
        // The step may end before the signal arrives. The handler then finds no step, or it notes
        // the beginning of the next one, whose own signals will replace that note.
        watched.watch->is_asked_.store(true, std::memory_order_relaxed);
        ::pthread_kill(watched.thread, signal_number);
        has_signalled_ = true;
        if (now - began >= long_lasting) watched.looks_left = looks_for_note;
        while (now - began >= watched.due) watched.due *= 2;
    }
    if (watched.looks_left > 0) return look_for_note(watched, now);
    return began + watched.due;
}

/// Looks whether the handler has written the note of a long step, and prepares the report. Returns
/// when to look again.
Nanoseconds Watchdog::look_for_note(Watched& watched, Nanoseconds now) noexcept {
    const StallWatch& watch = *watched.watch;
    const bool is_noted = !watch.is_asked_.load(std::memory_order_acquire) &&
                          watch.noted_.load(std::memory_order_relaxed) == watched.began;
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
    std::string line = name + " has blocked the loop for " + seconds_text(Duration(held)) +
                       " and still runs (limit " + seconds_text(Duration(limit)) + ")";
    const std::string where = chain_of_calls(stack);
    if (!where.empty()) line += "; it is at " + where;
    return line;
}

/// Logs what `look_for_note` has prepared. Without the mutex: the log calls the program's sink,
/// which may take long, and may itself be stuck on the thread that is watched.
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

/// `own` destroys the watch at the thread's end. `mine` is what the handler reads; the two are
/// equal while the thread lives.
StallWatch* StallWatch::of_this_thread() noexcept {
    thread_local std::unique_ptr<StallWatch> own;
    if (mine == nullptr) {
        own.reset(new (std::nothrow) StallWatch());
        mine = own.get();
        if (mine != nullptr) mine->enroll();
    }
    return mine;
}

/// From here on the handler finds null. The watchdog of a parent process is not told.
StallWatch::~StallWatch() {
    mine = nullptr;
    if (watchdog_ != nullptr && watchdog_ == Watchdog::current.load()) watchdog_->forget(*this);
}

/// Registers this thread with the process's watchdog. Called again after a fork. If any part of it
/// fails, the steps are still timed.
void StallWatch::enroll() noexcept {
    watchdog_ = nullptr;
    try {
        // The unwinder prepares itself here and not in the handler.
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

/// `began_` is stored last of the watch's own words: the watcher reads the others only after it has
/// seen it.
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

/// The note counts only if it was made during the step that is asked about.
const RawStack& StallWatch::stack() const noexcept {
    static constexpr RawStack none{};
    const Nanoseconds in_progress = began_.load(std::memory_order_relaxed);
    const Nanoseconds began = in_progress != 0 ? in_progress : last_began_;
    return noted_.load(std::memory_order_relaxed) == began ? stack_ : none;
}

/// The handler's work. `is_asked_` is taken back last, with release: the watcher reads the note
/// only then, and sees the whole of it. A step that lasts is asked again, so `noted_` alone may
/// tell of the note before, which this one overwrites.
void StallWatch::write_note(const void* context) noexcept {
    const Nanoseconds began = began_.load(std::memory_order_relaxed);
    if (began == 0 || !is_asked_.load(std::memory_order_acquire)) return;
    if (!capture_interrupted_stack(stack_, context, stack_end_)) return;
    name_size_ = describe_(name_);
    noted_.store(began, std::memory_order_relaxed);
    is_asked_.store(false, std::memory_order_release);
}

/// Restores errno: the interrupted code may be between a system call and the reading of its error.
void StallWatch::handle_signal(int, siginfo_t*, void* context) noexcept {
    const int saved_errno = errno;
    if (mine != nullptr) mine->write_note(context);
    errno = saved_errno;
}

}  // namespace asyncio::internal
