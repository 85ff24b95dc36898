// What each signal does to a batch, how the batch dies of it, and what a stop does to commands,
// limits and verdicts.

#include "tool/program.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace tool_tests;
using namespace std::chrono_literals;

std::string status_of(pid_t process, const std::string& field) {
    std::ifstream file("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(field + ":")) return line.substr(field.size() + 2);
    }
    return {};
}

bool is_in_state(pid_t process, char state) {
    return status_of(process, "State").starts_with(state);
}

/// The number that a command has noted.
pid_t number_in(const TemporaryFile& file) {
    becomes_true([&] { return file.text().ends_with('\n'); });
    return std::atoi(file.text().c_str());
}

std::string note_number(const TemporaryFile& file) { return "echo $$ > " + file.path() + "; "; }

void add_line(const TemporaryFile& file) { std::ofstream(file.path(), std::ios::app) << "line\n"; }

// --------------------------------------------------------------------------------------- the end

TEST(Signal, of_every_kind_that_ends_a_program_ends_all_of_the_batch) {
    // The guard has no core to leave: nothing has gone wrong in it.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU,
                             SIGPWR, SIGIO, SIGSTKFLT, SIGPIPE, SIGXFSZ, SIGRTMIN + 3, SIGRTMAX}) {
        Program program({"-j", "0", "--grace", "100ms", "sleep 500", "trap '' TERM; sleep 501; :"});
        ASSERT_TRUE(program.wait_until_alive(5));
        program.signal(signal);
        const Ended ended = program.wait();
        EXPECT_EQ(ended.signal, signal) << signal;
        const bool in_order = contains(ended.errors, "2 interrupted");
        EXPECT_TRUE(in_order || signal == SIGQUIT) << signal << ended.errors;
        EXPECT_TRUE(program.alive().empty()) << signal;
    }
}

TEST(Signal, that_means_a_crash_leaves_nothing_either) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGSYS, SIGTRAP}) {
        Program program({"-j", "0", "sleep 500; :", "trap '' TERM; setsid sleep 501; :"});
        ASSERT_TRUE(program.wait_until_alive(6));
        program.signal(signal);
        EXPECT_NE(program.wait().status, 0) << signal;
        EXPECT_TRUE(program.alive().empty()) << signal;
    }
}

TEST(Signal, that_comes_second_kills_at_once_whichever_it_is) {
    for (const auto& [first, second] : {std::pair{SIGHUP, SIGALRM}, std::pair{SIGTERM, SIGQUIT}}) {
        Program program(
            {"-j", "0", "--grace", "200s", "trap '' TERM; sleep 500; :", "sleep 501; :"});
        ASSERT_TRUE(program.wait_until_alive(6));
        program.signal(first);
        ASSERT_TRUE(becomes_true([&] { return program.alive().size() <= 4; }));
        program.signal(second);
        const Ended ended = program.wait();
        EXPECT_EQ(ended.signal, first) << "what has asked for the end is what ended it";
        EXPECT_LT(ended.seconds.count(), soon);
        EXPECT_TRUE(program.alive().empty());
    }
}

// ------------------------------------------------------------------------------- the other orders

/// Sends SIGUSR1 until the answer stands in the file. What was sent before has been obeyed then.
bool is_listed(const Program& program, const TemporaryFile& errors, const std::string& text) {
    const std::size_t before = errors.text().size();
    return becomes_true([&] {
        program.signal(SIGUSR1);
        std::this_thread::sleep_for(10ms);
        return contains(errors.text().substr(before), text);
    });
}

class SignalOrder : public testing::Test {
protected:
    Setting setting() const { return {.errors = descriptor_.number}; }

    struct Descriptor {
        explicit Descriptor(const std::string& path)
            : number(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC)) {}
        ~Descriptor() { ::close(number); }
        int number;
    };
    TemporaryFile errors_;
    Descriptor descriptor_{errors_.path()};
};

TEST_F(SignalOrder, usr1_lists_the_commands_that_run) {
    Program program({"-j", "2", "--quiet", "sleep 500; true", "sleep 501; true", "echo no"},
                    setting());
    ASSERT_TRUE(program.wait_until_alive(6));
    EXPECT_TRUE(is_listed(program, errors_, "asyncio batch: 2 running\n"));
    EXPECT_TRUE(contains(errors_.text(), " s  sleep 500; true\n")) << errors_.text();
    EXPECT_TRUE(contains(errors_.text(), " s  sleep 501; true\n"));
    EXPECT_FALSE(contains(errors_.text(), "echo no"));
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait().signal, SIGTERM);
}

TEST_F(SignalOrder, usr2_starts_no_more_and_lets_what_runs_end) {
    const TemporaryFile go;
    Program program({"-j", "1", wait_for_lines(go.path(), 1) + "; echo whole", "echo no"},
                    setting());
    ASSERT_TRUE(program.wait_until_alive(3));
    program.signal(SIGUSR2);
    ASSERT_TRUE(is_listed(program, errors_, "1 running"));
    ASSERT_TRUE(is_listed(program, errors_, "1 running"));
    add_line(go);
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "whole\n");
    EXPECT_TRUE(contains(errors_.text(), "1 complete, 1 not started")) << errors_.text();
}

// ---------------------------------------------------------------------------------------- the stop

