// Goal: whatever is cancelled at whatever moment, a lock has one owner, a semaphore all its
// permits, an event wakes whoever waits, nobody is overtaken, and nothing is left over.
// Method: see random_cancel.h.

#include "sync/random_cancel.h"

#include <set>

namespace {

using asyncio::Event;
using asyncio::Held;
using asyncio::Lock;
using asyncio::Semaphore;
using namespace random_cancel;

class LockProgram {
public:
    explicit LockProgram(Random& random) : chaos_(random) {}

    Coro<> run() {
        for (int i = 0; i < 7; ++i) chaos_.start([this] { return work(); });
        co_await chaos_.run([this] { check(); });
        co_await chaos_.join();
    }
    void check() {
        EXPECT_FALSE(lock_.locked());
        EXPECT_EQ(line_.size(), 0u) << "tasks sleep beside a lock that is free";
    }

private:
    Coro<> work() {
        Line::Place place(line_);
        Held<Lock> held = co_await chaos_.perhaps_limited(lock_.acquire());
        place.served();
        co_await own();
        held.release();
        chaos_.strike();
    }

    Coro<> own() {
        const Count owner(owners_);
        EXPECT_EQ(owners_, 1) << "the lock has two owners";
        co_await chaos_.pause();
    }

    Chaos chaos_;
    Lock lock_;
    Line line_;
    int owners_ = 0;
};

class SemaphoreProgram {
public:
    explicit SemaphoreProgram(Random& random)
        : chaos_(random), permits_(1 + static_cast<int>(random.below(3))), semaphore_(permits_) {}

    Coro<> run() {
        for (int i = 0; i < 8; ++i) chaos_.start([this] { return work(); });
        co_await chaos_.run([this] { check(); });
        co_await chaos_.join();
    }
    /// There are as many permits as at the beginning, and they can be had.
    void check() {
        EXPECT_EQ(line_.size(), 0u) << "tasks sleep beside permits that are free";
        int left = 0;
        while (!semaphore_.locked() && left < 100) {
            EXPECT_TRUE(semaphore_.acquire().operator co_await().await_ready());
            ++left;
        }
        EXPECT_EQ(left, permits_) << "permits are lost or made";
        semaphore_.release(static_cast<std::size_t>(left));
    }

private:
    Coro<> work() {
        Line::Place place(line_);
        Held<Semaphore> permit = co_await chaos_.perhaps_limited(semaphore_.acquire());
        place.served();
        co_await own();
        if (chaos_.random().one_in(5) && !semaphore_.locked()) {
            const auto second = co_await semaphore_.acquire();
            permit.release();
            chaos_.strike();
        } else {
            permit.release();
            chaos_.strike();
        }
    }
    Coro<> own() {
        const Count holder(holders_);
        EXPECT_LE(holders_, permits_);
        co_await chaos_.pause();
    }

    Chaos chaos_;
    int permits_;
    Semaphore semaphore_;
    Line line_;
    int holders_ = 0;
};

class EventProgram {
public:
    explicit EventProgram(Random& random) : chaos_(random) {}

    Coro<> run() {
        for (int i = 0; i < 6; ++i) chaos_.start([this] { return wait(); });
        for (int i = 0; i < 2; ++i) chaos_.start([this] { return set_and_clear(); });
        co_await chaos_.run([this] {
            event_.set();
            event_.clear();
        });
        event_.set();
        co_await chaos_.join();
    }
    void check() { EXPECT_TRUE(waiting_.empty()); }

private:
    Coro<> wait() {
        const int number = ++last_number_;
        if (!event_.is_set()) waiting_.insert(number);
        const auto outcome =
            co_await asyncio::internal::settle(chaos_.perhaps_limited(event_.wait()));
        waiting_.erase(number);
        if (outcome.failed()) std::rethrow_exception(outcome.error());
    }
    /// Whoever waits when the event is set has gone on an iteration later.
    Coro<> set_and_clear() {
        const std::set<int> woken = waiting_;
        event_.set();
        if (chaos_.random().one_in(2)) event_.clear();
        chaos_.strike();
        co_await asyncio::sleep(Duration::zero());
        for (const int number : woken)
            EXPECT_FALSE(waiting_.contains(number)) << "a waiter was not woken";
        event_.clear();
    }

    Chaos chaos_;
    Event event_;
    std::set<int> waiting_;
    int last_number_ = 0;
};

TEST(random_cancel, a_lock_has_one_owner_and_goes_to_who_came_first) { run_seeds<LockProgram>(); }

TEST(random_cancel, a_semaphore_loses_no_permit) { run_seeds<SemaphoreProgram>(); }

TEST(random_cancel, an_event_wakes_everybody_who_waits) { run_seeds<EventProgram>(); }

}  // namespace
