// When a batch is halted, and what its exit status is then: GNU parallel's rules.

#include "batch/job/exit_status.h"
#include "batch/job/halt.h"

#include <gtest/gtest.h>

namespace {

using tool::batch::Halt;
using tool::batch::Job;
using tool::batch::parse_halt;
using tool::batch::Status;
using tool::batch::Tally;

Job ended_with(Status status, int exit_code, int signal) {
    Job job;
    job.status = status;
    job.exit_code = exit_code;
    job.signal = signal;
    return job;
}

TEST(Halt, reads_what_gnu_parallel_reads) {
    const auto halt = parse_halt("now,fail=1");
    ASSERT_TRUE(halt);
    EXPECT_EQ(halt->when, Halt::When::now);
    EXPECT_EQ(halt->why, Halt::Why::fail);
    EXPECT_EQ(halt->count, 1U);
    EXPECT_EQ(parse_halt("soon,success=12")->count, 12U);
    EXPECT_EQ(parse_halt("soon,done=3")->why, Halt::Why::done);
    EXPECT_EQ(parse_halt("never")->when, Halt::When::never);
}

TEST(Halt, what_cannot_be_read_is_nothing) {
    for (const char* text :
         {"", "now", "now,", "now,fail", "now,fail=", "now,fail=0", "now,fail=-1", "now,fail=1x",
          "later,fail=1", "now,crash=1", "now,fail=1,2", "1", "now,fail=30%"}) {
        EXPECT_FALSE(parse_halt(text)) << text;
    }
}

TEST(Halt, is_reached_by_what_it_counts) {
    Tally tally;
    tally.complete = 5;
    tally.failed = 1;
    tally.timed_out = 1;
    EXPECT_TRUE(parse_halt("now,fail=2")->reached(tally));
    EXPECT_FALSE(parse_halt("now,fail=3")->reached(tally));
    EXPECT_TRUE(parse_halt("soon,success=5")->reached(tally));
    EXPECT_FALSE(parse_halt("soon,success=6")->reached(tally));
    EXPECT_TRUE(parse_halt("soon,done=7")->reached(tally));
    EXPECT_FALSE(parse_halt("soon,done=8")->reached(tally));
    EXPECT_FALSE(parse_halt("never")->reached(tally));
}

TEST(ExitStatus, counts_failures_up_to_101) {
    Tally tally;
    EXPECT_EQ(exit_status(tally, {}, nullptr), 0);
    tally.complete = 1000;
    EXPECT_EQ(exit_status(tally, {}, nullptr), 0);
    tally.failed = 60;
    tally.timed_out = 40;
    EXPECT_EQ(exit_status(tally, {}, nullptr), 100);
    tally.timed_out = 41;
    EXPECT_EQ(exit_status(tally, {}, nullptr), 101);
    tally.failed = 5000;
    EXPECT_EQ(exit_status(tally, {}, nullptr), 101);
}

TEST(ExitStatus, of_a_halt_at_the_first_failure_is_that_of_the_command) {
    Tally tally;
    tally.failed = 3;
    const Halt halt = *parse_halt("soon,fail=1");
    const Job with_code = ended_with(Status::exited, 42, 0);
    const Job with_signal = ended_with(Status::signalled, 0, 11);
    const Job out_of_time = ended_with(Status::timed_out, 0, 15);
    EXPECT_EQ(exit_status(tally, halt, &with_code), 42);
    EXPECT_EQ(exit_status(tally, halt, &with_signal), 128 + 11);
    EXPECT_EQ(exit_status(tally, halt, &out_of_time), 255);
    EXPECT_EQ(exit_status(tally, halt, nullptr), 3) << "the rule was not fulfilled";
    EXPECT_EQ(exit_status(tally, *parse_halt("now,fail=2"), &with_code), 3);
}

TEST(ExitStatus, of_a_halt_at_a_success_is_success) {
    Tally tally;
    tally.failed = 3;
    const Job job = ended_with(Status::exited, 0, 0);
    EXPECT_EQ(exit_status(tally, *parse_halt("now,success=1"), &job), 0);
    EXPECT_EQ(exit_status(tally, *parse_halt("now,success=1"), nullptr), 3);
}

}  // namespace
