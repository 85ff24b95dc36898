// What a launcher leaves to the batch: children of its own, blocked and ignored signals, another
// /proc. The batch ends every process that it has started, and no other.

#include "support/sanitizer.h"
#include "tool/program.h"

#include <fstream>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace tool_tests;

bool is_alive(pid_t process) {
    std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
    std::string text;
    std::getline(stat, text);
    const std::size_t end = text.rfind(')');
    return end != std::string::npos && text[end + 2] != 'Z';
}

/// A process that the launcher has started before it became the batch. It notes its number and
/// waits until it is killed.
class Other {
public:
    /// In the launcher. `orphaned`: by a process that ends at once.
    void start(bool orphaned) const {
        if (::fork() != 0) return;
        if (orphaned && ::fork() != 0) ::_exit(0);
        // Whatever it held of the test's pipes would keep their ends from coming.
        ::closefrom(0);
        std::ofstream(number_.path()) << ::getpid() << '\n';
        for (;;) ::pause();
    }

    pid_t number() const {
        becomes_true([&] { return number_.text().ends_with('\n'); });
        return std::atoi(number_.text().c_str());
    }

    void expect_alive_and_end() const {
        EXPECT_TRUE(is_alive(number())) << "a process that the batch did not start was ended";
        ::kill(number(), SIGKILL);
    }

private:
    TemporaryFile number_;
};

Setting after(std::function<void()> prepare) { return {.prepare = std::move(prepare)}; }

TEST(Guard, leaves_alone_what_was_there_before_it) {
    for (const bool orphaned : {false, true}) {
        const Other other;
        const Ended ended = batch({"echo done"}, after([&] { other.start(orphaned); }));
        EXPECT_EQ(ended.status, 0);
        EXPECT_EQ(ended.output, "done\n");
        other.expect_alive_and_end();
    }
}

TEST(Guard, leaves_alone_what_was_there_before_it_and_ends_its_own_daemons) {
    const Other other;
    // A launcher that adopts orphans hands this on to what it becomes.
    const auto prepare = [&] {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        other.start(true);
    };
    batch({"(setsid sh -c 'sleep 500 & sleep 500' >/dev/null 2>&1 &)"}, after(prepare));
    other.expect_alive_and_end();
}

TEST(Guard, in_front_of_which_a_program_stands_hears_each_request_once) {
    const Other other;
    // Two are deaf to SIGTERM; a second request would kill them.
    Program program({"-j", "2", "--grace", "500ms", "trap '' TERM; sleep 500; true",
                     "trap 'echo heard; exit' TERM; sleep 500 & wait"},
                    after([&] { other.start(false); }));
    ASSERT_TRUE(program.wait_until_alive(7));
    program.signal(SIGTERM);
    const Ended ended = program.wait();
    EXPECT_TRUE(program.alive().empty());
    EXPECT_EQ(ended.signal, SIGTERM);
    EXPECT_EQ(ended.output, "heard\n");
    other.expect_alive_and_end();
}

TEST(Guard, in_front_of_which_a_program_is_killed_is_survived_by_nobody) {
    const Other other;
    Program program({"sleep 500; true"}, after([&] { other.start(false); }));
    ASSERT_TRUE(program.wait_until_alive(5));
    program.signal(SIGKILL);
    program.wait();
    EXPECT_TRUE(becomes_true([&] { return program.alive().empty(); }));
    other.expect_alive_and_end();
}

// ------------------------------------------------------------------------------- inherited signals

void block_everything() {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

TEST(Inherited, blocked_signals_are_heard_all_the_same) {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        Program program({"--grace", "200s", "sleep 500; true"}, after(block_everything));
        ASSERT_TRUE(program.wait_until_alive(4));
        program.signal(signal);
        const Ended ended = program.wait();
        EXPECT_EQ(ended.signal, signal);
        EXPECT_LT(ended.seconds.count(), soon) << "the commands hear it, too";
        EXPECT_TRUE(program.alive().empty());
    }
}

TEST(Inherited, blocked_signals_do_not_keep_a_limit_or_a_dead_guard_from_being_noticed) {
    const Ended ended =
        batch({"-t", "100ms", "--grace", "200s", "sleep 500; true"}, after(block_everything));
    EXPECT_EQ(ended.status, 1);
    EXPECT_LT(ended.seconds.count(), soon);

    Program program({"sleep 500; true"}, after(block_everything));
    ASSERT_TRUE(program.wait_until_alive(4));
    program.signal(SIGKILL);
    program.wait();
    EXPECT_TRUE(becomes_true([&] { return program.alive().empty(); }));
}

TEST(Inherited, ignored_signals_stay_ignored_also_in_the_commands) {
    const auto ignore = [] {
        for (const int signal : {SIGHUP, SIGQUIT, SIGUSR1, SIGCHLD}) ::signal(signal, SIG_IGN);
    };
    const TemporaryFile go;
    Program program(
        {"--quiet", wait_for_lines(go.path(), 1) + "; grep ^SigIgn /proc/self/status | cut -f2"},
        after(ignore));
    ASSERT_TRUE(program.wait_until_alive(3));
    for (const int signal : {SIGHUP, SIGQUIT, SIGUSR1}) program.signal(signal);
    std::ofstream(go.path()) << "now\n";
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 0) << ended.errors;
    const auto ignored = std::stoull(ended.output, nullptr, 16);
    for (const int signal : {SIGHUP, SIGQUIT, SIGUSR1}) {
        EXPECT_TRUE(ignored >> (signal - 1) & 1) << signal;
    }
}

// --------------------------------------------------------------------------------------- its /proc

constexpr const char* daemon_command =
    "(setsid sh -c 'exec >/dev/null 2>&1 </dev/null; sleep 500 & sleep 500' &)";

/// The folder /proc shows nothing.
void hide_proc() {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/proc", "tmpfs", 0, nullptr) != 0) {
        ::_exit(125);
    }
}

TEST(Inherited, missing_proc_saves_no_daemon) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can hide /proc";
    if (support::under_address_sanitizer) GTEST_SKIP() << "the search for leaks reads /proc";
    const Ended ended = batch({daemon_command, "echo done"}, after(hide_proc));
    if (ended.status == 125) GTEST_SKIP() << "no rights to hide /proc";
    EXPECT_EQ(ended.status, 0) << ended.errors;
    EXPECT_EQ(ended.output, "done\n");
}

TEST(Inherited, missing_proc_saves_no_daemon_of_a_worker_that_was_killed) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can hide /proc";
    Program program({std::string(daemon_command) + "; sleep 500"}, after(hide_proc));
    if (!program.wait_until_alive(6)) GTEST_SKIP() << "no rights to hide /proc";
    ::kill(program.worker(), SIGKILL);
    EXPECT_EQ(program.wait().signal, SIGKILL);
    EXPECT_TRUE(program.alive().empty());
}

/// The process becomes the first one of a container, under the /proc of the system: the numbers
/// there mean other processes.
void enter_container() {
    if (::unshare(CLONE_NEWPID) != 0) ::_exit(125);
    const pid_t first = ::fork();
    if (first == 0) return;
    int status = 0;
    ::waitpid(first, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

TEST(Inherited, proc_of_another_container_makes_nobody_else_a_victim) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make a container";
    const Ended ended = batch({daemon_command, "echo done"}, after(enter_container));
    if (ended.status == 125) GTEST_SKIP() << "no rights to make a container";
    EXPECT_EQ(ended.status, 0) << ended.errors;
    EXPECT_EQ(ended.output, "done\n");
}

}  // namespace
