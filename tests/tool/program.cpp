#include "tool/program.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tool_tests {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 60s;
constexpr auto between_looks = 2ms;

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct PipeEnds {
    int reader = -1;
    int writer = -1;
};

PipeEnds make_pipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    return {ends[0], ends[1]};
}

void read_all(int descriptor, std::string& text) {
    char chunk[65536];
    for (ssize_t count = 0; (count = ::read(descriptor, chunk, sizeof chunk)) != 0;) {
        if (count > 0) text.append(chunk, static_cast<std::size_t>(count));
        if (count < 0 && errno != EINTR) break;
    }
    ::close(descriptor);
}

std::string next_mark() {
    static int number = 0;
    return "ASYNCIO_TOOL_TEST=" + std::to_string(::getpid()) + "." + std::to_string(++number) + ".";
}

/// Between fork and exec.
void become(const Arguments& arguments, const Setting& setting, const std::string& mark, int input,
            int output, int errors) {
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    // The test runner may have been started with signals ignored.
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) {
        ::signal(number, SIG_DFL);
    }
    if (setting.terminal >= 0) {
        ::setsid();
        ::ioctl(setting.terminal, TIOCSCTTY, 0);
    }
    if (setting.descriptors > 0) {
        const rlimit limit{setting.descriptors, setting.descriptors};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (unsigned count = 0; count < setting.inherited_descriptors; ++count) {
        [[maybe_unused]] const int kept = ::open("/dev/null", O_RDONLY);
    }
    if (setting.prepare) setting.prepare();
    std::vector<std::string> texts = setting.environment;
    texts.push_back(mark);
    for (std::string& text : texts) ::putenv(text.data());
    std::vector<char*> pointers;
    Arguments all{ASYNCIO_TOOL_PATH, "batch"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    for (std::string& argument : all) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
}

int open_input(const std::optional<std::string>& text) {
    if (!text) return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const TemporaryFile file(*text);
    return ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
}

/// The memory that this process uses now.
long resident_kilobytes() {
    std::ifstream file("/proc/self/statm");
    long size = 0;
    long resident = 0;
    file >> size >> resident;
    return resident * (::sysconf(_SC_PAGESIZE) / 1024);
}

}  // namespace

TemporaryFile::TemporaryFile(const std::string& text) {
    path_ = (std::filesystem::temp_directory_path() / "asyncio-tool-test-XXXXXX").string();
    const int descriptor = ::mkstemp(path_.data());
    ::close(descriptor);
    std::ofstream(path_, std::ios::binary) << text;
}

TemporaryFile::~TemporaryFile() { std::filesystem::remove(path_); }

std::string TemporaryFile::text() const { return read_file(path_); }

ProgramFolder::ProgramFolder(const std::vector<std::string>& names) {
    path_ = (std::filesystem::temp_directory_path() / "asyncio-tool-test-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
    for (const std::string& name : names) {
        const std::filesystem::path program = std::filesystem::path(path_) / name;
        std::ofstream(program) << "#!/bin/sh\nname=${0##*/}; echo \"$name ran${1:+ $1}\"\n";
        std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    }
}

ProgramFolder::~ProgramFolder() { std::filesystem::remove_all(path_); }

std::string ProgramFolder::path_variable() const {
    return "PATH=" + path_ + ":" + std::getenv("PATH");
}

testing::AssertionResult Ended::needed_less_than(long megabytes) const {
    constexpr long start_up = 1024;
    const long most = std::max(megabytes * 1024, inherited_kilobytes + start_up);
    if (peak_memory_kilobytes < most) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << peak_memory_kilobytes << " KB at most; " << inherited_kilobytes << " KB inherited";
}

Program::Program(Arguments arguments, Setting setting)
    : mark_(next_mark()), start_(std::chrono::steady_clock::now()) {
    const int input = setting.input_descriptor >= 0
                          ? ::fcntl(setting.input_descriptor, F_DUPFD_CLOEXEC, 3)
                          : open_input(setting.input);
    const PipeEnds output = make_pipe();
    const PipeEnds errors = make_pipe();
    const bool terminal_output = setting.terminal_output && setting.terminal >= 0;
    const int output_there = terminal_output       ? setting.terminal
                             : setting.output >= 0 ? setting.output
                                                   : output.writer;
    const int errors_there = setting.terminal >= 0 ? setting.terminal
                             : setting.errors >= 0 ? setting.errors
                                                   : errors.writer;
    ::malloc_trim(0);
    inherited_kilobytes_ = resident_kilobytes();
    pid_ = ::fork();
    if (pid_ == 0) become(arguments, setting, mark_, input, output_there, errors_there);
    ::close(input);
    ::close(output.writer);
    ::close(errors.writer);
    readers_.emplace_back(read_all, output.reader, std::ref(output_));
    readers_.emplace_back(read_all, errors.reader, std::ref(errors_));
}

Program::~Program() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    for (const pid_t process : alive()) ::kill(process, SIGKILL);
}

pid_t Program::worker_now() const {
    const std::string process = std::to_string(pid_);
    std::istringstream children(read_file("/proc/" + process + "/task/" + process + "/children"));
    // The worker leads a group of its own. What does not may be a leak checker's helper, which is a
    // child for a moment when the program ends; a signal to that one would leave the program
    // stopped for ever.
    for (pid_t child = 0; children >> child;) {
        if (::getpgid(child) == child) return child;
    }
    return 0;
}

pid_t Program::worker() const {
    pid_t child = 0;
    becomes_true([&] { return (child = worker_now()) != 0; });
    return child;
}

bool Program::has_ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
}

void Program::signal(int number) const { ::kill(pid_, number); }

Ended Program::wait() {
    int status = 0;
    rusage usage{};
    while (::wait4(pid_, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    const Seconds seconds = std::chrono::steady_clock::now() - start_;
    readers_.clear();
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return {signal != 0 ? 128 + signal : WEXITSTATUS(status),
            signal,
            output_,
            errors_,
            seconds,
            usage.ru_maxrss,
            inherited_kilobytes_};
}

std::vector<pid_t> Program::alive() const {
    std::vector<pid_t> found;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
        const pid_t process = std::atoi(entry.path().filename().c_str());
        // The environment of a process that has ended is empty.
        if (process > 0 && read_file(entry.path() / "environ").find(mark_) != std::string::npos) {
            found.push_back(process);
        }
    }
    return found;
}

bool Program::wait_until_alive(std::size_t at_least) const {
    return becomes_true([&] { return alive().size() >= at_least; });
}

Ended batch(Arguments arguments, Setting setting) {
    Program program(std::move(arguments), std::move(setting));
    Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty()) << "a process of the batch is alive";
    return ended;
}

Limited batch_with_limit(double seconds, const Arguments& arguments,
                         const std::function<bool(const Ended&)>& came_in_time) {
    for (;; seconds *= 2) {
        Arguments all = arguments;
        all.insert(all.begin(), {"-t", std::to_string(seconds) + "s"});
        const Ended ended = batch(std::move(all));
        if (seconds > 60 || came_in_time(ended)) return {ended, seconds};
    }
}

std::string wait_for_lines(const std::string& path, int count) {
    return "for i in $(seq 3000); do [ $(wc -l < " + path + ") -ge " + std::to_string(count) +
           " ] && break; sleep .02; done";
}

std::string row_of(const Ended& ended, const std::string& command) {
    for (const std::string& line : lines(ended.errors)) {
        if (line.starts_with(command)) return line;
    }
    return {};
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

bool becomes_true(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(between_looks);
    }
    return true;
}

std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> result;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) result.push_back(line);
    return result;
}

}  // namespace tool_tests
