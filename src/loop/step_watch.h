#pragma once
// In debug mode: notices a step that holds the loop for too long, and says where it was stuck.
//
// How long is known when the step ends. Where it was stuck can only be known while it is: a second
// thread (`StallWatch` in base) interrupts the loop's thread once the limit has passed and notes
// the stack it finds. Outside debug mode this class is one test of a flag.

#include <asyncio/event_loop.h>

#include <string>

namespace asyncio::internal {

class StepWatch {
public:
    explicit StepWatch(EventLoop& loop) noexcept : loop_(loop) {
        if (loop.get_debug()) [[unlikely]]
            begin();
    }

    /// `describe()` names what ran; it is asked only when the step was slow.
    template <class Describe>
    void end(Describe&& describe) const noexcept {
        if (loop_.get_debug() && started_ != TimePoint{} && too_long()) [[unlikely]]
            report(describe());
    }

private:
    void begin() noexcept;
    bool too_long() const noexcept;
    void report(const std::string& what) const noexcept;

    EventLoop& loop_;
    TimePoint started_{};
};

}  // namespace asyncio::internal
