// The loop used by hand: callbacks come in the order of their deadlines, and when they are due.

#include "examples/program.h"

namespace {

using examples::Finished;
using examples::is_time;
using examples::on_simulated_backend;
using examples::run_example;

/// Takes the times off the beginnings of the lines; −1 where there is none.
std::vector<double> take_leading_times(Finished& run) {
    std::vector<double> times;
    for (std::string& line : run.lines) {
        const std::size_t blank = line.find(' ');
        const bool has_time = blank != line.npos && line.find('.') < blank;
        times.push_back(has_time ? examples::number_after(line, "") : -1);
        if (has_time) line.erase(0, blank + 1);
    }
    return times;
}

TEST(loop_by_hand, runs_callbacks_when_they_are_due_and_run_does_the_same) {
    Finished run = run_example("loop_by_hand", {on_simulated_backend() ? "100" : "0.1"});
    const std::vector<double> times = take_leading_times(run);
    ASSERT_TRUE(
        examples::printed(run, {"run_until_complete", "the answer is 42", "run_forever",
                                "call_soon", "call_later", "call_at", "call_later: stop", "close",
                                "run", "the answer is 42", "sleep", "sleep", "sleep"}));
    const std::vector<double> expected = {0, 1, 1, 1, 2, 3, 4, 4, -1, 1, 2, 3, 4};
    for (std::size_t line = 0; line < expected.size(); ++line) {
        EXPECT_TRUE(is_time(times[line], expected[line])) << "line " << line;
    }
    EXPECT_LT(run.seconds, examples::soon);
}

TEST(loop_by_hand, says_how_it_is_used) {
    EXPECT_EQ(run_example("loop_by_hand", {"--help"}).status, 0);
    EXPECT_EQ(run_example("loop_by_hand", {"soon"}).status, 2);
}

}  // namespace
