// Goal: real descriptors work in the simulated world, at the pace of real time, and only while they
// are in flight. Method: real pipes, a real child, real threads and signals. Times are compared
// with the machine's clock, from below exactly, from above generously: a loaded machine may be
// late, but never early.

#include <asyncio/lowlevel/fd.h>

#include "simulation/world.h"

#include <atomic>
#include <csignal>
#include <fstream>
#include <semaphore>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace simulation {
namespace {

using namespace std::chrono_literals;
using asyncio::Clock;
using asyncio::lowlevel::Fd;

/// What counts as "late" rather than "wrong" on a loaded machine.
constexpr Duration patience = 20s;

struct RealPipe {
    RealPipe() {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
        reader = Fd(ends[0]);
        writer = Fd(ends[1]);
    }
    Fd reader;
    Fd writer;
};

class Outside : public testing::Test {
protected:
    void SetUp() override { before_ = std::signal(SIGPIPE, SIG_IGN); }
    void TearDown() override { std::signal(SIGPIPE, before_); }

    /// Ends a real operation that nobody is going to finish.
    void give_up(Operation& operation) {
        world->cancel(operation);
        EXPECT_EQ(world.finish(operation), -ECANCELED);
    }

    World world;
    RealPipe pipe;

    OperationList finished_;

private:
    void (*before_)(int) = SIG_DFL;
};

TEST_F(Outside, what_is_possible_at_once_finishes_in_submit) {
    Write write(pipe.writer.get(), "hello", 5);
    EXPECT_TRUE(world.submit(write));
    EXPECT_EQ(write.result, 5);
    Poll poll(pipe.reader.get(), POLLIN | POLLOUT);
    EXPECT_TRUE(world.submit(poll));
    EXPECT_EQ(poll.result, POLLIN);
    EXPECT_EQ(world.read(pipe.reader.get(), 100), "hello");
    pipe.writer.reset();
    EXPECT_EQ(world.read(pipe.reader.get(), 100), "");
}

TEST_F(Outside, the_systems_errors_come_through) {
    EXPECT_EQ(world.write(pipe.reader.get(), "x"), -EBADF);
    EXPECT_EQ(world.read(-1, 1), "error " + std::to_string(EBADF));
    EXPECT_EQ(world.poll_now(-1, POLLIN), -EBADF);
    EXPECT_EQ(world.close(-1), -EBADF);
    pipe.reader.reset();
    EXPECT_EQ(world.write(pipe.writer.get(), "x"), -EPIPE);
    const int number = pipe.writer.release();
    EXPECT_EQ(world.close(number), 0);
    EXPECT_EQ(world.poll_now(number, POLLIN), -EBADF) << "the number is free";
}

TEST_F(Outside, a_read_waits_for_a_thread_that_writes) {
    std::string bytes(10, '?');
    Read read(pipe.reader.get(), bytes.data(), bytes.size());
    ASSERT_FALSE(world.submit(read));
    std::thread writer([&] { EXPECT_EQ(::write(pipe.writer.get(), "abc", 3), 3); });
    EXPECT_EQ(world.finish(read), 3);
    EXPECT_EQ(bytes, "abc???????");
    writer.join();
}

TEST_F(Outside, a_write_waits_for_a_thread_that_reads) {
    const std::string much(1 << 20, 'x');
    ASSERT_GT(world.write(pipe.writer.get(), much), 0);
    Write write(pipe.writer.get(), much.data(), 4096);
    ASSERT_FALSE(world.submit(write));
    std::thread reader([&] {
        std::string bytes(8192, '?');
        EXPECT_EQ(::read(pipe.reader.get(), bytes.data(), bytes.size()), 8192);
    });
    EXPECT_EQ(world.finish(write), 4096);
    reader.join();
}

TEST_F(Outside, while_something_real_is_in_flight_time_is_real) {
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    const auto began = Clock::now();
    ASSERT_FALSE(world.submit(read));
    const TimePoint virtual_began = world->now();
    const TimePoint deadline = virtual_began + 30ms;
    EXPECT_TRUE(world.wait(deadline).empty());
    const Duration really = Clock::now() - began;
    const Duration virtually = world->now() - virtual_began;
    EXPECT_GE(really, 30ms) << "nothing jumped";
    EXPECT_GE(virtually, 30ms) << "the deadline was reached";
    EXPECT_LE(virtually, really) << "and never by more than it really took";
    EXPECT_LT(virtually, patience);

    give_up(read);
    const auto alone = Clock::now();
    const TimePoint far = world->now() + 24h * 365;
    world.wait(far);
    EXPECT_EQ(world->now(), far);
    EXPECT_LT(Clock::now() - alone, patience) << "and virtual again afterwards";
}

TEST_F(Outside, the_time_a_step_takes_counts_while_something_real_is_in_flight) {
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    const TimePoint before = world->now();
    const auto began = Clock::now();
    while (Clock::now() - began < 5ms) EXPECT_EQ(world->now(), before);
    world.look();
    EXPECT_GE(world->now() - before, 5ms);
    give_up(read);
}

TEST_F(Outside, a_deadline_that_has_passed_is_only_a_look) {
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    const auto began = Clock::now();
    for (int i = 0; i < 100; ++i) {
        world.look();
        world.wait(world->now() - 1h);
    }
    EXPECT_LT(Clock::now() - began, patience);
    ASSERT_EQ(::write(pipe.writer.get(), "x", 1), 1);
    EXPECT_EQ(world.look(), std::vector<Operation*>{&read});
}

TEST_F(Outside, the_two_worlds_meet_in_one_wait) {
    const Pipe inside = world.pipe();
    char bytes[2] = {};
    Read real(pipe.reader.get(), &bytes[0], 1);
    Read simulated(inside.read_end, &bytes[1], 1);
    ASSERT_FALSE(world.submit(real));
    ASSERT_FALSE(world.submit(simulated));
    world.write(inside.write_end, "s");
    ASSERT_EQ(::write(pipe.writer.get(), "r", 1), 1);
    EXPECT_EQ(world.wait(never).size(), 2u);
    EXPECT_EQ(std::string(bytes, 2), "rs");
}

TEST_F(Outside, an_operation_put_off_by_the_plan_comes_due_in_real_time) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        World seeded(seed);
        const Pipe inside = seeded.pipe();
        char byte = 0;
        Read real(pipe.reader.get(), &byte, 1);
        ASSERT_FALSE(seeded.submit(real));
        EXPECT_EQ(seeded.write(inside.write_end, "x"), 1);
        EXPECT_EQ(seeded.read(inside.read_end, 1), "x");
        seeded->cancel(real);
        EXPECT_EQ(seeded.finish(real), -ECANCELED);
    }
}

