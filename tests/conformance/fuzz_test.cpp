// Goal: whatever is asked in whatever order, every operation is reported once and no byte is lost,
// made up or altered. Method: random reads, writes, polls, cancellations, waits, wake-ups and
// closes on a few pipes, from a printed seed (ASYNCIO_TEST_SEED=N repeats it). Bytes are counted
// and summed on their way in and out: which of several readers gets which bytes is open, how many
// and what they add up to is not. The driver checks "exactly once" at every step.

#include "conformance/harness.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <list>
#include <numeric>
#include <random>

#include <poll.h>

namespace asyncio::lowlevel::conformance {
namespace {

std::uint64_t seed_of_this_run() {
    static const std::uint64_t seed = [] {
        const char* given = std::getenv("ASYNCIO_TEST_SEED");
        const std::uint64_t chosen =
            given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
        std::cout << "ASYNCIO_TEST_SEED=" << chosen << '\n';
        return chosen;
    }();
    return seed;
}

/// How many bytes went past, and what they add up to.
struct Tally {
    std::size_t bytes = 0;
    std::uint64_t sum = 0;

    void add(const std::string& data, int count) {
        bytes += static_cast<std::size_t>(count);
        for (int i = 0; i < count; ++i)
            sum += static_cast<unsigned char>(data[static_cast<std::size_t>(i)]);
    }
    friend bool operator==(const Tally&, const Tally&) = default;
};

/// An operation with the memory it works on.
struct Step : Operation {
    std::string data;
    std::size_t pipe = 0;
};

class Fuzz : public Conformance {
protected:
    struct Tube {
        Pipe ends;
        Tally in;
        Tally out;
    };

    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

    void play(int steps) {
        for (Tube& tube : tubes_) tube.ends = open_pipe();
        for (int i = 0; i < steps && !HasFatalFailure(); ++i) move();
        settle();
        for (std::size_t i = 0; i < tubes_.size(); ++i) empty(i);
    }

    void move() {
        const std::uint64_t choice = below(100);
        if (choice < 30) return begin(OperationKind::read);
        if (choice < 60) return begin(OperationKind::write);
        if (choice < 65) return begin(OperationKind::poll);
        if (choice < 80) return cancel_some();
        if (choice < 90) return look(internal::at_once);
        if (choice < 97) return look(backend().now() + std::chrono::microseconds(below(50)));
        if (choice < 99) return backend().wake();
        empty_and_replace(below(tubes_.size()));
    }

    void begin(OperationKind kind) {
        Step& step = steps_.emplace_back();
        step.kind = kind;
        step.pipe = below(tubes_.size());
        const Pipe& ends = tubes_[step.pipe].ends;
        const bool writes = kind == OperationKind::write || below(2) == 0;
        if (kind == OperationKind::poll) {
            step.fd = writes ? ends.writer : ends.reader;
            step.events = writes ? POLLOUT : POLLIN;
        } else {
            step.fd = kind == OperationKind::write ? ends.writer : ends.reader;
            step.data.resize(1 + below(below(10) == 0 ? 100'000 : 3000));
            for (char& byte : step.data) byte = static_cast<char>(random_());
            step.buffer = step.data.data();
            step.size = step.data.size();
        }
        driver().submit(step);
        sweep();
    }

    void cancel_some() {
        for (Step& step : steps_) {
            if (below(4) == 0) cancel(step);
        }
    }

    void cancel(Step& step) {
        if (driver().is_in_flight(step)) driver().cancel(step);
    }

    void look(TimePoint deadline) {
        driver().wait(deadline);
        sweep();
    }

    /// Books what was reported, and frees it: a back-end that touches it later is found out by the
    /// sanitizers.
    void sweep() {
        for (auto step = steps_.begin(); step != steps_.end();) {
            if (step->state == State::in_flight) {
                ++step;
                continue;
            }
            book(*step);
            step = steps_.erase(step);
        }
    }

    void book(const Step& step) {
        if (step.result == -ECANCELED) return;
        ASSERT_GT(step.result, 0) << static_cast<int>(step.kind);
        if (step.kind == OperationKind::read) tubes_[step.pipe].out.add(step.data, step.result);
        if (step.kind == OperationKind::write) tubes_[step.pipe].in.add(step.data, step.result);
    }

    /// Cancels everything and collects it.
    void settle() {
        for (Step& step : steps_) cancel(step);
        driver().finish_all();
        sweep();
    }

    /// Reads the pipe to its end, and compares.
    void empty(std::size_t index) {
        Tube& tube = tubes_[index];
        close_end(tube.ends.writer);
        for (std::string rest = read(tube.ends.reader); !rest.empty();
             rest = read(tube.ends.reader)) {
            tube.out.add(rest, static_cast<int>(rest.size()));
        }
        close_end(tube.ends.reader);
        EXPECT_EQ(tube.in.bytes, tube.out.bytes);
        EXPECT_TRUE(tube.in == tube.out) << "bytes were altered";
    }

    /// A pipe goes, and another takes its numbers.
    void empty_and_replace(std::size_t index) {
        for (Step& step : steps_) {
            if (step.pipe == index) cancel(step);
        }
        const auto uses_it = [&](const Step& step) { return step.pipe == index; };
        while (std::any_of(steps_.begin(), steps_.end(), uses_it)) look(soon());
        empty(index);
        sweep();
        tubes_[index] = Tube{open_pipe(), {}, {}};
    }

    std::mt19937_64 random_;
    std::array<Tube, 4> tubes_;
    std::list<Step> steps_;
};

INSTANTIATE_TEST_SUITE_P(, Fuzz,
                         testing::Values(Tested::io_uring, Tested::io_uring_plain, Tested::epoll,
                                         Tested::simulated, Tested::simulated_seeded),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(Fuzz, CPP_03_every_operation_is_reported_once_and_every_byte_arrives) {
    const std::uint64_t seed = seed_of_this_run();
    for (std::uint64_t round = 0; round < 20 && !HasFailure(); ++round) {
        SCOPED_TRACE("ASYNCIO_TEST_SEED=" + std::to_string(seed) + ", round " +
                     std::to_string(round));
        random_.seed(seed + round);
        play(1000);
    }
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
