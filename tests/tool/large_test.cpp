// Much of everything: commands, output, processes, and little of what they need.

#include "support/sanitizer.h"
#include "tool/program.h"

#include <algorithm>
#include <filesystem>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace tool_tests;

// A sanitizer takes memory and time of its own.
constexpr long overhead =
    support::under_address_sanitizer || support::under_thread_sanitizer ? 10 : 1;

std::string repeated(const std::string& line, int count) {
    std::string text;
    for (int index = 0; index < count; ++index) text += line;
    return text;
}

TEST(Large, ten_thousand_commands_are_run_each_once) {
    std::string commands;
    for (int number = 1; number <= 10000; ++number) {
        commands += "echo " + std::to_string(number) + "\n";
    }
    const Ended ended = batch({"-k", "-j", "8"}, {.input = commands});
    EXPECT_EQ(ended.status, 0);
    std::string expected;
    for (int number = 1; number <= 10000; ++number) expected += std::to_string(number) + "\n";
    EXPECT_TRUE(ended.output == expected);
    EXPECT_NE(ended.errors.find("10000 commands: 10000 complete;"), std::string::npos);
    EXPECT_LE(lines(ended.errors).size(), 3U) << "what goes without saying is not listed";
    EXPECT_TRUE(ended.needed_less_than(overhead * 64));
}

TEST(Large, output_of_200_megabytes_does_not_stay_in_memory) {
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    const TemporaryFile report;
    const Ended ended =
        batch({"--json", report.path(), "head -c 200000000 /dev/zero"}, {.output = null});
    ::close(null);
    EXPECT_EQ(ended.status, 0);
    EXPECT_NE(report.text().find("\"stdout_bytes\":200000000"), std::string::npos) << report.text();
    EXPECT_TRUE(ended.needed_less_than(overhead * 48));
}

TEST(Large, output_without_end_is_that_until_the_limit) {
    const auto [ended, limit] =
        batch_with_limit(0.2, {"--grace", "0", "yes"},
                         [](const Ended& attempt) { return attempt.output.size() > 10'000'000U; });
    EXPECT_EQ(ended.status, 1);
    EXPECT_GT(ended.output.size(), 10'000'000U);
    EXPECT_TRUE(ended.output.starts_with("y\ny\n"));
    EXPECT_EQ(ended.output.find_first_not_of("y\n"), std::string::npos);
    EXPECT_TRUE(ended.needed_less_than(overhead * 48));
}

TEST(Large, output_stays_in_memory_where_there_is_no_room_for_a_file) {
    // The limit of a file's size, beyond which the kernel also sends a signal.
    const Ended ended = batch({"seq 1000000"}, {.prepare = [] {
                                  const rlimit small{100 * 1024, 100 * 1024};
                                  ::setrlimit(RLIMIT_FSIZE, &small);
                              }});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output.size(), 6888896U);
    EXPECT_TRUE(ended.output.ends_with("\n999999\n1000000\n"));
    EXPECT_TRUE(contains(ended.errors, "because no temporary file could be made: File too"))
        << ended.errors;
}

TEST(Large, output_finds_another_folder_where_the_wanted_one_does_not_exist) {
    for (const char* folder : {"TMPDIR=/nosuchfolder", "TMPDIR=/proc", "TMPDIR=/dev/null"}) {
        const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        const Ended ended =
            batch({"head -c 100000000 /dev/zero"}, {.environment = {folder}, .output = null});
        ::close(null);
        EXPECT_EQ(ended.status, 0);
        EXPECT_TRUE(ended.needed_less_than(overhead * 48)) << folder;
    }
}

TEST(Large, output_comes_out_as_it_went_in) {
    const Ended ended = batch({"seq 1000000", "seq 1000000 >&2"});
    EXPECT_EQ(ended.output.size(), 6888896U);
    EXPECT_TRUE(ended.output.starts_with("1\n2\n3\n"));
    EXPECT_TRUE(ended.output.ends_with("\n999999\n1000000\n"));
    EXPECT_TRUE(ended.errors.starts_with("1\n2\n3\n"));
    EXPECT_GT(ended.errors.size(), 6888896U);
}

std::ptrdiff_t count_lines(const std::string& text, const std::string& part) {
    const auto all = lines(text);
    return std::count_if(all.begin(), all.end(), [&](const std::string& line) {
        return line.find(part) != std::string::npos;
    });
}

TEST(Large, five_hundred_at_once_with_64_descriptors_are_throttled_and_none_is_dropped) {
    const Ended ended =
        batch({"-j", "0"}, {.input = repeated("sleep .05; echo x\n", 500), .descriptors = 64});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, repeated("x\n", 500));
    EXPECT_EQ(count_lines(ended.errors, "commands run at once; a higher `ulimit -n`"), 1)
        << ended.errors;
    EXPECT_EQ(count_lines(ended.errors, "500 commands: 500 complete;"), 1) << ended.errors;
    EXPECT_LE(lines(ended.errors).size(), 4U);
}

TEST(Large, when_descriptors_run_out_commands_wait_for_others_to_end) {
    if constexpr (support::under_address_sanitizer) {
        GTEST_SKIP() << "the sanitizer of undefined behaviour needs descriptors to look at objects";
    }
    // The limit alone does not tell: others have taken most of them.
    const Ended ended = batch({"-j", "0"}, {.input = repeated("sleep .01; echo x\n", 300),
                                            .descriptors = 64,
                                            .inherited_descriptors = 40});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, repeated("x\n", 300));
    EXPECT_EQ(count_lines(ended.errors, "commands run at once: Too many open files"), 1)
        << ended.errors;
    EXPECT_EQ(count_lines(ended.errors, "300 commands: 300 complete;"), 1) << ended.errors;
}

TEST(Large, five_hundred_at_once_run_at_once_where_they_may) {
    // Each notes that it has begun, and waits until somebody writes to the pipe, who comes when all
    // have begun.
    const TemporaryFile begun;
    const TemporaryFile gate;
    std::filesystem::remove(gate.path());
    ASSERT_EQ(::mkfifo(gate.path().c_str(), 0600), 0);
    const std::string command = "echo + >> " + begun.path() + "; : < " + gate.path() + "\n";
    Program program({"-j", "0"}, {.input = repeated(command, 500)});
    EXPECT_TRUE(becomes_true([&] { return lines(begun.text()).size() == 500; }));
    const int opened = ::open(gate.path().c_str(), O_RDWR | O_CLOEXEC);
    const Ended ended = program.wait();
    ::close(opened);
    EXPECT_EQ(ended.status, 0);
    EXPECT_NE(ended.errors.find("500 commands: 500 complete;"), std::string::npos);
}

TEST(Large, a_command_that_is_too_long_to_be_started_fails_with_the_reason) {
    const Ended ended =
        batch({"-k"}, {.input = "echo " + std::string(300000, 'x') + "\necho after\n"});
    EXPECT_EQ(ended.status, 1);
    EXPECT_EQ(ended.output, "after\n");
    EXPECT_NE(ended.errors.find("Argument list too long"), std::string::npos);
    EXPECT_NE(ended.errors.find("exit 126 "), std::string::npos) << ended.errors;
}

}  // namespace
