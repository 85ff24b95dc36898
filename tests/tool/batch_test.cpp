// `asyncio batch` as it is meant to be used: what is shown, in which order, and what it is worth.

#include "tool/program.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

namespace {

using namespace tool_tests;

std::string last_line(const std::string& text) {
    const auto all = lines(text);
    return all.empty() ? "" : all.back();
}

/// What stands behind the last blank of a row.
double seconds_in(const std::string& row) {
    return std::stod("0" + row.substr(row.rfind(' ') + 1));
}

TEST(Batch, four_commands_with_a_limit_end_at_the_limit_and_are_listed) {
    const auto [ended, limit] = batch_with_limit(
        2,
        {"-k", "-j", "0", "--grace", "0", "sleep 1 && echo hello", "sleep 1.5", "echo world",
         "sleep 500"},
        [](const Ended& attempt) { return contains(attempt.errors, "3 complete"); });
    EXPECT_EQ(ended.status, 1);
    EXPECT_EQ(ended.output, "hello\nworld\n");
    EXPECT_GE(ended.seconds.count(), limit);
    EXPECT_LT(ended.seconds.count(), limit + soon);
    const auto table = lines(ended.errors);
    ASSERT_EQ(table.size(), 6U) << ended.errors;
    EXPECT_TRUE(table[0].starts_with("Command                Status")) << table[0];
    EXPECT_TRUE(contains(table[1], "sleep 1 && echo hello  complete ")) << table[1];
    EXPECT_TRUE(contains(table[4], "sleep 500              timeout ")) << table[4];
    EXPECT_GE(seconds_in(table[4]), limit) << table[4];
    EXPECT_TRUE(contains(table[5], "4 commands: 3 complete, 1 timeout; ")) << table[5];
}

TEST(Batch, succeeds_if_every_command_does) {
    const Ended ended = batch({"true", "echo out; echo error >&2"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "out\n");
    EXPECT_TRUE(contains(ended.errors, "error\n"));
}

TEST(Batch, says_how_each_command_ended) {
    const Ended ended = batch({"true", "exit 3", "kill -SEGV $$", "nosuchcommand"});
    EXPECT_EQ(ended.status, 3);
    EXPECT_TRUE(contains(ended.errors, "true           complete")) << ended.errors;
    EXPECT_TRUE(contains(ended.errors, "exit 3         exit 3"));
    EXPECT_TRUE(contains(ended.errors, "kill -SEGV $$  signal SEGV"));
    EXPECT_TRUE(contains(ended.errors, "nosuchcommand  exit 127"));
    EXPECT_TRUE(contains(last_line(ended.errors), "4 commands: 1 complete, 3 failed;"));
}

TEST(Batch, exit_status_is_101_for_more_than_100_failures) {
    Arguments commands(100, "false");
    EXPECT_EQ(batch(commands).status, 100);
    commands.emplace_back("false");
    EXPECT_EQ(batch(commands).status, 101);
}

TEST(Batch, shows_outputs_whole_although_they_are_written_at_the_same_time) {
    const std::string slowly = "for i in 1 2 3 4 5; do echo $0; sleep .02; done";
    const Ended ended = batch({"-j", "0", "sh -c '" + slowly + "' a", "sh -c '" + slowly + "' b"});
    EXPECT_TRUE(ended.output == "a\na\na\na\na\nb\nb\nb\nb\nb\n" ||
                ended.output == "b\nb\nb\nb\nb\na\na\na\na\na\n")
        << ended.output;
}

TEST(Batch, shows_outputs_as_commands_end_or_in_the_order_of_the_input) {
    // The log has a line, below its head, when the second has ended.
    const TemporaryFile log;
    const Arguments commands{"-j",
                             "0",
                             "--joblog",
                             log.path(),
                             wait_for_lines(log.path(), 2) + "; echo first",
                             "echo second; echo error >&2"};
    EXPECT_EQ(batch(commands).output, "second\nfirst\n");
    Arguments in_order = commands;
    in_order.emplace_back("-k");
    const Ended ended = batch(in_order);
    EXPECT_EQ(ended.output, "first\nsecond\n");
    EXPECT_TRUE(contains(ended.errors, "error\n"));
}

TEST(Batch, keeps_the_order_of_many) {
    Arguments arguments{"-k", "-j", "8", "--quiet"};
    std::string expected;
    for (int number = 0; number < 200; ++number) {
        arguments.push_back("sleep 0.0" + std::to_string((7 * number) % 10) + "; echo " +
                            std::to_string(number));
        expected += std::to_string(number) + "\n";
    }
    EXPECT_EQ(batch(arguments).output, expected);
}

TEST(Batch, tags_every_line_with_its_command) {
    const Ended ended = batch({"--tag", "-k", "echo a; echo b", "printf c; echo d >&2"});
    EXPECT_EQ(ended.output, "echo a; echo b\ta\necho a; echo b\tb\nprintf c; echo d >&2\tc");
    EXPECT_TRUE(contains(ended.errors, "printf c; echo d >&2\td\n"));
}

TEST(Batch, passes_bytes_that_are_no_text) {
    std::string bytes;
    for (int value = 0; value < 256; ++value) bytes += static_cast<char>(value);
    const TemporaryFile file(bytes);
    EXPECT_EQ(batch({"cat " + file.path()}).output, bytes);
    EXPECT_EQ(batch({"printf '\xFF\xFE'"}).output, "\xFF\xFE");
}

TEST(Batch, gives_commands_no_input) {
    const Ended ended = batch({"cat", "read line || echo end"}, {.input = "not for the commands"});
    EXPECT_EQ(ended.output, "end\n");
}

TEST(Batch, gives_commands_the_signals_as_they_are_by_default) {
    const Ended ended = batch({"-k", "grep ^SigBlk /proc/self/status",
                               "grep ^SigIgn /proc/self/status | cut -f2", "yes | head -1"});
    const auto output = lines(ended.output);
    ASSERT_EQ(output.size(), 3U) << ended.output;
    EXPECT_EQ(output[0], "SigBlk:\t0000000000000000");
    // The C library keeps the first two real-time signals to itself.
    EXPECT_EQ(std::stoull(output[1], nullptr, 16) & 0x7fffffff, 0U) << output[1];
    EXPECT_EQ(output[2], "y");
    EXPECT_FALSE(contains(ended.errors, "roken pipe")) << ended.errors;
}

/// How many ran at once, at most, of commands that noted their beginning with '+' and their end
/// with '-'.
int most_at_once(const std::string& notes) {
    int running = 0;
    int most = 0;
    for (const std::string& note : lines(notes)) {
        running += note == "+" ? 1 : -1;
        most = std::max(most, running);
    }
    return most;
}

TEST(Batch, runs_so_many_at_a_time) {
    for (const auto& [jobs, expected] :
         {std::pair("1", 1), std::pair("2", 2), std::pair("4", 4), std::pair("0", 4)}) {
        const TemporaryFile notes;
        // None ends before as many as may run at once have begun; more would have begun then, too.
        const std::string command = "echo + >> " + notes.path() + "; " +
                                    wait_for_lines(notes.path(), expected) +
                                    "; sleep .2; echo - >> " + notes.path();
        batch({"-j", jobs, command, command, command, command});
        EXPECT_EQ(most_at_once(notes.text()), expected) << "-j " << jobs;
    }
}

TEST(Batch, takes_commands_from_arguments_a_file_and_standard_input) {
    const TemporaryFile file("echo file\n\n# nothing\necho 'last line'");
    EXPECT_EQ(batch({"-k", "-f", file.path()}).output, "file\nlast line\n");
    EXPECT_EQ(batch({"-k", "echo argument", "-f", file.path()}).output,
              "argument\nfile\nlast line\n");
    EXPECT_EQ(batch({"-k"}, {.input = "echo input\n"}).output, "input\n");
    EXPECT_EQ(batch({"-k", "-f", "-", "echo argument"}, {.input = "echo input\n"}).output,
              "argument\ninput\n");
    EXPECT_EQ(batch({"echo argument"}, {.input = "echo input\n"}).output, "argument\n");
}

TEST(Batch, takes_commands_that_look_like_something_else) {
    EXPECT_EQ(batch({"-k", "[ -e / ] && echo [1,2]", "[ 1, 2 ]", "echo x=[a]"}).output,
              "[1,2]\nx=[a]\n");
    EXPECT_EQ(batch({"--", "echo -j 7"}).output, "-j 7\n");
    EXPECT_EQ(batch({"batch"}).status, 1) << "a command of that name is not found, and runs";
    EXPECT_EQ(batch({"-j", "1", "++", "echo x", "[a,b]", "-", "+"}).output, "x\n");
    EXPECT_EQ(batch({"-j", "1", "++", "echo x", "[a,b]", "-", "+"}).status, 4) << "none is found";
    const TemporaryFile folder;
    const Ended ended = batch({"[ -e / ]", "[ -e / ] "});
    EXPECT_EQ(ended.status, 0);
    EXPECT_TRUE(contains(ended.errors, "[ -e / ]   complete"))
        << "with its blank: " << ended.errors;
}

TEST(Batch, runs_commands_that_begin_as_an_option_of_the_shell_does) {
    const ProgramFolder folder({"-tool", "+tool", "-c", "--"});
    const Ended ended = batch({"-k", "--", "-tool", "+tool 1", "-c '2'", "--", "-tool | cat"},
                              {.environment = {folder.path_variable()}});
    EXPECT_EQ(ended.output, "-tool ran\n+tool ran 1\n-c ran 2\n-- ran\n-tool ran\n");
    EXPECT_EQ(ended.status, 0) << ended.errors;
}

TEST(Batch, takes_the_last_of_a_repeated_option_and_every_file) {
    const TemporaryFile first("echo first\n");
    const TemporaryFile second("echo second\n");
    const TemporaryFile log;
    const Ended ended = batch({"-j1",
                               "-j",
                               "2",
                               "--jobs=3",
                               "-t",
                               "1h",
                               "-t2h",
                               "--halt=never",
                               "--halt",
                               "never",
                               "-kk",
                               "--quiet",
                               "-k",
                               "--quiet",
                               "--joblog",
                               "/nosuchfolder/log",
                               "--joblog",
                               log.path(),
                               "-f",
                               first.path(),
                               "-f" + second.path(),
                               "--grace=0",
                               "--grace",
                               "1"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.errors, "");
    EXPECT_EQ(ended.output, "first\nsecond\n");
    EXPECT_EQ(lines(log.text()).size(), 3U);
}

TEST(Batch, quiet_shows_what_commands_write_and_nothing_else) {
    const Ended ended = batch({"--quiet", "--timeline", "echo out; echo error >&2; exit 2"});
    EXPECT_EQ(ended.status, 1);
    EXPECT_EQ(ended.output, "out\n");
    EXPECT_EQ(ended.errors, "error\n");
}

TEST(Batch, draws_a_time_line_below_the_table) {
    const TemporaryFile log;
    const Ended ended = batch({"--timeline", "-j", "0", "--joblog", log.path(),
                               wait_for_lines(log.path(), 2), "sleep .2"},
                              {.environment = {"LC_ALL=C"}});
    const auto drawn = lines(ended.errors);
    ASSERT_EQ(drawn.size(), 8U) << ended.errors;
    EXPECT_TRUE(contains(drawn[5], "0 s")) << drawn[5];
    const auto bar = [](const std::string& line) { return std::ranges::count(line, '='); };
    EXPECT_TRUE(drawn[6].starts_with("for i in")) << drawn[6];
    EXPECT_TRUE(drawn[7].starts_with("sleep .2 ")) << drawn[7];
    // The first outlasts the second, and is what the batch has waited for.
    EXPECT_GE(bar(drawn[7]), 1);
    EXPECT_GE(bar(drawn[6]), bar(drawn[7])) << ended.errors;
    EXPECT_GE(drawn[6].size(), drawn[7].size()) << ended.errors;
    EXPECT_GE(drawn[6].size(), 78U) << ended.errors;
}

TEST(Batch, tries_again_as_often_as_it_is_told) {
    const TemporaryFile file;
    const std::string third_time =
        "echo try; echo x >> " + file.path() + "; test $(wc -l < " + file.path() + ") -ge 3";
    const Ended ended = batch({"--retries", "5", third_time});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "try\n") << "the last try counts";
    EXPECT_EQ(file.text(), "x\nx\nx\n");
}

TEST(Batch, gives_up_after_the_last_try) {
    const TemporaryFile file;
    EXPECT_EQ(batch({"--retries", "3", "echo x >> " + file.path() + "; false"}).status, 1);
    EXPECT_EQ(file.text(), "x\nx\nx\n");
}

TEST(Batch, retries_a_command_that_was_too_slow) {
    const TemporaryFile file;
    const std::string quick_the_second_time =
        "echo x >> " + file.path() + "; test $(wc -l < " + file.path() + ") -ge 2 || sleep 500";
    const auto [ended, limit] =
        batch_with_limit(0.1, {"--retries", "2", "--grace", "0", quick_the_second_time},
                         [](const Ended& attempt) { return attempt.status == 0; });
    EXPECT_EQ(ended.status, 0);
    EXPECT_LT(ended.seconds.count(), 2 * limit + soon);
}

TEST(Batch, halts_now_and_ends_what_runs) {
    const TemporaryFile begun;
    const Ended ended =
        batch({"--halt", "now,fail=1", "-j", "2", wait_for_lines(begun.path(), 1) + "; exit 7",
               "sleep 500 & echo >> " + begun.path() + "; wait", "echo no"});
    EXPECT_EQ(ended.status, 7);
    EXPECT_EQ(ended.output, "");
    EXPECT_LT(ended.seconds.count(), soon);
    EXPECT_TRUE(contains(row_of(ended, "sleep 500"), "  interrupted")) << ended.errors;
    EXPECT_TRUE(contains(row_of(ended, "echo no"), "  not started")) << ended.errors;
}

TEST(Batch, halts_soon_and_lets_what_runs_end) {
    const TemporaryFile begun;
    const TemporaryFile log;
    const Ended ended =
        batch({"--halt", "soon,fail=1", "-j", "2", "--joblog", log.path(),
               wait_for_lines(begun.path(), 1) + "; exit 7",
               "echo >> " + begun.path() + "; " + wait_for_lines(log.path(), 2) + "; echo end",
               "echo no"});
    EXPECT_EQ(ended.status, 7);
    EXPECT_EQ(ended.output, "end\n");
    EXPECT_TRUE(contains(row_of(ended, "echo no"), "  not started")) << ended.errors;
}

TEST(Batch, halts_after_several_failures_with_their_number) {
    const Ended ended =
        batch({"--halt", "now,fail=2", "-j", "1", "exit 7", "true", "exit 8", "true"});
    EXPECT_EQ(ended.status, 2);
    EXPECT_TRUE(contains(ended.errors, "1 complete, 2 failed, 1 not started")) << ended.errors;
}

TEST(Batch, halts_at_a_success) {
    const Ended ended =
        batch({"--halt", "now,success=1", "-j", "1", "exit 7", "echo yes", "echo no"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "yes\n");
}

TEST(Batch, reports_in_json_that_others_can_read) {
    const TemporaryFile file;
    const Ended ended =
        batch({"--json", file.path(), "printf 'a\xFF\"\\n'", "exit 3", "kill -9 $$"});
    EXPECT_EQ(ended.status, 2);
    const TemporaryFile program(R"py(
import json, sys
report = json.load(open(sys.argv[1], encoding='utf-8'))
one, two, three = report['commands']
assert one['status'] == 'complete' and one['exit'] == 0 and one['stdout_bytes'] == 4, one
assert one['command'] == "printf 'a\ufffd" + '"' + "\\n'", one
assert two['exit'] == 3 and two['signal'] is None and two['tries'] == 1, two
assert three['exit'] is None and three['signal'] == 9, three
assert report['totals']['failed'] == 2 and report['exit_status'] == 2, report
)py");
    EXPECT_EQ(std::system(("python3 " + program.path() + " " + file.path()).c_str()), 0)
        << file.text();
}

TEST(Batch, json_has_standard_output_to_itself_so_that_a_program_can_read_it) {
    const Ended ended = batch({"--json", "-", "--quiet", "-k", "echo first", "echo second >&2"});
    EXPECT_TRUE(ended.output.starts_with("{\"commands\":[\n")) << ended.output;
    EXPECT_TRUE(ended.output.ends_with("\"exit_status\":0}\n")) << ended.output;
    EXPECT_EQ(ended.errors, "first\nsecond\n") << "what commands write is not lost";
}

// ------------------------------------------------------------------------------------ the job log

std::vector<std::string> logged_commands(const TemporaryFile& log) {
    std::vector<std::string> commands;
    for (const std::string& line : lines(log.text())) {
        commands.push_back(line.substr(line.rfind('\t') + 1));
    }
    return commands;
}

TEST(BatchLog, has_a_line_for_each_command_that_ended) {
    const TemporaryFile log;
    batch_with_limit(
        0.1,
        {"--joblog", log.path(), "-j", "1", "--grace", "0", "echo four", "exit 3", "kill -SEGV $$",
         "sleep 500"},
        [](const Ended& attempt) { return contains(attempt.errors, "1 complete, 2 failed"); });
    const auto all = lines(log.text());
    ASSERT_EQ(all.size(), 5U) << log.text();
    EXPECT_EQ(all[0], "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand");
    EXPECT_TRUE(all[1].starts_with("1\t:\t")) << all[1];
    EXPECT_TRUE(all[1].ends_with("\t0\t5\t0\t0\techo four")) << all[1];
    EXPECT_TRUE(all[2].ends_with("\t0\t0\t3\t0\texit 3")) << all[2];
    EXPECT_TRUE(all[3].ends_with("\t0\t0\t0\t11\tkill -SEGV $$")) << all[3];
    EXPECT_TRUE(all[4].ends_with("\t0\t0\t-1\t9\tsleep 500")) << all[4];
}

TEST(BatchLog, resume_leaves_out_what_has_run) {
    const TemporaryFile log;
    batch({"--joblog", log.path(), "-j", "1", "exit 1", "echo two"});
    const Ended ended =
        batch({"--joblog", log.path(), "--resume", "exit 1", "echo two", "echo three"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "three\n");
    EXPECT_TRUE(contains(ended.errors, "3 commands: 1 complete, 2 in the log")) << ended.errors;
    EXPECT_EQ(logged_commands(log), (Arguments{"Command", "exit 1", "echo two", "echo three"}));
}

TEST(BatchLog, resume_failed_runs_again_what_has_failed) {
    const TemporaryFile log;
    const TemporaryFile flag;
    const Arguments arguments{
        "--joblog", log.path(), "--resume-failed", "-j", "1", "test -s " + flag.path(), "echo two"};
    EXPECT_EQ(batch(arguments).status, 1);
    std::ofstream(flag.path()) << "now";
    const Ended again = batch(arguments);
    EXPECT_EQ(again.status, 0);
    EXPECT_EQ(again.output, "");
    const Ended third = batch(arguments);
    EXPECT_EQ(third.status, 0);
    EXPECT_TRUE(contains(third.errors, "2 commands: 2 in the log")) << "the later line counts";
}

TEST(BatchLog, resume_says_when_the_commands_are_not_the_same) {
    const TemporaryFile log;
    batch({"--joblog", log.path(), "echo one"});
    const Ended ended = batch({"--joblog", log.path(), "--resume", "echo other"});
    EXPECT_EQ(ended.output, "");
    EXPECT_TRUE(contains(ended.errors, "the job log has another command for number 1: echo one"))
        << ended.errors;
}

TEST(BatchLog, what_the_batch_interrupted_is_run_again) {
    const TemporaryFile log;
    batch({"--joblog", log.path(), "--halt", "now,fail=1", "-j", "2", "sleep .1; exit 1",
           "sleep 50"});
    EXPECT_EQ(logged_commands(log), (Arguments{"Command", "sleep .1; exit 1"}));
}

TEST(BatchLog, is_understood_by_gnu_parallel) {
    if (std::system("command -v parallel > /dev/null") != 0) GTEST_SKIP() << "no GNU parallel here";
    const TemporaryFile log;
    batch({"--joblog", log.path(), "-j", "1", "echo one", "exit 1"});
    const TemporaryFile output;
    const std::string run = "printf '%s\\n' 'echo one' 'echo two' 'echo three' | parallel "
                            "--will-cite -j1 --resume-failed --joblog ";
    EXPECT_EQ(std::system((run + log.path() + " > " + output.path()).c_str()), 0);
    EXPECT_EQ(output.text(), "two\nthree\n");
    const Ended ended =
        batch({"--joblog", log.path(), "--resume-failed", "echo one", "echo two", "echo three"});
    EXPECT_TRUE(contains(ended.errors, "3 commands: 3 in the log")) << ended.errors << log.text();
}

}  // namespace
