// Waiting or computing: four ways agree on the results; a loop and threads help waiting; a loop
// does not help computing.

#include "examples/program.h"

#include <algorithm>
#include <cmath>

namespace {

using examples::Finished;
using examples::number_after;
using examples::run_example;

/// How many times as fast as one after another, as the line says.
double gain(const std::string& line) { return number_after(line, " s "); }

TEST(waiting_or_computing, prints_a_line_for_each_way_of_either_work) {
    const Finished run = run_example("waiting_or_computing", {"20", "20", "4", "20000"});
    EXPECT_EQ(run.status, 0) << run.errors;
    ASSERT_EQ(run.lines.size(), 10U);
    EXPECT_EQ(run.lines[0], "waiting");
    EXPECT_EQ(run.lines[5], "computing");
    const std::vector<std::string> ways = {"one after another", "on threads", "on one loop",
                                           "on processes"};
    for (std::size_t i = 0; i < ways.size(); ++i) {
        for (const std::string& line : {run.lines[1 + i], run.lines[6 + i]}) {
            EXPECT_TRUE(line.starts_with("  " + ways[i] + " ")) << line;
            EXPECT_GE(gain(line), 0) << line;
        }
    }
}

TEST(waiting_or_computing, a_loop_and_threads_help_waiting_and_a_loop_does_not_help_computing) {
    // Ten threads wait for sixty downloads in a tenth of the time, one loop in a sixtieth. A busy
    // machine delays one way or the other, but not the same way each time.
    double threads_waiting = 0;
    double loop_waiting = 0;
    double loop_computing = HUGE_VAL;
    const auto is_seen = [&] {
        return threads_waiting > 2 && loop_waiting > 4 && loop_computing < 3;
    };
    for (int tries = 0; tries < 20 && !is_seen(); ++tries) {
        const Finished run = run_example("waiting_or_computing", {"60", "20", "8", "1000000"});
        ASSERT_EQ(run.lines.size(), 10U) << run.errors;
        threads_waiting = std::max(threads_waiting, gain(run.lines[2]));
        loop_waiting = std::max(loop_waiting, gain(run.lines[3]));
        loop_computing = std::min(loop_computing, gain(run.lines[8]));
    }
    EXPECT_GT(threads_waiting, 2);
    EXPECT_GT(loop_waiting, 4);
    EXPECT_LT(loop_computing, 3);
}

TEST(waiting_or_computing, says_how_it_is_used) {
    EXPECT_EQ(run_example("waiting_or_computing", {"--help"}).status, 0);
    EXPECT_EQ(run_example("waiting_or_computing", {"many"}).status, 2);
    EXPECT_EQ(run_example("waiting_or_computing", {"1", "2", "3", "4", "5"}).status, 2);
}

}  // namespace
