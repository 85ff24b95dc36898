// What is asked for badly is named, nothing runs, and the exit status is 255.

#include "tool/program.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using namespace tool_tests;

void expect_refused(const Arguments& arguments, const std::string& reason, Setting setting = {}) {
    const Ended ended = batch(arguments, std::move(setting));
    EXPECT_EQ(ended.status, 255) << reason;
    EXPECT_EQ(ended.output, "") << "nothing may have run";
    EXPECT_NE(ended.errors.find(reason), std::string::npos) << ended.errors;
    EXPECT_LE(lines(ended.errors).size(), 2U) << ended.errors;
}

TEST(Usage, no_commands_are_named) {
    expect_refused({},
                   "no commands: give them as arguments, in a file (-f FILE) or on standard input");
    expect_refused({}, "no commands", {.input = "\n# only a comment\n"});
    expect_refused({""}, "no commands");
}

TEST(Usage, a_file_that_cannot_be_read_is_named_with_the_reason) {
    expect_refused({"-f", "/nosuchfile"}, "cannot read /nosuchfile: No such file or directory");
    expect_refused({"-f", "/tmp", "echo no"}, "cannot read /tmp: Is a directory");
    expect_refused({"-f", "-"}, "standard input, line 2: a command cannot hold a NUL byte",
                   {.input = std::string("echo a\necho \0b\n", 15)});
}

TEST(Usage, a_duration_nobody_can_read_is_named) {
    expect_refused({"-t", "soon", "echo no"},
                   "--timeout: \"soon\" is not a duration; write 2 (seconds)");
    expect_refused({"-t", "-1", "echo no"}, "--timeout: \"-1\" is not a duration");
    expect_refused({"--grace", "1x", "echo no"}, "--grace: \"1x\" is not a duration");
}

TEST(Usage, a_number_that_is_none_is_named) {
    expect_refused({"-j", "-1", "echo no"}, "--jobs: \"-1\" is not a number of jobs");
    expect_refused({"-j", "many", "echo no"}, "--jobs: \"many\" is not a number of jobs");
    expect_refused({"--jobs=1.5", "echo no"}, "--jobs: \"1.5\" is not a number of jobs");
    expect_refused({"--retries", "-2", "echo no"}, "--retries: \"-2\" is not a number of tries");
}

TEST(Usage, an_unknown_halt_is_named) {
    expect_refused({"--halt", "later,fail=1", "echo no"},
                   "--halt: \"later,fail=1\" is not a condition");
}

TEST(Usage, an_unknown_option_is_named) {
    expect_refused({"--nosuchoption", "echo no"}, "--nosuchoption");
}

TEST(Usage, what_only_looks_like_an_option_is_named_and_no_command_is_lost) {
    for (const char* odd : {"---", "---quiet", "- k", "-\x01"}) {
        expect_refused({odd, "echo no"}, "not expected");
    }
}

TEST(Usage, an_empty_name_is_no_file) {
    expect_refused({"--joblog", "", "echo no"}, "--joblog: the name is empty");
    expect_refused({"--json", "", "echo no"}, "--json: the name is empty");
    expect_refused({"--results", "", "echo no"}, "--results: the name is empty");
    expect_refused({"-f", "", "echo no"}, "cannot read \"\": No such file or directory");
    expect_refused({"echo no", "::::", ""}, "cannot read \"\": No such file or directory");
}

TEST(Usage, resuming_needs_a_log) {
    expect_refused({"--resume", "echo no"}, "--resume requires --joblog");
    expect_refused({"--resume-failed", "echo no"}, "--resume-failed requires --joblog");
}

TEST(Usage, a_log_or_report_that_cannot_be_written_is_named_before_anything_runs) {
    expect_refused({"--joblog", "/nosuchfolder/log", "echo no"},
                   "write the job log /nosuchfolder/log: No such file or directory");
    expect_refused({"--json", "/nosuchfolder/report", "echo no"},
                   "write /nosuchfolder/report: No such file or directory");
    expect_refused({"--joblog", "/tmp", "--resume", "echo no"},
                   "read the job log /tmp: Is a directory");
}

