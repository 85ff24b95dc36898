// What is shown of a batch that has run: the table, the time line, the JSON, the progress line.

#include "batch/json.h"
#include "batch/progress.h"
#include "batch/report.h"
#include "batch/timeline.h"
#include "tool/program.h"

#include <clocale>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using batch::Charset;
using batch::Job;
using batch::Status;
using tool_tests::lines;

constexpr Charset ascii = Charset::ascii;
constexpr Charset utf8 = Charset::utf8;

Job ran(std::string command, Status status, asyncio::Duration begin, asyncio::Duration seconds) {
    Job job;
    job.command = std::move(command);
    job.status = status;
    job.tries = 1;
    job.begin = begin;
    job.end = begin + seconds;
    job.seconds = job.all_seconds = seconds;
    return job;
}

/// What a command has written is not copied, so a list in braces will not do.
template <class... Jobs>
std::vector<Job> jobs_of(Jobs... each) {
    std::vector<Job> jobs;
    (jobs.push_back(std::move(each)), ...);
    return jobs;
}

/// The four commands of the first demonstration.
std::vector<Job> four() {
    std::vector<Job> jobs = jobs_of(ran("sleep 1 && echo hello", Status::exited, 0s, 1s),
                                    ran("sleep 1.5", Status::exited, 0s, 1500ms),
                                    ran("echo world", Status::exited, 0s, 10ms),
                                    ran("sleep 500", Status::timed_out, 0s, 2s));
    for (std::size_t index = 0; index < jobs.size(); ++index) jobs[index].number = index + 1;
    return jobs;
}

TEST(Table, has_a_row_for_each_command_and_a_line_with_the_totals) {
    EXPECT_EQ(batch::table(four(), 2s, 80, ascii),
              "Command                Status     Seconds\n"
              "sleep 1 && echo hello  complete      1.00\n"
              "sleep 1.5              complete      1.50\n"
              "echo world             complete      0.01\n"
              "sleep 500              timeout       2.00\n"
              "4 commands: 3 complete, 1 timeout; 2.00 s (one by one: 4.51 s)\n");
}

TEST(Table, says_how_each_command_ended) {
    std::vector<Job> jobs(7);
    for (Job& job : jobs) job.command = "x";
    jobs[0].status = Status::exited;
    jobs[1].status = Status::exited;
    jobs[1].exit_code = 3;
    jobs[2].status = Status::signalled;
    jobs[2].signal = SIGSEGV;
    jobs[3].status = Status::timed_out;
    jobs[4].status = Status::interrupted;
    jobs[5].status = Status::not_started;
    jobs[6].status = Status::skipped;
    const auto rows = lines(batch::table(jobs, 1s, 80, ascii));
    ASSERT_EQ(rows.size(), 9U);
    const char* statuses[] = {"complete",    "exit 3",      "signal SEGV", "timeout",
                              "interrupted", "not started", "in the log"};
    for (std::size_t index = 0; index < 7; ++index) {
        EXPECT_NE(rows[index + 1].find(statuses[index]), std::string::npos) << rows[index + 1];
    }
    EXPECT_EQ(rows[8], "7 commands: 1 complete, 2 failed, 1 timeout, 1 interrupted, 1 not started, "
                       "1 in the log; 1.00 s (one by one: 0.00 s)");
}

TEST(Table, is_no_wider_than_the_terminal) {
    std::vector<Job> jobs = four();
    jobs[0].command = std::string(300, 'x');
    for (const std::size_t width : {40U, 60U, 80U, 200U}) {
        auto rows = lines(batch::table(jobs, 2s, width, ascii));
        rows.pop_back();
        for (const std::string& row : rows) EXPECT_LE(row.size(), width) << row;
    }
}

TEST(Table, keeps_its_columns_with_commands_that_are_wider_than_their_bytes) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    std::vector<Job> jobs =
        jobs_of(ran("日本", Status::exited, 0s, 1s), ran("abcd", Status::exited, 0s, 1s));
    const auto rows = lines(batch::table(jobs, 1s, 80, utf8));
    EXPECT_EQ(rows[1], "日本     complete      1.00");
    EXPECT_EQ(rows[2], "abcd     complete      1.00");
    std::setlocale(LC_CTYPE, "C");
}

TEST(Table, of_very_many_commands_lists_those_that_are_not_complete) {
    std::vector<Job> jobs(5000);
    for (Job& job : jobs) job = ran("true", Status::exited, 0s, 0s);
    jobs[1234] = ran("false", Status::exited, 0s, 0s);
    jobs[1234].exit_code = 1;
    const auto rows = lines(batch::table(jobs, 1s, 80, ascii));
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[1], "false    exit 1      0.00");
    EXPECT_EQ(rows[2], "5000 commands: 4999 complete, 1 failed; 1.00 s (one by one: 0.00 s)");
}