/// A gate at which a shell waits with `wait()` until it is opened, without starting a program.
///
/// A shell that starts one program after another spends a part of its time between vfork and exec.
/// A signal that stops both there stops the child, and the kernel shows the parent in state D for
/// as long as the child stands.
class Gate {
public:
    Gate() {
        std::filesystem::remove(file_.path());
        ::mkfifo(file_.path().c_str(), 0600);
        // Opened for both directions, so that opening does not wait for the other end.
        descriptor_ = ::open(file_.path().c_str(), O_RDWR | O_CLOEXEC);
    }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { ::close(descriptor_); }

    std::string wait() const { return "read line < " + file_.path(); }
    void open() const { EXPECT_EQ(::write(descriptor_, "go\n", 3), 3); }

private:
    TemporaryFile file_;
    int descriptor_;
};

TEST(Stopped, commands_and_what_left_their_group_stand_still_and_go_on) {
    const TemporaryFile shell;
    const TemporaryFile daemon;
    const Gate gate;
    Program program({note_number(shell) + "setsid sh -c '" + note_number(daemon) +
                     "exec sleep 500' & " + gate.wait() + "; echo end"});
    const pid_t one = number_in(shell);
    const pid_t other = number_in(daemon);
    program.signal(SIGTSTP);
    EXPECT_TRUE(becomes_true([&] {
        return is_in_state(program.pid(), 'T') && is_in_state(one, 'T') && is_in_state(other, 'T');
    }));
    program.signal(SIGCONT);
    EXPECT_TRUE(becomes_true([&] { return !is_in_state(one, 'T') && !is_in_state(other, 'T'); }));
    gate.open();
    const Ended ended = program.wait();
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "end\n");
}

/// Runs a command that waits for a line, with a limit; `seconds` is doubled until `play` has done
/// its part before the limit.
void with_limit(const std::function<bool(const Program&, const TemporaryFile& go, Seconds)>& play,
                const std::function<void(const Ended&)>& look) {
    for (Seconds limit = 1s; limit < 60s; limit *= 2) {
        const TemporaryFile go;
        Program program({"-t", std::to_string(limit.count()) + "s", "--grace", "0",
                         wait_for_lines(go.path(), 1) + "; echo end"});
        program.wait_until_alive(4);
        const auto start = std::chrono::steady_clock::now();
        const bool played = play(program, go, limit);
        const Seconds took = std::chrono::steady_clock::now() - start;
        const Ended ended = program.wait();
        if (!played || took > limit * 2.5) continue;
        return look(ended);
    }
    ADD_FAILURE() << "too slow to be tested";
}

TEST(Stopped, limits_stand_still_as_well) {
    with_limit(
        [](const Program& program, const TemporaryFile& go, Seconds limit) {
            program.signal(SIGTSTP);
            if (!becomes_true([&] { return is_in_state(program.pid(), 'T'); })) return false;
            std::this_thread::sleep_for(limit * 1.2);
            program.signal(SIGCONT);
            add_line(go);
            return true;
        },
        [](const Ended& ended) {
            EXPECT_EQ(ended.status, 0) << ended.errors;
            EXPECT_EQ(ended.output, "end\n");
        });
}

/// The shell of the one command: a child of the worker.
pid_t shell_of(const Program& program) {
    const std::string worker = std::to_string(program.worker());
    std::ifstream children("/proc/" + worker + "/task/" + worker + "/children");
    pid_t shell = 0;
    children >> shell;
    return shell;
}

/// Holds the worker, which nothing can prevent, while its command ends by itself.
bool end_behind_its_back(const Program& program, const TemporaryFile& go) {
    const pid_t shell = shell_of(program);
    ::kill(program.worker(), SIGSTOP);
    add_line(go);
    return becomes_true(
        [&] { return is_in_state(shell, 'Z') || status_of(shell, "State").empty(); });
}

/// Whether the process has a signal that waits until it continues.
bool is_pending(int signal, pid_t process) {
    const std::string pending = status_of(process, "ShdPnd");
    return !pending.empty() && (std::stoull(pending, nullptr, 16) >> (signal - 1) & 1) == 1;
}

TEST(Stopped, verdict_is_that_of_a_command_that_ended_in_time_though_it_is_seen_late) {
    with_limit(
        [](const Program& program, const TemporaryFile& go, Seconds limit) {
            if (!end_behind_its_back(program, go)) return false;
            std::this_thread::sleep_for(limit * 1.2);
            ::kill(program.worker(), SIGCONT);
            return true;
        },
        [](const Ended& ended) {
            EXPECT_EQ(ended.status, 0) << ended.errors;
            EXPECT_TRUE(contains(ended.errors, "1 command: 1 complete;")) << ended.errors;
        });
}

TEST(Stopped, verdict_is_that_of_a_command_that_ended_before_the_interruption_was_seen) {
    const TemporaryFile go;
    Program program({wait_for_lines(go.path(), 1) + "; exit 3"});
    ASSERT_TRUE(program.wait_until_alive(4));
    ASSERT_TRUE(end_behind_its_back(program, go));
    program.signal(SIGINT);
    // The guard passes the signal on. When all commands have ended, it would end the worker.
    EXPECT_TRUE(becomes_true([&] { return is_pending(SIGINT, program.worker()); }));
    ::kill(program.worker(), SIGCONT);
    const Ended ended = program.wait();
    EXPECT_TRUE(contains(ended.errors, "exit 3")) << ended.status << " " << ended.errors;
    EXPECT_FALSE(contains(ended.errors, "interrupted")) << ended.errors;
}

}  // namespace
