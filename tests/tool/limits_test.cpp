// Time limits: the whole group of a command ends, and only the command's own process says when it
// has ended. On time, at the best of many: a busy machine makes any single end late.

#include "tool/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using namespace tool_tests;
using namespace std::chrono_literals;

/// How long the command of the only line of a job log took.
double logged_seconds(const TemporaryFile& log) {
    const std::string line = lines(log.text()).at(1);
    std::size_t start = 0;
    for (int field = 0; field < 3; ++field) start = line.find('\t', start) + 1;
    return std::stod(line.substr(start));
}

/// Runs a command that says "ready" when it may reach its limit.
Limited run_ready(Arguments arguments, const std::string& command) {
    arguments.push_back(command);
    return batch_with_limit(
        0.2, arguments, [](const Ended& attempt) { return attempt.output.starts_with("ready\n"); });
}

TEST(Limit, ends_a_command_on_time) {
    constexpr double tolerance = 0.05;
    double late = soon;
    for (int tries = 0; tries < 200 && late >= tolerance; ++tries) {
        const TemporaryFile log;
        batch({"--joblog", log.path(), "-t", "100ms", "sleep 500"});
        EXPECT_GE(logged_seconds(log), 0.1);
        late = std::min(late, logged_seconds(log) - 0.1);
    }
    EXPECT_LT(late, tolerance);
}

TEST(Limit, ends_the_whole_group_with_its_grandchildren) {
    const TemporaryFile log;
    const auto [ended, limit] = run_ready(
        {"--joblog", log.path()}, "sh -c \"sleep 500 & echo ready; sleep 500; echo x\"; true");
    EXPECT_EQ(ended.status, 1);
    EXPECT_EQ(ended.output, "ready\n");
    EXPECT_GE(logged_seconds(log), limit);
    EXPECT_LT(ended.seconds.count(), limit + soon);
}

TEST(Limit, of_a_command_that_ignores_sigterm_holds_after_the_grace) {
    const TemporaryFile log;
    const auto [ended, limit] = run_ready({"--joblog", log.path(), "--grace", "400ms"},
                                          "trap '' TERM; echo ready; sleep 500; sleep 500");
    EXPECT_EQ(ended.status, 1);
    EXPECT_TRUE(contains(ended.errors, "timeout"));
    EXPECT_GE(logged_seconds(log), limit + 0.4);
    EXPECT_LT(logged_seconds(log), limit + soon);
}

TEST(Limit, without_grace_kills_at_once) {
    const TemporaryFile log;
    const auto [ended, limit] = run_ready({"--joblog", log.path(), "--grace", "0"},
                                          "trap '' TERM; echo ready; sleep 500; sleep 500");
    EXPECT_LT(logged_seconds(log), limit + soon);
    EXPECT_TRUE(contains(log.text(), "\t-1\t9\t"));
}

TEST(Limit, leaves_a_command_the_grace_to_clean_up) {
    const auto [ended, limit] = run_ready(
        {"--grace", "200s"},
        "trap 'sleep .2; echo cleaned; exit 0' TERM; echo ready; while true; do sleep .1; done");
    EXPECT_EQ(ended.status, 1) << "it was too slow, however it ended";
    EXPECT_EQ(ended.output, "ready\ncleaned\n");
    EXPECT_LT(ended.seconds.count(), limit + soon) << "the grace is not waited for";
}

TEST(Limit, leaves_the_grace_to_grandchildren_whose_shell_has_died) {
    // The outer shell dies of SIGTERM at once; the inner one needs a moment.
    const auto [ended, limit] =
        run_ready({"--grace", "200s"}, "sh -c 'trap \"sleep .2; echo cleaned; exit\" TERM; "
                                       "echo ready; while true; do sleep .1; done'; true");
    EXPECT_EQ(ended.output, "ready\ncleaned\n");
    EXPECT_LT(ended.seconds.count(), limit + soon);
}

TEST(Limit, kills_grandchildren_that_use_up_the_grace) {
    const TemporaryFile log;
    const auto [ended, limit] =
        run_ready({"--joblog", log.path(), "--grace", "300ms"},
                  "sh -c 'trap \"\" TERM; echo ready; while true; do sleep 1; done'; true");
    EXPECT_GE(logged_seconds(log), limit);
    EXPECT_LT(logged_seconds(log), limit + soon);
}