TEST(Table, of_one_command_speaks_of_one) {
    std::vector<Job> jobs = jobs_of(ran("true", Status::exited, 0s, 0s));
    EXPECT_EQ(batch::totals(jobs, 0s), "1 command: 1 complete; 0.00 s (one by one: 0.00 s)");
}

TEST(Timeline, draws_a_bar_from_begin_to_end) {
    std::vector<Job> jobs =
        jobs_of(ran("first", Status::exited, 0s, 1s), ran("second", Status::exited, 1s, 1s),
                ran("whole", Status::exited, 0s, 2s));
    EXPECT_EQ(batch::timeline(jobs, 2s, 48, ascii),
              "        0 s       0.5 s     1 s       1.5 s\n"
              "first   ====================\n"
              "second                      ====================\n"
              "whole   ========================================\n");
}

TEST(Timeline, draws_eighths_where_the_terminal_can) {
    std::vector<Job> jobs =
        jobs_of(ran("a", Status::exited, 0s, 1s), ran("b", Status::exited, 0s, 0s),
                ran("c", Status::exited, 1s, 53125us));
    const auto drawn = lines(batch::timeline(jobs, 2s, 23, utf8));
    ASSERT_EQ(drawn.size(), 4U);
    EXPECT_EQ(drawn[1], "a  ██████████");
    EXPECT_EQ(drawn[2], "b  ▏") << "even the shortest can be seen";
    EXPECT_EQ(drawn[3], "c            ▌");
}

TEST(Timeline, is_no_wider_than_the_terminal) {
    std::vector<Job> jobs = four();
    jobs[0].command = std::string(300, 'x');
    for (const std::size_t width : {40U, 80U, 133U}) {
        for (const std::string& line : lines(batch::timeline(jobs, 2s, width, ascii))) {
            EXPECT_LE(line.size(), width) << line;
        }
    }
}

TEST(Timeline, shows_only_what_has_run) {
    std::vector<Job> jobs = four();
    jobs[1].status = Status::not_started;
    EXPECT_EQ(lines(batch::timeline(jobs, 2s, 80, ascii)).size(), 4U);
    for (Job& job : jobs) job.status = Status::not_started;
    EXPECT_EQ(batch::timeline(jobs, 2s, 80, ascii), "");
}

TEST(Timeline, of_no_time_at_all_is_drawn) {
    std::vector<Job> jobs = jobs_of(ran("x", Status::exited, 0s, 0s));
    EXPECT_EQ(lines(batch::timeline(jobs, 0s, 40, ascii))[1], "x  =");
}

TEST(Json, strings_are_escaped) {
    EXPECT_EQ(batch::json_string("a \"b\" \\ \n\t\x01 ä"),
              "\"a \\\"b\\\" \\\\ \\u000a\\u0009\\u0001 ä\"");
    EXPECT_EQ(batch::json_string("\xFF"), "\"\xEF\xBF\xBD\"");
}

TEST(Json, has_every_command_and_the_totals) {
    std::vector<Job> jobs = four();
    jobs.resize(2);
    jobs[0].started = std::chrono::system_clock::time_point(1795223444769ms);
    jobs[0].output_bytes = 6;
    jobs[1].status = Status::not_started;
    EXPECT_EQ(batch::json_report(jobs, 2s, 1),
              "{\"commands\":[\n"
              R"({"seq":1,"command":"sleep 1 && echo hello","status":"complete","exit":0,)"
              R"("signal":null,"started":1795223444.769,"seconds":1.000,"begin":0.000,)"
              R"("end":1.000,"tries":1,"stdout_bytes":6,"stderr_bytes":0},)"
              "\n"
              R"({"seq":2,"command":"sleep 1.5","status":"not started"})"
              "\n],\n"
              R"("totals":{"commands":2,"complete":1,"failed":0,"timeout":0,"interrupted":0,)"
              R"("not_started":1,"in_the_log":0,"seconds":2.000},)"
              "\n"
              R"("exit_status":1})"
              "\n");
}

TEST(Progress, says_what_is_done_and_what_is_left) {
    batch::Progress progress;
    progress.total = 100;
    progress.running = 4;
    EXPECT_EQ(progress_line(progress, 80), "0/100 done, 4 running, 0 failed");
    progress.tally.complete = 19;
    progress.tally.timed_out = 1;
    progress.elapsed = 10s;
    EXPECT_EQ(progress_line(progress, 80), "20/100 done, 4 running, 1 failed, 2.0/s, 0:40 left");
    progress.elapsed = 4000s;
    EXPECT_EQ(progress_line(progress, 80), "20/100 done, 4 running, 1 failed, 0.0/s, 4:26:40 left");
}

TEST(Progress, fits_the_terminal) {
    batch::Progress progress;
    progress.total = 100;
    EXPECT_EQ(progress_line(progress, 9), "0/100 don");
}

}  // namespace
