// Goal: a wake-up is never lost, from any thread and any signal handler, and never costs more than
// a return that finds nothing. Method: real threads and signals against a back-end that waits; run
// under ThreadSanitizer too. Where a simulated world is to wait for a thread, an operation on a
// real descriptor keeps it in real time.

#include "conformance/child.h"
#include "conformance/harness.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <deque>
#include <thread>
#include <vector>

#include <poll.h>
#include <pthread.h>

namespace asyncio::lowlevel::conformance {
namespace {

/// So long that a lost wake-up shows as a failure, and so short that it does not hang the suite.
constexpr Duration lost_after = 60s;

TEST_P(Conformance, a_wake_before_the_wait_ends_it) {
    for (int round = 0; round < 100; ++round) {
        backend().wake();
        driver().wait(internal::never);
    }
}

TEST_P(Conformance, a_wake_is_used_up_by_the_wait_that_it_ends) {
    Anchor anchor(driver());
    for (int round = 0; round < 3; ++round) {
        backend().wake();
        driver().wait(backend().now() + lost_after);
        // One more may return early: what a writer announced and what it wrote may be seen apart.
        EXPECT_LE(driver().wait_out(backend().now() + 3ms), 20);
    }
}

TEST_P(Conformance, a_wake_while_only_looking_is_not_needed_and_does_no_harm) {
    for (int round = 0; round < 1000; ++round) {
        backend().wake();
        driver().wait(internal::at_once);
    }
    driver().wait_out(soon());
}

TEST_P(Conformance, wake_leaves_errno_alone) {
    errno = ENOTTY;
    backend().wake();
    EXPECT_EQ(errno, ENOTTY);
    backend().wake();
    EXPECT_EQ(errno, ENOTTY);
}

TEST_P(Conformance, THR_02_ten_thousand_wakes_from_another_thread_all_arrive) {
    Anchor anchor(driver());
    constexpr int rounds = 10'000;
    std::atomic<int> sent{0};
    std::atomic<int> seen{0};
    std::thread other([&] {
        for (int i = 1; i <= rounds; ++i) {
            while (seen.load() < i - 1) std::this_thread::yield();
            sent.store(i);
            backend().wake();
        }
    });
    for (int i = 1; i <= rounds; ++i) {
        const TimePoint deadline = backend().now() + lost_after;
        while (sent.load() < i && backend().now() < deadline) driver().wait(deadline);
        EXPECT_LT(backend().now(), deadline) << "lost";
        seen.store(i);
    }
    other.join();
}

// What a thread did before it woke the loop, the loop sees after the wait, without further ado:
// that is how the inbox is meant to work, and ThreadSanitizer is the judge of it. The test needs
// waits that nothing but the wake-up ends, hence a process of its own: the kernel interrupts
// whatever call a thread is in when it clears up behind a ring that the thread once had.
TEST_P(OnKernel, what_happened_before_the_wake_is_visible_after_the_wait) {
    const ChildEnd end = in_child([&]() -> std::string {
        auto fresh = make(GetParam());
        OperationList finished;
        for (int round = 1; round <= 300; ++round) {
            int plain = 0;
            std::thread other([&] {
                plain = round;
                fresh->wake();
            });
            fresh->wait(internal::never, finished);
            const int seen = plain;
            other.join();
            if (seen != round) return "not seen in round " + std::to_string(round);
        }
        return "seen";
    });
    EXPECT_EQ(end.status, 0);
    EXPECT_EQ(end.text, "seen");
}

TEST_P(Conformance, THR_02_a_storm_of_wakes_ends_with_the_storm) {
    Anchor anchor(driver());
    std::atomic<int> running{4};
    std::vector<std::thread> others;
    for (int i = 0; i < 4; ++i) {
        others.emplace_back([&] {
            for (int wakes = 0; wakes < 20'000; ++wakes) backend().wake();
            running.fetch_sub(1);
            backend().wake();
        });
    }
    const TimePoint deadline = backend().now() + lost_after;
    while (running.load() > 0 && backend().now() < deadline) driver().wait(deadline);
    EXPECT_EQ(running.load(), 0) << "the last wake-up is lost";
    for (std::thread& other : others) other.join();
    EXPECT_LE(driver().wait_out(backend().now() + 20ms), 50) << "the storm goes on without wind";
}

TEST_P(Conformance, a_storm_of_wakes_delays_no_operation) {
    Pipe pipe = open_pipe();
    Anchor anchor(driver());
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop.load()) backend().wake();
    });
    for (int round = 0; round < 500; ++round) {
        char byte = 0;
        Read reading(pipe.reader, std::span(&byte, 1));
        driver().submit(reading);
        EXPECT_EQ(write(pipe.writer, "x"), 1);
        driver().finish(reading);
        EXPECT_EQ(reading.result, 1);
    }
    stop.store(true);
    other.join();
}

