// The batch: three commands complete and one is ended at its limit; the whole takes as long as the
// limit, and nobody is left.
//
// The commands are real, so time is real on every back-end.

#include "examples/program.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <unistd.h>

namespace {

using examples::Finished;
using examples::run_example;

/// A variable by which every process of one run is known, whatever has become of its parents.
std::string mark_of(const char* test) {
    return "ASYNCIO_TEST_MARK=" + std::string(test) + "-" + std::to_string(::getpid());
}

std::string contents(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// The processes that live and have the mark. Zombies have no environment any more.
std::vector<std::string> living(const std::string& mark) {
    std::vector<std::string> found;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
        if (entry.path().filename().string().find_first_not_of("0123456789") == std::string::npos &&
            contents(entry.path() / "environ").find(mark) != std::string::npos) {
            found.push_back(contents(entry.path() / "cmdline"));
        }
    }
    return found;
}

/// Those that still live after a minute: killing takes effect when the killed gets to run.
std::vector<std::string> survivors(const std::string& mark) {
    using namespace std::chrono_literals;
    const auto moment = std::chrono::steady_clock::now() + 60s;
    std::vector<std::string> found = living(mark);
    while (!found.empty() && std::chrono::steady_clock::now() < moment) {
        std::this_thread::sleep_for(5ms);
        found = living(mark);
    }
    return found;
}

/// One line of the report.
struct Row {
    std::string command;
    std::string status;
    double seconds = 0;
    std::string output;
};

std::string trimmed(const std::string& text) {
    const std::size_t last = text.find_last_not_of(' ');
    return last == text.npos ? "" : text.substr(0, last + 1);
}

/// Read from the right, for the command may be anything.
std::vector<Row> rows(const Finished& run) {
    std::vector<Row> rows;
    for (const std::string& line : run.lines) {
        const std::size_t unit = line.find(" s  ");
        if (unit == line.npos) continue;
        const std::size_t number = line.rfind(' ', unit - 1);
        const std::string before = trimmed(line.substr(0, number));
        for (const char* word : {" complete", " timeout", " exit ", " signal "}) {
            const std::size_t status = before.rfind(word);
            if (status == before.npos) continue;
            rows.push_back({trimmed(before.substr(0, status)), before.substr(status + 1),
                            std::strtod(line.c_str() + number, nullptr), line.substr(unit + 4)});
            break;
        }
    }
    return rows;
}

std::ptrdiff_t timeouts(const std::vector<Row>& rows) {
    return std::ranges::count(rows, "timeout", &Row::status);
}

double total(const Finished& run) {
    return run.lines.empty() ? -1 : examples::number_after(run.lines.back(), "the batch took ");
}

void expect_row(const Row& row, const char* command, const char* status, double seconds,
                const char* output) {
    EXPECT_EQ(row.command, command);
    EXPECT_EQ(row.status, status);
    // The command sleeps on the system's clock and is timed on the loop's, which on the simulated
    // back-end moves on when it waits, and not while a command is being started.
    if (!examples::on_simulated_backend()) {
        EXPECT_GE(row.seconds, seconds);
    }
    EXPECT_EQ(row.output, output);
}

TEST(batch, runs_all_at_once_and_ends_what_takes_too_long) {
    const std::string mark = mark_of("four");
    // Two seconds unless it is told otherwise, which it is where that is too short for the others.
    double limit = 2;
    Finished run = run_example("batch", {}, {mark});
    std::vector<Row> report = rows(run);
    for (; limit < 60 && timeouts(report) > 1; report = rows(run)) {
        limit *= 2;
        run = run_example("batch",
                          {std::to_string(limit), "sleep 1 && echo hello", "sleep 1.5",
                           "echo world", "sleep 500"},
                          {mark});
    }
    EXPECT_EQ(run.status, 0) << run.errors;
    ASSERT_EQ(report.size(), 4U);
    expect_row(report[0], "sleep 1 && echo hello", "complete", 1.0, "hello");
    expect_row(report[1], "sleep 1.5", "complete", 1.5, "");
    expect_row(report[2], "echo world", "complete", 0.0, "world");
    expect_row(report[3], "sleep 500", "timeout", limit, "");
    EXPECT_GE(total(run), limit);
    EXPECT_LT(total(run), limit + examples::soon);
    EXPECT_EQ(survivors(mark), std::vector<std::string>{});
}

TEST(batch, ends_grandchildren_too) {
    const std::string mark = mark_of("grandchildren");
    const Finished run = run_example("batch", {"0.3", "sleep 300 & sleep 300; echo x"}, {mark});
    const std::vector<Row> report = rows(run);
    ASSERT_EQ(report.size(), 1U);
    EXPECT_EQ(report[0].status, "timeout");
    EXPECT_LT(run.seconds, examples::soon);
    EXPECT_EQ(survivors(mark), std::vector<std::string>{});
}

TEST(batch, leaves_nobody_behind_whose_shell_has_ended) {
    const std::string mark = mark_of("left");
    const Finished run =
        run_example("batch", {"60", "sleep 300 > /dev/null 2>&1 & echo x"}, {mark});
    const std::vector<Row> report = rows(run);
    ASSERT_EQ(report.size(), 1U);
    EXPECT_EQ(report[0].status, "complete");
    EXPECT_EQ(report[0].output, "x");
    EXPECT_EQ(survivors(mark), std::vector<std::string>{});
}

TEST(batch, says_how_commands_ended_and_what_they_wrote) {
    const Finished run =
        run_example("batch", {"60", "echo out; echo err >&2; exit 3", "kill -9 $$"});
    const std::vector<Row> report = rows(run);
    ASSERT_EQ(report.size(), 2U);
    EXPECT_EQ(report[0].status, "exit 3");
    EXPECT_EQ(report[1].status, "signal 9");
    EXPECT_EQ(report[0].output, "out");
    EXPECT_EQ(run.lines[1], "err");
}

TEST(batch, says_how_it_is_used) {
    EXPECT_EQ(run_example("batch", {"--help"}).status, 0);
    EXPECT_EQ(run_example("batch", {"soon"}).status, 2);
}

}  // namespace
