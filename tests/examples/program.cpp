#include "examples/program.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace examples {
namespace {

struct PipeEnds {
    int reading = -1;
    int writing = -1;
};

PipeEnds make_pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    return {ends[0], ends[1]};
}

std::string read_all(int descriptor) {
    std::string text;
    std::array<char, 4096> part{};
    for (;;) {
        const ssize_t got = ::read(descriptor, part.data(), part.size());
        if (got > 0) text.append(part.data(), static_cast<std::size_t>(got));
        if (got == 0 || (got < 0 && errno != EINTR)) break;
    }
    ::close(descriptor);
    return text;
}

std::vector<std::string> split_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n', begin)) {
        lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    if (begin < text.size()) lines.push_back(text.substr(begin));
    return lines;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (std::string& string : strings) result.push_back(string.data());
    result.push_back(nullptr);
    return result;
}

/// Of two entries with one name the first is found, so ours come before the inherited ones.
std::vector<std::string> with_inherited(std::vector<std::string> environment) {
    for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
    return environment;
}

int exit_status(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

pid_t start(const std::string& name, const std::vector<std::string>& arguments,
            const std::vector<std::string>& environment, int output, int errors) {
    std::vector<std::string> words{std::string(ASYNCIO_EXAMPLE_DIR) + "/" + name};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<std::string> variables = with_inherited(environment);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    pid_t child = -1;
    const int error = ::posix_spawn(&child, words[0].c_str(), &actions, nullptr,
                                    pointers(words).data(), pointers(variables).data());
    ::posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(error, 0) << words[0] << ": " << std::strerror(error);
    return error == 0 ? child : -1;
}

}  // namespace

Finished run_example(const std::string& name, const std::vector<std::string>& arguments,
                     const std::vector<std::string>& environment) {
    Finished run;
    const PipeEnds output = make_pipe();
    const PipeEnds errors = make_pipe();
    const auto began = std::chrono::steady_clock::now();
    const pid_t child = start(name, arguments, environment, output.writing, errors.writing);
    ::close(output.writing);
    ::close(errors.writing);
    std::thread reader([&] { run.errors = read_all(errors.reading); });
    run.lines = split_lines(read_all(output.reading));
    reader.join();
    if (child > 0) run.status = exit_status(child);
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return run;
}

bool on_simulated_backend() {
    const char* backend = std::getenv("ASYNCIO_BACKEND");
    return backend != nullptr && std::strcmp(backend, "simulated") == 0;
}

double number_after(const std::string& text, const std::string& before) {
    const std::size_t at = text.find(before);
    if (at == text.npos) return std::nan("");
    const char* number = text.c_str() + at + before.size();
    char* end = nullptr;
    const double value = std::strtod(number, &end);
    return end == number ? std::nan("") : value;
}

testing::AssertionResult printed(const Finished& run, const std::vector<std::string>& lines) {
    if (run.status == 0 && run.lines == lines) return testing::AssertionSuccess();
    testing::AssertionResult failure = testing::AssertionFailure();
    failure << "exit status " << run.status << ", printed was:";
    for (const std::string& line : run.lines) failure << "\n  " << line;
    return failure << "\nand on standard error:\n" << run.errors;
}

testing::AssertionResult is_time(double measured, double expected) {
    // What is printed is rounded.
    constexpr double rounding = 0.0005;
    const double most = on_simulated_backend() ? rounding : HUGE_VAL;
    if (measured >= expected - rounding && measured <= expected + most) {
        return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << measured << " is not " << expected;
}

int source_line(const std::string& name, const std::string& behind, const std::string& text) {
    std::ifstream source(std::string(ASYNCIO_SOURCE_DIR) + "/examples/" + name);
    bool is_behind = false;
    int number = 0;
    for (std::string line; std::getline(source, line);) {
        ++number;
        is_behind = is_behind || line.find(behind) != line.npos;
        if (is_behind && line.find(text) != line.npos) return number;
    }
    return 0;
}

}  // namespace examples
