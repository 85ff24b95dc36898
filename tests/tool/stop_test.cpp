// Ways to end a batch before its end, gentle and violent. Whatever is killed, no process of the
// batch is alive when the program is gone.

#include "tool/program.h"

#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace {

using namespace tool_tests;
using namespace std::chrono_literals;

/// The program, its worker, two shells and what these have started.
constexpr std::size_t all_processes = 6;
const Arguments two_of_three{"-j",     "2", "--grace", "200s", "sleep 500; true", "sleep 501; true",
                             "echo no"};
/// Two are deaf to SIGTERM; the third hears it, and its end shows that it has been sent.
const Arguments stubborn{"-j",
                         "3",
                         "--grace",
                         "200s",
                         "trap '' TERM; sleep 500; true",
                         "trap '' TERM; sleep 501; true",
                         "sleep 502; true",
                         "echo no"};
constexpr std::size_t stubborn_processes = 8;
constexpr std::size_t deaf_processes = 6;

char state_of(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    std::string text;
    std::getline(file, text);
    const std::size_t end = text.rfind(')');
    return end == std::string::npos ? ' ' : text[end + 2];
}

void expect_orderly_end(int signal) {
    Program program(two_of_three);
    ASSERT_TRUE(program.wait_until_alive(all_processes));
    program.signal(signal);
    const Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty());
    EXPECT_EQ(ended.status, 128 + signal);
    EXPECT_LT(ended.seconds.count(), soon) << "they have ended without SIGKILL";
    EXPECT_TRUE(contains(ended.errors, "sleep 500; true  interrupted")) << ended.errors;
    EXPECT_TRUE(contains(ended.errors, "sleep 501; true  interrupted"));
    EXPECT_TRUE(contains(ended.errors, "echo no          not started"));
    EXPECT_TRUE(contains(ended.errors, "3 commands: 2 interrupted, 1 not started;"));
}

TEST(Stop, interrupt_ends_the_commands_and_shows_the_table_so_far) { expect_orderly_end(SIGINT); }
TEST(Stop, termination_is_as_orderly) { expect_orderly_end(SIGTERM); }
TEST(Stop, hangup_is_as_orderly) { expect_orderly_end(SIGHUP); }

TEST(Stop, commands_have_the_grace_to_clean_up_and_are_heard) {
    Program program({"--grace", "5s",
                     "trap 'sleep .1; echo cleaned; exit' TERM; echo working; sleep 500 & wait"});
    ASSERT_TRUE(program.wait_until_alive(4));
    program.signal(SIGINT);
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 130);
    EXPECT_EQ(ended.output, "working\ncleaned\n");
}

TEST(Stop, what_is_deaf_is_killed_after_the_grace) {
    Program program({"--grace", "300ms", "trap '' TERM; sleep 500; true"});
    ASSERT_TRUE(program.wait_until_alive(4));
    const auto start = std::chrono::steady_clock::now();
    program.signal(SIGINT);
    const Ended ended = program.wait();
    const Seconds took = std::chrono::steady_clock::now() - start;
    EXPECT_TRUE(program.alive().empty());
    EXPECT_EQ(ended.status, 130);
    EXPECT_GE(took.count(), 0.3);
    EXPECT_LT(took.count(), soon);
}

TEST(Stop, a_second_interrupt_kills_at_once) {
    Program program(stubborn);
    ASSERT_TRUE(program.wait_until_alive(stubborn_processes));
    program.signal(SIGINT);
    ASSERT_TRUE(becomes_true([&] { return program.alive().size() <= deaf_processes; }));
    program.signal(SIGINT);
    const Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty());
    EXPECT_EQ(ended.status, 130);
    EXPECT_LT(ended.seconds.count(), soon);
}

TEST(Stop, two_different_requests_are_two_requests) {
    Program program(stubborn);
    ASSERT_TRUE(program.wait_until_alive(stubborn_processes));
    program.signal(SIGINT);
    ASSERT_TRUE(becomes_true([&] { return program.alive().size() <= deaf_processes; }));
    program.signal(SIGTERM);
    const Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty());
    EXPECT_LT(ended.seconds.count(), soon);
}

TEST(Stop, quit_kills_at_once) {
    Program program(stubborn);
    ASSERT_TRUE(program.wait_until_alive(stubborn_processes));
    program.signal(SIGQUIT);
    EXPECT_EQ(program.wait().status, 128 + SIGQUIT);
    EXPECT_TRUE(program.alive().empty());
}