TEST(Usage, help_shows_examples_and_the_exit_status) {
    const Ended ended = batch({"--help"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_NE(ended.output.find("Examples:"), std::string::npos);
    EXPECT_NE(ended.output.find("Exit status"), std::string::npos);
    for (const char* option : {"--null",
                               "--line-buffer",
                               "--dry-run",
                               "--results",
                               "--close-fds",
                               "ASYNCIO_BATCH_SEQ",
                               "ASYNCIO_BATCH_SLOT",
                               "ASYNCIO_BATCH_ARG_1",
                               "--timeout",
                               "--grace",
                               "--jobs",
                               "--keep-order",
                               "--tag",
                               "--joblog",
                               "--resume",
                               "--resume-failed",
                               "--retries",
                               "--halt",
                               "--json",
                               "--timeline",
                               "--no-progress",
                               "--quiet"}) {
        EXPECT_NE(ended.output.find(option), std::string::npos) << option;
    }
    EXPECT_EQ(ended.errors, "");
}

/// The lines of a text that call the command, without what is said about them behind four blanks.
std::vector<std::string> examples_in(const std::string& text) {
    std::vector<std::string> examples;
    for (const std::string& line : lines(text)) {
        const std::size_t begin = line.find_first_not_of(' ');
        if (begin == std::string::npos) continue;
        const std::string rest = line.substr(begin);
        if (!rest.starts_with("asyncio batch ") && !rest.starts_with("find ")) continue;
        examples.push_back(rest.substr(0, rest.find("    ")));
    }
    return examples;
}

TEST(Usage, every_example_of_help_and_of_the_readme_is_understood) {
    std::ifstream readme(ASYNCIO_SOURCE_DIR "/README.md");
    const std::string text(std::istreambuf_iterator<char>(readme), {});
    auto examples = examples_in(batch({"--help"}).output);
    EXPECT_GE(examples.size(), 9U);
    const auto others = examples_in(text);
    EXPECT_GE(others.size(), 4U);
    examples.insert(examples.end(), others.begin(), others.end());
    const ProgramFolder folder({});
    const std::string begin =
        "set -e; cd \"${PATH%%:*}\"; touch a.log b.log c.png d.png e.wav log; echo true > "
        "commands.txt; "
        "echo x > names.txt; echo x > old.txt; echo x > new.txt; "
        "asyncio() { shift; " ASYNCIO_TOOL_PATH " batch --dry-run \"$@\"; }; ";
    for (const std::string& example : examples) {
        const TemporaryFile output;
        const TemporaryFile script(begin + example + " > " + output.path() + "\n");
        const std::string run = folder.path_variable() + " sh " + script.path();
        EXPECT_EQ(std::system(run.c_str()), 0) << example;
        EXPECT_FALSE(output.text().empty()) << example;
    }
}

TEST(Output, that_refuses_is_named) {
    TemporaryFile unused;
    const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
    const Ended ended = batch({"echo lost", "sleep 500"}, {.output = full});
    ::close(full);
    EXPECT_EQ(ended.status, 255);
    EXPECT_NE(ended.errors.find("write standard output: No space left on device"),
              std::string::npos)
        << ended.errors;
    EXPECT_LT(ended.seconds.count(), soon) << "what nobody can see does not go on";
}

class ClosedEarly : public testing::TestWithParam<Arguments> {};

TEST_P(ClosedEarly, ends_the_batch_quietly) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Program program(GetParam(), {.output = ends[1]});
    ::close(ends[1]);
    char text[6];
    EXPECT_EQ(::read(ends[0], text, sizeof text), 6);
    ::close(ends[0]);
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 128 + SIGPIPE);
    EXPECT_EQ(ended.errors, "");
    EXPECT_LT(ended.seconds.count(), soon);
    EXPECT_TRUE(program.alive().empty());
}

INSTANTIATE_TEST_SUITE_P(Output, ClosedEarly,
                         testing::Values(
                             // Somebody writes on.
                             Arguments{"-j", "0", "echo first", "sleep .1; echo more",
                                       "sleep .2; echo more", "sleep 500"},
                             // Much more than the pipe holds.
                             Arguments{"-j", "1", "seq 1000000", "seq 1000000", "sleep 500"},
                             // Nobody ever writes again.
                             Arguments{"-j", "0", "echo first", "sleep 500"}));

TEST(Output, that_is_closed_from_the_beginning_is_named) {
    const Ended ended = batch({"echo lost"}, {.output = ::open("/dev/null", O_RDONLY | O_CLOEXEC)});
    EXPECT_EQ(ended.status, 255);
    EXPECT_NE(ended.errors.find("write standard output: Bad file descriptor"), std::string::npos)
        << ended.errors;
}

}  // namespace
