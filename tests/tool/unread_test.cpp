// Standard output and standard error that are full, closed, or read by nobody: what cannot be said
// is dropped, commands run all the same, and the exit status stays.

#include "tool/program.h"

#include <cstdlib>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace tool_tests;

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }
    int get() const noexcept { return number_; }
    void close() noexcept {
        if (number_ >= 0) ::close(number_);
        number_ = -1;
    }

private:
    int number_;
};

/// A pipe; the writer's end is full if it is wanted so.
struct Pipe {
    explicit Pipe(bool full = false) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
        reader = ends[0];
        writer = ends[1];
        if (!full) return;
        ::fcntl(writer, F_SETFL, O_NONBLOCK);
        const std::string bytes(4096, 'x');
        while (::write(writer, bytes.data(), bytes.size()) > 0) {
        }
        ::fcntl(writer, F_SETFL, 0);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        ::close(reader);
        ::close(writer);
    }
    int reader = -1;
    int writer = -1;
};

struct Case {
    Arguments arguments;
    int status;
    std::string output;
};

/// Whatever standard error is, these end like this.
void expect_statuses(int errors) {
    const TemporaryFile log;
    batch({"--quiet", "--joblog", log.path(), "false"});
    const std::vector<Case> cases{
        {{"--bogus"}, 255, ""},
        {{}, 255, ""},
        {{"-f", "/nosuchfile"}, 255, ""},
        {{"--joblog", "/nosuchfolder/log", "echo no"}, 255, ""},
        {{"--joblog", log.path(), "--resume", "echo another", "echo run"}, 0, "run\n"},
        {{"echo run; echo lost >&2"}, 0, "run\n"},
        {{"--timeline", "echo run; exit 3"}, 1, "run\n"},
    };
    for (const Case& one : cases) {
        const Ended ended = batch(one.arguments, {.errors = errors});
        EXPECT_EQ(ended.status, one.status) << testing::PrintToString(one.arguments);
        EXPECT_EQ(ended.output, one.output);
        EXPECT_LT(ended.seconds.count(), soon);
    }
}

TEST(Unread, errors_on_a_full_disk_change_no_status) {
    const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    expect_statuses(full.get());
}

TEST(Unread, errors_that_cannot_be_written_change_no_status) {
    const Descriptor unwritable(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    expect_statuses(unwritable.get());
}

TEST(Unread, errors_to_a_pipe_without_a_reader_change_no_status) {
    Pipe pipe;
    ::close(std::exchange(pipe.reader, -1));
    expect_statuses(pipe.writer);
}

TEST(Unread, remarks_to_a_pipe_that_nobody_reads_are_dropped) {
    const Pipe pipe(true);
    EXPECT_EQ(batch({"--bogus"}, {.errors = pipe.writer}).status, 255);
    EXPECT_EQ(batch({}, {.errors = pipe.writer}).status, 255);
    const Ended ended = batch({"--quiet", "-j", "100", "echo run", "echo run", "echo run"},
                              {.descriptors = 26, .errors = pipe.writer});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "run\nrun\nrun\n");
}

TEST(Unread, a_list_that_nobody_reads_holds_no_command) {
    const Pipe pipe(true);
    const TemporaryFile go;
    Program program({"--quiet", "-j", "1", wait_for_lines(go.path(), 1), "echo next"},
                    {.errors = pipe.writer});
    ASSERT_TRUE(program.wait_until_alive(3));
    program.signal(SIGUSR1);
    std::ofstream(go.path()) << "now\n";
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "next\n");
}

TEST(Unread, one_pipe_for_all_cannot_prevent_the_end) {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        const Pipe pipe(true);
        Program program({"-j", "3", "seq 100000", "sleep 500; true"},
                        {.output = pipe.writer, .errors = pipe.writer});
        ASSERT_TRUE(program.wait_until_alive(4));
        program.signal(signal);
        const Ended ended = program.wait();
        EXPECT_EQ(ended.signal, signal);
        EXPECT_LT(ended.seconds.count(), soon);
        EXPECT_TRUE(program.alive().empty());
    }
}

TEST(Unread, help_that_cannot_be_written_is_an_error) {
    const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(batch({"--help"}, {.output = full.get()}).status, 255);
}

TEST(Unread, socket_ends_the_batch_as_a_pipe_does) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    Program program({"--quiet", "sleep 500; true"}, {.output = ends[1]});
    ::close(ends[1]);
    ASSERT_TRUE(program.wait_until_alive(4));
    ::close(ends[0]);
    const Ended ended = program.wait();
    EXPECT_EQ(ended.signal, SIGPIPE);
    EXPECT_LT(ended.seconds.count(), soon);
    EXPECT_TRUE(program.alive().empty());
}

// ------------------------------------------------------------------------------------ the report

TEST(Report, is_whole_on_a_pipe_that_does_not_block_and_is_read_late) {
    Pipe pipe;
    ::fcntl(pipe.writer, F_SETFL, O_NONBLOCK);
    Arguments arguments{"--quiet", "--json", "-", "-j", "4"};
    for (int number = 0; number < 600; ++number) arguments.push_back(": " + std::string(300, 'x'));
    Program program(arguments, {.output = pipe.writer});
    ::close(std::exchange(pipe.writer, -1));
    std::string report;
    char chunk[4096];
    for (ssize_t count = 0; (count = ::read(pipe.reader, chunk, sizeof chunk)) > 0;) {
        report.append(chunk, static_cast<std::size_t>(count));
    }
    EXPECT_EQ(program.wait().status, 0);
    EXPECT_GT(report.size(), 200'000U);
    EXPECT_TRUE(report.ends_with("\"exit_status\":0}\n"));
}

TEST(Report, and_log_in_the_file_of_standard_output_paint_over_nothing) {
    for (const std::string option : {"--json", "--joblog"}) {
        const TemporaryFile file;
        for (const std::string& name : {std::string("/dev/stdout"), file.path()}) {
            const Descriptor output(::open(file.path().c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
            batch({"--quiet", option, name, "echo output of the command"},
                  {.output = output.get()});
            EXPECT_TRUE(contains(file.text(), "output of the command\n")) << file.text();
            EXPECT_TRUE(
                contains(file.text(), option == "--json" ? "\"exit_status\":0}" : "Seq\tHost"))
                << file.text();
            EXPECT_EQ(file.text().find('\0'), std::string::npos) << "no holes";
        }
    }
}

TEST(Report, can_go_to_a_socket_by_its_name) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    Program program({"--quiet", "--json", "/dev/stdout", "true"}, {.output = ends[1]});
    ::close(ends[1]);
    EXPECT_EQ(program.wait().status, 0);
    char text[4096];
    EXPECT_GT(::read(ends[0], text, sizeof text), 100);
    ::close(ends[0]);
}

TEST(Report, the_table_is_not_glued_to_an_output_in_the_same_pipe) {
    Pipe pipe;
    Program program({"printf hi"}, {.output = pipe.writer, .errors = pipe.writer});
    ::close(std::exchange(pipe.writer, -1));
    EXPECT_EQ(program.wait().status, 0);
    char text[4096] = {};
    EXPECT_GT(::read(pipe.reader, text, sizeof text - 1), 0);
    EXPECT_TRUE(std::string(text).starts_with("hi\nCommand")) << text;
}

}  // namespace