TEST(Stop, the_same_request_to_both_processes_is_one) {
    // What `pkill asyncio` does.
    Program program(two_of_three);
    ASSERT_TRUE(program.wait_until_alive(all_processes));
    const pid_t worker = program.worker();
    program.signal(SIGTERM);
    ::kill(worker, SIGTERM);
    const Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty());
    EXPECT_EQ(ended.status, 143);
    EXPECT_TRUE(contains(ended.errors, "2 interrupted, 1 not started")) << ended.errors;
}

TEST(Stop, a_worker_that_is_killed_takes_nobody_along_but_its_commands) {
    Program program(stubborn);
    ASSERT_TRUE(program.wait_until_alive(stubborn_processes));
    ::kill(program.worker(), SIGKILL);
    const Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty());
    EXPECT_EQ(ended.status, 128 + SIGKILL);
}

TEST(Stop, a_worker_that_crashes_leaves_no_daemon) {
    Program program({"(setsid sh -c 'sleep 500 & sleep 500' >/dev/null 2>&1 &); sleep 500; true"});
    ASSERT_TRUE(program.wait_until_alive(7));
    ::kill(program.worker(), SIGABRT);
    EXPECT_EQ(program.wait().status, 128 + SIGABRT);
    EXPECT_TRUE(program.alive().empty());
}

TEST(Stop, a_guard_that_is_killed_is_survived_by_nobody) {
    Program program(two_of_three);
    ASSERT_TRUE(program.wait_until_alive(all_processes));
    program.signal(SIGKILL);
    EXPECT_EQ(program.wait().status, 128 + SIGKILL);
    EXPECT_TRUE(becomes_true([&] { return program.alive().empty(); }));
}

TEST(Stop, a_guard_that_is_killed_during_the_grace_is_survived_by_nobody) {
    Arguments arguments = stubborn;
    arguments[3] = "1s";
    Program program(arguments);
    ASSERT_TRUE(program.wait_until_alive(stubborn_processes));
    program.signal(SIGINT);
    ASSERT_TRUE(becomes_true([&] { return program.alive().size() <= deaf_processes; }));
    program.signal(SIGKILL);
    program.wait();
    EXPECT_TRUE(becomes_true([&] { return program.alive().empty(); }));
}

TEST(Stop, daemons_end_too_when_the_guard_is_killed) {
    Program program({"(setsid sh -c 'sleep 500 & sleep 500' >/dev/null 2>&1 &); sleep 500; true"});
    ASSERT_TRUE(program.wait_until_alive(7));
    program.signal(SIGKILL);
    program.wait();
    EXPECT_TRUE(becomes_true([&] { return program.alive().empty(); }));
}

TEST(Stop, programs_that_keep_forking_end) {
    Program program(
        {"sh -c 'while true; do setsid sh -c \"sleep .05; sleep 500\" & sleep .01; done'"});
    ASSERT_TRUE(program.wait_until_alive(30));
    ::kill(program.worker(), SIGKILL);
    program.wait();
    EXPECT_TRUE(program.alive().empty());
}

TEST(Stop, a_reader_that_does_not_read_cannot_prevent_it) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Program program({"-j", "2", "--grace", "100ms", "seq 1000000", "seq 1000000", "sleep 500"},
                    {.output = ends[1]});
    ::close(ends[1]);
    // The one that has ended is being shown, and fills the pipe.
    EXPECT_TRUE(becomes_true([&] {
        int bytes = 0;
        return ::ioctl(ends[0], FIONREAD, &bytes) == 0 && bytes >= 32768;
    }));
    program.signal(SIGTERM);
    const Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty());
    EXPECT_EQ(ended.status, 143);
    EXPECT_LT(ended.seconds.count(), soon);
    ::close(ends[0]);
}

TEST(Stop, halts_and_continues_as_one_program) {
    const TemporaryFile continued;
    Program program({wait_for_lines(continued.path(), 1) + "; echo end"});
    ASSERT_TRUE(program.wait_until_alive(3));
    const pid_t worker = program.worker();
    program.signal(SIGTSTP);
    EXPECT_TRUE(
        becomes_true([&] { return state_of(program.pid()) == 'T' && state_of(worker) == 'T'; }));
    program.signal(SIGCONT);
    std::ofstream(continued.path()) << "now\n";
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "end\n");
}

}  // namespace
