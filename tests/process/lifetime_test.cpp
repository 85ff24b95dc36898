// Goal: whatever goes wrong and whoever is interrupted, no child, no zombie and no descriptor is
// left behind.
// Method: refusals provoked by limits, handles dropped, loops closed, and a storm of cancellations
// with a printed seed; after each test the process table and the descriptors are counted.

#include "process/process_help.h"
#include "support/random.h"

#include <optional>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace {

using namespace asyncio;
using namespace process_test;

/// Lowers the limit of descriptors while it lives.
class DescriptorLimit {
public:
    explicit DescriptorLimit(int limit) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit lowered = before_;
        lowered.rlim_cur = static_cast<rlim_t>(limit);
        ::setrlimit(RLIMIT_NOFILE, &lowered);
    }
    DescriptorLimit(const DescriptorLimit&) = delete;
    DescriptorLimit& operator=(const DescriptorLimit&) = delete;
    ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_;
};

// --- Refused ------------------------------------------------------------------------------------

TEST(lifetime, a_refused_start_names_the_program_and_the_reason) {
    run_test([]() -> Coro<> {
        auto refusal = co_await refusal_of(create_subprocess_exec("/bin/nosuch"));
        EXPECT_EQ(refusal.first, "spawn /bin/nosuch: No such file or directory");
        EXPECT_EQ(refusal.second, ENOENT);
        refusal = co_await refusal_of(create_subprocess_exec("nosuchprogram", all_pipes));
        EXPECT_EQ(refusal.first, "spawn nosuchprogram: No such file or directory");
        refusal = co_await refusal_of(create_subprocess_exec("/etc/passwd"));
        EXPECT_EQ(refusal.first, "spawn /etc/passwd: Permission denied");
        EXPECT_EQ(refusal.second, EACCES);
        const SubprocessOptions nowhere{.cwd = "/nonexistent"};
        refusal = co_await refusal_of(create_subprocess_exec("true", nowhere));
        EXPECT_EQ(refusal.first, "spawn true in /nonexistent: No such file or directory");
    });
}

TEST(lifetime, a_name_outside_the_path_is_not_run_from_the_current_directory) {
    run_test([]() -> Coro<> {
        char directory[] = "/tmp/asyncio-process-XXXXXX";
        EXPECT_NE(::mkdtemp(directory), nullptr);
        const std::string script = std::string(directory) + "/onlyhere";
        std::ofstream(script) << "#!/bin/sh\nexit 0\n";
        ::chmod(script.c_str(), 0755);
        const SubprocessOptions options{.cwd = directory};
        const auto refusal = co_await refusal_of(create_subprocess_exec("onlyhere", options));
        EXPECT_EQ(refusal.second, ENOENT);
        Process process = co_await create_subprocess_exec("./onlyhere", options);
        const int code = co_await process.wait();
        EXPECT_EQ(code, 0);
        ::unlink(script.c_str());
        ::rmdir(directory);
    });
}

TEST(lifetime, without_descriptors_nothing_is_started_and_nothing_is_left) {
    run_test([]() -> Coro<> {
        char directory[] = "/tmp/asyncio-process-XXXXXX";
        EXPECT_NE(::mkdtemp(directory), nullptr);
        const int used = open_descriptors();
        int refused = 0;
        int started = 0;
        for (int attempt = 0; attempt < 24; ++attempt) {
            const std::string mark = std::string(directory) + '/' + std::to_string(attempt);
            const SubprocessOptions options = attempt % 2 == 0 ? SubprocessOptions{} : all_pipes;
            const DescriptorLimit limit(used + 1 + attempt / 2);
            bool ran = false;
            try {
                Process process = co_await create_subprocess_exec("mkdir", mark, options);
                const int code = co_await process.wait();
                EXPECT_EQ(code, 0);
                ran = true;
            } catch (const OsError& error) {
                EXPECT_EQ(error.error(), EMFILE) << error.what();
            }
            ++(ran ? started : refused);
            // A command that was refused has not run: it could not be tried again otherwise.
            EXPECT_EQ(::rmdir(mark.c_str()) == 0, ran);
        }
        EXPECT_GT(refused, 0);
        EXPECT_GT(started, 0);
        ::rmdir(directory);
    });
}

/// The limit under which just `count` more descriptors can be opened.
int limit_for(int count) {
    int number = 0;
    for (; count > 0; ++number) count -= ::fcntl(number, F_GETFD) == -1;
    return number;
}

TEST(lifetime, a_start_takes_no_more_descriptors_than_its_three_pipes_have_ends) {
    run_test([]() -> Coro<> {
        const DescriptorLimit limit(limit_for(6));
        Process process = co_await create_subprocess_exec("true", all_pipes);
        const int code = co_await process.wait();
        EXPECT_EQ(code, 0);
    });
}

TEST(lifetime, a_start_without_pipes_takes_one_descriptor) {
    run_test([]() -> Coro<> {
        const DescriptorLimit limit(limit_for(1));
        Process process = co_await create_subprocess_exec("true");
        const int code = co_await process.wait();
        EXPECT_EQ(code, 0);
    });
}

