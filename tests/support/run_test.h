#pragma once
// A loop to test with, on the back-end the environment names, and what must hold when a test ends:
// no task is left, no timer, and the library has logged nothing the test did not expect.

#include <asyncio/event_loop.h>
#include <asyncio/task.h>

#include "support/log_capture.h"
#include "support/probe_backend.h"

#include <memory>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace support {

class TestLoop {
public:
    explicit TestLoop(asyncio::LoopOptions options = {.debug = false})
        : TestLoop(asyncio::lowlevel::make_backend(options.backend), options) {}
    TestLoop(std::unique_ptr<asyncio::lowlevel::Backend> real, asyncio::LoopOptions options)
        : TestLoop(std::make_unique<ProbeBackend>(std::move(real)), options) {}

    asyncio::EventLoop& operator*() { return loop_; }
    asyncio::EventLoop* operator->() { return &loop_; }
    ProbeBackend& probe() { return probe_; }

    /// Whether time is exact.
    bool simulated() const { return std::string_view(loop_.backend_name()) == "simulated"; }

    /// Runs what is ready until the loop would wait; returns the deadline it would wait for.
    asyncio::TimePoint run_until_idle() {
        asyncio::TimePoint deadline;
        probe_.instead_of_waiting = [&](asyncio::TimePoint asked) {
            deadline = asked;
            loop_.stop();
        };
        loop_.run_forever();
        probe_.instead_of_waiting = nullptr;
        return deadline;
    }

    /// Nothing is left that could ever run.
    void expect_idle() {
        EXPECT_EQ(run_until_idle(), asyncio::internal::never) << "a timer is left";
        EXPECT_TRUE(asyncio::all_tasks(loop_).empty()) << "a task is left";
    }

private:
    TestLoop(std::unique_ptr<ProbeBackend> probe, asyncio::LoopOptions options)
        : probe_(*probe), loop_(std::move(probe), options) {}

    ProbeBackend& probe_;
    asyncio::EventLoop loop_;
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