TEST_F(Outside, many_operations_may_share_a_descriptor) {
    // The kernel refuses to watch more descriptors than the process may have.
    constexpr std::size_t count = 3000;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit few{256, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    std::vector<char> bytes(count);
    std::vector<std::unique_ptr<Read>> reads;
    for (char& byte : bytes) {
        reads.push_back(std::make_unique<Read>(pipe.reader.get(), &byte, 1));
        ASSERT_FALSE(world.submit(*reads.back()));
    }
    Poll poll(pipe.reader.get(), 0);
    ASSERT_FALSE(world.submit(poll));
    const auto began = Clock::now();
    world.look();  // From here on the two clocks run side by side.
    world.wait(world->now() + 5ms);
    EXPECT_GE(Clock::now() - began, 5ms) << "it waits rather than tries again and again";
    const std::string all(count, 'x');
    ASSERT_EQ(::write(pipe.writer.get(), all.data(), count), static_cast<ssize_t>(count));
    std::size_t reported = 0;
    while (reported < count) reported += world.wait(world->now() + patience).size();
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()), all);
    EXPECT_TRUE(in_flight(poll)) << "it waits for the hang-up only";
    pipe.writer.reset();
    EXPECT_EQ(world.finish(poll), POLLHUP);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(Outside, a_cancelled_operation_leaves_the_data_for_the_next) {
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    ASSERT_EQ(::write(pipe.writer.get(), "x", 1), 1);
    world->cancel(read);
    world->cancel(read);
    EXPECT_EQ(world.look(), std::vector<Operation*>{&read});
    EXPECT_EQ(read.result, -ECANCELED);
    EXPECT_EQ(world.read(pipe.reader.get(), 1), "x");
}

