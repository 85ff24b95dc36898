#pragma once
// A program that does everything at once and keeps books on it: many pipes, thousands of reads,
// writes and polls, cancelled at random, in a world of a given seed.
//
// At any time at most one read and one write are in flight on each pipe, so every byte has a known
// place in its stream, and its value is computed from that place: a byte that is lost, doubled or
// out of order is seen. What the program does depends on nothing but the number of its `script`, so
// a difference between two runs of one script is the world's.

#include "simulation/world.h"

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

namespace simulation {

class Storm {
public:
    struct Size {
        int operations = 1000;
        int pipes = 8;
    };

    /// Where the operations lie in memory: the same run must come of either.
    enum class Layout { upwards, downwards };

    Storm(std::uint64_t seed, std::uint64_t script, Size size, Layout layout = Layout::upwards);

    /// Runs to the end. Reports what is wrong as test failures.
    void run();

    /// Which operations were reported by `wait`, in order.
    const std::vector<int>& order() const { return order_; }
    /// A hash of everything that was seen: which operation, when, with which result.
    std::uint64_t trace() const { return trace_; }

    int finished_in_submit = 0;
    int reported = 0;
    int cancelled = 0;  ///< How many were asked to end.
    int succeeded_though_cancelled = 0;
    long bytes_written = 0;
    long bytes_read = 0;

private:
    /// One end of a pipe as the program sees it.
    struct Stream {
        Pipe pipe;
        bool is_read = false;
        bool is_written = false;
        long written = 0;
        long read = 0;
    };
    struct Action : Operation {
        int index = 0;
        int stream = 0;
        bool is_submitted = false;
        bool is_cancelled = false;
        std::vector<unsigned char> bytes;
    };

    static unsigned char byte_at(int stream, long place) {
        return static_cast<unsigned char>(place * 31 + place / 251 + stream);
    }

    void take_step();
    bool fill_in(Action& action);
    void submit_next();
    void cancel_one();
    void wait(TimePoint deadline);
    void account(Action& action);
    void drain();
    void remember(std::uint64_t value);
    std::size_t random_below(std::size_t bound) { return random_() % bound; }

    World world_;
    std::mt19937_64 random_;
    std::vector<Stream> streams_;
    std::vector<std::unique_ptr<Action>> actions_;
    std::size_t next_ = 0;
    std::vector<Action*> in_flight_;
    std::vector<int> order_;
    std::uint64_t trace_ = 0xcbf29ce484222325u;
};

}  // namespace simulation
