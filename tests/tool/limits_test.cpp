// Time limits: the whole group of a command ends, on time, and only the command's own process says
// when it has ended.

#include "tool/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using namespace tool_tests;
using namespace std::chrono_literals;

/// How much later than its limit a command may end.
constexpr double tolerance = 0.05;
/// What starting and ending the whole program may take on a busy machine.
constexpr double slack = 0.3;

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// The seconds that the table says `command` took.
double seconds_of(const Ended& ended, const std::string& command) {
    for (const std::string& line : lines(ended.errors)) {
        if (line.starts_with(command)) return std::stod(line.substr(line.rfind(' ')));
    }
    ADD_FAILURE() << "no row for " << command << " in\n" << ended.errors;
    return -1;
}

/// How long the command of the only line of a job log took.
double logged_seconds(const TemporaryFile& log) {
    const std::string line = lines(log.text()).at(1);
    std::size_t start = 0;
    for (int field = 0; field < 3; ++field) start = line.find('\t', start) + 1;
    return std::stod(line.substr(start));
}

TEST(Limit, ends_the_whole_group_with_its_grandchildren) {
    const TemporaryFile log;
    const Ended ended =
        batch({"--joblog", log.path(), "-t", "1s", "sh -c \"sleep 4 & sleep 4; echo x\""});
    EXPECT_EQ(ended.status, 1);
    EXPECT_EQ(ended.output, "");
    EXPECT_GE(logged_seconds(log), 1.0);
    EXPECT_LT(logged_seconds(log), 1.0 + tolerance);
    EXPECT_LT(ended.seconds.count(), 1.0 + slack);
}

TEST(Limit, of_a_command_that_ignores_sigterm_holds_after_the_grace) {
    const TemporaryFile log;
    const Ended ended = batch({"--joblog", log.path(), "-t", "300ms", "--grace", "400ms",
                               "trap '' TERM; sleep 50; sleep 50"});
    EXPECT_EQ(ended.status, 1);
    EXPECT_TRUE(contains(ended.errors, "timeout"));
    EXPECT_GE(logged_seconds(log), 0.7);
    EXPECT_LT(logged_seconds(log), 0.7 + tolerance);
}

TEST(Limit, without_grace_kills_at_once) {
    const TemporaryFile log;
    batch({"--joblog", log.path(), "-t", "300ms", "--grace", "0",
           "trap '' TERM; sleep 50; sleep 50"});
    EXPECT_LT(logged_seconds(log), 0.3 + tolerance);
    EXPECT_TRUE(contains(log.text(), "\t-1\t9\t"));
}

TEST(Limit, leaves_a_command_the_grace_to_clean_up) {
    const Ended ended = batch({"-t", "200ms", "--grace", "5s",
                               "trap 'sleep .2; echo cleaned; exit 0' TERM; sleep 50 & wait"});
    EXPECT_EQ(ended.status, 1) << "it was too slow, however it ended";
    EXPECT_EQ(ended.output, "cleaned\n");
    EXPECT_LT(ended.seconds.count(), 0.4 + slack);
}

TEST(Limit, leaves_the_grace_to_grandchildren_whose_shell_has_died) {
    // The outer shell dies of SIGTERM at once; the inner one needs a moment.
    const Ended ended =
        batch({"-t", "200ms", "--grace", "5s",
               "sh -c 'trap \"sleep .2; echo cleaned; exit\" TERM; sleep 50 & wait'; true"});
    EXPECT_EQ(ended.output, "cleaned\n");
    EXPECT_LT(ended.seconds.count(), 0.4 + slack);
}

TEST(Limit, kills_grandchildren_that_use_up_the_grace) {
    const TemporaryFile log;
    batch({"--joblog", log.path(), "-t", "200ms", "--grace", "300ms",
           "sh -c 'trap \"\" TERM; while true; do sleep 1; done'; true"});
    EXPECT_GE(logged_seconds(log), 0.2);
    EXPECT_LT(logged_seconds(log), 0.5 + tolerance);
}

TEST(Limit, ends_a_command_that_is_stopped) {
    const TemporaryFile log;
    batch({"--joblog", log.path(), "-t", "200ms", "--grace", "5s", "kill -STOP $$"});
    EXPECT_LT(logged_seconds(log), 0.2 + tolerance) << "SIGTERM reached it, not SIGKILL";
    EXPECT_TRUE(contains(log.text(), "\t-1\t15\t"));
}

TEST(Limit, shows_what_was_written_until_then) {
    const Ended ended =
        batch({"-t", "200ms", "--grace", "0", "echo before; echo error >&2; sleep 50"});
    EXPECT_EQ(ended.output, "before\n");
    EXPECT_TRUE(contains(ended.errors, "error\n"));
}

TEST(Limit, of_zero_is_none) {
    EXPECT_EQ(batch({"-t", "0", "sleep .1; echo end"}).output, "end\n");
}

TEST(Limit, is_each_commands_own) {
    const Ended ended = batch({"-j", "1", "-t", "300ms", "sleep .2", "sleep .2", "sleep .2"});
    EXPECT_EQ(ended.status, 0);
}

TEST(Limit, holds_while_nobody_reads_what_the_others_wrote) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const TemporaryFile log;
    // The first fills the pipe, which nobody empties until the other has reached its limit.
    Program program({"--joblog", log.path(), "-j", "2", "-t", "500ms", "--grace", "0",
                     "seq 1000000", "sleep 50"},
                    {.output = ends[1]});
    ::close(ends[1]);
    EXPECT_TRUE(becomes_true([&] { return contains(log.text(), "sleep 50"); }));
    EXPECT_TRUE(contains(log.text(), "\t-1\t9\tsleep 50")) << log.text();
    std::string output;
    char chunk[65536];
    for (ssize_t count = 0; (count = ::read(ends[0], chunk, sizeof chunk)) > 0;) {
        output.append(chunk, static_cast<std::size_t>(count));
    }
    ::close(ends[0]);
    const Ended ended = program.wait();
    EXPECT_EQ(output.size(), 6888896U);
    EXPECT_TRUE(output.ends_with("\n999999\n1000000\n"));
    EXPECT_LT(seconds_of(ended, "sleep 50"), 0.5 + tolerance + 0.005);
}

TEST(End, is_that_of_the_process_when_it_closes_its_pipes_and_goes_on) {
    const Ended ended = batch({"exec >&- 2>&-; sleep .3; exit 4"});
    EXPECT_TRUE(contains(ended.errors, "exit 4")) << ended.errors;
    EXPECT_GE(ended.seconds.count(), 0.3);
}

TEST(End, is_that_of_the_process_when_a_daemon_holds_its_pipes) {
    const Ended ended = batch({"echo before; setsid sleep 100 & sleep .1; echo after"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "before\nafter\n");
    EXPECT_LT(ended.seconds.count(), 0.2 + slack);
}

TEST(End, of_a_command_is_that_of_what_it_leaves_in_its_group) {
    const TemporaryFile file;
    const Ended ended = batch(
        {"-j", "1", "(sleep .2; echo late > " + file.path() + ") & echo started", "sleep .4"});
    EXPECT_EQ(ended.output, "started\n");
    EXPECT_EQ(file.text(), "");
}

TEST(End, of_a_batch_is_that_of_its_daemons) {
    // Forked twice, in a session of its own, with all descriptors closed: nothing but its descent
    // tells whose it is. `batch` checks that it is dead.
    const Ended ended =
        batch({"(setsid sh -c 'exec >/dev/null 2>&1 </dev/null; sleep 100 & sleep 100' &)"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_LT(ended.seconds.count(), 0.1 + slack);
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
