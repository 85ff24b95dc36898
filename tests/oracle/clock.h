#pragma once
// A back-end whose time is virtual, around one whose time is real: where the loop would wait for a
// timer, it is that time, and nobody has waited. Before it jumps, the kernel is given a moment for
// what is in flight. The simulated back-end has such a clock itself.

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
        const Submitted submitted = real_->submit(operation);
        if (submitted == Submitted::in_flight) ++in_flight_;
        return submitted;
    }
    void cancel(asyncio::lowlevel::Operation& operation) noexcept override {
        real_->cancel(operation);
    }
    Waited wait(asyncio::TimePoint deadline,
                asyncio::lowlevel::OperationList& finished) noexcept override {
        if (!jumps_) return real_->wait(deadline, finished);
        const bool may_come = in_flight_ > 0;
        if (deadline == asyncio::internal::never && !may_come) return Waited::deadlock;
        real_->wait(until(deadline, may_come), finished);
        finished.for_each([this](auto&) { --in_flight_; });
        if (finished.empty() && deadline != asyncio::internal::never && deadline > now_)
            now_ = deadline;
        return Waited::ok;
    }
    void wake() noexcept override { real_->wake(); }
    asyncio::TimePoint now() noexcept override { return jumps_ ? now_ : real_->now(); }

private:
    /// How long to wait in real time.
    asyncio::TimePoint until(asyncio::TimePoint deadline, bool may_come) {
        if (deadline == asyncio::internal::at_once || !may_come) return asyncio::internal::at_once;
        if (deadline == asyncio::internal::never) return deadline;
        return real_->now() + std::chrono::milliseconds(2);
    }

    std::unique_ptr<Backend> real_;
    bool jumps_;
    int in_flight_ = 0;
    asyncio::TimePoint now_;
};

}  // namespace oracle
