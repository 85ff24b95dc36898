#pragma once
// A loop to test with, on the back-end the environment names, and what must hold when a test ends:
// no task is left, no timer, and the library has logged nothing the test did not expect.

#include <asyncio/event_loop.h>
#include <asyncio/task.h>
#include <asyncio/testing/test_loop.h>

#include "support/log_capture.h"

#include <gtest/gtest.h>

namespace support {

/// A loop that reports as test failures, and not by an exception, what is left.
class TestLoop : public asyncio::testing::TestLoop {
public:
    using asyncio::testing::TestLoop::TestLoop;

    /// Runs one iteration, which does not wait.
    void run_once() {
        (*this)->stop();
        (*this)->run_forever();
    }

    /// Checks that nothing is left that could ever run.
    void expect_idle() {
        EXPECT_EQ(run_until_idle(), asyncio::TimePoint::max()) << "a timer is left";
        EXPECT_TRUE(asyncio::all_tasks(**this).empty()) << "a task is left";
    }
};

/// Runs `body()`, a coroutine, as a main task.
template <class Body>
void run_test(Body body) {
    const LogCapture log;
    TestLoop loop;
    loop->run_until_complete(body());
    loop.expect_idle();
    loop->close();
}

/// The same in simulated time on every back-end, for tests of what comes before what by the clock.
template <class Body>
void run_simulated(Body body) {
    const LogCapture log;
    TestLoop loop({.backend = asyncio::lowlevel::BackendKind::simulated, .debug = false});
    loop->run_until_complete(body());
    loop.expect_idle();
    loop->close();
}

/// Counts the iterations of the running loop. It stands first in each, if it is made before
/// anything else becomes ready. While it lives, the loop is never idle.
class Ticks : asyncio::internal::Ready {
public:
    explicit Ticks(asyncio::EventLoop& loop = asyncio::get_running_loop()) : loop_(loop) {
        run = [](asyncio::internal::Ready& node) noexcept {
            auto& self = static_cast<Ticks&>(node);
            ++self.count_;
            self.loop_.schedule(self);
        };
        loop_.schedule(*this);
    }
    ~Ticks() {
        if (linked()) unlink();
    }

    int count() const { return count_; }

private:
    asyncio::EventLoop& loop_;
    int count_ = 0;
};

}  // namespace support
