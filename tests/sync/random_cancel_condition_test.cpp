// Goal: whatever is cancelled at whatever moment, no notification of a condition is lost and its
// lock is held when a wait ends; a barrier goes on opening.
// Method: see random_cancel.h.

#include "sync/random_cancel.h"

namespace {

using asyncio::Barrier;
using asyncio::Condition;
using namespace random_cancel;

/// Producers make tokens, each with one notification; consumers take them.
class ConditionProgram {
public:
    explicit ConditionProgram(Random& random) : chaos_(random) {}

    Coro<> run() {
        for (int i = 0; i < 6; ++i) chaos_.start([this] { return consume(); });
        for (int i = 0; i < 4; ++i) chaos_.start([this] { return produce(); });
        co_await chaos_.run([this] {
            EXPECT_TRUE(tokens_ == 0 || waiting_ == 0)
                << waiting_ << " sleep beside " << tokens_ << " tokens: a lost notification";
            EXPECT_FALSE(condition_.locked());
        });
        co_await end();
        co_await chaos_.join();
    }
    void check() {
        EXPECT_EQ(made_, taken_ + tokens_);
        EXPECT_FALSE(condition_.locked());
        EXPECT_EQ(waiting_, 0);
    }

private:
    Coro<> consume() {
        const auto held = co_await condition_.acquire();
        while (tokens_ == 0 && !ended_) co_await wait();
        if (tokens_ == 0) co_return;
        --tokens_;
        ++taken_;
        co_await hold_on();
    }
    Coro<> wait() {
        ++waiting_;
        const auto outcome =
            co_await asyncio::internal::settle(chaos_.perhaps_limited(condition_.wait()));
        --waiting_;
        EXPECT_TRUE(condition_.locked()) << "a wait has ended without the lock";
        EXPECT_EQ(owners_, 0) << "a wait has ended with the lock of another";
        if (outcome.failed()) std::rethrow_exception(outcome.error());
    }
    Coro<> produce() {
        auto held = co_await condition_.acquire();
        ++made_;
        ++tokens_;
        condition_.notify();
        chaos_.strike();
        co_await hold_on();
        held.release();
        chaos_.strike();
    }
    /// The lock is contended now and then.
    Coro<> hold_on() {
        const Count owner(owners_);
        EXPECT_EQ(owners_, 1);
        if (chaos_.random().one_in(2)) co_await chaos_.pause();
    }
    Coro<> end() {
        const auto held = co_await condition_.acquire();
        ended_ = true;
        condition_.notify_all();
    }

    Chaos chaos_;
    Condition condition_;
    int tokens_ = 0;
    int made_ = 0;
    int taken_ = 0;
    int waiting_ = 0;
    int owners_ = 0;
    bool ended_ = false;
};

/// More tasks than the barrier needs meet again and again; in some programs somebody resets it.
class BarrierProgram {
public:
    explicit BarrierProgram(Random& random)
        : chaos_(random), barrier_(2 + static_cast<std::ptrdiff_t>(random.below(3))) {}

    Coro<> run() {
        for (int i = 0; i < 7; ++i) chaos_.start([this] { return meet(); });
        if (chaos_.random().one_in(2)) chaos_.start([this] { return disturb(); });
        co_await chaos_.run([this] {
            barrier_.reset();  // if the one who aborted it was cancelled before
            EXPECT_LT(waiting_, static_cast<int>(barrier_.parties()))
                << "enough are there, and it does not open";
        });
        chaos_.cancel_all();
        co_await chaos_.join();
    }
    void check() {
        EXPECT_EQ(barrier_.n_waiting(), 0u);
        EXPECT_EQ(waiting_, 0);
        EXPECT_FALSE(barrier_.broken());
    }

private:
    Coro<> meet() {
        const Count waiting(waiting_);
        EXPECT_LT(co_await chaos_.perhaps_limited(barrier_.wait()), barrier_.parties());
        chaos_.strike();
    }
    Coro<> disturb() {
        if (chaos_.random().one_in(4)) {
            barrier_.abort();
            co_await chaos_.pause();
        }
        barrier_.reset();
    }

    Chaos chaos_;
    Barrier barrier_;
    int waiting_ = 0;
};

TEST(random_cancel, a_condition_loses_no_notification) { run_seeds<ConditionProgram>(); }

TEST(random_cancel, a_barrier_goes_on_opening) { run_seeds<BarrierProgram>(); }

}  // namespace
