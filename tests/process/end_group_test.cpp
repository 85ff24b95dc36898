// Goal: `end_group` asks a process group to end, gives it its grace, and leaves nothing of it
// running, also when it is cancelled, destroyed, or on a kernel that cannot name a group.
// Method: shells with children in real time. A shell says that it is ready before it is ended.

#include "process/process_help.h"

#include <cstddef>
#include <functional>
#include <optional>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace {

using namespace asyncio;
using namespace process_test;

/// Much longer than any test takes: a group that needs it has not ended as it should.
constexpr Duration long_grace = 600s;

/// A shell in a group of its own. `child` is the number that its first line of output says.
struct Group {
    Process shell;
    int child = 0;
};

Coro<Group> start_group(std::string command) {
    const SubprocessOptions options{.stdout = PIPE, .process_group = 0};
    Process shell = co_await create_subprocess_shell(std::move(command), options);
    const std::string line = co_await shell.stdout.readline();
    co_return Group{std::move(shell), std::stoi(line)};
}

/// The shell waits for a child, and both end when they are asked.
constexpr const char* obedient = "sleep 100 & echo $!; wait";
/// Neither the shell nor its child ends when it is asked.
constexpr const char* stubborn = "trap '' TERM; sleep 100 & echo $!; wait";
/// The shell ends at once, and leaves a child that does not end when it is asked.
constexpr const char* leaves_a_stubborn_child = "trap '' TERM; sleep 100 & echo $!; exit 3";

TEST(end_group, ends_a_group_that_ends_when_it_is_asked) {
    run_test([]() -> Coro<> {
        const auto start = Clock::now();
        Group group = co_await start_group(obedient);
        const int code = co_await group.shell.end_group(long_grace);
        EXPECT_EQ(code, -SIGTERM);
        EXPECT_EQ(group.shell.returncode(), -SIGTERM);
        EXPECT_TRUE(ends_soon(group.child));
        EXPECT_LT(since(start), 60s) << "it does not wait for the whole grace";
    });
}

TEST(end_group, kills_what_has_not_ended_within_the_grace) {
    run_test([]() -> Coro<> {
        Group group = co_await start_group(stubborn);
        const TimePoint start = get_running_loop().time();
        const int code = co_await group.shell.end_group(50ms);
        EXPECT_EQ(code, -SIGKILL);
        EXPECT_GE(get_running_loop().time() - start, 50ms);
        EXPECT_TRUE(ends_soon(group.child));
    });
}

TEST(end_group, returns_what_the_process_makes_of_the_request) {
    run_test([]() -> Coro<> {
        Group group = co_await start_group(
            "trap 'exit 4' TERM; exec 2>&-; echo $$; while :; do sleep 0.01; done");
        const int code = co_await group.shell.end_group(long_grace);
        EXPECT_EQ(code, 4);
    });
}

TEST(end_group, gives_their_grace_to_processes_that_outlive_the_leader) {
    run_test([]() -> Coro<> {
        // In simulated time the grace would pass at once, because nothing of the loop is in flight.
        if (std::string_view(get_running_loop().backend_name()) == "simulated") co_return;
        Group group =
            co_await start_group("(trap 'sleep 0.2; echo cleaned; exit' TERM; exec 2>&-; echo 1;"
                                 " while :; do sleep 0.01; done) & wait");
        const int code = co_await group.shell.end_group(long_grace);
        EXPECT_EQ(code, -SIGTERM) << "the shell itself has ended at once";
        const std::string rest = co_await group.shell.stdout.read();
        EXPECT_EQ(rest, "cleaned\n");
    });
}

TEST(end_group, without_grace_kills_at_once) {
    run_test([]() -> Coro<> {
        for (const Duration grace : {Duration::zero(), Duration(-1s)}) {
            Group group = co_await start_group("trap 'echo asked' TERM; sleep 100 & echo $!; wait");
            const int code = co_await group.shell.end_group(grace);
            EXPECT_EQ(code, -SIGKILL);
            EXPECT_TRUE(ends_soon(group.child));
            const std::string rest = co_await group.shell.stdout.read();
            EXPECT_EQ(rest, "");
        }
    });
}

TEST(end_group, continues_a_stopped_group_so_that_it_can_end) {
    run_test([]() -> Coro<> {
        Group group = co_await start_group(obedient);
        group.shell.send_signal_to_group(SIGSTOP);
        // A process that has not stopped yet would act on SIGTERM first.
        while (state_of(group.shell.pid()) != 'T' || state_of(group.child) != 'T') ::usleep(1000);
        const int code = co_await group.shell.end_group(long_grace);
        EXPECT_EQ(code, -SIGTERM);
        EXPECT_TRUE(ends_soon(group.child));
    });
}

TEST(end_group, of_a_process_that_has_ended_ends_the_rest) {
    run_test([]() -> Coro<> {
        Group group = co_await start_group(leaves_a_stubborn_child);
        int code = co_await group.shell.wait();
        EXPECT_EQ(code, 3);
        EXPECT_TRUE(is_alive(group.child));
        code = co_await group.shell.end_group(50ms);
        EXPECT_EQ(code, 3);
        EXPECT_TRUE(ends_soon(group.child));
    });
}

TEST(end_group, of_which_nothing_is_left_returns_without_waiting) {
    run_test([]() -> Coro<> {
        const SubprocessOptions options{.process_group = 0};
        Process process = co_await create_subprocess_exec("true", options);
        co_await process.wait();
        const int code = co_await process.end_group(long_grace);
        EXPECT_EQ(code, 0);
    });
}

