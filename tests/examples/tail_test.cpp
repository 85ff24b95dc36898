// `tail`: the last lines, what is added, a file that is rotated, one that is cut off, and Ctrl-C.
//
// The program runs beside the test, which reads what it prints line by line. Its files are real, so
// there is nothing to test in the simulated world, whose files are in the memory of one process.

#include "examples/program.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

/// The running program. Both of its outputs come to one pipe.
class Running {
public:
    explicit Running(const std::vector<std::string>& arguments) {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::pipe(ends), 0);
        child_ = ::fork();
        if (child_ == 0) {
            ::dup2(ends[1], STDOUT_FILENO);
            ::dup2(ends[1], STDERR_FILENO);
            ::close(ends[0]);
            ::close(ends[1]);
            std::vector<char*> words{const_cast<char*>("tail")};
            for (const std::string& word : arguments)
                words.push_back(const_cast<char*>(word.c_str()));
            words.push_back(nullptr);
            ::execv(ASYNCIO_EXAMPLE_DIR "/tail", words.data());
            ::_exit(127);
        }
        ::close(ends[1]);
        output_ = ::fdopen(ends[0], "r");
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        if (child_ > 0) end(SIGKILL);
        std::fclose(output_);
    }

    /// The next line, for which this waits.
    std::string line() {
        std::string text;
        for (int byte = 0; (byte = std::fgetc(output_)) != EOF && byte != '\n';)
            text += static_cast<char>(byte);
        return text;
    }

    /// The exit status after the signal; −N if a signal ended the program.
    int end(int signal) {
        if (signal != 0) ::kill(child_, signal);
        int status = 0;
        ::waitpid(child_, &status, 0);
        child_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

private:
    pid_t child_ = -1;
    std::FILE* output_ = nullptr;
};

class Tail : public testing::Test {
protected:
    void SetUp() override {
        if (examples::on_simulated_backend()) GTEST_SKIP() << "the simulated files are not shared";
        folder_ = std::filesystem::temp_directory_path() / "asyncio_tail_XXXXXX";
        ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    }
    void TearDown() override {
        std::error_code ignored;
        if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
    }

    std::string path(const char* name) const { return folder_ + "/" + name; }
    void append(const char* name, const std::string& text) const {
        std::ofstream(path(name), std::ios::app) << text;
    }

    std::string folder_;
};

TEST_F(Tail, prints_the_last_lines_and_what_is_added) {
    for (int i = 1; i <= 12; ++i) append("a", "line " + std::to_string(i) + "\n");
    Running tail({path("a")});
    for (int i = 3; i <= 12; ++i) EXPECT_EQ(tail.line(), "line " + std::to_string(i));
    append("a", "added\n");
    EXPECT_EQ(tail.line(), "added");
    EXPECT_EQ(tail.end(SIGINT), 130);
    EXPECT_EQ(tail.line(), "") << "an end without a message";
}

TEST_F(Tail, follows_a_name_to_the_next_file) {
    append("a", "old\n");
    Running tail({path("a")});
    EXPECT_EQ(tail.line(), "old");
    std::filesystem::rename(path("a"), path("a.1"));
    EXPECT_EQ(tail.line(), "tail: " + path("a") + " is gone; waiting for a new file of this name");
    append("a", "new\n");
    EXPECT_EQ(tail.line(), "tail: " + path("a") + " is a new file");
    EXPECT_EQ(tail.line(), "new");
    append("b", "replaced\n");
    std::filesystem::rename(path("b"), path("a"));
    EXPECT_EQ(tail.line(), "tail: " + path("a") + " is a new file");
    EXPECT_EQ(tail.line(), "replaced");
    EXPECT_EQ(tail.end(SIGINT), 130);
}

TEST_F(Tail, begins_anew_with_a_file_that_was_cut_off) {
    append("a", "a long line\n");
    Running tail({path("a")});
    EXPECT_EQ(tail.line(), "a long line");
    ASSERT_EQ(::truncate(path("a").c_str(), 0), 0);
    EXPECT_EQ(tail.line(), "tail: " + path("a") + " was cut off");
    append("a", "short\n");
    EXPECT_EQ(tail.line(), "short");
    EXPECT_EQ(tail.end(SIGINT), 130);
}

TEST_F(Tail, names_the_file_if_there_are_several_and_waits_for_missing_ones) {
    append("a", "one\n");
    Running tail({path("a"), path("b")});
    EXPECT_EQ(tail.line(), "==> " + path("a") + " <==");
    EXPECT_EQ(tail.line(), "one");
    EXPECT_EQ(tail.line(), "tail: open \"" + path("b") + "\": No such file or directory");
    append("b", "two\n");
    EXPECT_EQ(tail.line(), "tail: " + path("b") + " is a new file");
    EXPECT_EQ(tail.line(), "==> " + path("b") + " <==");
    EXPECT_EQ(tail.line(), "two");
    EXPECT_EQ(tail.end(SIGINT), 130);
}

TEST_F(Tail, says_what_is_wrong) {
    Running missing({path("no/a")});
    EXPECT_EQ(missing.line(), "tail: watch \"" + path("no") + "\": No such file or directory");
    EXPECT_EQ(missing.end(0), 1);
    Running nothing({});
    EXPECT_EQ(nothing.line(), "usage: tail FILE ...");
    EXPECT_EQ(nothing.end(0), 2);
}

}  // namespace