// More completions at once than a ring holds. In a ring the watch for wake-ups ends when that
// happens, and must be set up again.
TEST_P(Conformance, THR_02_CPP_15_a_wake_still_arrives_after_a_flood_of_completions) {
    Pipe pipe = open_pipe();
    Anchor anchor(driver());
    for (int round = 0; round < 3; ++round) {
        std::deque<Poll> polls;
        for (int i = 0; i < 5000; ++i) driver().submit(polls.emplace_back(pipe.reader, POLLIN));
        driver().wait(internal::at_once);
        ASSERT_EQ(write(pipe.writer, "x"), 1);
        backend().wake();
        driver().wait(internal::at_once);
        backend().wake();
        const TimePoint end = backend().now() + lost_after;
        while (driver().in_flight() > 1 && backend().now() < end) driver().wait(end);
        ASSERT_EQ(driver().in_flight(), 1u) << "the anchor's";
        EXPECT_EQ(read(pipe.reader), "x");

        driver().wait_out(soon());
        backend().wake();
        const TimePoint deadline = backend().now() + lost_after;
        driver().wait(deadline);
        ASSERT_LT(backend().now(), deadline) << "lost";
    }
}

Backend* to_wake = nullptr;

/// Calls `wake` from a handler of SIGUSR1 while it lives.
class WakingHandler {
public:
    explicit WakingHandler(Backend& backend) {
        to_wake = &backend;
        struct sigaction action{};
        action.sa_handler = [](int) { to_wake->wake(); };
        ::sigaction(SIGUSR1, &action, &before_);
    }
    ~WakingHandler() { ::sigaction(SIGUSR1, &before_, nullptr); }

private:
    struct sigaction before_{};
};

TEST_P(Conformance, a_signal_handler_wakes_the_next_wait) {
    WakingHandler handler(backend());
    for (int round = 0; round < 100; ++round) {
        ::raise(SIGUSR1);
        driver().wait(internal::never);
    }
}

TEST_P(Conformance, a_signal_handler_wakes_the_wait_it_interrupts) {
    Anchor anchor(driver());
    WakingHandler handler(backend());
    const pthread_t loop = ::pthread_self();
    std::atomic<int> rounds{0};
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop.load()) {
            ::pthread_kill(loop, SIGUSR1);
            std::this_thread::sleep_for(50us);
        }
    });
    const TimePoint deadline = backend().now() + lost_after;
    while (rounds.load() < 200 && backend().now() < deadline) {
        driver().wait(deadline);
        rounds.fetch_add(1);
    }
    EXPECT_EQ(rounds.load(), 200);
    stop.store(true);
    other.join();
}

TEST_P(Conformance, a_back_end_runs_on_another_thread_than_the_one_that_made_it) {
    // Only then is it certain that the other thread is the first to use it.
    auto another = make(GetParam());
    std::thread other([&] {
        Driver drive(*another);
        MakePipe request;
        ASSERT_EQ(drive.run(request), 0);
        char byte = 0;
        Read reading(request.ends[0], std::span(&byte, 1));
        ASSERT_TRUE(drive.submit(reading));
        Write writing(request.ends[1], std::string_view("x"));
        EXPECT_EQ(drive.run(writing), 1);
        drive.finish(reading);
        EXPECT_EQ(reading.result, 1);
        for (const int end : request.ends) {
            Close closing(end);
            EXPECT_EQ(drive.run(closing), 0);
        }
    });
    another->wake();
    other.join();
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
