// What is shown of a batch that has run: the table, the time line, the JSON, the progress line.

#include "batch/report/json.h"
#include "batch/report/table.h"
#include "batch/report/timeline.h"
#include "terminal/progress_line.h"
#include "tool/program.h"

#include <algorithm>
#include <clocale>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using tool::Charset;
using tool::batch::Job;
using tool::batch::Status;
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

tool::batch::Totals totals_of(const std::vector<Job>& jobs, asyncio::Duration elapsed) {
    tool::batch::Totals totals;
    for (const Job& job : jobs) {
        totals.tally.add(job);
        totals.one_by_one += job.all_seconds;
    }
    totals.commands = jobs.size();
    totals.elapsed = elapsed;
    return totals;
}

std::string table_of(const std::vector<Job>& jobs, asyncio::Duration elapsed, std::size_t width,
                     Charset charset) {
    return tool::batch::table(jobs, totals_of(jobs, elapsed), width, charset);
}

TEST(Table, has_a_row_for_each_command_and_a_line_with_the_totals) {
    EXPECT_EQ(table_of(four(), 2s, 80, ascii),
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
    const auto rows = lines(table_of(jobs, 1s, 80, ascii));
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
        auto rows = lines(table_of(jobs, 2s, width, ascii));
        rows.pop_back();
        for (const std::string& row : rows) EXPECT_LE(row.size(), width) << row;
    }
}

TEST(Table, keeps_its_columns_with_commands_that_are_wider_than_their_bytes) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    std::vector<Job> jobs =
        jobs_of(ran("日本", Status::exited, 0s, 1s), ran("abcd", Status::exited, 0s, 1s));
    const auto rows = lines(table_of(jobs, 1s, 80, utf8));
    EXPECT_EQ(rows[1], "日本     complete      1.00");
    EXPECT_EQ(rows[2], "abcd     complete      1.00");
    std::setlocale(LC_CTYPE, "C");
}

TEST(Table, of_very_many_commands_lists_those_that_are_not_complete) {
    std::vector<Job> jobs(5000);
    for (Job& job : jobs) job = ran("true", Status::exited, 0s, 0s);
    jobs[1234] = ran("false", Status::exited, 0s, 0s);
    jobs[1234].exit_code = 1;
    const auto rows = lines(table_of(jobs, 1s, 80, ascii));
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[1], "false    exit 1      0.00");
    EXPECT_EQ(rows[2], "5000 commands: 4999 complete, 1 failed; 1.00 s (one by one: 0.00 s)");
}

TEST(Table, of_very_many_commands_counts_those_that_were_not_started) {
    std::vector<Job> jobs(5000);
    for (Job& job : jobs) job.command = "true";
    jobs[0].status = Status::interrupted;
    const auto rows = lines(table_of(jobs, 1s, 80, ascii));
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_TRUE(rows[1].starts_with("true     interrupted")) << rows[1];
    EXPECT_EQ(rows[2],
              "5000 commands: 1 interrupted, 4999 not started; 1.00 s (one by one: 0.00 s)");
}

TEST(Table, says_that_there_may_be_more) {
    std::vector<Job> jobs = jobs_of(ran("true", Status::exited, 0s, 0s));
    tool::batch::Totals totals = totals_of(jobs, 0s);
    totals.has_more = true;
    EXPECT_EQ(describe(totals), "at least 1 command: 1 complete; 0.00 s (one by one: 0.00 s)");
}

std::vector<std::size_t> numbers_in(tool::batch::Ledger& ledger) {
    std::vector<std::size_t> numbers;
    for (const Job& job : ledger.jobs()) numbers.push_back(job.number);
    return numbers;
}

/// Adds jobs of these numbers, in reverse; each tenth fails.
void fill(tool::batch::Ledger& ledger, std::size_t count) {
    for (std::size_t number = count; number > 0; --number) {
        Job job = ran("x", Status::exited, 0s, 1s);
        job.number = number;
        job.exit_code = number % 10 == 0 ? 1 : 0;
        ledger.add(std::move(job));
    }
}

TEST(Ledger, keeps_what_a_short_table_lists_in_the_order_of_the_input) {
    tool::batch::Ledger ledger(tool::batch::Ledger::Keep::table);
    fill(ledger, 100);
    const auto numbers = numbers_in(ledger);
    EXPECT_EQ(numbers.size(), 100U);
    EXPECT_TRUE(std::ranges::is_sorted(numbers));
}

TEST(Ledger, of_many_keeps_only_what_a_long_table_lists_and_counts_the_others) {
    tool::batch::Ledger ledger(tool::batch::Ledger::Keep::table);
    fill(ledger, 101);
    EXPECT_EQ(numbers_in(ledger),
              (std::vector<std::size_t>{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}));
    EXPECT_EQ(ledger.totals().commands, 101U);
    EXPECT_EQ(ledger.totals().tally.complete, 91U);
    EXPECT_EQ(ledger.totals().one_by_one, 101s);
}

TEST(Ledger, keeps_all_or_nothing_where_that_is_wanted) {
    tool::batch::Ledger all(tool::batch::Ledger::Keep::all);
    tool::batch::Ledger none(tool::batch::Ledger::Keep::nothing);
    fill(all, 300);
    fill(none, 300);
    EXPECT_EQ(all.jobs().size(), 300U);
    EXPECT_EQ(none.jobs().size(), 0U);
    EXPECT_EQ(none.totals().tally.failed, 30U);
}

