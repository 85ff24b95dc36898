#pragma once
// Permits: so many tasks at a time.
//
// What always holds: permits held, plus `value_`, plus those on their way to a task that was woken,
// is what the semaphore started with and what was released beyond that. A permit travels with the
// wake-up: `release` takes it out of `value_` again for the one it wakes. So nobody can come in
// between, and a task that is cancelled on the way puts its permit back and wakes the next.
//
// Thread-safety: loop thread only.

#include <asyncio/held.h>
#include <asyncio/internal/acquire.h>
#include <asyncio/internal/wait_queue.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

namespace asyncio {

class Semaphore;

/// What `Semaphore::acquire` returns.
using SemaphoreAcquire = internal::Acquire<Semaphore>;

/// A number of permits that tasks take and give back.
///
/// Lifetime: must outlive every task that holds a permit as a `Held`. Tasks that wait for it when
/// it goes wait on, also one that was woken already, until they are cancelled.
/// Python: `asyncio.Semaphore`; `async with semaphore:` is
/// `auto permit = co_await semaphore.acquire();`.
class Semaphore {
public:
    /// `value` permits are there at first. Throws: `std::invalid_argument` if it is negative.
    explicit Semaphore(std::ptrdiff_t value = 1)
        : Semaphore(value, std::numeric_limits<std::ptrdiff_t>::max()) {}

    ~Semaphore() { waiting_.abandon_and_warn("a semaphore"); }

    /// Waits until there is a permit and everybody who came before has had one, and takes it.
    /// Returns a `Held<Semaphore>`, whose destructor gives it back.
    ///
    /// Throws: RuntimeError if it must wait and is not awaited in a task, or the semaphore has been
    /// waited for in another loop.
    /// Cancellation: a cancellation point if it must wait; when cancelled, no permit is held, and
    /// one that was on its way goes to the next.
    /// Python: `semaphore.acquire()`, which returns True.
    SemaphoreAcquire acquire() noexcept { return SemaphoreAcquire(*this); }

    /// Whether `acquire()` would have to wait: no permit is left, or others wait already.
    bool locked() noexcept { return value_ == 0 || waiting_.occupied(); }

    /// Adds `count` permits, each for the first that waits; they run in the next iteration. Whoever
    /// holds a `Held<Semaphore>` need not call it, unless that was given up with `keep()`.
    /// Throws: `std::invalid_argument` if a `BoundedSemaphore` would have more than at the start,
    /// once those who hold one as a `Held` have gone; RuntimeError in a task whose own permit has
    /// just gone back because its `Held` had no name, as in Python's pair of statements, `acquire`
    /// and `release`. None is added then.
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

    /// The iteration in which a permit was taken.
    struct HeldSince {
        HeldSince() noexcept = default;
        explicit HeldSince(Semaphore&) noexcept
            : iteration(internal::here.loop != nullptr ? internal::here.loop->iterations() : 0) {}
        std::uint64_t iteration = 0;
    };
    /// The tasks that have last let a permit go in the step in which they had got it.
    struct Dropped {
        std::array<std::uint64_t, 8> tasks{};
        std::size_t next = 0;
    };

    void release_held(HeldSince since) {
        if (since.iteration != 0 && internal::here.task != nullptr &&
            since.iteration == internal::here.loop->iterations()) [[unlikely]]
            note_dropped();
        add(1);
    }
    void keep_held() noexcept { ++kept_; }
    void note_dropped() noexcept;
    /// More is released than was kept: objects hold the rest, or it is new.
    void check_unkept(std::size_t count) const;
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
    /// The end of a wait. Those who came while somebody had been woken and not run yet had to queue
    /// although there may be permits left; now is the time to hand these out.
    bool end_wait(internal::QueuedWaiter& waiter, bool cancelled) noexcept {
        const bool had_permit = waiter.leave();
        if (cancelled && had_permit) ++value_;
        while (value_ > 0 && waiting_.wake_next()) --value_;
        return !cancelled;
    }
    [[noreturn, gnu::cold]] static void refuse_value();
    [[noreturn, gnu::cold]] static void refuse_release();

    internal::WaitQueue waiting_;
    /// Permits that nobody holds and that are on nobody's way.
    std::ptrdiff_t value_;
    std::ptrdiff_t bound_;
    /// Permits whose `Held` was told to keep them, and that have not been released since.
    std::size_t kept_ = 0;
    /// Made when it is first needed.
    std::unique_ptr<Dropped> dropped_;
};

/// A semaphore that refuses to be released more often than it was acquired, which is a mistake of
/// the program.
///
/// Python: `asyncio.BoundedSemaphore`.
class BoundedSemaphore : public Semaphore {
public:
    /// As `Semaphore`'s; it never has more than `value` permits.
    explicit BoundedSemaphore(std::ptrdiff_t value = 1) : Semaphore(value, value) {}
};

}  // namespace asyncio