/// Opens a pipe whose read end has a number that was just closed.
RealPipe pipe_at(int number) {
    RealPipe next;
    if (next.reader.get() == number) return next;
    EXPECT_EQ(::dup3(next.reader.get(), number, O_CLOEXEC), number);
    next.reader = Fd(number);
    return next;
}

TEST_F(Outside, a_close_ends_what_waits_on_the_number_which_spares_the_next_file) {
    char byte = 'o';
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    const int number = pipe.reader.release();
    EXPECT_EQ(world.close(number), 0);
    const RealPipe next = pipe_at(number);
    ASSERT_EQ(::write(next.writer.get(), "n", 1), 1);
    EXPECT_EQ(world.finish(read), -ECANCELED);
    EXPECT_EQ(byte, 'o');
    EXPECT_EQ(world.read(number, 1), "n");
}

TEST_F(Outside, what_a_close_has_ended_and_a_cancel_ends_again_is_reported_once) {
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    EXPECT_EQ(world.close(pipe.reader.release()), 0);
    world->cancel(read);
    EXPECT_EQ(world.look(), std::vector<Operation*>{&read});
    EXPECT_EQ(read.result, -ECANCELED);
    EXPECT_TRUE(world.look().empty());
}

TEST_F(Outside, what_waits_on_a_number_ends_when_the_program_takes_the_number_back) {
    char byte = 0;
    Read real(pipe.reader.get(), &byte, 1);
    const Pipe simulated = world.pipe();
    Read inside(simulated.read_end, &byte, 1);
    ASSERT_FALSE(world.submit(real));
    ASSERT_FALSE(world.submit(inside));
    world->disown(pipe.reader.get());
    world->disown(simulated.read_end);
    EXPECT_EQ(world.finish(real), -ECANCELED);
    EXPECT_EQ(world.finish(inside), -ECANCELED);
    // The files are as open as before.
    EXPECT_EQ(world.write(pipe.writer.get(), "r"), 1);
    EXPECT_EQ(world.write(simulated.write_end, "s"), 1);
    EXPECT_EQ(world.read(pipe.reader.get(), 1), "r");
    EXPECT_EQ(world.read(simulated.read_end, 1), "s");
}

TEST_F(Outside, the_end_of_a_child_is_seen_through_its_pidfd) {
    char name[] = "sh";
    char option[] = "-c";
    char script[] = "read x";
    char* arguments[] = {name, option, script, nullptr};
    posix_spawn_file_actions_t actions;
    ASSERT_EQ(::posix_spawn_file_actions_init(&actions), 0);
    ASSERT_EQ(::posix_spawn_file_actions_adddup2(&actions, pipe.reader.get(), 0), 0);
    ASSERT_EQ(::fcntl(pipe.reader.get(), F_SETFL, 0), 0);  // The child reads in blocking mode.
    pid_t child = -1;
    ASSERT_EQ(::posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments, environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);

    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    ASSERT_TRUE(pidfd);
    Poll ended(pidfd.get(), POLLIN);
    EXPECT_FALSE(world.submit(ended)) << "it still reads";
    pipe.writer.reset();
    EXPECT_EQ(world.finish(ended), POLLIN);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
}

TEST_F(Outside, a_wake_that_was_answered_does_not_shorten_the_next_real_wait) {
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    world->wake();
    world.wait(never);  // Ended by the wake, or the test hangs.
    const TimePoint deadline = world->now() + 20ms;
    world.wait(deadline);
    EXPECT_GE(world->now(), deadline);
    give_up(read);
}

TEST_F(Outside, a_forked_child_that_goes_on_with_the_world_is_ended_with_a_clear_message) {
    // A death test runs its statement in a forked child.
    GTEST_FLAG_SET(death_test_style, "fast");
    EXPECT_DEATH(world.look(), "made before fork");
    EXPECT_DEATH(world.pipe(), "made before fork");
}

/// Returns when the thread is asleep in a system call. (The state stands behind the name, which is
/// in parentheses.)
void wait_until_asleep(pid_t thread) {
    for (;;) {
        std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
        std::string line;
        std::getline(file, line);
        const std::size_t name_ends = line.rfind(')');
        if (name_ends != std::string::npos && line.substr(name_ends, 3) == ") S") return;
        std::this_thread::yield();
    }
}

