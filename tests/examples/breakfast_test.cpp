// Breakfast: eight minutes one by one, five together; with two cooks five for two of them.

#include "examples/program.h"

#include <algorithm>

namespace {

using examples::Finished;
using examples::is_time;
using examples::on_simulated_backend;
using examples::printed;
using examples::run_example;

const std::vector<std::string> together = {"Start brew coffee", "Start toast bagel",
                                           "End brew coffee",   "End toast bagel",
                                           "coffee ready",      "bagel toasted"};

/// A minute of the kitchen: a real one where it takes no time, else as short as can be measured.
const char* minute() { return on_simulated_backend() ? "60" : "0.1"; }

/// The total in minutes, which is taken off the end of the lines.
double take_total(Finished& run) {
    if (run.lines.empty()) return -1;
    const double total = examples::number_after(run.lines.back(), "Total time: ");
    run.lines.pop_back();
    return total;
}

TEST(breakfast, one_by_one_takes_eight_minutes) {
    // Blocks its thread, so it takes real time everywhere.
    Finished run = run_example("breakfast", {"one-by-one", "0.05"});
    const double total = take_total(run);
    EXPECT_TRUE(printed(run, {"Start brew coffee", "End brew coffee", "Start toast bagel",
                              "End toast bagel", "coffee ready", "bagel toasted"}));
    EXPECT_GE(total, 8.0);
    EXPECT_GE(run.seconds, 8 * 0.05);
}

TEST(breakfast, gathered_takes_five_minutes) {
    Finished run = run_example("breakfast", {"gather", minute()});
    const double total = take_total(run);
    EXPECT_TRUE(printed(run, together));
    EXPECT_TRUE(is_time(total, 5));
    EXPECT_LT(run.seconds, examples::soon);
}

TEST(breakfast, as_two_tasks_takes_the_same_five_minutes) {
    Finished run = run_example("breakfast", {"tasks", minute()});
    const double total = take_total(run);
    EXPECT_TRUE(printed(run, together));
    EXPECT_TRUE(is_time(total, 5));
    EXPECT_LT(run.seconds, examples::soon);
}

TEST(breakfast, two_cooks_make_two_in_five_minutes) {
    Finished run = run_example("breakfast", {"threads", minute()});
    if (on_simulated_backend()) {
        EXPECT_EQ(run.status, 2);
        EXPECT_EQ(run.lines,
                  std::vector<std::string>{"A simulated kitchen has room for one cook."});
        return;
    }
    const double total = take_total(run);
    // The two cooks do not wait for each other, so only the kinds of lines have an order.
    ASSERT_EQ(run.lines.size(), 12U) << run.errors;
    std::sort(run.lines.begin(), run.lines.begin() + 4);
    std::sort(run.lines.begin() + 4, run.lines.begin() + 8);
    EXPECT_TRUE(printed(run, {"Start brew coffee", "Start brew coffee", "Start toast bagel",
                              "Start toast bagel", "End brew coffee", "End brew coffee",
                              "End toast bagel", "End toast bagel", "coffee ready", "bagel toasted",
                              "coffee ready", "bagel toasted"}));
    EXPECT_TRUE(is_time(total, 5));
}

TEST(breakfast, says_how_it_is_used) {
    EXPECT_EQ(run_example("breakfast", {"--help"}).status, 0);
    const Finished wrong = run_example("breakfast", {"tea"});
    EXPECT_EQ(wrong.status, 2);
    ASSERT_FALSE(wrong.lines.empty());
    EXPECT_EQ(wrong.lines[0], "usage: breakfast [WAY [SECONDS]]");
}

}  // namespace
