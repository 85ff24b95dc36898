#pragma once
// A back-end around another one, through which a test sees what the loop asks.

#include <asyncio/lowlevel/backend.h>

#include <functional>
#include <memory>
#include <utility>

namespace support {

class ProbeBackend final : public asyncio::lowlevel::Backend {
public:
    explicit ProbeBackend(std::unique_ptr<Backend> real) : real_(std::move(real)) {}

    const char* name() const noexcept override { return real_->name(); }
    Submitted submit(asyncio::lowlevel::Operation& operation) noexcept override {
        return real_->submit(operation);
    }
    void cancel(asyncio::lowlevel::Operation& operation) noexcept override {
        real_->cancel(operation);
    }
    Waited wait(asyncio::TimePoint deadline,
                asyncio::lowlevel::OperationList& finished) noexcept override {
        ++waits;
        if (instead_of_waiting && deadline != asyncio::internal::at_once) {
            instead_of_waiting(deadline);
            return Waited::ok;
        }
        return real_->wait(deadline, finished);
    }
    bool look_is_due() noexcept override { return real_->look_is_due(); }
    void hand_over() noexcept override { real_->hand_over(); }
    void wake() noexcept override {
        if (before_waking) before_waking();
        real_->wake();
    }
    void expect_wakes(int change) noexcept override { real_->expect_wakes(change); }
    asyncio::TimePoint now() noexcept override { return real_->now(); }

    int waits = 0;
    /// Called with the deadline where the loop would wait.
    std::function<void(asyncio::TimePoint)> instead_of_waiting;
    /// Called on the thread that wakes the loop. Set before there is such a thread.
    std::function<void()> before_waking;

private:
    std::unique_ptr<Backend> real_;
};

}  // namespace support
