// Goal: a child gets the descriptors, directory, environment, group and signals it was promised,
// and nothing else of ours.
// Method: children that report about themselves.

#include "process/process_help.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>

namespace {

using namespace asyncio;
using namespace process_test;
using lowlevel::Fd;

std::string content_of(int fd) {
    std::string text(4096, '\0');
    const ssize_t count = ::pread(fd, text.data(), text.size(), 0);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
}

Fd temporary_file() {
    char path[] = "/tmp/asyncio-process-XXXXXX";
    Fd file(::mkostemp(path, O_CLOEXEC));
    ::unlink(path);
    return file;
}

// --- Descriptors --------------------------------------------------------------------------------

TEST(options, stand_in_braces_behind_the_arguments) {
    run_test([]() -> Coro<> {
        Process echo = co_await create_subprocess_exec("echo", "a", "b", {.stdout = PIPE});
        const auto echoed = co_await echo.communicate();
        EXPECT_EQ(echoed.stdout, "a b\n");
        Process alone = co_await create_subprocess_exec("pwd", {.stdout = PIPE, .cwd = "/"});
        const auto printed = co_await alone.communicate();
        EXPECT_EQ(printed.stdout, "/\n");
        const std::string text = "string";
        Process seven = co_await create_subprocess_exec("echo", text, std::string_view("view"), "4",
                                                        "5", "6", "7", {.stdout = PIPE});
        const auto all = co_await seven.communicate();
        EXPECT_EQ(all.stdout, "string view 4 5 6 7\n");
    });
}

TEST(options, SPR_17_stderr_goes_where_stdout_goes) {
    run_test([]() -> Coro<> {
        const auto finished = co_await run_shell("echo a; echo b >&2; echo c", {.stderr = STDOUT});
        EXPECT_EQ(finished.output.stdout, "a\nb\nc\n");
        EXPECT_EQ(finished.output.stderr, "");
    });
}

TEST(options, SPR_17_devnull_has_nothing_and_takes_everything) {
    run_test([]() -> Coro<> {
        const SubprocessOptions options{.stdin = DEVNULL, .stderr = DEVNULL};
        const auto finished = co_await run_shell("cat; echo noise >&2; echo end", options);
        EXPECT_EQ(finished.output.stdout, "end\n");
    });
}

TEST(options, SPR_17_real_files_are_used_and_stay_ours) {
    run_test([]() -> Coro<> {
        const Fd input = temporary_file();
        const Fd output = temporary_file();
        EXPECT_EQ(::pwrite(input.get(), "from a file", 11, 0), 11);
        const SubprocessOptions options{
            .stdin = Stdio::fd(input.get()), .stdout = Stdio::fd(output.get()), .stderr = STDOUT};
        Process process = co_await create_subprocess_shell("cat; echo ' and more' >&2", options);
        EXPECT_FALSE(process.stdin);
        EXPECT_FALSE(process.stdout);
        const int code = co_await process.wait();
        EXPECT_EQ(code, 0);
        EXPECT_EQ(content_of(output.get()), "from a file and more\n");
        EXPECT_NE(::fcntl(output.get(), F_GETFD) & FD_CLOEXEC, 0) << "its flags are untouched";
    });
}

TEST(options, SPR_17_standard_descriptors_may_be_exchanged) {
    // Each is overwritten before the other is copied, if nobody takes care.
    run_test([]() -> Coro<> {
        const Fd first = temporary_file();
        const Fd second = temporary_file();
        const Fd saved_out(::fcntl(1, F_DUPFD_CLOEXEC, 3));
        const Fd saved_err(::fcntl(2, F_DUPFD_CLOEXEC, 3));
        ::dup2(first.get(), 1);
        ::dup2(second.get(), 2);
        auto starting = create_subprocess_shell("echo out; echo err >&2",
                                                {.stdout = Stdio::fd(2), .stderr = Stdio::fd(1)});
        Process process = co_await std::move(starting);
        const int code = co_await process.wait();
        ::dup2(saved_out.get(), 1);
        ::dup2(saved_err.get(), 2);
        EXPECT_EQ(code, 0);
        EXPECT_EQ(content_of(first.get()), "err\n");
        EXPECT_EQ(content_of(second.get()), "out\n");
    });
}

TEST(options, pipes_work_in_a_program_without_standard_descriptors) {
    run_test([]() -> Coro<> {
        const Fd saved(::fcntl(0, F_DUPFD_CLOEXEC, 3));
        ::close(0);
        const SubprocessOptions options{.stdin = PIPE, .stdout = PIPE, .stderr = PIPE};
        Process process = co_await create_subprocess_shell("cat; echo err >&2", options);
        const auto output = co_await process.communicate("in");
        ::dup2(saved.get(), 0);
        EXPECT_EQ(output.stdout, "in");
        EXPECT_EQ(output.stderr, "err\n");
    });
}

TEST(options, SPR_17_pass_fds_keep_their_numbers_and_no_other_passes) {
    run_test([]() -> Coro<> {
        const Fd passed = temporary_file();
        // Not marked for exec: a child gets it neither way.
        const Fd careless(::dup(passed.get()));
        const std::vector<int> fds{passed.get()};
        const std::string number = std::to_string(passed.get());
        auto finished = co_await run_shell("echo hello >&" + number, {.pass_fds = fds});
        EXPECT_EQ(finished.code, 0);
        EXPECT_EQ(content_of(passed.get()), "hello\n");
        const std::string list = "ls /proc/self/fd | tr '\\n' ' '";
        finished = co_await run_shell(list, {.pass_fds = fds});
        // `ls` has the directory open as well, under the lowest free number.
        EXPECT_TRUE(support::contains(finished.output.stdout, " " + number + " "));
        const std::string other = " " + std::to_string(careless.get()) + " ";
        EXPECT_FALSE(support::contains(finished.output.stdout, other)) << finished.output.stdout;
    });
}

/// The descriptors that a child has from 3 on if it is given `passed`. `ls` has opened the folder
/// under the lowest number that was free.
Coro<std::set<int>> open_in_child(std::vector<int> passed) {
    const auto listed = co_await run_shell("exec ls /proc/self/fd", {.pass_fds = passed});
    std::istringstream numbers(listed.output.stdout);
    std::set<int> open;
    for (int number = 0; numbers >> number;) {
        if (number > 2) open.insert(number);
    }
    int lowest_free = 3;
    while (std::count(passed.begin(), passed.end(), lowest_free) > 0) ++lowest_free;
    open.erase(lowest_free);
    co_return open;
}

TEST(options, SPR_17_pass_fds_may_have_any_numbers_in_any_order) {
    run_test([]() -> Coro<> {
        const Fd file = temporary_file();
        std::vector<Fd> copies;
        for (const int number : {700, 20, 21, 23, 300})
            copies.emplace_back(::fcntl(file.get(), F_DUPFD_CLOEXEC, number));
        const auto number_of = [&](std::size_t i) { return copies[i].get(); };
        for (const std::vector<int>& passed : std::vector<std::vector<int>>{
                 {number_of(0)},
                 {number_of(0), number_of(4)},
                 {number_of(1), number_of(3)},
                 {number_of(3), number_of(0), number_of(2), number_of(1), number_of(4)},
                 {number_of(2), number_of(2), 1, number_of(0)},
             }) {
            std::set<int> expected(passed.begin(), passed.end());
            expected.erase(1);
            EXPECT_EQ(co_await open_in_child(passed), expected);
        }
    });
}

TEST(options, SPR_17_pass_fds_of_the_lowest_numbers_stay_the_files_they_are) {
    run_test([]() -> Coro<> {
        // The first takes the lowest number that is free and is not passed.
        std::vector<Fd> files;
        for (int i = 0; i < 5; ++i) files.push_back(temporary_file());
        const std::vector<int> passed{files[3].get(), files[4].get(), files[2].get(),
                                      files[1].get()};
        std::string script;
        for (const int fd : passed) {
            const std::string number = std::to_string(fd);
            script += "echo " + number + " > /proc/self/fd/" + number + "\n";
        }
        const auto finished = co_await run_shell(script, {.pass_fds = passed});
        EXPECT_EQ(finished.code, 0);
        for (const int fd : passed) EXPECT_EQ(content_of(fd), std::to_string(fd) + "\n");
    });
}

TEST(options, SPR_14_the_pipe_of_one_child_is_not_inherited_by_another) {
    run_test([]() -> Coro<> {
        const SubprocessOptions options{.stdin = PIPE, .stdout = PIPE};
        Process first = co_await create_subprocess_exec("cat", options);
        Process second = co_await create_subprocess_exec("cat", options);
        // The end of the first one's input comes although the second one lives.
        const auto output = co_await first.communicate("x");
        EXPECT_EQ(output.stdout, "x");
        EXPECT_EQ(second.returncode(), std::nullopt);
        const auto other = co_await second.communicate("y");
        EXPECT_EQ(other.stdout, "y");
    });
}

TEST(options, a_childs_pipes_block_as_programs_expect) {
    run_test([]() -> Coro<> {
        const SubprocessOptions options{.stdin = PIPE};
        const auto finished = co_await run_shell("grep flags /proc/self/fdinfo/0", options);
        EXPECT_EQ(std::stoi(finished.output.stdout.substr(6), nullptr, 8) & O_NONBLOCK, 0);
    });
}

// --- Directory, environment, program ------------------------------------------------------------

TEST(options, cwd_is_the_childs_directory) {
    run_test([]() -> Coro<> {
        const auto finished = co_await run_shell("pwd", {.cwd = "/usr/bin"});
        EXPECT_EQ(finished.output.stdout, "/usr/bin\n");
    });
}

TEST(options, SPR_15_env_is_the_childs_whole_environment) {
    run_test([]() -> Coro<> {
        const std::vector<std::string> env{"NAME=value with blanks"};
        const auto finished = co_await run_shell("echo \"$NAME\"; echo \"$HOME\"", {.env = env});
        EXPECT_EQ(finished.output.stdout, "value with blanks\n\n");
    });
}

TEST(options, views_are_copied_when_the_function_is_called) {
    run_test([]() -> Coro<> {
        std::optional<Coro<Process>> starting;
        {
            const std::string cwd = "/usr/bin";
            const std::vector<std::string> env{"NAME=a value that is long enough for the heap"};
            starting = create_subprocess_shell("pwd; echo $NAME",
                                               {.stdout = PIPE, .cwd = cwd, .env = env});
        }
        Process process = co_await std::move(*starting);
        const auto output = co_await process.communicate();
        EXPECT_EQ(output.stdout, "/usr/bin\na value that is long enough for the heap\n");
    });
}

TEST(options, a_program_is_looked_for_in_the_path_of_its_environment) {
    run_test([]() -> Coro<> {
        const std::vector<std::string> nowhere{"PATH=/nonexistent"};
        const auto [said, error] =
            co_await refusal_of(create_subprocess_exec("true", SubprocessOptions{.env = nowhere}));
        EXPECT_EQ(said, "spawn true: No such file or directory");
        EXPECT_EQ(error, ENOENT);
        const std::vector<std::string> somewhere{"PATH=/nonexistent:/bin"};
        Process process =
            co_await create_subprocess_exec("true", SubprocessOptions{.env = somewhere});
        const int code = co_await process.wait();
        EXPECT_EQ(code, 0);
    });
}

// --- Groups and signals -------------------------------------------------------------------------

TEST(options, SPR_15_a_new_session_is_the_childs_own) {
    run_test([]() -> Coro<> {
        const SubprocessOptions options{.stdout = PIPE, .start_new_session = true};
        Process process = co_await create_subprocess_exec("sleep", "100", options);
        EXPECT_EQ(::getsid(process.pid()), process.pid());
        EXPECT_EQ(::getpgid(process.pid()), process.pid());
        process.send_signal_to_group(SIGTERM);
        const int code = co_await process.wait();
        EXPECT_EQ(code, -SIGTERM);
    });
}

TEST(options, process_group_is_the_one_asked_for) {
    run_test([]() -> Coro<> {
        Process inherits = co_await create_subprocess_exec("sleep", "100");
        EXPECT_EQ(::getpgid(inherits.pid()), ::getpgrp());
        EXPECT_THROW(inherits.send_signal_to_group(SIGTERM), RuntimeError);
        const SubprocessOptions own{.process_group = 0};
        Process leads = co_await create_subprocess_exec("sleep", "100", own);
        EXPECT_EQ(::getpgid(leads.pid()), leads.pid());
        const SubprocessOptions other{.process_group = leads.pid()};
        Process joins = co_await create_subprocess_exec("sleep", "100", other);
        EXPECT_EQ(::getpgid(joins.pid()), leads.pid());
        leads.send_signal_to_group(SIGTERM);
        const int code = co_await joins.wait();
        EXPECT_EQ(code, -SIGTERM) << "it is in the group";
        EXPECT_EQ(inherits.returncode(), std::nullopt) << "it is not";
    });
}

TEST(options, end_group_at_exit_ends_those_the_child_leaves_behind) {
    run_test([]() -> Coro<> {
        const SubprocessOptions options{
            .stdout = PIPE, .process_group = 0, .end_group_at_exit = true};
        const auto start = Clock::now();
        Process process = co_await create_subprocess_shell("sleep 100 & echo $!; exit 4", options);
        // It held the pipe; now nobody does, and communicate ends.
        const auto output = co_await process.communicate();
        EXPECT_LT(since(start), 20s);
        EXPECT_EQ(process.returncode(), 4);
        EXPECT_TRUE(ends_soon(std::stoi(output.stdout)));
        process.send_signal_to_group(SIGKILL);
    });
}

TEST(options, a_child_has_no_signal_blocked_and_none_ignored_by_us) {
    run_test([]() -> Coro<> {
        sigset_t blocked;
        sigset_t before;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR1);
        sigaddset(&blocked, SIGTERM);
        ::sigprocmask(SIG_BLOCK, &blocked, &before);
        const auto old_interrupt = ::signal(SIGINT, SIG_IGN);
        const auto finished = co_await run_shell("grep -E 'Sig(Blk|Ign)' /proc/self/status");
        ::signal(SIGINT, old_interrupt);
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        const std::string& said = finished.output.stdout;
        EXPECT_TRUE(support::contains(said, "SigBlk:\t0000000000000000")) << said;
        const std::size_t ignored_at = said.find("SigIgn:\t");
        const auto ignored = std::stoull(said.substr(ignored_at + 8, 16), nullptr, 16);
        EXPECT_EQ(ignored & (1ULL << (SIGPIPE - 1)), 0U);
        EXPECT_EQ(ignored & (1ULL << (SIGINT - 1)), 0U);
    });
}

// --- Refusals -----------------------------------------------------------------------------------

TEST(options, without_a_meaning_are_refused) {
    run_test([]() -> Coro<> {
        const auto expect_refused = [](Coro<Process> starting) -> Coro<> {
            const auto outcome = co_await internal::settle(std::move(starting));
            EXPECT_TRUE(outcome.failed());
            if (outcome.failed()) {
                EXPECT_THROW(std::rethrow_exception(outcome.error()), std::invalid_argument);
            }
        };
        co_await expect_refused(create_subprocess_exec(std::vector<std::string>()));
        co_await expect_refused(create_subprocess_exec(std::string("a\0b", 3)));
        co_await expect_refused(
            create_subprocess_exec("true", SubprocessOptions{.stdout = STDOUT}));
        co_await expect_refused(
            create_subprocess_exec("true", SubprocessOptions{.end_group_at_exit = true}));
        const std::vector<int> negative{-1};
        co_await expect_refused(
            create_subprocess_exec("true", SubprocessOptions{.pass_fds = negative}));
    });
}

}  // namespace