TEST_F(Outside, a_real_wait_is_ended_by_wake_from_another_thread_and_the_next_one_is_not) {
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    std::thread waker([&, waiting = ::gettid()] {
        wait_until_asleep(waiting);
        world->wake();
    });
    EXPECT_TRUE(world.wait(never).empty());
    waker.join();
    const TimePoint deadline = world->now() + 10ms;
    world.wait(deadline);
    EXPECT_GE(world->now(), deadline);
    give_up(read);
}

/// The only way to a world from inside a signal handler.
std::atomic<Backend*> to_be_woken{nullptr};
static_assert(std::atomic<Backend*>::is_always_lock_free);

TEST_F(Outside, a_real_wait_is_ended_by_wake_from_a_signal_handler) {
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    to_be_woken = world.operator->();
    struct sigaction handler{};
    struct sigaction before{};
    handler.sa_handler = [](int) {
        const int saved_errno = std::exchange(errno, E2BIG);
        to_be_woken.load()->wake();
        if (std::exchange(errno, saved_errno) != E2BIG) ::abort();  // wake() must leave it alone.
    };
    ASSERT_EQ(::sigaction(SIGUSR1, &handler, &before), 0);
    std::thread sender([self = ::pthread_self(), waiting = ::gettid()] {
        wait_until_asleep(waiting);
        ::pthread_kill(self, SIGUSR1);
    });
    EXPECT_TRUE(world.wait(never).empty());
    sender.join();
    const TimePoint deadline = world->now() + 10ms;
    world.wait(deadline);
    EXPECT_GE(world->now(), deadline) << "one wake, one wait";
    ASSERT_EQ(::sigaction(SIGUSR1, &before, nullptr), 0);
    give_up(read);
}

TEST_F(Outside, no_wake_is_lost_between_threads) {
    constexpr int threads = 3;
    constexpr int letters_each = 3000;
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    std::atomic<int> letters{0};
    std::vector<std::thread> senders;
    for (int i = 0; i < threads; ++i) {
        senders.emplace_back([&] {
            for (int letter = 0; letter < letters_each; ++letter) {
                letters.fetch_add(1, std::memory_order_relaxed);
                world->wake();
            }
        });
    }
    // A lost wake leaves this loop in a wait without end.
    while (letters.load(std::memory_order_relaxed) < threads * letters_each) world.wait(never);
    for (std::thread& sender : senders) sender.join();
    give_up(read);
}

TEST_F(Outside, an_expected_wake_is_waited_for_at_the_pace_of_real_time) {
    EXPECT_EQ(world->wait(never, finished_), Backend::Waited::deadlock);
    const TimePoint before = world->now();
    const TimePoint real_before = Clock::now();
    world->expect_wakes(1);
    std::thread other([&] {
        std::this_thread::sleep_for(10ms);
        world->wake();
    });
    EXPECT_EQ(world->wait(never, finished_), Backend::Waited::ok);
    EXPECT_GE(world->now() - before, 10ms);
    EXPECT_LE(world->now() - before, Clock::now() - real_before);
    other.join();
    world->expect_wakes(-1);
    EXPECT_EQ(world->wait(never, finished_), Backend::Waited::deadlock);
}

TEST_F(Outside, what_a_thread_wrote_before_it_woke_the_world_is_seen_after_the_wait) {
    constexpr int rounds = 2000;
    char byte = 0;
    Read read(pipe.reader.get(), &byte, 1);
    ASSERT_FALSE(world.submit(read));
    int letter = 0;  // Not atomic: the wake is what orders the two threads (TSan is the judge).
    std::atomic<bool> sent{false};
    std::binary_semaphore taken(0);
    std::thread sender([&] {
        for (int round = 1; round <= rounds; ++round) {
            letter = round;
            world->wake();
            sent.store(true, std::memory_order_relaxed);
            taken.acquire();
        }
    });
    for (int round = 1; round <= rounds; ++round) {
        world.wait(never);
        while (!sent.load(std::memory_order_relaxed)) std::this_thread::yield();
        sent.store(false, std::memory_order_relaxed);
        // That wait may have ended early, on the hint of the round before. Now the ring is there.
        world.look();
        EXPECT_EQ(letter, round);
        taken.release();
    }
    sender.join();
    give_up(read);
}

}  // namespace
}  // namespace simulation
