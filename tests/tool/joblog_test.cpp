// The job log: GNU parallel's columns, written and read.

#include "batch/report/joblog.h"
#include "tool/program.h"

#include <fstream>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using tool::batch::Job;
using tool::batch::JobLog;
using tool::batch::LogEntry;
using tool::batch::parse_job_log;
using tool::batch::Status;
using tool_tests::TemporaryFile;

constexpr const char* header =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

Job sample() {
    Job job;
    job.number = 7;
    job.command = "exit 3";
    job.status = Status::exited;
    job.exit_code = 3;
    job.started = std::chrono::system_clock::time_point(1795223444769ms);
    job.seconds = 1234567us;
    job.output_bytes = 5;
    return job;
}

TEST(JobLog, a_line_is_what_gnu_parallel_writes) {
    EXPECT_EQ(log_line(sample()), "7\t:\t1795223444.769\t     1.235\t0\t5\t3\t0\texit 3");
}

TEST(JobLog, a_signal_stands_in_its_column) {
    Job job = sample();
    job.status = Status::signalled;
    job.exit_code = 0;
    job.signal = 11;
    EXPECT_EQ(log_line(job), "7\t:\t1795223444.769\t     1.235\t0\t5\t0\t11\texit 3");
}

TEST(JobLog, a_timeout_is_minus_one_and_the_signal_that_ended_it) {
    Job job = sample();
    job.status = Status::timed_out;
    job.exit_code = 0;
    job.signal = 15;
    EXPECT_EQ(log_line(job), "7\t:\t1795223444.769\t     1.235\t0\t5\t-1\t15\texit 3");
}

TEST(JobLog, a_newline_in_a_command_is_kept_as_a_zero_byte) {
    Job job = sample();
    job.command = "echo a\necho b\tc";
    const std::string line = log_line(job);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto entries = parse_job_log(line + "\n");
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].command, "echo a\necho b\tc");
}

TEST(JobLog, reads_a_log_of_gnu_parallel) {
    const auto entries = parse_job_log(std::string(header) +
                                       "1\t:\t1795223444.769\t     0.000\t0\t0\t0\t0\ttrue\n"
                                       "3\t:\t1795223444.778\t     1.294\t0\t0\t-1\t15\tsleep 5\n"
                                       "2\thost\t1795223444.776\t     0.002\t0\t0\t3\t0\texit 3\n");
    ASSERT_EQ(entries.size(), 3U);
    EXPECT_EQ(entries[0].number, 1U);
    EXPECT_FALSE(entries[0].failed());
    EXPECT_EQ(entries[1].exit_value, -1);
    EXPECT_EQ(entries[1].signal, 15);
    EXPECT_TRUE(entries[1].failed());
    EXPECT_EQ(entries[2].command, "exit 3");
    EXPECT_TRUE(entries[2].failed());
}

TEST(JobLog, a_line_that_was_cut_off_is_left_out) {
    EXPECT_TRUE(parse_job_log("12\t:\t17952").empty());
    EXPECT_TRUE(parse_job_log("12\t:\t1\t1\t0\t0\t0").empty());
    EXPECT_TRUE(parse_job_log("\n\n").empty());
    EXPECT_TRUE(parse_job_log("").empty());
}

TEST(JobLog, begins_anew_or_goes_on_behind_what_is_there) {
    const TemporaryFile file("old\n");
    ASSERT_TRUE(JobLog(file.path(), false).add(sample()));
    EXPECT_EQ(file.text(), header + log_line(sample()) + "\n");
    ASSERT_TRUE(JobLog(file.path(), true).add(sample()));
    EXPECT_EQ(file.text(), header + log_line(sample()) + "\n" + log_line(sample()) + "\n");
}

TEST(JobLog, going_on_repairs_an_end_that_was_cut_off) {
    const TemporaryFile file(header + log_line(sample()) + "\n8\t:\t179");
    ASSERT_TRUE(JobLog(file.path(), true).add(sample()));
    EXPECT_EQ(tool::batch::read_job_log(file.path()).size(), 2U);
}

TEST(JobLog, that_does_not_exist_is_empty_and_one_that_cannot_be_read_is_an_error) {
    EXPECT_TRUE(tool::batch::read_job_log("/tmp/no such job log").empty());
    EXPECT_THROW(tool::batch::read_job_log("/tmp"), asyncio::OsError);
    EXPECT_THROW(JobLog("/nosuchfolder/log", false), asyncio::OsError);
}

TEST(JobLog, says_when_a_line_cannot_be_written) {
    try {
        JobLog log("/dev/full", false);
        FAIL() << "the header has no room";
    } catch (const asyncio::OsError& error) {
        EXPECT_EQ(error.error(), ENOSPC);
    }
}

}  // namespace
