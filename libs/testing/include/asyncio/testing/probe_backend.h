#pragma once
// A back-end around another one, through which a test sees what the loop asks for.

#include <asyncio/lowlevel/backend.h>

#include <functional>
#include <memory>
#include <utility>

namespace asyncio::testing {

/// Passes every call on to another back-end, counts the waits, and lets a test act at a wait or at
/// a wake-up, and answer questions about names.
///
/// Thread-safety: as `lowlevel::Backend`. A test sets the members while no loop uses the object.
class [[gnu::visibility("default")]] ProbeBackend final : public lowlevel::Backend {
public:
    /// `real` answers the calls.
    explicit ProbeBackend(std::unique_ptr<Backend> real) : real_(std::move(real)) {}

    const char* name() const noexcept override { return real_->name(); }
    Submitted submit(lowlevel::Operation& operation) noexcept override {
        return real_->submit(operation);
    }
    void cancel(lowlevel::Operation& operation) noexcept override { real_->cancel(operation); }
    Waited wait(TimePoint deadline, lowlevel::OperationList& finished) noexcept override;
    bool look_is_due() noexcept override { return real_->look_is_due(); }
    void disown(int fd) noexcept override { real_->disown(fd); }
    void hand_over() noexcept override { real_->hand_over(); }
    void wake() noexcept override {
        if (before_waking) before_waking();
        real_->wake();
    }
    void expect_wakes(int change) noexcept override { real_->expect_wakes(change); }
    TimePoint now() noexcept override { return real_->now(); }
    lowlevel::Names* names() noexcept override {
        if (names_instead != nullptr) return names_instead;
        return asks_system ? nullptr : real_->names();
    }

    /// How often the loop has waited or looked for finished operations.
    int waits = 0;
    /// If set, it is called with the deadline when the loop would wait, and the loop does not wait.
    /// It must not throw. A wait that only looks is not passed to it.
    std::function<void(TimePoint deadline)> instead_of_waiting;
    /// If set, it is called on the thread that wakes the loop, before the wake-up. It must not
    /// throw.
    std::function<void()> before_waking;
    /// If set, it answers the questions about names. It must live as long as this object.
    lowlevel::Names* names_instead = nullptr;
    /// Lets the system answer the questions about names, on threads and in real time, in a
    /// simulated world as well.
    bool asks_system = false;

private:
    std::unique_ptr<Backend> real_;
};

}  // namespace asyncio::testing
