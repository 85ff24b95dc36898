#pragma once
// A deadline that calls its owner.
//
// A time limit, the pause between two attempts and the end of a sleep need the same three things: a
// timer in the heap of the loop, a node that the loop runs when the timer has expired, and the way
// from that node to the object whose deadline it is. An `Alarm` is all three, as a base class of
// the owner. The way back is then a cast, which takes no memory, and no owner can forget one of
// the steps at its end: the destructor takes the timer out of the heap, and the node out of the
// ready queue.
//
// Two moments must be told apart. The deadline comes: the loop moves the node from the heap to the
// ready queue. The alarm rings: the loop runs the node, later in the same iteration. In between a
// task that runs first can still stop the alarm. CPython's `call_at` has the same two moments, and
// its order of events depends on them.
//
// Thread-safety: loop thread only.

#include <asyncio/event_loop.h>

namespace asyncio::lowlevel {

/// `Owner` derives from `Alarm<Owner>`, has `void alarm_rings() noexcept`, and makes `Alarm<Owner>`
/// its friend.
template <class Owner>
class Alarm : internal::Ready {
public:
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

protected:
    explicit Alarm(EventLoop& loop) noexcept : alarm_loop_(loop) {
        run = [](internal::Ready& node) noexcept {
            static_cast<Owner&>(static_cast<Alarm&>(node)).alarm_rings();
        };
        timer_.target = this;
    }
    ~Alarm() { stop_alarm(); }

    // An alarm is set once, until it rings or is stopped.

    /// Throws: `std::bad_alloc`; the alarm is not set then.
    void ring_at(TimePoint when) { alarm_loop_.arm(timer_, when); }
    /// The same, so long from now on.
    void ring_after(Duration delay) {
        ring_at(internal::add_saturating(alarm_loop_.time(), delay));
    }
    /// In the next iteration.
    void ring_soon() noexcept { alarm_loop_.schedule(*this); }

    bool is_alarm_set() const noexcept { return timer_.armed() || Ready::linked(); }

    /// False if the alarm was not set, or rings at this moment or has rung.
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

    /// What `alarm_rings` will touch first. The loop fetches it from memory in advance.
    void touches_next(const void* memory) noexcept { timer_.touched_next = memory; }

    EventLoop& alarm_loop() const noexcept { return alarm_loop_; }

private:
    EventLoop& alarm_loop_;
    internal::Timer timer_;
};

}  // namespace asyncio::lowlevel
