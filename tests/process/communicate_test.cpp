// Goal: communicate moves everything in both directions, without deadlock, and loses nothing when
// it is cancelled.
// Method: cat, sh and head as children, in real time.

#include "process/process_help.h"

#include <stdexcept>

namespace {

using namespace asyncio;
using namespace process_test;

std::string lines_up_to(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + '\n';
    return text;
}

TEST(communicate, SPR_01_feeds_the_input_and_returns_both_outputs) {
    run_test([]() -> Coro<> {
        Process process =
            co_await create_subprocess_shell("cat; echo problem >&2; exit 3", all_pipes);
        const auto output = co_await process.communicate("some input");
        EXPECT_EQ(output.stdout, "some input");
        EXPECT_EQ(output.stderr, "problem\n");
        EXPECT_EQ(process.returncode(), 3);
    });
}

TEST(communicate, SPR_01_without_input_closes_stdin) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("cat", all_pipes);
        const auto output = co_await process.communicate();
        EXPECT_EQ(output.stdout, "");
        EXPECT_EQ(process.returncode(), 0);
    });
}

TEST(communicate, much_in_both_directions_does_not_deadlock) {
    run_test([]() -> Coro<> {
        const std::string input = lines_up_to(300'000);
        Process process = co_await create_subprocess_shell("tee /dev/stderr", all_pipes);
        const auto output = co_await process.communicate(input);
        EXPECT_TRUE(output.stdout == input) << output.stdout.size() << " of " << input.size();
        EXPECT_TRUE(output.stderr == input) << output.stderr.size() << " of " << input.size();
    });
}

TEST(communicate, eight_megabytes_from_each_pipe_arrive) {
    run_test([]() -> Coro<> {
        const std::string command =
            "head -c 8000000 /dev/zero & head -c 8000000 /dev/zero >&2; wait";
        Process process = co_await create_subprocess_shell(command, all_pipes);
        const auto output = co_await process.communicate();
        EXPECT_EQ(output.stdout.size(), 8'000'000U);
        EXPECT_EQ(output.stderr.size(), 8'000'000U);
    });
}

TEST(communicate, SPR_03_a_child_that_does_not_read_its_input_is_no_error) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_shell("echo done", all_pipes);
        const auto output = co_await process.communicate(lines_up_to(100'000));
        EXPECT_EQ(output.stdout, "done\n");
        EXPECT_EQ(process.returncode(), 0);
    });
}

TEST(communicate, SPR_03_writing_by_hand_to_a_child_that_has_ended_fails) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("true", all_pipes);
        const int code = co_await process.wait();
        EXPECT_EQ(code, 0);
        std::string said;
        try {
            co_await process.stdin.send("x");
        } catch (const OsError& error) {
            EXPECT_EQ(error.error(), EPIPE);
            said = error.what();
        }
        EXPECT_TRUE(said.starts_with("write to stdin of process ")) << said;
    });
}

TEST(communicate, input_without_a_pipe_is_refused) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("true");
        const auto outcome = co_await internal::settle(process.communicate("input"));
        EXPECT_THROW(outcome.value(), std::invalid_argument);
    });
}

TEST(communicate, never_awaited_does_nothing) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("cat", all_pipes);
        {
            const auto unused = process.communicate("not this");
        }
        const auto output = co_await process.communicate("but this");
        EXPECT_EQ(output.stdout, "but this");
    });
}

TEST(communicate, SPR_22_cancelled_keeps_what_it_has_read_for_the_next_call) {
    run_test([]() -> Coro<> {
        const std::string file = ::testing::TempDir() + "asyncio_" + std::to_string(::getpid());
        const std::string command = "cat; echo first; echo second >&2; until [ -e " + file +
                                    " ]; do sleep 0.02; done; echo third";
        Process process = co_await create_subprocess_shell(command, all_pipes);
        const auto cancelled =
            co_await internal::settle(wait_for(process.communicate("input\n"), 250ms));
        EXPECT_THROW(cancelled.value(), TimeoutError);
        const auto refused = co_await internal::settle(process.communicate("more"));
        EXPECT_THROW(refused.value(), std::invalid_argument);
        std::ofstream(file) << "go on";
        const auto output = co_await process.communicate();
        EXPECT_EQ(output.stdout, "input\nfirst\nthird\n");
        EXPECT_EQ(output.stderr, "second\n");
        std::remove(file.c_str());
    });
}