TEST(lifetime, a_start_without_pipes_and_without_a_descriptor_begins_no_process) {
    run_test([]() -> Coro<> {
        const auto faults_of_children = [] {
            rusage usage{};
            ::getrusage(RUSAGE_CHILDREN, &usage);
            return usage.ru_minflt;  // no program starts without any
        };
        const long before = faults_of_children();
        const DescriptorLimit limit(limit_for(0));
        const auto refusal = co_await refusal_of(create_subprocess_exec("true"));
        EXPECT_EQ(refusal.second, EMFILE);
        EXPECT_EQ(faults_of_children(), before);
    });
}

/// A process with three pipes, made not before `delay` has passed.
Coro<Process> start_after(Duration delay) {
    co_await sleep(delay);
    Process process = co_await create_subprocess_exec("true", all_pipes);
    co_return process;
}

TEST(lifetime, WF_14_what_is_opened_at_the_deadline_is_returned_or_closed) {
    run_test([]() -> Coro<> {
        Process first = co_await start_after(0s);
        co_await first.wait();
        first = co_await start_after(0s);
        co_await first.wait();
        const int before = open_descriptors();
        int returned = 0;
        int late = 0;
        // From a deadline that comes with the beginning to one that comes long after the end, and
        // in small steps across all that opening consists of.
        for (int step = 0; step <= 80; ++step) {
            const Duration limit = step == 80 ? Duration(10s) : 1ms + step * 25us;
            std::optional<Process> process;
            try {
                process.emplace(co_await wait_for(start_after(1ms), limit));
                ++returned;
            } catch (const TimeoutError&) {
                ++late;
            }
            if (process) co_await process->wait();
        }
        EXPECT_GT(returned, 0);
        EXPECT_GT(late, 0);
        // What was too late is reaped behind the scenes.
        for (int turn = 0; turn < 200 && open_descriptors() > before; ++turn) co_await sleep(5ms);
        EXPECT_EQ(open_descriptors(), before);
    });
}

// --- Dropped, closed ----------------------------------------------------------------------------

TEST(lifetime, SPR_13_a_dropped_process_is_killed_and_reaped) {
    run_test([]() -> Coro<> {
        int pid = 0;
        {
            const Process process = co_await create_subprocess_exec("sleep", "100", all_pipes);
            pid = process.pid();
            EXPECT_TRUE(is_alive(pid));
        }
        EXPECT_TRUE(ends_soon(pid));
        Process first = co_await create_subprocess_exec("sleep", "100", all_pipes);
        pid = first.pid();
        first = co_await create_subprocess_exec("true");
        EXPECT_TRUE(ends_soon(pid)) << "assigned over";
        const int code = co_await first.wait();
        EXPECT_EQ(code, 0);
    });
}

TEST(lifetime, SPR_13_a_dropped_process_that_has_ended_keeps_its_status) {
    run_test([]() -> Coro<> {
        std::optional<Process> process = co_await create_subprocess_shell("exit 7");
        const auto wait = [&]() -> Coro<int> { co_return co_await process->wait(); };
        Task<int> waiting = create_task(wait());
        const int pid = process->pid();
        for (int round = 0; round < 6000 && is_alive(pid); ++round) ::usleep(1000);
        co_await sleep(0ns);
        process.reset();
        const auto outcome = co_await internal::settle(std::move(waiting));
        EXPECT_EQ(outcome.value(), 7) << "and not that of a signal";
    });
}

TEST(lifetime, SPR_13_a_process_left_when_its_loop_closes_is_killed_and_reaped) {
    const int before = open_descriptors();
    {
        const support::LogCapture log;
        support::TestLoop loop;
        const Process process =
            loop->run_until_complete(create_subprocess_exec("sleep", "100", all_pipes));
        EXPECT_TRUE(is_alive(process.pid()));
        loop->close();
        EXPECT_FALSE(is_alive(process.pid()));
        EXPECT_EQ(process.returncode(), -SIGKILL);
    }
    expect_no_child();
    EXPECT_EQ(open_descriptors(), before);
}

TEST(lifetime, SPR_07_a_cancelled_start_has_started_nothing) {
    run_test([]() -> Coro<> {
        for (int steps = 0; steps < 4; ++steps) {
            auto starting = create_task(create_subprocess_exec("sleep", "100", all_pipes));
            for (int i = 0; i < steps; ++i) co_await sleep(0ns);
            starting.cancel();
            const auto outcome = co_await internal::settle(std::move(starting));
            EXPECT_TRUE(outcome.cancelled() || outcome.has_value());
        }
    });
}

// --- Many ---------------------------------------------------------------------------------------

Coro<int> echo_number(int number) {
    Process process = co_await create_subprocess_exec("echo", std::to_string(number), all_pipes);
    const auto output = co_await process.communicate();
    co_return std::stoi(output.stdout);
}

