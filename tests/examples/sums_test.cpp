// Sums, three ways: the order of the steps, the times in between, and what debug mode finds out
// about the way that is wrong.

#include "examples/program.h"
#include "machine/call_stack.h"

#include <sstream>

namespace {

using examples::Finished;
using examples::is_time;
using examples::on_simulated_backend;
using examples::run_example;

/// Takes the times off the "Time: " lines.
std::vector<double> take_sum_times(Finished& run) {
    std::vector<double> times;
    for (std::string& line : run.lines) {
        if (!line.starts_with("Time: ")) continue;
        times.push_back(examples::number_after(line, "Time: "));
        line = line.ends_with(" sec") ? "Time: sec" : "Time:";
    }
    return times;
}

const std::vector<std::string> one_after_another = {"Task A: Computing 0+1",
                                                    "Time:",
                                                    "Task A: Computing 1+2",
                                                    "Time:",
                                                    "Task A: Sum = 3",
                                                    "",
                                                    "Task B: Computing 0+1",
                                                    "Time:",
                                                    "Task B: Computing 1+2",
                                                    "Time:",
                                                    "Task B: Computing 3+3",
                                                    "Time:",
                                                    "Task B: Sum = 6",
                                                    "",
                                                    "Time: sec"};

const std::vector<std::string> interleaved = {"Task A: Computing 0+1",
                                              "Time:",
                                              "Task B: Computing 0+1",
                                              "Time:",
                                              "Task A: Computing 1+2",
                                              "Time:",
                                              "Task B: Computing 1+2",
                                              "Time:",
                                              "Task A: Sum = 3",
                                              "",
                                              "Task B: Computing 3+3",
                                              "Time:",
                                              "Task B: Sum = 6",
                                              "",
                                              "Time: sec"};

/// Not early: here time is real on every back-end.
void expect_real_times(const std::vector<double>& times, const std::vector<double>& expected) {
    ASSERT_EQ(times.size(), expected.size());
    for (std::size_t i = 0; i < times.size(); ++i) {
        EXPECT_GE(times[i], expected[i] - 0.005) << i;
    }
}

TEST(sums, of_plain_functions_are_added_up_one_after_the_other) {
    Finished run = run_example("sums", {"plain", "0.1"});
    const std::vector<double> times = take_sum_times(run);
    EXPECT_TRUE(examples::printed(run, one_after_another));
    expect_real_times(times, {0, 1, 2, 3, 4, 5});
    EXPECT_GE(run.seconds, 0.5);
}

TEST(sums, of_coroutines_that_block_take_just_as_long) {
    Finished run = run_example("sums", {"blocking", "0.1"});
    const std::vector<double> times = take_sum_times(run);
    EXPECT_TRUE(examples::printed(run, one_after_another));
    expect_real_times(times, {0, 1, 2, 3, 4, 5});
    EXPECT_GE(run.seconds, 0.5);
    EXPECT_EQ(run.errors, "");
}

TEST(sums, debug_mode_names_the_step_that_blocks_for_how_long_and_where) {
    // The steps take 1.2 s and 1.8 s and are looked at after 0.1, 0.2, 0.4, 0.8 and 1.6 s, so the
    // last look at either comes 0.2 s and more after its last sleep has begun and before it ends.
    const Finished run = run_example("sums", {"blocking", "0.6"}, {"ASYNCIO_DEBUG=1"});
    EXPECT_EQ(run.status, 0);
    const std::size_t a = run.errors.find("Task-2 blocked");
    const std::size_t b = run.errors.find("Task-3 blocked");
    ASSERT_NE(a, run.errors.npos) << run.errors;
    ASSERT_NE(b, run.errors.npos) << run.errors;
    const std::string report_a = run.errors.substr(a, run.errors.find('\n', a) - a);
    const std::string report_b = run.errors.substr(b, run.errors.find('\n', b) - b);
    EXPECT_GE(examples::number_after(report_a, "blocked the loop for "), 1.2) << report_a;
    EXPECT_GE(examples::number_after(report_b, "blocked the loop for "), 1.8) << report_b;

    if (!asyncio::internal::knows_lines()) return;
    const int line = examples::source_line("sums.cpp", "Coro<> blocking_sleep", "sleep_for");
    ASSERT_GT(line, 0);
    const std::string place = "examples/sums.cpp:" + std::to_string(line) + " in blocking_sleep ← ";
    // On a busy machine a look may come late, and find a step elsewhere; but not both.
    int found = 0;
    for (const std::string& report : {report_a, report_b}) {
        const std::size_t first = report.find("; it was at ");
        if (first == report.npos) continue;
        EXPECT_NE(report.find(" in blocking_sum", first), std::string::npos) << report;
        // The sleep itself comes first, then the coroutine that awaits it.
        const std::size_t arrow = report.find(" ← ", first);
        if (report.substr(first, arrow - first + 5).find(place) == report.npos) continue;
        EXPECT_NE(report.find(" in blocking_sum", arrow), std::string::npos) << report;
        ++found;
    }
    EXPECT_GE(found, 1) << run.errors;
}

TEST(sums, of_coroutines_that_wait_are_added_up_together) {
    // Real seconds, once; and simulated minutes, which take less.
    const bool is_simulated = on_simulated_backend();
    Finished run =
        is_simulated ? run_example("sums", {"async", "100"}) : run_example("sums", {"async"});
    const std::vector<double> times = take_sum_times(run);
    EXPECT_TRUE(examples::printed(run, interleaved));
    const std::vector<double> expected = {0, 0, 1, 1, 2, 3};
    ASSERT_EQ(times.size(), expected.size());
    for (std::size_t i = 0; i < times.size(); ++i) EXPECT_TRUE(is_time(times[i], expected[i])) << i;
    EXPECT_LT(run.seconds, examples::soon);
}

TEST(sums, that_wait_leave_debug_mode_nothing_to_say) {
    // On a busy machine any step may be reported, but not for as long as the waits would be.
    const Finished run = run_example("sums", {"async", "1"}, {"ASYNCIO_DEBUG=1"});
    std::istringstream reports(run.errors);
    for (std::string report; std::getline(reports, report);) {
        const double held = examples::number_after(report, "blocked the loop for ");
        EXPECT_FALSE(held >= 1) << report;
    }
}

TEST(sums, says_how_it_is_used) {
    EXPECT_EQ(run_example("sums", {"--help"}).status, 0);
    EXPECT_EQ(run_example("sums", {"quickly"}).status, 2);
}

}  // namespace
