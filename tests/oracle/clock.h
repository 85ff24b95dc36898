#pragma once
// A back-end whose time is virtual, around one whose time is real: where the loop would wait for a
// timer, it is that time, and nobody has waited. What is in flight in the real one is looked at.
// The simulated back-end has such a clock itself.

#include <asyncio/lowlevel/backend.h>

#include <memory>
#include <string_view>
#include <utility>

namespace oracle {

class JumpingClock final : public asyncio::lowlevel::Backend {
public:
    explicit JumpingClock(std::unique_ptr<Backend> real)
        : real_(std::move(real)),
          jumps_(std::string_view(real_->name()) != "simulated"),
          now_(real_->now()) {}

    const char* name() const noexcept override { return real_->name(); }
    Submitted submit(asyncio::lowlevel::Operation& operation) noexcept override {
        return real_->submit(operation);
    }
    void cancel(asyncio::lowlevel::Operation& operation) noexcept override {
        real_->cancel(operation);
    }
    Waited wait(asyncio::TimePoint deadline,
                asyncio::lowlevel::OperationList& finished) noexcept override {
        if (!jumps_) return real_->wait(deadline, finished);
        if (deadline == asyncio::internal::never) return Waited::deadlock;
        const Waited waited = real_->wait(asyncio::internal::at_once, finished);
        if (finished.empty() && deadline > now_) now_ = deadline;
        return waited;
    }
    void wake() noexcept override { real_->wake(); }
    asyncio::TimePoint now() noexcept override { return jumps_ ? now_ : real_->now(); }

private:
    std::unique_ptr<Backend> real_;
    bool jumps_;
    asyncio::TimePoint now_;
};

}  // namespace oracle
