#pragma once
// A deadline that calls its owner.
//
// A time limit, the pause between two attempts and the end of a sleep need the same three things.
// The first is a timer in the heap of the loop. The second is a node that the loop runs when the
// timer has expired. The third is the way from that node to the object whose deadline it is. An
// `Alarm` is all three, as a base class of its owner. The way back is then a cast, which takes no
// memory, and setting an alarm allocates nothing unless the heap of timers must grow.
//
// The owner may be destroyed before the deadline: a scope is left early, or a task is cancelled.
// Neither the heap nor the ready queue may then point into the owner. The destructor takes the
// timer out of the heap, and the node out of the ready queue, so no owner has to do that itself.
//
// Two moments are different. The deadline comes: the loop moves the node from the heap to the ready
// queue. The alarm rings: the loop runs the node, later in the same iteration. A task that runs in
// between can still stop the alarm. CPython's `call_at` has the same two moments, and its order of
// events depends on them.
//
// An owner that does not need its alarm any more stops it. An alarm that is set is an event that
// the loop waits for, so it keeps the loop from noticing a deadlock.
//
// Thread-safety: loop thread only.

#include <asyncio/lowlevel/loop.h>

namespace asyncio::lowlevel {

/// The base class of an object that has a deadline. `Owner` derives from `Alarm<Owner>`, has
/// `void alarm_rings() noexcept`, and makes `Alarm<Owner>` its friend, so that both can be private.
///
/// `alarm_rings` may set the alarm again, and may destroy the owner.
template <class Owner>
class Alarm : internal::Ready {
public:
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

protected:
    explicit Alarm(Loop& loop) noexcept : alarm_loop_(loop) {
        run = [](internal::Ready& node) noexcept {
            static_cast<Owner&>(static_cast<Alarm&>(node)).alarm_rings();
        };
        timer_.target = this;
    }
    ~Alarm() { stop_alarm(); }

    // The three functions that set the alarm must not be called while it is set: stop it first.

    /// Sets the alarm for the time `when`. Throws: `std::bad_alloc`; the alarm is not set then.
    void ring_at(TimePoint when) { alarm_loop_.arm(timer_, when); }
    /// Sets the alarm for the time `delay` from now. Throws: as `ring_at`.
    void ring_after(Duration delay) {
        ring_at(internal::add_saturating(alarm_loop_.time(), delay));
    }
    /// Lets the alarm ring in the next iteration. Needs no timer, so it needs no memory.
    void ring_soon() noexcept { alarm_loop_.schedule(*this); }

    /// Whether the alarm is going to ring: the deadline has not come, or the node is in the ready
    /// queue.
    bool is_alarm_set() const noexcept { return timer_.armed() || Ready::linked(); }

    /// Stops the alarm, wherever it stands. Returns false if there was nothing to stop: the alarm
    /// was not set, has rung, or is ringing.
    bool stop_alarm() noexcept {
        if (timer_.armed()) {
            alarm_loop_.disarm(timer_);
        } else if (Ready::linked()) {
            Ready::unlink();
        } else {
            return false;
        }
        return true;
    }

    /// A hint: `alarm_rings` will use `memory` first. The loop fetches it into the cache in
    /// advance, because many sleeping tasks do not fit there.
    void touches_next(const void* memory) noexcept { timer_.touched_next = memory; }

    Loop& alarm_loop() const noexcept { return alarm_loop_; }

private:
    Loop& alarm_loop_;
    internal::Timer timer_;
};

}  // namespace asyncio::lowlevel
