// Commands that come while others run: from a pipe that stays open, a FIFO, a producer without end.
// A pipe is written step by step, and each step waits for what the one before has caused.

#include "support/sanitizer.h"
#include "tool/program.h"

#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace tool_tests;

/// A pipe whose reading end a batch has as its input.
class OpenPipe {
public:
    OpenPipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
        reader_ = ends[0];
        writer_ = ends[1];
    }
    OpenPipe(const OpenPipe&) = delete;
    OpenPipe& operator=(const OpenPipe&) = delete;
    ~OpenPipe() {
        close_reader();
        close();
    }

    int reader() const noexcept { return reader_; }
    void close_reader() { close_one(reader_); }
    void close() { close_one(writer_); }
    void write(const std::string& text) {
        EXPECT_EQ(::write(writer_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }

private:
    static void close_one(int& end) {
        if (end >= 0) ::close(end);
        end = -1;
    }

    int reader_;
    int writer_;
};

std::string note_in(const TemporaryFile& notes, const std::string& what) {
    return "echo " + what + " >> " + notes.path();
}

bool becomes(const TemporaryFile& file, const std::string& text) {
    return becomes_true([&] { return file.text() == text; });
}

TEST(Feed, commands_start_while_the_input_stays_open) {
    OpenPipe input;
    const TemporaryFile notes;
    Program program({"-k"}, {.input_descriptor = input.reader()});
    input.write(note_in(notes, "one") + "\n" + note_in(notes, "two").substr(0, 6));
    EXPECT_TRUE(becomes(notes, "one\n")) << "a line that has not ended is no command yet";
    input.write(note_in(notes, "two").substr(6) + "\n");
    EXPECT_TRUE(becomes(notes, "one\ntwo\n"));
    input.write(note_in(notes, "last") + "; echo out");
    input.close();
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(notes.text(), "one\ntwo\nlast\n");
    EXPECT_EQ(ended.output, "out\n");
    EXPECT_TRUE(contains(ended.errors, "\n3 commands: 3 complete;")) << ended.errors;
}

TEST(Feed, values_start_commands_while_the_input_stays_open) {
    OpenPipe input;
    const TemporaryFile notes;
    Program program(
        {"-j", "1", "echo {2}{1} >> " + notes.path(), "::::", "-", ":::", "x", "y", "-j", "1"},
        {.input_descriptor = input.reader()});
    input.write("a\n");
    EXPECT_TRUE(becomes(notes, "xa\nya\n-ja\n1a\n")) << "behind ::: everything is a value";
    input.write("b\n");
    input.close();
    EXPECT_EQ(program.wait().status, 0);
    EXPECT_EQ(lines(notes.text()).size(), 8U);
}

TEST(Feed, a_FIFO_and_a_file_behind_it_are_read_in_turn) {
    const TemporaryFile fifo;
    const TemporaryFile notes;
    const TemporaryFile second(note_in(notes, "second") + "\n");
    std::filesystem::remove(fifo.path());
    ASSERT_EQ(::mkfifo(fifo.path().c_str(), 0600), 0);
    Program program({"-j", "1", "-f", fifo.path(), "-f", second.path()});
    const int writer = ::open(fifo.path().c_str(), O_WRONLY | O_CLOEXEC);
    const std::string first = note_in(notes, "first") + "\n";
    EXPECT_EQ(::write(writer, first.data(), first.size()), static_cast<ssize_t>(first.size()));
    EXPECT_TRUE(becomes(notes, "first\n"));
    ::close(writer);
    EXPECT_EQ(program.wait().status, 0);
    EXPECT_EQ(notes.text(), "first\nsecond\n");
}

TEST(Feed, without_end_fills_no_memory_and_ends_when_the_batch_halts) {
    for (const char* producer :
         {"yes true", "yes 'true; echo'", "seq -f 'exit %.0f' 1 999999999"}) {
        std::FILE* stream = ::popen(producer, "re");
        const Ended ended =
            batch({"--halt", "now,done=5", "-j", "2"}, {.input_descriptor = ::fileno(stream)});
        ::pclose(stream);
        EXPECT_TRUE(contains(ended.errors, "at least ")) << ended.errors;
        EXPECT_TRUE(ended.needed_less_than(400)) << "a sanitizer takes some of it";
        EXPECT_LT(ended.seconds.count(), soon);
    }
}

TEST(Feed, a_batch_that_halts_does_not_wait_for_more_input) {
    for (const char* rule : {"now,fail=1", "soon,fail=1", "now,done=1", "soon,done=1"}) {
        OpenPipe input;
        Program program({"--halt", rule, "--json", "-"}, {.input_descriptor = input.reader()});
        input.write("exit 3\n");
        const Ended ended = program.wait();
        EXPECT_EQ(ended.status, 3) << rule;
        EXPECT_TRUE(contains(ended.errors, "at least 1 command: 1 failed")) << ended.errors;
        EXPECT_TRUE(contains(ended.output, "\"has_more\":true")) << ended.output;
    }
}

TEST(Feed, of_a_file_is_counted_to_its_end_when_the_batch_halts) {
    std::string many = "exit 3\n";
    for (int count = 0; count < 30000; ++count) many += "true\n";
    const TemporaryFile file(many);
    const Ended ended = batch({"--halt", "now,done=1", "-j", "1", "-f", file.path()});
    EXPECT_TRUE(contains(ended.errors, "30001 commands: 1 failed, 30000 not started;"))
        << ended.errors;
    EXPECT_FALSE(contains(ended.errors, "at least"));
    EXPECT_LE(lines(ended.errors).size(), 3U) << ended.errors;
}

TEST(Feed, a_signal_ends_a_batch_that_waits_for_input) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        OpenPipe input;
        const TemporaryFile notes;
        Program program({}, {.input_descriptor = input.reader()});
        input.write(note_in(notes, "begun") + "\n" + note_in(notes, "too") + "; sleep 500\n");
        EXPECT_TRUE(becomes_true([&] { return lines(notes.text()).size() == 2; }));
        program.signal(signal);
        const Ended ended = program.wait();
        EXPECT_EQ(ended.status, 128 + signal);
        EXPECT_LT(ended.seconds.count(), soon);
        EXPECT_TRUE(program.alive().empty());
    }
}

