// When is it concurrent? The order of the lines, and the times of day in them.

#include "examples/program.h"

#include <cstdio>

namespace {

using examples::Finished;
using examples::on_simulated_backend;
using examples::run_example;

/// A second is long where it takes no time, and short where it does.
constexpr int simulated_second = 100;
constexpr double real_second = 0.1;

Finished run_version(const char* version) {
    return run_example("say_after", {version, on_simulated_backend() ? "100" : "0.1"});
}

/// The time of day at the end of a line, in seconds; −1 if there is none.
int seconds_of_day(const std::string& line) {
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    const std::size_t at = line.rfind(' ');
    if (at == line.npos) return -1;
    if (std::sscanf(line.c_str() + at, "%d:%d:%d", &hours, &minutes, &seconds) != 3) return -1;
    return (hours * 60 + minutes) * 60 + seconds;
}

/// Takes the times of day off the lines. Returns them as seconds since the first of them; −1 where
/// a line has none.
std::vector<int> take_times_of_day(Finished& run) {
    std::vector<int> times;
    int first = -1;
    for (std::string& line : run.lines) {
        const int time = seconds_of_day(line);
        if (time >= 0) {
            if (first < 0) first = time;
            line.resize(line.rfind(' '));
        }
        constexpr int day = 24 * 60 * 60;
        times.push_back(time < 0 ? -1 : (time - first + day) % day);
    }
    return times;
}

/// On a real clock a busy machine may start the shorter of two sleeps so much later that the longer
/// one ends first.
void put_ends_in_order(std::vector<std::string>& lines) {
    for (std::size_t i = 1; i < lines.size(); ++i) {
        if (lines[i - 1] == "say hello finished" && lines[i] == "say world finished")
            std::swap(lines[i - 1], lines[i]);
    }
}

/// Times and the order of ends are compared where they are exact. On a real clock the whole run is
/// measured.
void check(const char* version, const std::vector<std::string>& lines, std::vector<int> times,
           double total) {
    Finished run = run_version(version);
    const std::vector<int> printed_times = take_times_of_day(run);
    if (on_simulated_backend()) {
        for (int& time : times) time *= time < 0 ? 1 : simulated_second;
        EXPECT_EQ(printed_times, times);
    } else {
        put_ends_in_order(run.lines);
        EXPECT_GE(run.seconds, total * real_second);
    }
    EXPECT_TRUE(examples::printed(run, lines));
    EXPECT_LT(run.seconds, examples::soon);
}

const std::vector<std::string> concurrent = {"start main() at",    "say hello start at",
                                             "say world start at", "say world finished",
                                             "say hello finished", "end main() at"};

TEST(say_after, two_tasks_waited_for_take_two_seconds) {
    check("a", concurrent, {0, 0, 0, -1, -1, 2}, 2);
}

TEST(say_after, two_coroutines_awaited_take_three_seconds) {
    check("b",
          {"start main() at", "say hello start at", "say hello finished", "say world start at",
           "say world finished", "end main() at"},
          {0, 0, -1, 2, -1, 3}, 3);
}

TEST(say_after, two_tasks_awaited_take_two_seconds) {
    check("c", concurrent, {0, 0, 0, -1, -1, 2}, 2);
}

TEST(say_after, real_seconds_are_on_the_clock) {
    if (on_simulated_backend()) return;
    Finished run = run_example("say_after", {"a"});
    const std::vector<int> times = take_times_of_day(run);
    ASSERT_EQ(times.size(), 6U);
    EXPECT_GE(times[5], 2);
    EXPECT_LT(times[5], examples::soon);
}

TEST(say_after, says_how_it_is_used) {
    EXPECT_EQ(run_example("say_after", {"--help"}).status, 0);
    EXPECT_EQ(run_example("say_after", {"d"}).status, 2);
}

}  // namespace
