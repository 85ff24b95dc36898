#pragma once
// Permits: at most a given number of tasks at a time.
//
// The invariant. A permit is in one of three places: a task holds it, or `value_` counts it, or it
// is on its way to a task that was woken. Together these are the permits of the start, and the
// permits that were released in addition. A permit travels with the wake-up: `release` adds one to
// `value_`, and takes it out again for the task that it wakes. So no newcomer can take the permit
// in between. A task that is cancelled on the way puts its permit back and wakes the next one.
//
// Why `release` may be refused. In Python `acquire` and `release` are two statements. In C++ a
// `Held` without a name is destroyed at the end of its own line. A program that copies the Python
// pair therefore holds its permit for no time, and its `release` adds a permit too many. The
// semaphore cannot see the missing name. It does see a permit that is given back in the step in
// which it was acquired, and notes the task. If that task then calls `release`, the mistake is
// certain enough to throw. Other tasks may release without ever having acquired, because that is
// how tasks count signals.
//
// Thread-safety: loop thread only.

#include <asyncio/held.h>
#include <asyncio/internal/base/lifetime.h>
#include <asyncio/internal/sync/acquire.h>
#include <asyncio/internal/sync/wait_queue.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

namespace asyncio {

class Semaphore;

/// The return type of `Semaphore::acquire`.
using SemaphoreAcquire = internal::Acquire<Semaphore>;

/// A number of permits that tasks take and give back.
///
/// Lifetime: the semaphore must outlive every `Held` of it. Tasks that still wait when it is
/// destroyed wait on until they are cancelled, also a task that was woken and has not run yet.
/// Python: `asyncio.Semaphore`; `async with semaphore:` is
/// `auto permit = co_await semaphore.acquire();`.
class Semaphore {
public:
    /// A semaphore with `value` permits. Throws: `std::invalid_argument` if `value` is negative.
    explicit Semaphore(std::ptrdiff_t value = 1)
        : Semaphore(value, std::numeric_limits<std::ptrdiff_t>::max()) {}

    ~Semaphore() { waiting_.abandon_and_warn("a semaphore"); }

    /// Waits until there is a permit and every earlier waiter has had one, and takes it.
    /// Returns a `Held<Semaphore>`, whose destructor gives the permit back. Give it a name: without
    /// one it is destroyed at once.
    ///
    /// Throws: RuntimeError if the call must wait and is not awaited in a task, or if the semaphore
    /// belongs to another loop.
    /// Cancellation: a cancellation point if it must wait. When cancelled, no permit is held. A
    /// permit that was on its way to this task goes to the next waiter.
    /// Python: `semaphore.acquire()`, which returns True.
    SemaphoreAcquire acquire() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND {
        return SemaphoreAcquire(*this);
    }

    /// Whether `acquire()` would have to wait: no permit is left, or other tasks wait already.
    bool locked() const noexcept { return value_ == 0 || waiting_.occupied(); }

    /// Adds `count` permits. Each goes to the first waiter, which runs in the next iteration. A
    /// task that has a `Held<Semaphore>` need not call this, unless the `Held` was told to `keep`.
    /// Throws: `std::invalid_argument` for a `BoundedSemaphore` that would have more permits than
    /// at the start when all `Held`s have been destroyed; RuntimeError in a task whose own permit
    /// has gone back because its `Held` had no name (see the top of this file). No permit is added
    /// then.
    void release(std::size_t count = 1) {
        waiting_.check_thread();
        if (count > kept_) check_unkept(count);
        kept_ -= std::min(kept_, count);
        add(count);
    }

protected:
    Semaphore(std::ptrdiff_t value, std::ptrdiff_t bound) : value_(value), bound_(bound) {
        if (value < 0) [[unlikely]]
            refuse_value();
    }

private:
    static constexpr const char* acquire_name = "Semaphore::acquire()";

    friend Held<Semaphore>;
    friend internal::AcquireAwaiter<Semaphore>;

    /// The iteration in which a permit was acquired; 0 outside a loop.
    struct HeldSince {
        HeldSince() noexcept = default;
        explicit HeldSince(Semaphore&) noexcept
            : iteration(internal::here.loop != nullptr ? internal::here.loop->iterations() : 0) {}
        std::uint64_t iteration = 0;
    };
    /// The last eight tasks that gave a permit back in the step in which they had acquired it. A
    /// fixed number, so that the note cannot grow.
    struct Dropped {
        std::array<std::uint64_t, 8> tasks{};
        std::size_t next = 0;
    };

    /// For `Held`: its destructor, and its `keep`.
    void release_held(HeldSince since) {
        if (since.iteration != 0 && internal::here.task != nullptr &&
            since.iteration == internal::here.loop->iterations()) [[unlikely]]
            note_dropped();
        add(1);
    }
    void keep_held() noexcept { ++kept_; }
    void note_dropped() noexcept;
    /// More permits are released than `Held`s were told to keep. Refuses that if it is a mistake.
    void check_unkept(std::size_t count) const;
    /// Adds permits and wakes a waiter for each.
    void add(std::size_t count) {
        if (count > static_cast<std::size_t>(bound_ - value_)) [[unlikely]]
            refuse_release();
        value_ += static_cast<std::ptrdiff_t>(count);
        for (; count > 0 && waiting_.wake_next(); --count) --value_;
    }
    bool try_acquire() noexcept {
        if (locked()) return false;
        --value_;
        return true;
    }
    /// The end of a wait. A cancelled task puts its permit back. Tasks that came while a woken task
    /// had not run yet had to queue, although there may have been permits left; these permits are
    /// handed out now.
    bool end_wait(internal::QueuedWaiter& waiter, bool cancelled) noexcept {
        const bool had_permit = waiter.leave();
        if (cancelled && had_permit) ++value_;
        while (value_ > 0 && waiting_.wake_next()) --value_;
        return !cancelled;
    }
    [[noreturn, gnu::cold]] static void refuse_value();
    [[noreturn, gnu::cold]] static void refuse_release();

    internal::WaitQueue waiting_;
    /// Permits that no task holds and that are not on their way to one.
    std::ptrdiff_t value_;
    /// The largest number of permits; without meaning for a plain semaphore.
    std::ptrdiff_t bound_;
    /// Permits whose `Held` was told to `keep`, and that have not been released since.
    std::size_t kept_ = 0;
    /// Made when it is first needed: most programs never do.
    std::unique_ptr<Dropped> dropped_;
};

/// A semaphore that refuses to be released more often than it was acquired, because that is a
/// mistake of the program.
///
/// Python: `asyncio.BoundedSemaphore`.
class BoundedSemaphore : public Semaphore {
public:
    /// A semaphore with `value` permits, and never more. Throws: as `Semaphore`.
    explicit BoundedSemaphore(std::ptrdiff_t value = 1) : Semaphore(value, value) {}
};

}  // namespace asyncio