TEST(Feed, an_error_in_the_input_starts_no_more_and_lets_what_runs_end) {
    OpenPipe input;
    const TemporaryFile notes;
    Program program({"-k", "-j", "1"}, {.input_descriptor = input.reader()});
    const std::string release = notes.path() + ".release";
    input.write(note_in(notes, "begun") + "; " + wait_for_lines(release, 1) +
                "; echo end\necho no\n");
    EXPECT_TRUE(becomes(notes, "begun\n"));
    input.write(std::string("echo \0bad\necho no\n", 18));
    // The reader sees the error before the command ends, or behind it; either way nothing follows.
    const TemporaryFile flag("x\n");
    std::filesystem::rename(flag.path(), release);
    input.write(std::string("\n"));
    const Ended ended = program.wait();
    std::filesystem::remove(release);
    EXPECT_EQ(ended.status, 255);
    EXPECT_TRUE(ended.output.starts_with("end\n")) << ended.output;
    EXPECT_TRUE(contains(ended.errors, "standard input, line 3: a command cannot hold a NUL byte"))
        << ended.errors;
}

TEST(Feed, a_file_of_another_kind_is_refused_before_anything_of_it_runs) {
    const TemporaryFile binary(std::string("echo no\necho no\n\x7f"
                                           "ELF\0\0\0\n",
                                           24));
    const TemporaryFile wide(std::string("\xFF\xFE"
                                         "e\0c\0h\0o\0\n\0",
                                         12));
    for (const std::string& path : {binary.path(), wide.path(), std::string(ASYNCIO_TOOL_PATH)}) {
        const Ended ended = batch({"-f", path});
        EXPECT_EQ(ended.status, 255);
        EXPECT_EQ(ended.output, "");
        EXPECT_TRUE(contains(ended.errors, "asyncio batch: " + path)) << ended.errors;
        EXPECT_EQ(lines(ended.errors).size(), 1U) << ended.errors;
    }
    EXPECT_EQ(batch({"-f", "/dev/zero"}).status, 255);
}

TEST(Feed, a_quotation_without_an_end_is_refused_before_anything_runs) {
    const Ended ended =
        batch({}, {.input = "echo no\n\nls './it's.png'\nls 'x'; echo no; echo '.png'\n"});
    EXPECT_EQ(ended.status, 255);
    EXPECT_EQ(ended.output, "");
    EXPECT_TRUE(
        contains(ended.errors, "standard input, line 3: a command has a quotation without an end"))
        << ended.errors;
    EXPECT_TRUE(contains(ended.errors, "give the names as values")) << ended.errors;
    EXPECT_EQ(batch({"-0"}, {.input = std::string("echo no\0echo \"\0", 15)}).output, "");
    EXPECT_EQ(batch({"--dry-run"}, {.input = "echo no\nls 'it's'\n"}).output, "");
    // The shell's own message is a verdict of the command that a user has typed.
    const Ended typed = batch({"-k", "echo 'a", "echo b"});
    EXPECT_EQ(typed.status, 1);
    EXPECT_EQ(typed.output, "b\n");
}

TEST(Feed, a_quotation_without_an_end_that_comes_late_starts_no_more) {
    std::string text;
    for (int line = 0; line < 10'000; ++line) text += "# a comment, \"quoted\"\n";
    const Ended ended =
        batch({"-j", "1", "--quiet"}, {.input = "echo first\n" + text + "ls 'it's'\necho no\n"});
    EXPECT_EQ(ended.status, 255);
    EXPECT_FALSE(contains(ended.output, "no")) << ended.output;
    EXPECT_TRUE(contains(ended.errors, "line 10002: a command has a quotation")) << ended.errors;
}

TEST(Feed, waiting_commands_take_little_memory) {
    if (support::under_address_sanitizer || support::under_thread_sanitizer)
        GTEST_SKIP() << "a sanitizer keeps what has been freed, and notes about all memory";
    constexpr std::size_t count = 200'000;
    std::string many;
    for (std::size_t number = 0; number < count; ++number) {
        many += ": " + std::to_string(number) + "\n";
    }
    const TemporaryFile file(many);
    const long least = batch({"--quiet", "true"}).peak_memory_kilobytes;
    const Ended ended = batch({"--quiet", "--halt", "now,done=1", "-f", file.path()});
    EXPECT_LT(ended.peak_memory_kilobytes - least, static_cast<long>(count * 300 / 1024));
}

TEST(Feed, the_log_of_a_pipe_is_resumed) {
    const TemporaryFile log;
    const Arguments arguments{"--joblog", log.path(), "--resume", "-k", "-j", "2"};
    batch(arguments, {.input = "echo 1\necho 2\n"});
    const Ended ended = batch(arguments, {.input = "echo 1\necho other\necho 3\necho 4\n"});
    EXPECT_EQ(ended.output, "3\n4\n");
    EXPECT_TRUE(contains(ended.errors, "the job log has another command for number 2: echo 2"))
        << ended.errors;
    EXPECT_TRUE(contains(ended.errors, "4 commands: 2 complete, 2 in the log")) << ended.errors;
}

}  // namespace