TEST(Limit, ends_a_command_that_is_stopped) {
    const TemporaryFile log;
    const auto [ended, limit] =
        run_ready({"--joblog", log.path(), "--grace", "200s"}, "echo ready; kill -STOP $$");
    EXPECT_LT(logged_seconds(log), limit + soon) << "SIGTERM reached it, not SIGKILL";
    EXPECT_TRUE(contains(log.text(), "\t-1\t15\t"));
}

TEST(Limit, shows_what_was_written_until_then) {
    const auto [ended, limit] =
        run_ready({"--grace", "0"}, "echo error >&2; echo ready; sleep 500");
    EXPECT_EQ(ended.output, "ready\n");
    EXPECT_TRUE(contains(ended.errors, "error\n"));
}

TEST(Limit, of_zero_is_none) {
    EXPECT_EQ(batch({"-t", "0", "sleep .1; echo end"}).output, "end\n");
}

TEST(Limit, is_each_commands_own) {
    // A limit on them together would be too short at every length.
    int status = -1;
    for (double limit = 0.5; limit < 60 && status != 0; limit *= 2) {
        const std::string command = "sleep " + std::to_string(0.4 * limit);
        const std::string seconds = std::to_string(limit) + "s";
        status = batch({"-j", "1", "-t", seconds, command, command, command}).status;
    }
    EXPECT_EQ(status, 0);
}

TEST(Limit, holds_while_nobody_reads_what_the_others_wrote) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const TemporaryFile log;
    // The first fills the pipe, which nobody empties until the other has reached its limit.
    Program program(
        {"--joblog", log.path(), "-j", "2", "-t", "5s", "--grace", "0", "seq 1000000", "sleep 500"},
        {.output = ends[1]});
    ::close(ends[1]);
    EXPECT_TRUE(becomes_true([&] { return contains(log.text(), "sleep 500\n"); }));
    EXPECT_TRUE(contains(log.text(), "\t-1\t9\tsleep 500")) << log.text();
    std::string output;
    char chunk[65536];
    for (ssize_t count = 0; (count = ::read(ends[0], chunk, sizeof chunk)) > 0;) {
        output.append(chunk, static_cast<std::size_t>(count));
    }
    ::close(ends[0]);
    const Ended ended = program.wait();
    EXPECT_EQ(output.size(), 6888896U);
    EXPECT_TRUE(output.ends_with("\n999999\n1000000\n"));
    EXPECT_TRUE(contains(row_of(ended, "sleep 500"), "timeout")) << ended.errors;
}

TEST(End, is_that_of_the_process_when_it_closes_its_pipes_and_goes_on) {
    const Ended ended = batch({"exec >&- 2>&-; sleep .3; exit 4"});
    EXPECT_TRUE(contains(ended.errors, "exit 4")) << ended.errors;
    EXPECT_GE(ended.seconds.count(), 0.3);
}

TEST(End, is_that_of_the_process_when_a_daemon_holds_its_pipes) {
    const Ended ended = batch({"echo before; setsid sleep 500 & sleep .1; echo after"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "before\nafter\n");
    EXPECT_LT(ended.seconds.count(), soon);
}

TEST(End, of_a_command_is_that_of_what_it_leaves_in_its_group) {
    const TemporaryFile file;
    // Dead, be it as a zombie.
    const std::string it_has_gone =
        "grep -qs '^State:.*[RSD] ' /proc/$(cat " + file.path() + ")/status || exit 0";
    const Ended ended =
        batch({"-j", "1", "sleep 500 & echo $! > " + file.path() + "; echo started",
               "for i in $(seq 3000); do " + it_has_gone + "; sleep .02; done; echo alive"});
    EXPECT_EQ(ended.output, "started\n");
    EXPECT_LT(ended.seconds.count(), soon);
}

TEST(End, of_a_batch_is_that_of_its_daemons) {
    // Forked twice, in a session of its own, with all descriptors closed: nothing but its descent
    // tells whose it is. `batch` checks that it is dead.
    const Ended ended =
        batch({"(setsid sh -c 'exec >/dev/null 2>&1 </dev/null; sleep 500 & sleep 500' &)"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_LT(ended.seconds.count(), soon);
}

TEST(End, leaves_no_dead_children_behind_in_a_long_batch) {
    Arguments arguments{"--quiet", "-j", "4"};
    for (int number = 0; number < 1500; ++number) arguments.emplace_back("(setsid true &)");
    arguments.emplace_back("ps -o stat= --ppid $(ps -o ppid= -p $$) | grep -c Z || true");
    arguments.emplace_back("-k");
    const Ended ended = batch(arguments);
    EXPECT_LT(std::atoi(ended.output.c_str()), 700) << "orphans that are not reaped";
}

}  // namespace
