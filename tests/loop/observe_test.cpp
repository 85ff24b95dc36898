// Goal: the loop looks at its back-end often enough, and not more often: also when callbacks never
// stop coming, and when somebody runs it one iteration at a time.
// Method: an operation that can end only by being cancelled, on a pipe nobody writes to; a back-end
// that counts the looks.

#include <asyncio/event_loop.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "support/run_test.h"

#include <cerrno>
#include <functional>

#include <gtest/gtest.h>

namespace {

using asyncio::lowlevel::Operation;
using asyncio::lowlevel::OperationKind;
using support::LogCapture;
using support::TestLoop;
using namespace std::chrono_literals;
using Submitted = asyncio::lowlevel::Backend::Submitted;

/// An operation that notes that the loop was told of its end.
struct Noted : Operation {
    explicit Noted(OperationKind wanted) {
        kind = wanted;
        on_finished = [](Operation& self) noexcept { static_cast<Noted&>(self).told = true; };
    }
    bool told = false;
};

/// A read that waits for ever.
class WaitingRead {
public:
    explicit WaitingRead(TestLoop& loop) : loop_(loop) {
        Noted open(OperationKind::pipe);
        open.buffer = ends_;
        finish(open);
        read.fd = ends_[0];
        read.buffer = &byte_;
        read.size = 1;
        EXPECT_EQ(loop->submit(read), Submitted::in_flight);
    }
    WaitingRead(const WaitingRead&) = delete;
    WaitingRead& operator=(const WaitingRead&) = delete;
    ~WaitingRead() {
        for (const int end : ends_) {
            Noted close(OperationKind::close);
            close.fd = end;
            finish(close);
        }
    }

    Noted read{OperationKind::read};

private:
    void finish(Noted& operation) {
        if (loop_->submit(operation) == Submitted::finished) return;
        while (!operation.told) loop_.run_once();
    }

    TestLoop& loop_;
    int ends_[2] = {-1, -1};
    char byte_ = 0;
};

/// Told of every step, it counts the looks that had no reason: neither 61 steps since the one
/// before, nor so much time that the coarsest of clocks may have asked for one. The simulated
/// back-end never asks for one.
class LookCounter {
public:
    explicit LookCounter(TestLoop& loop) : loop_(loop), looks_(loop.probe().waits) {}

    void step() {
        ++steps_;
        if (loop_.probe().waits != looks_) looked();
        last_step_ = asyncio::Clock::now();
    }
    int without_reason() const { return without_reason_; }

private:
    static constexpr int steps_between_looks = 61;
    /// "Some 50 us" are 25 where the processor's counter is fast.
    static constexpr asyncio::Duration time_between_looks = 25us;

    /// Between the step before and this one. So the time since the step before the last look is at
    /// least the time between the two looks, however long this thread had no processor.
    void looked() {
        if (!was_due() || loop_.probe().waits != looks_ + 1) ++without_reason_;
        looks_ = loop_.probe().waits;
        steps_ = 1;
        before_last_look_ = last_step_;
    }

    bool was_due() const {
        if (steps_ > steps_between_looks || before_last_look_ == asyncio::TimePoint()) return true;
        return !loop_.simulated() &&
               asyncio::Clock::now() - before_last_look_ >= time_between_looks;
    }

    TestLoop& loop_;
    int looks_;
    /// Since the last look, with the one that runs.
    int steps_ = 0;
    int without_reason_ = 0;
    asyncio::TimePoint last_step_;
    asyncio::TimePoint before_last_look_;
};

TEST(observe, LOOP_02_what_finished_is_noticed_while_callbacks_keep_coming) {
    const LogCapture log;
    TestLoop loop;
    WaitingRead waiting(loop);
    int left = 20'000;
    int left_when_told = 0;
    LookCounter looks(loop);
    std::function<void()> again = [&] {
        looks.step();
        if (left == 15'000) loop->cancel(waiting.read);
        if (waiting.read.told && left_when_told == 0) left_when_told = left;
        if (--left > 0) loop->call_soon(again);
        if (left == 0) loop->stop();
    };
    const int before = loop.probe().waits;
    loop->call_soon(again);
    loop->run_forever();
    EXPECT_GT(left_when_told, 0);
    EXPECT_GE(loop.probe().waits - before, 20'000 / 61);
    EXPECT_EQ(looks.without_reason(), 0) << "but not at the price of a look for each";
}

TEST(observe, LOOP_12_an_iteration_by_hand_looks_once) {
    const LogCapture log;
    TestLoop loop;
    WaitingRead waiting(loop);
    for (int i = 0; i < 5; ++i) {
        const int before = loop.probe().waits;
        loop.run_once();
        EXPECT_EQ(loop.probe().waits, before + 1);
    }
    loop->cancel(waiting.read);
    // A seeded world may put the end off, but not for ever.
    for (int i = 0; i < 10'000 && !waiting.read.told; ++i) loop.run_once();
    EXPECT_TRUE(waiting.read.told);
}

TEST(observe, an_operation_in_flight_is_not_submitted_a_second_time) {
    const LogCapture log;
    TestLoop loop;
    WaitingRead waiting(loop);
    EXPECT_THROW(loop->submit(waiting.read), asyncio::RuntimeError);
    loop->cancel(waiting.read);
    for (int i = 0; i < 10'000 && !waiting.read.told; ++i) loop.run_once();
    EXPECT_TRUE(waiting.read.told);
    EXPECT_EQ(waiting.read.result, -ECANCELED) << "and is as it was";
}

TEST(observe, time_passes_for_a_program_that_never_rests) {
    const LogCapture log;
    TestLoop loop;
    const auto spin = [&]() -> asyncio::Coro<> {
        const asyncio::TimePoint start = loop->time();
        while (loop->time() - start < 50us) co_await asyncio::sleep(0s);
    };
    loop->run_until_complete(spin());
    bool fired = false;
    loop->call_later(50us, [&] { fired = true; });
    const auto spin_for_the_timer = [&]() -> asyncio::Coro<> {
        while (!fired) co_await asyncio::sleep(0s);
    };
    loop->run_until_complete(spin_for_the_timer());
    loop.expect_idle();
}

}  // namespace
