// Goal: how a process ended is told right, to everybody who asks, and about the process alone.
// Method: short shell commands in real time.

#include "process/process_help.h"

#include <fcntl.h>

namespace {

using namespace asyncio;
using namespace process_test;

TEST(exit, status_is_the_returncode) {
    run_test([]() -> Coro<> {
        for (const int expected : {0, 1, 3, 127, 255}) {
            Process process = co_await create_subprocess_shell("exit " + std::to_string(expected));
            const int code = co_await process.wait();
            EXPECT_EQ(code, expected);
            EXPECT_EQ(process.returncode(), expected);
            const int again = co_await process.wait();
            EXPECT_EQ(again, expected);
        }
    });
}

TEST(exit, SPR_04_by_a_signal_is_a_negative_returncode) {
    run_test([]() -> Coro<> {
        for (const int number : {SIGKILL, SIGTERM, SIGUSR1, SIGINT, SIGPIPE}) {
            Process process = co_await create_subprocess_exec("sleep", "100");
            EXPECT_EQ(process.returncode(), std::nullopt);
            process.send_signal(number);
            const int code = co_await process.wait();
            EXPECT_EQ(code, -number);
        }
        Process process = co_await create_subprocess_exec("sleep", "100");
        process.terminate();
        int code = co_await process.wait();
        EXPECT_EQ(code, -SIGTERM);
        process = co_await create_subprocess_exec("sleep", "100");
        process.kill();
        code = co_await process.wait();
        EXPECT_EQ(code, -SIGKILL);
    });
}

TEST(exit, is_told_to_everybody_who_waits) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_shell("exec sleep 0.05");
        std::vector<Task<int>> waiting;
        for (int i = 0; i < 10; ++i) waiting.push_back(ensure_future(process.wait()));
        const std::vector<int> codes = co_await gather(std::move(waiting));
        EXPECT_EQ(codes, std::vector<int>(10, 0));
    });
}

TEST(exit, SPR_06_a_cancelled_wait_leaves_the_process_alone) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("sleep", "100");
        auto waiting = ensure_future(process.wait());
        co_await sleep(5ms);
        waiting.cancel();
        const auto outcome = co_await internal::settle(std::move(waiting));
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_TRUE(is_alive(process.pid()));
        process.kill();
        const int code = co_await process.wait();
        EXPECT_EQ(code, -SIGKILL);
    });
}

TEST(exit, SPR_09_wait_does_not_wait_for_a_grandchild_that_holds_the_pipe) {
    run_test([]() -> Coro<> {
        const auto start = Clock::now();
        const SubprocessOptions options{.stdout = PIPE, .process_group = 0};
        Process process = co_await create_subprocess_shell("sleep 100 & echo $!; exit 7", options);
        const int code = co_await process.wait();
        EXPECT_EQ(code, 7);
        EXPECT_LT(since(start), 20s);
        const std::string line = co_await process.stdout.readline();
        const int grandchild = std::stoi(line);
        EXPECT_TRUE(is_alive(grandchild));
        process.send_signal_to_group(SIGKILL);
        EXPECT_TRUE(ends_soon(grandchild));
    });
}

TEST(exit, is_noticed_though_the_process_closed_its_pipes_long_before) {
    run_test([]() -> Coro<> {
        const SubprocessOptions options{.stdin = PIPE, .stdout = PIPE, .stderr = PIPE};
        Process process =
            co_await create_subprocess_shell("exec >&- 2>&-; read line; exit 5", options);
        const std::string nothing = co_await process.stdout.read();
        EXPECT_EQ(nothing, "");
        EXPECT_EQ(process.returncode(), std::nullopt) << "it has not ended yet";
        const auto output = co_await process.communicate("now\n");
        EXPECT_EQ(process.returncode(), 5);
    });
}

TEST(exit, SPR_11_a_signal_around_the_end_hits_nobody_and_spoils_nothing) {
    run_test([]() -> Coro<> {
        for (int i = 0; i < 50; ++i) {
            Process process = co_await create_subprocess_exec("true");
            for (int round = 0; round < i % 7; ++round) co_await sleep(200us);
            process.send_signal(SIGTERM);
            const int code = co_await process.wait();
            EXPECT_TRUE(code == 0 || code == -SIGTERM) << code;
            process.send_signal(SIGTERM);
            process.kill();
            EXPECT_EQ(process.returncode(), code);
        }
    });
}

/// Starts a process that gets the number `wanted`. Only a program with the right to choose numbers
/// can do it, and another program may be faster. An empty handle says that it has not worked.
Coro<std::optional<Process>> sleeper_with_number(int wanted) {
    for (int round = 0; round < 100; ++round) {
        std::ofstream last("/proc/sys/kernel/ns_last_pid");
        last << wanted - 1 << std::flush;
        if (!last) break;
        Process fresh = co_await create_subprocess_exec("sleep", "100");
        if (fresh.pid() == wanted) co_return fresh;
        fresh.kill();
        co_await fresh.wait();
    }
    co_return std::nullopt;
}

TEST(exit, SPR_11_SPR_13_a_process_that_has_the_number_of_one_that_has_ended_is_not_touched) {
    bool is_tested = false;
    run_test([&]() -> Coro<> {
        std::optional<Process> fresh;
        {
            Process old = co_await create_subprocess_exec("true");
            co_await old.wait();
            fresh = co_await sleeper_with_number(old.pid());
            if (!fresh) co_return;
            is_tested = true;
            old.send_signal(SIGKILL);
            old.kill();
            old.terminate();
        }
        // The handle of the process that has ended was dropped.
        const auto wait = [&]() -> Coro<> { co_await fresh->wait(); };
        const bool runs_on = co_await move_on_after(50ms, wait);
        EXPECT_TRUE(runs_on);
        EXPECT_TRUE(is_alive(fresh->pid()));
        fresh->send_signal(SIGUSR1);
        const int code = co_await fresh->wait();
        EXPECT_EQ(code, -SIGUSR1);
    });
    if (!is_tested) GTEST_SKIP() << "NOT TESTED: needs the right to choose the number of a process";
}

TEST(exit, SPR_19_a_status_collected_by_somebody_else_is_255_with_a_word_about_it) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("sleep", "100");
        ::kill(process.pid(), SIGKILL);
        int status = 0;
        EXPECT_EQ(::waitpid(process.pid(), &status, 0), process.pid());
        const int code = co_await process.wait();
        EXPECT_EQ(code, 255);
        const auto lines = support::LogCapture::take();
        EXPECT_EQ(lines.size(), 1U);
        EXPECT_TRUE(!lines.empty() && support::contains(lines[0], "collected by other code"));
    });
}

TEST(exit, a_signal_that_does_not_exist_is_refused) {
    run_test([]() -> Coro<> {
        const SubprocessOptions options{.process_group = 0};
        Process process = co_await create_subprocess_exec("sleep", "100", options);
        EXPECT_THROW(process.send_signal(12345), OsError);
        EXPECT_THROW(process.send_signal_to_group(12345), OsError);
        process.kill();
        const int code = co_await process.wait();
        EXPECT_EQ(code, -SIGKILL);
    });
}

}  // namespace
