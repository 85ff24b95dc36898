// Templates with values, as a user has them: hostile names of files arrive as they are, and what
// belongs to templates: numbers, places, a dry run, lines as they come, results in files.

#include "tool/program.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using namespace tool_tests;
namespace fs = std::filesystem;

/// An empty folder, gone with the test.
class Folder {
public:
    Folder() : path_((fs::temp_directory_path() / "asyncio-tool-test-XXXXXX").string()) {
        if (::mkdtemp(path_.data()) == nullptr) std::abort();
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { fs::remove_all(path_); }

    const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

std::string text_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

const Arguments hostile_names{
    "plain.txt",
    "two words.txt",
    "it's",
    "\"quoted\"",
    "$(touch pwned)",
    "`touch pwned`",
    "-rf",
    "a\nb",
    "\xFF\xFE.txt",
    "x'; touch pwned; echo '",
    "*",
    "~",
    "#not a comment",
    "trailing\n",
    "back\\slash",
    "\r",
    "{}",
    ";touch pwned",
    "&",
    "--help",
};

/// Writes its arguments, each with a NUL byte behind it.
const std::string show = "cd \"${ASYNCIO_TEST_FOLDER}\" && printf '%s\\0' ";

std::string each_with_zero(const Arguments& names) {
    std::string all;
    for (const std::string& name : names) all += name + '\0';
    return all;
}

TEST(Values, that_are_hostile_names_of_files_arrive_as_they_are) {
    const Folder folder;
    for (const std::string& name : hostile_names)
        std::ofstream(fs::path(folder.path()) / name) << 'x';
    const Arguments environment{"ASYNCIO_TEST_FOLDER=" + folder.path()};
    const std::string expected = each_with_zero(hostile_names);
    const TemporaryFile list(expected);

    Arguments arguments{"-k", "--quiet", show + "{}", ":::"};
    arguments.insert(arguments.end(), hostile_names.begin(), hostile_names.end());
    EXPECT_EQ(batch(arguments, {.environment = environment}).output, expected);
    EXPECT_EQ(
        batch({"-k", "--quiet", "-0", show, "::::", list.path()}, {.environment = environment})
            .output,
        expected);
    EXPECT_EQ(batch({"-k", "--quiet", "--null", show + "\"{}\"", "::::", "-"},
                    {.input = expected, .environment = environment})
                  .output,
              expected);
    EXPECT_EQ(batch({"-k", "--quiet", "-0", show + "'{}'", "::::", list.path()},
                    {.environment = environment})
                  .output,
              expected);
    // Each of them is a file that is there.
    const Ended found = batch({"-0", "cd " + folder.path() + " && cat -- {}", "::::", list.path()});
    EXPECT_EQ(found.status, 0) << found.errors;
    EXPECT_EQ(found.output, std::string(hostile_names.size(), 'x'));
    EXPECT_FALSE(fs::exists(fs::path(folder.path()) / "pwned"));
    EXPECT_FALSE(fs::exists("pwned"));
}

TEST(Values, are_logged_and_reported_as_a_user_would_type_them) {
    const TemporaryFile log;
    const TemporaryFile report;
    const Ended ended = batch({"-k", "--joblog", log.path(), "--json", report.path(), "--tag",
                               "echo {} {#}", ":::", "a b", "it's", "\xFF"});
    EXPECT_EQ(ended.output,
              "echo 'a b' 1\ta b 1\necho 'it'\\''s' 2\tit's 2\necho '\xFF' 3\t\xFF 3\n");
    EXPECT_TRUE(contains(log.text(), "\techo 'a b' 1\n")) << log.text();
    EXPECT_TRUE(contains(report.text(), R"("command":"echo 'it'\\''s' 2")")) << report.text();
    EXPECT_TRUE(contains(ended.errors, "echo 'a b' 1 ")) << ended.errors;
}

TEST(Values, of_a_template_are_resumed_by_number) {
    const TemporaryFile log;
    batch({"--joblog", log.path(), "test {} != b", ":::", "a", "b"});
    const Ended ended = batch(
        {"--joblog", log.path(), "--resume-failed", "-k", "echo {}; : {%}", ":::", "a", "b", "c"});
    EXPECT_EQ(ended.output, "b\nc\n");
    EXPECT_FALSE(contains(ended.errors, "another command")) << "a place differs from run to run";
}

TEST(Values, without_any_are_no_error) {
    const Ended none = batch({"echo {}", ":::"});
    EXPECT_EQ(none.status, 0);
    EXPECT_TRUE(contains(none.errors, "0 commands; ")) << none.errors;
    EXPECT_EQ(batch({"echo {}", "::::", "-"}, {.input = ""}).status, 0);
    EXPECT_EQ(batch({"-0", "echo {}", "::::", "-", ":::", "x"}, {.input = ""}).output, "");
}

TEST(Values, that_cannot_be_meant_are_refused) {
    const auto refusal = [](const Arguments& arguments) {
        const Ended ended = batch(arguments);
        EXPECT_EQ(ended.status, 255);
        EXPECT_EQ(ended.output, "");
        return ended.errors;
    };
    EXPECT_TRUE(contains(refusal({"echo {2}", ":::", "a"}), "the template names {2}"));
    EXPECT_TRUE(contains(refusal({":::", "a"}), "there is no command before :::"));
    EXPECT_TRUE(contains(refusal({"-f", "/dev/null", "x", ":::", "a"}),
                         "-f and ::: cannot be used together"));
    EXPECT_TRUE(contains(refusal({"x", "::::", "-", "-"}), "standard input can be read only once"));
    EXPECT_TRUE(contains(refusal({"-f", "-", "-f", "-"}), "standard input can be read only once"));
    EXPECT_TRUE(contains(refusal({"x", "::::", "/nosuchfile"}), "cannot read /nosuchfile"));
    // A variable that is empty: the template must not run without its values.
    EXPECT_TRUE(contains(refusal({"echo {}", "::::"}), "there is no file after ::::"));
    EXPECT_TRUE(contains(refusal({"echo", ":::", "a", "::::+"}), "there is no file after ::::+"));
    EXPECT_TRUE(contains(refusal({"echo", "::::", ":::", "a"}), "there is no file after ::::"));
}

TEST(Values, words_before_them_are_one_template) {
    EXPECT_EQ(batch({"-k", "--quiet", "echo", "-n", "{}{}", "|", "cat", ":::", "a", "-k"}).output,
              "aa-k-k");
}

TEST(Number, and_place_are_in_the_environment) {
    const Ended ended =
        batch({"-k", "-j", "1", "--quiet", "echo $ASYNCIO_BATCH_SEQ.$ASYNCIO_BATCH_SLOT",
               "echo $ASYNCIO_BATCH_SEQ.$ASYNCIO_BATCH_SLOT.$ASYNCIO_BATCH_ARG_1"},
              {.environment = {"ASYNCIO_BATCH_ARG_1=outer", "ASYNCIO_BATCH_SEQ=99"}});
    EXPECT_EQ(ended.output, "1.1\n2.1.\n") << "what an outer batch has set is not passed on";
    EXPECT_EQ(batch({"-k", "-j", "1", "--quiet", "echo $ASYNCIO_BATCH_ARG_2 {#} {%}", ":::", "a",
                     ":::", "b c", "d"})
                  .output,
              "b c 1 1\nd 2 1\n");
}

TEST(Place, is_of_one_running_command_alone) {
    // All three run at the same time.
    const TemporaryFile begun;
    const std::string command =
        "echo {%} >> " + begun.path() + "; " + wait_for_lines(begun.path(), 3) + "; : {}";
    for (const char* jobs : {"3", "100000%"}) {
        std::ofstream(begun.path(), std::ios::trunc).flush();
        EXPECT_EQ(batch({"-j", jobs, command, ":::", "a", "b", "c"}).status, 0);
        auto slots = lines(begun.text());
        std::ranges::sort(slots);
        EXPECT_EQ(slots, (Arguments{"1", "2", "3"}));
    }
    EXPECT_EQ(batch({"-k", "-j", "1%", "--quiet", "echo {%}", ":::", "a", "b"}).output, "1\n1\n");
}

TEST(DryRun, shows_commands_and_runs_none) {
    const TemporaryFile notes;
    const std::string command = "echo {} >> " + notes.path();
    const Ended ended = batch({"--dry-run", command, ":::", "a", "b c", "it's"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "echo a >> " + notes.path() + "\necho 'b c' >> " + notes.path() +
                                "\necho 'it'\\''s' >> " + notes.path() + "\n");
    EXPECT_EQ(ended.errors, "");
    EXPECT_EQ(notes.text(), "");
    const TemporaryFile script(ended.output);
    EXPECT_EQ(std::system(("sh " + script.path()).c_str()), 0);
    EXPECT_EQ(notes.text(), "a\nb c\nit's\n") << "what is shown does what would be done";
    EXPECT_EQ(batch({"--dry-run", "echo  a", "# no", "b"}).output, "echo  a\nb\n");
    EXPECT_EQ(batch({"--dry-run", "-f", "/dev/zero"}).status, 255);
}

TEST(LineBuffer, shows_whole_lines_while_commands_run) {
    const TemporaryFile shown;
    const TemporaryFile release;
    const int output = ::open(shown.path().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    const std::string slow = "echo one; printf tw; echo error >&2; " +
                             wait_for_lines(release.path(), 1) + "; echo o; printf three";
    Program program({"--line-buffer", "--json", release.path() + ".json", slow},
                    {.output = output});
    ::close(output);
    EXPECT_TRUE(becomes_true([&] { return shown.text() == "one\n"; })) << shown.text();
    std::ofstream(release.path()) << "go\n";
    const Ended ended = program.wait();
    EXPECT_EQ(shown.text(), "one\ntwo\nthree");
    EXPECT_TRUE(contains(ended.errors, "error\n"));
    EXPECT_TRUE(contains(text_of(release.path() + ".json"), "\"stdout_bytes\":13,"));
    fs::remove(release.path() + ".json");
}

TEST(LineBuffer, counts_once_what_comes_together_with_the_end) {
    for (const char* order : {"--line-buffer", "--keep-order"}) {
        const TemporaryFile release;
        const TemporaryFile json;
        const TemporaryFile log;
        Program program({"--line-buffer", order, "--json", json.path(), "--joblog", log.path(),
                         wait_for_lines(release.path(), 1) + "; echo two; echo three >&2"});
        ASSERT_TRUE(program.wait_until_alive(3));
        // The worker sees the output and the end of the command at the same time.
        ::kill(program.worker(), SIGSTOP);
        std::ofstream(release.path()) << "go\n";
        EXPECT_TRUE(becomes_true([&] { return program.alive().size() == 2; }));
        ::kill(program.worker(), SIGCONT);
        const Ended ended = program.wait();
        EXPECT_EQ(ended.output, "two\n");
        EXPECT_TRUE(contains(json.text(), "\"stdout_bytes\":4,\"stderr_bytes\":6")) << json.text();
        EXPECT_TRUE(contains(log.text(), "\t0\t4\t0\t0\t")) << log.text();
    }
}

TEST(LineBuffer, with_an_order_shows_the_first_and_keeps_the_others) {
    const TemporaryFile shown;
    const TemporaryFile release;
    const TemporaryFile log;
    const int output = ::open(shown.path().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    Program program({"--line-buffer", "-k", "-j", "3", "--tag", "--joblog", log.path(),
                     "echo a1; " + wait_for_lines(release.path(), 1) + "; echo a2 #{}", "echo b",
                     "echo c; " + wait_for_lines(release.path(), 2) + "; echo c2"},
                    {.output = output});
    ::close(output);
    const auto ends = [&] {
        std::string all;
        for (const std::string& line : lines(shown.text()))
            all += line.substr(line.rfind('\t') + 1);
        return all;
    };
    EXPECT_TRUE(becomes_true([&] { return ends() == "a1"; })) << shown.text();
    EXPECT_TRUE(becomes_true([&] { return lines(log.text()).size() == 2; })) << "b has ended";
    EXPECT_EQ(ends(), "a1");
    std::ofstream(release.path()) << "go\n";
    EXPECT_TRUE(becomes_true([&] { return ends() == "a1a2bc"; })) << shown.text();
    std::ofstream(release.path(), std::ios::app) << "go\n";
    program.wait();
    EXPECT_EQ(ends(), "a1a2bcc2");
}

TEST(LineBuffer, loses_nothing_of_much_output) {
    const Ended ended = batch({"--line-buffer", "-j", "2", "--quiet", "seq 300000", "seq 300000"});
    auto all = lines(ended.output);
    EXPECT_EQ(all.size(), 600000U);
    std::size_t sum = 0;
    for (const std::string& line : all) sum += std::strtoull(line.c_str(), nullptr, 10);
    EXPECT_EQ(sum, std::size_t{300000} * 300001);
    EXPECT_EQ(batch({"--line-buffer", "--quiet", "head -c 3000000 /dev/zero"}).output.size(),
              3000000U);
}

TEST(Results, are_written_to_files_of_the_commands_number) {
    const Folder folder;
    const std::string results = folder.path() + "/new/results";
    const Ended ended =
        batch({"--results", results, "-k", "echo out {}; echo err >&2", ":::", "../x", "a/b"});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "out ../x\nout a/b\n") << "shown as well";
    EXPECT_EQ(text_of(results + "/1/stdout"), "out ../x\n");
    EXPECT_EQ(text_of(results + "/1/stderr"), "err\n");
    EXPECT_EQ(text_of(results + "/2/stdout"), "out a/b\n");
    EXPECT_EQ(text_of(results + "/2/command"), "echo out a/b; echo err >&2\n");
}

TEST(Results, have_the_last_try_and_much_output) {
    const Folder folder;
    const TemporaryFile notes;
    batch({"--results", folder.path(), "--retries", "3", "--quiet",
           "echo x >> " + notes.path() + "; wc -l < " + notes.path() + "; test $(wc -l < " +
               notes.path() + ") -ge 2",
           "seq 300000", "--line-buffer"});
    EXPECT_EQ(text_of(folder.path() + "/1/stdout"), "2\n");
    EXPECT_EQ(text_of(folder.path() + "/2/stdout").size(), 1988895U);
}

TEST(Results, that_cannot_be_written_are_named) {
    const TemporaryFile file;
    const Ended refused = batch({"--results", file.path() + "/x", "echo no"});
    EXPECT_EQ(refused.status, 255);
    EXPECT_EQ(refused.output, "");
    EXPECT_TRUE(contains(refused.errors, "write results to " + file.path() + "/x"))
        << refused.errors;
    const Folder folder;
    std::ofstream(folder.path() + "/1") << "a file in the way";
    const Ended cut = batch({"--results", folder.path(), "echo shown"});
    EXPECT_EQ(cut.status, 255);
    EXPECT_EQ(cut.output, "shown\n");
    EXPECT_TRUE(contains(cut.errors, "are not complete: they could not be written")) << cut.errors;
}

TEST(Results, wait_for_no_reader) {
    const Folder folder;
    fs::create_directory(folder.path() + "/1");
    const std::string fifo = folder.path() + "/1/stdout";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const Ended unread = batch({"--results", folder.path(), "echo shown"});
    EXPECT_EQ(unread.status, 255);
    EXPECT_EQ(unread.output, "shown\n");
    EXPECT_TRUE(contains(unread.errors, "are not complete: they could not be written"))
        << unread.errors;
    const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT_EQ(batch({"--results", folder.path(), "head -c 1000000 /dev/zero"}).status, 255);
    ::close(reader);
}

// ----------------------------------------------------------------------------------- descriptors

int shell(const std::string& command) {
    return std::system(("PATH=$(dirname " ASYNCIO_TOOL_PATH "):$PATH; " + command).c_str());
}

TEST(Descriptors, that_are_left_open_are_inherited) {
    const TemporaryFile five;
    const TemporaryFile errors;
    shell("asyncio batch --quiet 'echo text >&5' 'echo more >&9' 5>" + five.path() + " 9>&5");
    EXPECT_EQ(lines(five.text()).size(), 2U) << five.text();
    EXPECT_NE(shell("asyncio batch --quiet --close-fds 'echo text >&5' 5>" + five.path() + " 2>" +
                    errors.path()),
              0);
    EXPECT_EQ(five.text(), "");
    // The batch's own are not among them: its log, the pipes of other commands.
    const TemporaryFile log;
    EXPECT_EQ(shell("asyncio batch --quiet --joblog " + log.path() +
                    " 'sleep .1' 'sleep .1' 'ls /proc/self/fd' 3>&- 4>&- 5>&- 6>&- > " +
                    five.path()),
              0);
    EXPECT_LE(lines(five.text()).size(), 4U + 8U) << five.text();
}

TEST(Descriptors, of_a_job_server_are_passed_on) {
    if (std::system("command -v make > /dev/null") != 0) GTEST_SKIP() << "no make here";
    const Folder folder;
    std::ofstream(folder.path() + "/sub.mk") << "all: a b\na b: ; @sleep 0.1\n";
    std::ofstream(folder.path() + "/top.mk")
        << "all:\n\t+@asyncio batch --quiet 'make -f sub.mk' 'make -f sub.mk'\n";
    EXPECT_EQ(shell("cd " + folder.path() + "; make -j2 -f top.mk > out 2>&1"), 0);
    EXPECT_FALSE(contains(text_of(folder.path() + "/out"), "jobserver"))
        << text_of(folder.path() + "/out");
}

}  // namespace