TEST(lifetime, two_hundred_at_once_each_say_what_they_should) {
    run_test([]() -> Coro<> {
        std::vector<Coro<int>> echoes;
        for (int i = 0; i < 200; ++i) echoes.push_back(echo_number(i));
        const std::vector<int> numbers = co_await gather(std::move(echoes));
        for (int i = 0; i < 200; ++i) EXPECT_EQ(numbers[static_cast<std::size_t>(i)], i);
    });
}

TEST(lifetime, starts_in_a_row_let_timers_fire_between_them) {
    run_test([]() -> Coro<> {
        std::vector<Coro<int>> echoes;
        for (int i = 0; i < 100; ++i) echoes.push_back(echo_number(i));
        auto all = gather(std::move(echoes));
        int ticks = 0;
        while (!all.done()) {
            co_await sleep(0ns);
            ++ticks;
        }
        EXPECT_GE(ticks, 100) << "one start per iteration at the most";
        co_await all;
    });
}

/// A duration that names this run's sleepers.
std::string sleeper() { return "sleep 1234." + std::to_string(::getpid()); }

Coro<> live_dangerously(support::Random& random) {
    // Without a group only the child itself is ours to end, so it has no children of its own.
    const bool groups = random.one_in(2);
    SubprocessOptions options = all_pipes;
    if (groups) options.process_group = 0;
    options.end_group_at_exit = groups;
    const std::string sleeps =
        groups ? sleeper() + " & " + sleeper() + "; wait" : "exec " + sleeper();
    const std::string commands[] = {"exit 3", "cat", sleeps, "echo x; echo y >&2; exec true"};
    Process process = co_await create_subprocess_shell(commands[random.below(4)], options);
    if (random.one_in(4)) process.kill();
    if (random.one_in(4)) process.stdout.close();
    if (groups && random.one_in(4)) process.send_signal_to_group(SIGTERM);
    if (random.one_in(2)) {
        const auto output = co_await process.communicate("input\n");
    } else {
        const int code = co_await process.wait();
        (void)code;
    }
}

TEST(lifetime, a_storm_of_cancellations_leaves_nothing_behind) {
    support::Random random(support::seed_or(7));
    SCOPED_TRACE(random.name());
    run_test([&]() -> Coro<> {
        for (int round = 0; round < 60; ++round) {
            std::vector<Task<>> tasks;
            for (int i = 0; i < 5; ++i) tasks.push_back(create_task(live_dangerously(random)));
            for (std::uint64_t i = random.below(12); i > 0; --i) co_await sleep(0ns);
            if (random.one_in(2)) co_await sleep(std::chrono::microseconds(random.below(10'000)));
            for (const Task<>& task : tasks) task.cancel();
            for (Task<>& task : tasks) {
                const auto outcome = co_await internal::settle(std::move(task));
                if (outcome.failed() && !outcome.cancelled()) outcome.value();
            }
        }
        // Those whose handles went are reaped by the loop, soon.
        siginfo_t info{};
        for (int i = 0; i < 5000; ++i) {
            if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) break;
            co_await sleep(1ms);
        }
    });
    for (int i = 0; i < 6000 && alive_with(sleeper()) > 0; ++i) ::usleep(10'000);
    EXPECT_EQ(alive_with(sleeper()), 0) << "grandchildren of a group that was to be ended";
}

// --- Missing standard streams -------------------------------------------------------------------

int low_numbers_in_use() {
    int count = 0;
    for (int number = 0; number < 3; ++number) count += ::fcntl(number, F_GETFD) >= 0 ? 1 : 0;
    return count;
}

Coro<int> start_programs_with_pipes_and_without() {
    Process piped = co_await create_subprocess_shell("exec cat", {.stdin = PIPE, .stdout = PIPE});
    Process bare = co_await create_subprocess_shell("exec sleep 100");
    const Pipe pipe = co_await open_pipe();
    const int in_use = low_numbers_in_use();
    bare.kill();
    co_await bare.wait();
    piped.stdin.write("hello");
    piped.stdin.close();
    const std::string echo = co_await piped.stdout.read();
    co_await piped.wait();
    co_return echo == "hello" ? in_use : 100;
}

TEST(lifetime, nothing_gets_the_number_of_a_missing_standard_stream) {
    const pid_t child = ::fork();
    if (child == 0) {
        for (int number = 0; number < 3; ++number) ::close(number);
        int code = 101;
        try {
            code = asyncio::run(start_programs_with_pipes_and_without());
        } catch (...) {
        }
        ::_exit(code);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

// --- Forks --------------------------------------------------------------------------------------

TEST(lifetime, SPR_21_a_forked_program_can_start_programs) {
    const pid_t child = ::fork();
    if (child == 0) {
        int code = 1;
        try {
            code = asyncio::run([]() -> Coro<int> {
                Process process = co_await create_subprocess_shell("exit 42");
                const int status = co_await process.wait();
                co_return status;
            }());
        } catch (...) {
        }
        ::_exit(code);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 42);
}

}  // namespace