/// The child can go on only if most of its output was read: a pipe does not hold so much.
TEST(communicate, SPR_22_what_was_read_before_the_cancellation_is_kept) {
    run_test([]() -> Coro<> {
        const std::string file =
            ::testing::TempDir() + "asyncio_read_" + std::to_string(::getpid());
        const std::string command = "head -c 500000 /dev/zero | tr '\\0' x; touch " + file +
                                    "; until ! [ -e " + file + " ]; do sleep 0.02; done; echo end";
        Process process = co_await create_subprocess_shell(command, all_pipes);
        auto reading = create_task(process.communicate());
        while (::access(file.c_str(), F_OK) != 0) co_await sleep(1ms);
        reading.cancel();
        const auto cancelled = co_await internal::settle(std::move(reading));
        EXPECT_TRUE(cancelled.cancelled());
        std::remove(file.c_str());
        const auto output = co_await process.communicate();
        EXPECT_TRUE(output.stdout == std::string(500'000, 'x') + "end\n") << output.stdout.size();
    });
}

/// What a process runs now; "" when it is gone.
std::string program_of(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    std::getline(file, name);
    return name;
}

TEST(communicate, cancelled_leaves_its_output_so_far_to_be_taken) {
    run_test([]() -> Coro<> {
        // stdout has ended by then and stderr has not: both are there.
        const std::string command = "echo out; echo err >&2; exec >&-; exec sleep 100";
        Process process = co_await create_subprocess_shell(command, all_pipes);
        while (program_of(process.pid()) != "sleep") ::usleep(1000);
        const auto cancelled = co_await internal::settle(wait_for(process.communicate(), 1s));
        EXPECT_THROW(cancelled.value(), TimeoutError);
        const auto partial = process.take_output();
        EXPECT_EQ(partial.stdout, "out\n");
        EXPECT_EQ(partial.stderr, "err\n");
        const auto nothing = process.take_output();
        EXPECT_EQ(nothing.stdout + nothing.stderr, "") << "taken is taken";
        process.kill();
        const auto rest = co_await process.communicate();
        EXPECT_EQ(rest.stdout + rest.stderr, "");
    });
}

TEST(communicate, survives_its_process_being_moved) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_shell("cat; sleep 0.1; echo end", all_pipes);
        auto talking = create_task(process.communicate("input "));
        co_await sleep(5ms);
        const Process moved = std::move(process);
        const auto output = co_await std::move(talking);
        EXPECT_EQ(output.stdout, "input end\n");
        EXPECT_EQ(moved.returncode(), 0);
    });
}

TEST(communicate, SPR_10_output_of_a_child_that_has_ended_is_still_there) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_shell("echo one; echo two", all_pipes);
        const int code = co_await process.wait();
        EXPECT_EQ(code, 0);
        const std::string line = co_await process.stdout.readline();
        EXPECT_EQ(line, "one\n");
        const std::string rest = co_await process.stdout.read();
        EXPECT_EQ(rest, "two\n");
    });
}

TEST(communicate, SPR_12_a_child_that_writes_to_nobody_is_held_back) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("cat", "/dev/zero", all_pipes);
        const std::string first = co_await process.stdout.read(1);
        EXPECT_EQ(first.size(), 1U);
        co_await sleep(100ms);
        EXPECT_LE(process.stdout.take_buffered().size(), 64U * 1024);
        process.kill();
        const int code = co_await process.wait();
        EXPECT_EQ(code, -SIGKILL);
    });
}

TEST(communicate, SPR_20_a_child_whose_output_was_closed_sees_a_broken_pipe) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("cat", "/dev/zero", all_pipes);
        process.stdout.close();
        const int code = co_await process.wait();
        EXPECT_EQ(code, -SIGPIPE) << "children have SIGPIPE as by default";
    });
}

TEST(communicate, two_at_once_are_refused_as_two_readers_while_the_child_runs) {
    run_test([]() -> Coro<> {
        const std::string file = ::testing::TempDir() + "asyncio_" + std::to_string(::getpid());
        // It answers only when the second reader has been refused: an answer that comes before
        // ends the first reading, and then there are no two.
        const std::string command = "echo problem >&2; read line; until [ -e " + file +
                                    " ]; do sleep 0.02; done; echo $line";
        Process process = co_await create_subprocess_shell(command, all_pipes);
        auto reading = create_task(process.stdout.readline());
        // The task gets one turn, in which it begins to read.
        co_await sleep(0s);
        const auto refused = co_await internal::settle(process.communicate("x\n"));
        EXPECT_THROW(refused.value(), RuntimeError);
        std::ofstream(file) << "go on";
        const std::string line = co_await std::move(reading);
        EXPECT_EQ(line, "x\n") << "its input had been fed, and stays fed";
        const auto output = co_await process.communicate();
        EXPECT_EQ(output.stderr, "problem\n") << "what it had read itself is not lost";
        std::remove(file.c_str());
    });
}

}  // namespace
