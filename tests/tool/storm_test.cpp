// A storm: batches of unpleasant commands, whose processes get random signals at random moments.
// Whatever happens, nobody is left, and no sanitizer has anything to say.
//
// The two processes are never both killed: nobody could do anything about that (`guard.h`).

#include "tool/program.h"

#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

namespace {

using namespace tool_tests;
using namespace std::chrono_literals;

constexpr int rounds = 40;

using Random = std::mt19937;

int up_to(Random& random, int most) { return std::uniform_int_distribution(0, most)(random); }

template <class T>
const T& one_of(Random& random, const std::vector<T>& all) {
    return all[static_cast<std::size_t>(up_to(random, static_cast<int>(all.size()) - 1))];
}

const Arguments unpleasant{
    "true",
    "sleep .05; exit 3",
    "sleep 50",
    "trap '' TERM; sleep 50; sleep 50",
    "sleep 50 & sleep 50",
    "setsid sleep 50 & echo daemon",
    "(setsid sh -c 'sleep 50 & sleep 50' >/dev/null 2>&1 &)",
    "seq 20000",
    "exec >&- 2>&-; sleep 50",
    "kill -SEGV $$",
    "kill -STOP $$",
    "trap 'exit 0' TERM; sleep 50 & wait",
};

Arguments random_batch(Random& random) {
    Arguments arguments{"-j", std::to_string(up_to(random, 5)), "--grace",
                        one_of(random, Arguments{"0", "20ms", "100ms"})};
    if (up_to(random, 1) == 0) arguments.insert(arguments.end(), {"-t", "60ms"});
    if (up_to(random, 3) == 0) arguments.insert(arguments.end(), {"--halt", "now,fail=2"});
    if (up_to(random, 1) == 0) arguments.emplace_back("-k");
    for (int count = 3 + up_to(random, 12); count > 0; --count) {
        arguments.push_back(one_of(random, unpleasant));
    }
    return arguments;
}

/// One to three signals, some milliseconds apart, and a last one that surely finds somebody: the
/// worker may not have been there yet.
void harass(const Program& program, Random& random) {
    const std::vector<int> signals{SIGINT, SIGINT, SIGTERM, SIGHUP, SIGKILL};
    bool killed = false;
    for (int count = 1 + up_to(random, 2); count > 0; --count) {
        std::this_thread::sleep_for(std::chrono::microseconds(up_to(random, 80'000)));
        const int signal = one_of(random, signals);
        if (signal == SIGKILL && std::exchange(killed, true)) continue;
        if (up_to(random, 1) == 0) {
            program.signal(signal);
        } else if (const pid_t worker = program.worker_now(); worker > 0) {
            ::kill(worker, signal);
        }
    }
    program.signal(SIGTERM);
}

unsigned first_seed() {
    if (const char* wanted = std::getenv("ASYNCIO_STORM_SEED")) return std::atoi(wanted);
    return std::random_device{}();
}

TEST(Storm, of_signals_leaves_no_process) {
    const unsigned seed = first_seed();
    for (unsigned round = 0; round < rounds; ++round) {
        SCOPED_TRACE("ASYNCIO_STORM_SEED=" + std::to_string(seed + round));
        Random random(seed + round);
        Program program(random_batch(random));
        harass(program, random);
        const bool went = becomes_true([&] { return program.has_ended(); });
        EXPECT_TRUE(went) << "it did not end";
        // A killed guard is gone before its worker has ended the rest.
        EXPECT_TRUE(becomes_true([&] { return program.alive().empty(); }));
        if (!went) continue;
        const std::string errors = program.wait().errors;
        EXPECT_EQ(errors.find("Sanitizer"), std::string::npos) << errors;
        EXPECT_EQ(errors.find("runtime error"), std::string::npos) << errors;
        if (HasFailure()) break;
    }
}

TEST(Storm, of_commands_leaves_no_descriptor_open) {
    // The parent of a command's shell is the worker.
    const std::string count = "sleep .05; ls /proc/$PPID/fd | wc -l";
    Arguments arguments{"-k", "-j", "1", "--quiet", "--grace", "0", count};
    for (int index = 0; index < 100; ++index) {
        arguments.insert(arguments.end(), {"true", "echo x >&2", "setsid sleep 1 &"});
    }
    arguments.insert(arguments.end(), {"sleep 500", "exec >&-; sleep 500", count});
    const Limited run = batch_with_limit(
        0.3, arguments, [](const Ended& attempt) { return lines(attempt.output).size() == 2; });
    const auto counts = lines(run.ended.output);
    ASSERT_EQ(counts.size(), 2U);
    EXPECT_EQ(counts[0], counts[1]);
}

}  // namespace
