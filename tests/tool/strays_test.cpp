// What a command starts and what then leaves its process group: it does not live on into the next
// try, and it is not left in the process table when it has died.

#include "tool/program.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using namespace tool_tests;

/// Words for a shell: how many processes run this very `sleep`, into the file.
std::string count_sleepers(const std::string& seconds, const TemporaryFile& file) {
    return "ps -eo args | grep -c '^sleep " + seconds + "$' >> " + file.path() + "; ";
}

TEST(Strays, of_a_try_that_failed_are_gone_before_the_next_one) {
    int number = 0;
    for (const std::string start :
         {"setsid sleep # >/dev/null 2>&1 & ", "timeout 500 sleep # & ",
          "(setsid sh -c 'exec >/dev/null 2>&1 </dev/null; sleep # & sleep #' &); ",
          "setsid sh -c \"trap '' TERM; sleep #; :\" & "}) {
        const TemporaryFile counts;
        // A number of its own, so that no other test is counted.
        const std::string seconds =
            "5" + std::to_string(::getpid() % 100000) + "." + std::to_string(++number);
        std::string words = start;
        for (std::size_t at = 0; (at = words.find('#')) != std::string::npos;) {
            words.replace(at, 1, seconds);
        }
        const Ended ended = batch({"-j", "1", "--grace", "200ms", "--retries", "3",
                                   count_sleepers(seconds, counts) + words + "sleep .1; exit 1"});
        EXPECT_EQ(ended.status, 1);
        EXPECT_EQ(counts.text(), "0\n0\n0\n") << start;
    }
}

TEST(Strays, of_a_try_that_was_too_slow_are_gone_before_the_next_one) {
    const std::string seconds = "6" + std::to_string(::getpid() % 100000);
    for (double limit = 0.5; limit < 60; limit *= 2) {
        const TemporaryFile counts;
        batch({"-j", "1", "-t", std::to_string(limit) + "s", "--retries", "3",
               count_sleepers(seconds, counts) + "timeout 500 sleep " + seconds + "; true"});
        if (lines(counts.text()).size() < 3) continue;
        EXPECT_EQ(counts.text(), "0\n0\n0\n");
        return;
    }
    ADD_FAILURE() << "too slow to be tested";
}

TEST(Strays, have_the_grace_to_clean_up_when_their_command_is_ended) {
    const TemporaryFile cleaned;
    Program program({"--grace", "200s",
                     "setsid sh -c 'trap \"echo cleaned > " + cleaned.path() +
                         "; kill -9 \\$!; exit\" TERM; sleep 500 & wait' & sleep 500; true"});
    ASSERT_TRUE(program.wait_until_alive(6));
    program.signal(SIGTERM);
    const Ended ended = program.wait();
    EXPECT_EQ(cleaned.text(), "cleaned\n");
    EXPECT_LT(ended.seconds.count(), soon);
    EXPECT_TRUE(program.alive().empty());
}

TEST(Strays, of_a_command_that_ended_well_serve_the_next_one) {
    const TemporaryFile number;
    const Ended ended =
        batch({"-j", "1", "--quiet", "--retries", "2",
               "setsid sh -c 'echo $$ > " + number.path() + "; sleep 500' >/dev/null 2>&1 & " +
                   wait_for_lines(number.path(), 1),
               "kill -0 $(cat " + number.path() + ") && echo serves"});
    EXPECT_EQ(ended.output, "serves\n");
}

TEST(Strays, of_one_command_are_not_taken_for_those_of_another) {
    const TemporaryFile number;
    const Ended ended =
        batch({"-j", "1", "--quiet", "--retries", "2", "--grace", "100ms",
               "setsid sh -c 'echo $$ > " + number.path() + "; sleep 500' >/dev/null 2>&1 & " +
                   wait_for_lines(number.path(), 1),
               "exit 1", "kill -0 $(cat " + number.path() + ") && echo serves"});
    EXPECT_EQ(ended.status, 1);
    EXPECT_EQ(ended.output, "serves\n");
}

TEST(Strays, that_have_died_are_reaped_while_their_command_runs) {
    const std::string until_none =
        "for i in $(seq 3000); do [ $(ps -o stat= --ppid $PPID | grep -c Z) = 0 ] && "
        "echo reaped && break; sleep .02; done";
    for (const char* start : {"(true &)", "(setsid true &)", "(timeout 9 true &)"}) {
        const Ended ended = batch({"--quiet", "for i in $(seq 50); do " + std::string(start) +
                                                  "; done; sleep .1; " + until_none});
        EXPECT_EQ(ended.output, "reaped\n") << start;
    }
}

}  // namespace