TEST(end_group, needs_a_group_of_the_process_itself) {
    run_test([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("sleep", "100");
        const Outcome<int> refused = co_await internal::settle(process.end_group(0s));
        EXPECT_TRUE(refused.failed());
        EXPECT_THROW((void)Outcome<int>(refused).value(), RuntimeError);
        EXPECT_EQ(process.returncode(), std::nullopt) << "it was not touched";
        process.kill();
        co_await process.wait();
    });
}

TEST(end_group, cancelled_in_the_grace_kills_the_group_before_it_leaves) {
    run_test([]() -> Coro<> {
        Group group = co_await start_group(stubborn);
        const Task<int> ending = create_task(group.shell.end_group(long_grace));
        co_await sleep(20ms);
        ending.cancel();
        const auto outcome = co_await internal::settle(ending);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_TRUE(ends_soon(group.child));
        const int code = co_await group.shell.wait();
        EXPECT_EQ(code, -SIGKILL);
    });
}

TEST(end_group, cancelled_while_only_the_rest_is_left_kills_the_rest) {
    run_test([]() -> Coro<> {
        Group group = co_await start_group(leaves_a_stubborn_child);
        co_await group.shell.wait();
        const Task<int> ending = create_task(group.shell.end_group(long_grace));
        co_await sleep(20ms);
        EXPECT_TRUE(is_alive(group.child));
        ending.cancel();
        const auto outcome = co_await internal::settle(ending);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_TRUE(ends_soon(group.child));
    });
}

TEST(end_group, goes_on_when_the_handle_is_dropped) {
    run_test([]() -> Coro<> {
        std::optional<Group> group = co_await start_group(stubborn);
        const int child = group->child;
        const Task<int> ending = create_task(group->shell.end_group(50ms));
        co_await sleep(0s);
        group.reset();
        const int code = co_await ending;
        EXPECT_EQ(code, -SIGKILL) << "the dropped handle has killed it";
        EXPECT_TRUE(ends_soon(child));
    });
}

TEST(end_group, called_twice_ends_after_the_shorter_grace) {
    run_test([]() -> Coro<> {
        Group group = co_await start_group(stubborn);
        const Task<int> patient = create_task(group.shell.end_group(long_grace));
        const int code = co_await group.shell.end_group(20ms);
        EXPECT_EQ(code, -SIGKILL);
        const int same = co_await patient;
        EXPECT_EQ(same, -SIGKILL);
        EXPECT_TRUE(ends_soon(group.child));
    });
}

TEST(end_group, that_is_never_awaited_does_nothing) {
    run_test([]() -> Coro<> {
        Group group = co_await start_group(obedient);
        {
            const Coro<int> dropped = group.shell.end_group(0s);
        }
        EXPECT_EQ(group.shell.returncode(), std::nullopt);
        EXPECT_TRUE(is_alive(group.child));
        co_await group.shell.end_group(0s);
    });
}

TEST(end_group, takes_dead_processes_that_nothing_reaps_for_gone) {
    run_test([]() -> Coro<> {
        // The orphan becomes a child of this process, which reaps it only after the test.
        ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        const auto start = Clock::now();
        Group group = co_await start_group(obedient);
        const int code = co_await group.shell.end_group(20s);
        ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
        EXPECT_EQ(code, -SIGTERM);
        EXPECT_LT(since(start), 15s);
        EXPECT_EQ(::waitpid(group.child, nullptr, 0), group.child) << "it was dead, and left";
    });
}

// --- A kernel before 6.9 ------------------------------------------------------------------------

/// From now on this process, and every process that it starts, sees a kernel that does not know the
/// flag for groups.
void pretend_to_be_an_old_kernel() {
    sock_filter program[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                             BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 0, 3),
                             BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[3])),
                             BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1U << 2, 0, 1),
                             BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
                             BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog filter{std::size(program), program};
    ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

/// Runs `test` in a process of its own, on the old kernel. A filter cannot be taken back.
void run_on_an_old_kernel(const std::function<void()>& test) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        pretend_to_be_an_old_kernel();
        test();
        ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = -1;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    EXPECT_EQ(status, 0);
}

TEST(end_group, on_an_old_kernel_asks_first_and_kills_the_rest_with_the_leader) {
    run_on_an_old_kernel([] {
        run([]() -> Coro<> {
            // The leader needs a moment to end; its child ignores the request for ever.
            Group group = co_await start_group(
                "trap '' TERM; sleep 100 & trap 'sleep 0.1; exit 5' TERM; echo $!; wait");
            const int code = co_await group.shell.end_group(long_grace);
            EXPECT_EQ(code, 5);
            EXPECT_TRUE(ends_soon(group.child));
            const int again = co_await group.shell.end_group(long_grace);
            EXPECT_EQ(again, 5);
        }());
    });
}

TEST(end_group, on_an_old_kernel_kills_what_has_not_ended_within_the_grace) {
    run_on_an_old_kernel([] {
        run([]() -> Coro<> {
            Group group = co_await start_group(stubborn);
            const int code = co_await group.shell.end_group(50ms);
            EXPECT_EQ(code, -SIGKILL);
            EXPECT_TRUE(ends_soon(group.child));
        }());
    });
}

}  // namespace
