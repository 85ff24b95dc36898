#pragma once
// Runs the built command `asyncio` as a user would, and looks at what it leaves behind.
//
// Every program that is started gets a mark in its environment, which all its descendants inherit,
// whatever groups and sessions they make for themselves. So "no process of the batch is alive" can
// be asked of the whole system.
//
// How long anything takes on a busy machine nobody knows. What has to come first is waited for, not
// slept for; what must not be waited for would last for minutes (`sleep 500`), so that "at once" is
// anything less (`soon`); and where a limit is what is tested, it is as long as the rest needs.

#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/types.h>

namespace tool_tests {

using Arguments = std::vector<std::string>;
using Seconds = std::chrono::duration<double>;

/// A file of its own for one test, gone with it.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::string& text = {});
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile();

    const std::string& path() const noexcept { return path_; }
    std::string text() const;

private:
    std::string path_;
};

/// A folder with programs of these names, each of which says its name, "ran" and its arguments.
class ProgramFolder {
public:
    explicit ProgramFolder(const std::vector<std::string>& names);
    ProgramFolder(const ProgramFolder&) = delete;
    ProgramFolder& operator=(const ProgramFolder&) = delete;
    ~ProgramFolder();

    /// "PATH=…", in which the folder comes first.
    std::string path_variable() const;

private:
    std::string path_;
};

struct Setting {
    /// Standard input. Nothing: /dev/null.
    std::optional<std::string> input = {};
    /// Standard input is this one instead, which stays ours; -1: it is not.
    int input_descriptor = -1;
    /// "NAME=value", in addition to ours.
    std::vector<std::string> environment = {};
    /// Soft and hard limit of descriptors; 0 leaves them.
    unsigned descriptors = 0;
    /// So many descriptors are open already that are none of its business.
    unsigned inherited_descriptors = 0;
    /// Standard output goes there and not to us; -1: to us.
    int output = -1;
    /// The same for standard error.
    int errors = -1;
    /// Standard error is this terminal, with `terminal_output` standard output too; and it is the
    /// program's controlling terminal, where Ctrl-C can be typed.
    int terminal = -1;
    bool terminal_output = false;
    /// Called in the process that becomes the program, just before it does: what a launcher leaves.
    std::function<void()> prepare = {};
};

/// How a program has ended.
struct Ended {
    /// As a shell says it: the exit status, or 128 and the signal.
    int status = -1;
    /// The signal that it died of; 0 if it has exited.
    int signal = 0;
    std::string output;
    std::string errors;
    Seconds seconds{};
    /// The largest of its processes. At least `inherited_kilobytes`: the kernel counts the memory
    /// of the process that was forked as memory of the program.
    long peak_memory_kilobytes = 0;
    long inherited_kilobytes = 0;

    /// Checks that the program needed less memory than `megabytes`, as far as the kernel tells.
    testing::AssertionResult needed_less_than(long megabytes) const;
};

class Program {
public:
    /// Starts `asyncio batch arguments…`.
    explicit Program(Arguments arguments, Setting setting = {});
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    /// Kills what is left.
    ~Program();

    /// The process that the user sees.
    pid_t pid() const noexcept { return pid_; }
    /// Its only child: the worker. Waits until there is one; 0 if the program has ended.
    pid_t worker() const;
    /// 0 if there is none at this moment, or it has only just been forked.
    pid_t worker_now() const;
    void signal(int number) const;

    bool has_ended() const;
    /// Waits for the end and returns all of it.
    Ended wait();

    /// The processes of this batch that are alive, the program and its worker among them.
    std::vector<pid_t> alive() const;
    /// Waits until so many are alive; false if that does not happen in a minute.
    bool wait_until_alive(std::size_t at_least) const;

private:
    std::string mark_;
    pid_t pid_ = -1;
    std::chrono::steady_clock::time_point start_;
    long inherited_kilobytes_ = 0;
    std::string output_;
    std::string errors_;
    std::vector<std::jthread> readers_;
};

/// Runs `asyncio batch arguments…` to its end. Fails the test if a process of it is alive then.
Ended batch(Arguments arguments, Setting setting = {});

/// In seconds: what has not waited for a `sleep 500` is quicker than this.
constexpr double soon = 100;

struct Limited {
    Ended ended;
    /// In seconds.
    double limit;
};

/// A batch whose commands have a limit before which something else has to happen: a shell has to
/// start, a trap to be set. The limit is `seconds`, and is doubled until that has happened, by what
/// `came_in_time` sees; it is not tried for longer than a minute.
Limited batch_with_limit(double seconds, const Arguments& arguments,
                         const std::function<bool(const Ended&)>& came_in_time);

/// Words for a shell: waits until the file has so many lines, or for a minute.
std::string wait_for_lines(const std::string& path, int count);

/// The line of the table that begins with `command`; empty if there is none.
std::string row_of(const Ended& ended, const std::string& command);

bool contains(const std::string& text, const std::string& part);

/// The lines of a text, without their newlines.
std::vector<std::string> lines(const std::string& text);

/// Whether `condition` comes true within a minute.
bool becomes_true(const std::function<bool()>& condition);

}  // namespace tool_tests
