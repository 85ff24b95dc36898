#pragma once
// Programs of many tasks that are cancelled at random, in a simulated world of a given seed.
//
// The seed decides everything: who pauses for how long, who waits with a limit, who is cancelled in
// which iteration, and who goes on after a cancellation. So a seed that fails, fails again:
// `ASYNCIO_SEED=n` runs that one. `ASYNCIO_SEEDS=n` runs so many, from 1 on.
//
// What a program shares among its tasks lives outside the loop, for when something is wrong, tasks
// are still there when the loop is closed.

#include <asyncio.h>

#include "support/random.h"
#include "support/run_test.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace random_cancel {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::Duration;
using asyncio::Task;
using support::Random;

/// The tasks of a program, and what happens to them.
class Chaos {
public:
    explicit Chaos(Random& random) : random_(random) {}

    Random& random() { return random_; }
    Duration short_time() {
        return std::chrono::microseconds(1 + static_cast<int>(random_.below(8)));
    }
    /// A little while, most often none.
    Coro<> pause() {
        for (std::uint64_t turns = random_.below(3); turns > 0; --turns)
            co_await asyncio::sleep(Duration::zero());
        if (random_.one_in(4)) co_await asyncio::sleep(short_time());
    }

    /// Awaits, every third time with a limit that may well expire.
    template <class Awaitable>
    auto perhaps_limited(Awaitable awaitable) {
        return asyncio::wait_for(std::move(awaitable), random_.one_in(3)
                                                           ? std::optional<Duration>(short_time())
                                                           : std::nullopt);
    }

    /// Starts a worker: `round()`, a coroutine, again and again.
    template <class Round>
    void start(Round round) {
        tasks_.push_back(asyncio::create_task(work(round)));
    }

    /// Lets the workers work while some are cancelled, then waits until whoever can go on has gone
    /// on as far as it gets, and calls `check`; again and again. Workers end then.
    template <class Check>
    Coro<> run(Check check) {
        for (int burst = 0; burst < 10; ++burst) {
            rounds_ = 5 + static_cast<int>(random_.below(15));
            co_await cancel_some();
            for (int i = 0; i < 4; ++i) co_await asyncio::sleep(resting_time);
            check();
        }
        over_ = true;
    }

    /// Every now and then cancels somebody, at once: workers call this in the step in which they
    /// have woken others.
    void strike() {
        if (random_.one_in(4)) tasks_[random_.below(tasks_.size())].cancel();
    }

    /// For workers that need not come to an end by themselves.
    void cancel_all() {
        for (const Task<>& task : tasks_) task.cancel();
    }

    /// Waits for every task. One that ended with an error that is no cancellation is a failure.
    Coro<> join() {
        for (const Task<>& task : tasks_) {
            const auto outcome = co_await asyncio::internal::settle(task);
            if (outcome.failed() && !outcome.cancelled())
                ADD_FAILURE() << "a task failed: " << asyncio::describe(outcome.error());
        }
    }

private:
    static constexpr Duration resting_time = std::chrono::milliseconds(1);

    template <class Round>
    Coro<> work(Round round) {
        for (;;) {
            const auto outcome = co_await asyncio::internal::settle(try_round(round));
            if (outcome.cancelled()) {
                if (!goes_on()) throw CancelledError();
            } else if (outcome.failed()) {
                tolerate(outcome.error());
            } else if (!outcome.value()) {
                co_return;
            }
        }
    }
    /// False if the program is over. Rests while there is nothing to do.
    template <class Round>
    Coro<bool> try_round(Round& round) {
        while (rounds_ == 0 && !over_) co_await asyncio::sleep(resting_time);
        if (over_) co_return false;
        --rounds_;
        co_await pause();
        co_await round();
        co_return true;
    }
    /// Most of those that are cancelled go on, as if they had only cleaned up.
    bool goes_on() {
        if (over_ || random_.one_in(10)) return false;
        while (asyncio::current_task().uncancel() > 0) {
        }
        return true;
    }
    static void tolerate(const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const asyncio::TimeoutError&) {
        } catch (const asyncio::QueueShutDown&) {
        } catch (const asyncio::BrokenBarrierError&) {
        }
    }

    Coro<> cancel_some() {
        for (int turn = 0; turn < 12; ++turn) {
            while (random_.one_in(3)) tasks_[random_.below(tasks_.size())].cancel();
            co_await asyncio::sleep(random_.one_in(4) ? short_time() : Duration::zero());
        }
    }

    Random& random_;
    std::vector<Task<>> tasks_;
    /// How many may still begin in this burst.
    int rounds_ = 0;
    bool over_ = false;
};

/// One more while it lives.
class Count {
public:
    explicit Count(int& count) : count_(count) { ++count_; }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    ~Count() { --count_; }

private:
    int& count_;
};

/// Who waits, in the order of arrival: whoever is served must not overtake one that still wants to
/// be. One that was asked to stop after it came counts no more.
class Line {
public:
    class Place {
    public:
        explicit Place(Line& line) : line_(line), number_(line.next_++) {
            const asyncio::TaskRef task = asyncio::current_task();
            // A request that is pending already will end this wait as well.
            const std::size_t pending = task.core()->must_cancel() ? 1 : 0;
            line_.waiting_.push_back({number_, task, task.cancelling() - pending});
        }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        ~Place() { leave(); }

        void served() {
            for (const Entry& entry : line_.waiting_) {
                if (entry.number >= number_) break;
                EXPECT_GT(entry.task.cancelling(), entry.requests)
                    << entry.task.get_name() << " has been overtaken";
            }
            leave();
        }

    private:
        void leave() {
            std::erase_if(line_.waiting_, [this](const Entry& e) { return e.number == number_; });
        }

        Line& line_;
        int number_;
    };

    std::size_t size() const { return waiting_.size(); }

private:
    struct Entry {
        int number;
        asyncio::TaskRef task;
        std::size_t requests;
    };
    std::vector<Entry> waiting_;
    int next_ = 0;
};

inline std::uint64_t seed_count() {
    if (std::getenv("ASYNCIO_SEED") != nullptr) return 1;
    const char* wanted = std::getenv("ASYNCIO_SEEDS");
    return wanted != nullptr ? std::stoull(wanted) : 200;
}

template <class Program>
void run_one(std::uint64_t seed) {
    Random random(seed);
    Program program(random);
    support::TestLoop loop(asyncio::lowlevel::make_simulated_backend({.seed = seed}),
                           {.debug = false});
    try {
        loop->run_until_complete(program.run());
    } catch (const asyncio::DeadlockError& deadlock) {
        ADD_FAILURE() << deadlock.what();
    }
    if (::testing::Test::HasFailure()) return;
    loop.expect_idle();
    program.check();
}

/// `Program` is made from a Random; `run()` is its main task, `check()` looks at what is left when
/// everything has ended. The first seed that fails is the last.
template <class Program>
void run_seeds() {
    const std::uint64_t first = support::seed_or(1);
    for (std::uint64_t seed = first; seed < first + seed_count(); ++seed) {
        SCOPED_TRACE("ASYNCIO_SEED=" + std::to_string(seed));
        const support::LogCapture log;
        run_one<Program>(seed);
        if (::testing::Test::HasFailure()) {
            support::LogCapture::take();
            return;
        }
    }
}

}  // namespace random_cancel
