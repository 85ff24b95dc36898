// Events and callbacks: a callback that waits delays the next one; one that registers an event, and
// a coroutine that awaits, do not.
//
// The pipe's other end is a real program, so time is real on every back-end: on time is before the
// line has come, late is after.

#include "examples/program.h"

namespace {

using examples::Finished;
using examples::run_example;

/// Takes the times off the beginnings of the lines.
std::vector<double> take_beginning_times(Finished& run) {
    std::vector<double> times;
    for (std::string& line : run.lines) {
        times.push_back(examples::number_after(line, ""));
        line.erase(0, line.find(' ') + 1);
    }
    return times;
}

constexpr double line_comes = 1.0;

TEST(events_and_callbacks, a_callback_that_waits_makes_the_next_one_late) {
    Finished run = run_example("events_and_callbacks", {"1"});
    const std::vector<double> times = take_beginning_times(run);
    ASSERT_TRUE(examples::printed(run, {"A", "B wants a line", "B has read data", "C"}));
    EXPECT_GE(times[2], line_comes);
    EXPECT_GE(times[3], line_comes);
}

TEST(events_and_callbacks, an_event_of_its_own_for_the_line_leaves_the_next_one_on_time) {
    Finished run = run_example("events_and_callbacks", {"2"});
    const std::vector<double> times = take_beginning_times(run);
    ASSERT_TRUE(examples::printed(run, {"A", "B wants a line", "C", "D has read data"}));
    EXPECT_GE(times[3], line_comes);
}

TEST(events_and_callbacks, a_coroutine_does_the_same_in_one_piece) {
    Finished run = run_example("events_and_callbacks", {"3"});
    const std::vector<double> times = take_beginning_times(run);
    ASSERT_TRUE(examples::printed(run, {"A", "B wants a line", "C", "B has read data"}));
    EXPECT_GE(times[3], line_comes);
}

TEST(events_and_callbacks, says_how_it_is_used) {
    EXPECT_EQ(run_example("events_and_callbacks", {"--help"}).status, 0);
    EXPECT_EQ(run_example("events_and_callbacks", {"4"}).status, 2);
}

}  // namespace
