#pragma once
// What the tests of this room share: a record of who did what in which iteration, and a way to
// spend iterations.

#include <asyncio/sleep.h>

#include "support/run_test.h"

#include <string>
#include <string_view>

namespace sync_help {

/// Words in the order in which they were noted; with `Ticks`, each behind the number of iterations
/// since `start`.
class Trace {
public:
    Trace() = default;
    explicit Trace(support::Ticks& ticks) : ticks_(&ticks) {}

    void start() { begin_ = ticks_->count(); }

    void note(std::string_view word) {
        if (!text_.empty()) text_ += ' ';
        if (ticks_ != nullptr) text_ += std::to_string(ticks_->count() - begin_) + ':';
        text_ += word;
    }
    const std::string& text() const { return text_; }

private:
    support::Ticks* ticks_ = nullptr;
    int begin_ = 0;
    std::string text_;
};

/// Runs `first` in one loop and then `second` in another, both alive: a loop is known by its place
/// in memory.
template <class First, class Second>
void run_in_two_loops(First first, Second second) {
    const support::LogCapture log;
    support::TestLoop one;
    support::TestLoop other;
    one->run_until_complete(first());
    other->run_until_complete(second());
    one.expect_idle();
    other.expect_idle();
}

/// Gives `turns` iterations to others.
inline asyncio::Coro<> run_for(int turns) {
    for (int i = 0; i < turns; ++i) co_await asyncio::sleep(asyncio::Duration::zero());
}

}  // namespace sync_help
