// On a terminal: the progress line, what the screen looks like afterwards, and the keys.

#include "tool/program.h"

#include <fstream>
#include <mutex>

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace {

using namespace tool_tests;
using namespace std::chrono_literals;

/// A terminal that somebody looks at.
class Terminal {
public:
    explicit Terminal(unsigned short columns = 80) {
        winsize size{24, columns, 0, 0};
        if (::openpty(&screen_, &program_side_, nullptr, nullptr, &size) != 0) std::abort();
        reader_ = std::jthread([this] { read(); });
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal() {
        close_program_side();
        reader_ = {};
        ::close(screen_);
    }

    int program_side() const noexcept { return program_side_; }
    void type(const std::string& keys) const {
        EXPECT_EQ(::write(screen_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    }

    /// Every byte that was written.
    std::string written() {
        const std::lock_guard lock(mutex_);
        return text_;
    }
    /// The same when the program is gone and all of it is here.
    std::string all_written() {
        close_program_side();
        reader_ = {};
        return text_;
    }

private:
    void close_program_side() noexcept {
        if (program_side_ >= 0) ::close(program_side_);
        program_side_ = -1;
    }

    void read() {
        char chunk[4096];
        // EIO when the last one has closed the other side.
        for (ssize_t count = 0; (count = ::read(screen_, chunk, sizeof chunk)) > 0;) {
            const std::lock_guard lock(mutex_);
            text_.append(chunk, static_cast<std::size_t>(count));
        }
    }

    int screen_ = -1;
    int program_side_ = -1;
    std::mutex mutex_;
    std::string text_;
    std::jthread reader_;
};

/// What stands on the screen after `written`: carriage returns, newlines and "erase to the end of
/// the line" are all that is understood.
std::vector<std::string> screen_after(const std::string& written) {
    std::vector<std::string> rows(1);
    std::size_t column = 0;
    for (std::size_t index = 0; index < written.size(); ++index) {
        if (written[index] == '\r') {
            column = 0;
        } else if (written[index] == '\n') {
            rows.emplace_back();
        } else if (written.compare(index, 3, "\x1b[K") == 0) {
            rows.back().resize(column, ' ');
            index += 2;
        } else {
            rows.back().resize(std::max(rows.back().size(), column + 1), ' ');
            rows.back()[column++] = written[index];
        }
    }
    return rows;
}

Setting errors_on(const Terminal& terminal, std::vector<std::string> environment = {"TERM=xterm"}) {
    return {.environment = std::move(environment), .terminal = terminal.program_side()};
}

TEST(Terminal, shows_one_line_of_progress_and_takes_it_away) {
    Terminal terminal;
    const TemporaryFile seen;
    Program program({"-j", "2", "exit 1", wait_for_lines(seen.path(), 1), "true"},
                    errors_on(terminal));
    EXPECT_TRUE(becomes_true(
        [&] { return contains(terminal.written(), "2/3 done, 1 running, 1 failed, "); }));
    std::ofstream(seen.path()) << "now\n";
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 1);
    const std::string written = terminal.all_written();
    EXPECT_TRUE(contains(written, "/s, 0:")) << "the rate, and the time that is left";
    const auto rows = screen_after(written);
    EXPECT_TRUE(rows.at(0).starts_with("Command  ")) << "nothing of the line is left";
    EXPECT_FALSE(contains(rows.at(0), "done")) << rows.at(0);
    EXPECT_EQ(rows.size(), 6U) << written;
}

TEST(Terminal, shows_no_progress_where_it_is_not_wanted) {
    const std::vector<std::pair<Arguments, std::vector<std::string>>> cases{
        {{"--no-progress", "sleep .3"}, {"TERM=xterm"}},
        {{"--quiet", "sleep .3"}, {"TERM=xterm"}},
        {{"sleep .3"}, {"TERM=xterm", "NO_COLOR=1"}},
        {{"sleep .3"}, {"TERM=dumb"}},
    };
    for (const auto& [arguments, environment] : cases) {
        Terminal terminal;
        batch(arguments, errors_on(terminal, environment));
        const std::string written = terminal.all_written();
        EXPECT_FALSE(contains(written, "done,")) << written;
        EXPECT_FALSE(contains(written, "\x1b")) << written;
    }
}

TEST(Terminal, never_mixes_progress_into_what_commands_write) {
    Terminal terminal;
    Setting setting = errors_on(terminal);
    setting.terminal_output = true;
    batch({"-j", "3", "-k", "sleep .15; echo one", "sleep .3; printf two",
           "sleep .45; echo three >&2"},
          setting);
    const auto rows = screen_after(terminal.all_written());
    EXPECT_EQ(rows.at(0), "one");
    EXPECT_EQ(rows.at(1), "two") << "also a line without an end is left as it is";
    EXPECT_EQ(rows.at(2), "three");
    EXPECT_TRUE(rows.at(3).starts_with("Command")) << rows.at(3);
}

TEST(Terminal, nothing_is_wider_than_it_is) {
    Terminal terminal(40);
    batch({"--timeline", "-j", "0", "sleep .25; true " + std::string(200, 'x'), "true"},
          errors_on(terminal, {"TERM=xterm", "LC_ALL=C"}));
    const auto rows = screen_after(terminal.all_written());
    for (std::size_t row = 0; row + 1 < rows.size(); ++row) {
        if (contains(rows[row], "commands:")) continue;
        EXPECT_LE(rows[row].size(), 40U) << rows[row];
    }
}

TEST(Terminal, ctrl_c_ends_the_batch_in_order) {
    Terminal terminal;
    Program program({"-j", "2", "sleep 500; true", "sleep 501; true", "echo no"},
                    errors_on(terminal));
    ASSERT_TRUE(program.wait_until_alive(6));
    terminal.type("\x03");
    const Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty());
    EXPECT_EQ(ended.status, 130);
    EXPECT_TRUE(contains(terminal.all_written(), "3 commands: 2 interrupted, 1 not started"));
}

TEST(Terminal, a_second_ctrl_c_kills_at_once) {
    Terminal terminal;
    // One that is deaf, and one whose end shows that the first has been heard.
    Program program(
        {"-j", "2", "--grace", "200s", "trap '' TERM; sleep 500; true", "sleep 501; true"},
        errors_on(terminal));
    ASSERT_TRUE(program.wait_until_alive(6));
    terminal.type("\x03");
    ASSERT_TRUE(becomes_true([&] { return program.alive().size() <= 4; }));
    terminal.type("\x03");
    EXPECT_EQ(program.wait().status, 130);
    EXPECT_TRUE(program.alive().empty());
}

TEST(Terminal, limits_hold_while_it_is_stopped) {
    Terminal terminal;
    const TemporaryFile log;
    Setting setting = errors_on(terminal);
    setting.terminal_output = true;
    Program program(
        {"--joblog", log.path(), "-j", "2", "-t", "3s", "--grace", "0", "echo first", "sleep 500"},
        setting);
    ASSERT_TRUE(becomes_true([&] { return contains(terminal.written(), "first"); }));
    terminal.type("\x13");  // Ctrl-S
    EXPECT_TRUE(becomes_true([&] { return contains(log.text(), "\t-1\t9\tsleep 500"); }));
    terminal.type("\x11");  // Ctrl-Q
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 1);
    EXPECT_TRUE(contains(terminal.all_written(), "2 commands: 1 complete, 1 timeout"));
}

TEST(Terminal, the_table_begins_a_line_of_its_own_whatever_commands_have_left) {
    for (const char* command : {"printf hi", "printf hi >&2", "printf 'one\\nhi'"}) {
        Terminal terminal;
        Setting setting = errors_on(terminal);
        setting.terminal_output = true;
        batch({command}, setting);
        const std::string written = terminal.all_written();
        EXPECT_TRUE(contains(written, "hi\r\n")) << written;
        EXPECT_FALSE(contains(written, "hiCommand")) << written;
    }
}

TEST(Terminal, a_command_that_asks_it_is_ended_and_told_why) {
    for (const char* command :
         {"read x </dev/tty; echo got", "cat /dev/tty", "stty -echo </dev/tty; echo set",
          "trap '' TERM; read x </dev/tty; read x </dev/tty; read x </dev/tty; sleep 500"}) {
        Terminal terminal;
        const Ended ended = batch({"--grace", "200s", command}, errors_on(terminal));
        EXPECT_EQ(ended.status, 1) << command;
        EXPECT_LT(ended.seconds.count(), soon) << command;
        EXPECT_EQ(ended.output, "");
        const std::string written = terminal.all_written();
        EXPECT_TRUE(contains(written, "asked the terminal")) << written;
        EXPECT_TRUE(contains(written, "signal TT")) << written;
    }
}

// ------------------------------------------------------------------------- lent to the commands

Setting all_on(const Terminal& terminal) {
    Setting setting = errors_on(terminal);
    setting.terminal_output = true;
    return setting;
}

bool is_told(Terminal& terminal, const std::string& text) {
    return becomes_true([&] { return contains(terminal.written(), text); });
}

TEST(Tty, each_command_can_ask_and_the_terminal_comes_back) {
    Terminal terminal;
    Program program({"--tty", "-j", "8", "printf 'name? '; read x; echo got $x.",
                     "printf 'age? ' >/dev/tty; read y </dev/tty; echo is $y."},
                    all_on(terminal));
    ASSERT_TRUE(is_told(terminal, "name? "));
    terminal.type("Ada\n");
    ASSERT_TRUE(is_told(terminal, "age? "));
    terminal.type("36\n");
    const pid_t group = program.pid();
    EXPECT_TRUE(becomes_true(
        [&] { return ::tcgetpgrp(terminal.program_side()) == group || program.has_ended(); }));
    EXPECT_EQ(program.wait().status, 0);
    const std::string written = terminal.all_written();
    EXPECT_TRUE(contains(written, "got Ada.")) << written;
    EXPECT_TRUE(contains(written, "is 36.")) << written;
    EXPECT_TRUE(contains(written, "2 commands: 2 complete;")) << written;
}

TEST(Tty, ctrl_c_ends_the_command_and_the_batch) {
    Terminal terminal;
    // `exec`: while it forks, dash loses a Ctrl-C for its child, and then waits for that.
    Program program({"--tty", "echo begin; exec sleep 500", "echo no"}, all_on(terminal));
    ASSERT_TRUE(is_told(terminal, "begin"));
    terminal.type("\x03");
    const Ended ended = program.wait();
    EXPECT_EQ(ended.signal, SIGINT);
    EXPECT_LT(ended.seconds.count(), soon);
    EXPECT_TRUE(contains(terminal.all_written(), "not started"));
    EXPECT_TRUE(program.alive().empty());
}

TEST(Tty, without_a_terminal_is_refused) {
    const Ended ended = batch({"--tty", "echo no"}, {.prepare = [] { ::setsid(); }});
    EXPECT_EQ(ended.status, 255);
    EXPECT_EQ(ended.output, "");
    EXPECT_TRUE(contains(ended.errors, "--tty: open the terminal: No such device")) << ended.errors;
}

}  // namespace