TEST(Table, of_one_command_speaks_of_one) {
    std::vector<Job> jobs = jobs_of(ran("true", Status::exited, 0s, 0s));
    EXPECT_EQ(describe(totals_of(jobs, 0s)), "1 command: 1 complete; 0.00 s (one by one: 0.00 s)");
}

TEST(Timeline, draws_a_bar_from_begin_to_end) {
    std::vector<Job> jobs =
        jobs_of(ran("first", Status::exited, 0s, 1s), ran("second", Status::exited, 1s, 1s),
                ran("whole", Status::exited, 0s, 2s));
    EXPECT_EQ(tool::batch::timeline(jobs, 2s, 48, ascii),
              "        0 s       0.5 s     1 s       1.5 s\n"
              "first   ====================\n"
              "second                      ====================\n"
              "whole   ========================================\n");
}

TEST(Timeline, draws_eighths_where_the_terminal_can) {
    std::vector<Job> jobs =
        jobs_of(ran("a", Status::exited, 0s, 1s), ran("b", Status::exited, 0s, 0s),
                ran("c", Status::exited, 1s, 53125us));
    const auto drawn = lines(tool::batch::timeline(jobs, 2s, 23, utf8));
    ASSERT_EQ(drawn.size(), 4U);
    EXPECT_EQ(drawn[1], "a  ██████████");
    EXPECT_EQ(drawn[2], "b  ▏") << "even the shortest can be seen";
    EXPECT_EQ(drawn[3], "c            ▌");
}

TEST(Timeline, is_no_wider_than_the_terminal) {
    std::vector<Job> jobs = four();
    jobs[0].command = std::string(300, 'x');
    for (const std::size_t width : {40U, 80U, 133U}) {
        for (const std::string& line : lines(tool::batch::timeline(jobs, 2s, width, ascii))) {
            EXPECT_LE(line.size(), width) << line;
        }
    }
}

TEST(Timeline, shows_only_what_has_run) {
    std::vector<Job> jobs = four();
    jobs[1].status = Status::not_started;
    EXPECT_EQ(lines(tool::batch::timeline(jobs, 2s, 80, ascii)).size(), 4U);
    for (Job& job : jobs) job.status = Status::not_started;
    EXPECT_EQ(tool::batch::timeline(jobs, 2s, 80, ascii), "");
}

TEST(Timeline, of_no_time_at_all_is_drawn) {
    std::vector<Job> jobs = jobs_of(ran("x", Status::exited, 0s, 0s));
    EXPECT_EQ(lines(tool::batch::timeline(jobs, 0s, 40, ascii))[1], "x  =");
}

TEST(Json, strings_are_escaped) {
    EXPECT_EQ(tool::batch::json_string("a \"b\" \\ \n\t\x01 ä"),
              "\"a \\\"b\\\" \\\\ \\u000a\\u0009\\u0001 ä\"");
    EXPECT_EQ(tool::batch::json_string("\xFF"), "\"\xEF\xBF\xBD\"");
}

TEST(Json, has_every_command_and_the_totals) {
    std::vector<Job> jobs = four();
    jobs.resize(2);
    jobs[0].started = std::chrono::system_clock::time_point(1795223444769ms);
    jobs[0].output_bytes = 6;
    jobs[1].status = Status::not_started;
    EXPECT_EQ(tool::batch::json_report(jobs, totals_of(jobs, 2s), 1),
              "{\"commands\":[\n"
              R"({"seq":1,"command":"sleep 1 && echo hello","status":"complete","exit":0,)"
              R"("signal":null,"started":1795223444.769,"seconds":1.000,"begin":0.000,)"
              R"("end":1.000,"tries":1,"stdout_bytes":6,"stderr_bytes":0},)"
              "\n"
              R"({"seq":2,"command":"sleep 1.5","status":"not started"})"
              "\n],\n"
              R"("totals":{"commands":2,"complete":1,"failed":0,"timeout":0,"interrupted":0,)"
              R"("not_started":1,"in_the_log":0,"has_more":false,"seconds":2.000},)"
              "\n"
              R"("exit_status":1})"
              "\n");
}

TEST(Progress, says_what_is_done_and_what_is_left) {
    tool::Progress progress;
    progress.total = 100;
    progress.running = 4;
    EXPECT_EQ(progress_line(progress, 80), "0/100 done, 4 running, 0 failed");
    progress.done = 20;
    progress.failed = 1;
    progress.elapsed = 10s;
    EXPECT_EQ(progress_line(progress, 80), "20/100 done, 4 running, 1 failed, 2.0/s, 0:40 left");
    progress.elapsed = 4000s;
    EXPECT_EQ(progress_line(progress, 80), "20/100 done, 4 running, 1 failed, 0.0/s, 4:26:40 left");
}

TEST(Progress, promises_no_end_while_more_may_come) {
    tool::Progress progress;
    progress.total = 100;
    progress.done = 20;
    progress.elapsed = 10s;
    progress.has_more = true;
    EXPECT_EQ(progress_line(progress, 80), "20 of at least 100 done, 0 running, 0 failed, 2.0/s");
}

TEST(Progress, fits_the_terminal) {
    tool::Progress progress;
    progress.total = 100;
    EXPECT_EQ(progress_line(progress, 9), "0/100 don");
}

}  // namespace
