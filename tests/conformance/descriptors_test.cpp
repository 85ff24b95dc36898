// Goal: many operations on one descriptor, numbers that come to mean another file, and descriptors
// of every kind the library uses. Method: real descriptors, which the simulated back-end must serve
// too, in real time.

#include "conformance/harness.h"
#include "support/descriptors.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <deque>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

/// Writes behind the back-end's back until the descriptor takes no more.
void fill_directly(int fd) {
    const std::string block(4096, '.');
    while (::write(fd, block.data(), block.size()) > 0) {
    }
    // A stream socket takes less than a block where a block does not fit.
    while (::write(fd, block.data(), 1) > 0) {
    }
}

void empty_directly(int fd) {
    char block[4096];
    while (::read(fd, block, sizeof block) > 0) {
    }
}

TEST_P(Conformance, both_directions_of_one_descriptor_wait_at_the_same_time) {
    auto [ours, theirs] = real_sockets();
    fill_directly(ours.get());
    char byte = 0;
    for (int round = 0; round < 50; ++round) {
        Read reading(ours.get(), std::span(&byte, 1));
        const std::string block(100, 'w');
        Write writing(ours.get(), block);
        ASSERT_TRUE(driver().submit(reading));
        ASSERT_TRUE(driver().submit(writing));

        ASSERT_EQ(::write(theirs.get(), "r", 1), 1);
        driver().finish(reading);
        EXPECT_EQ(reading.result, 1);
        ASSERT_TRUE(driver().is_in_flight(writing)) << "woken for the wrong direction";

        ASSERT_TRUE(driver().submit(reading));
        empty_directly(theirs.get());
        driver().finish(writing);
        EXPECT_EQ(writing.result, 100);
        ASSERT_TRUE(driver().is_in_flight(reading)) << "woken for the wrong direction";
        driver().cancel(reading);
        driver().finish(reading);
        fill_directly(ours.get());
    }
}

TEST_P(Conformance, readers_of_one_pipe_all_get_their_share) {
    Pipe pipe = open_pipe();
    std::array<char, 100> bytes{};
    std::deque<Read> readings;
    for (char& byte : bytes) {
        ASSERT_TRUE(driver().submit(readings.emplace_back(pipe.reader, std::span(&byte, 1))));
    }
    int expected = 0;
    for (char i = 1; i <= 100; ++i) {
        ASSERT_EQ(write(pipe.writer, std::string_view(&i, 1)), 1);
        if (i % 7 == 0) driver().wait(soon());
        expected += i;
    }
    driver().finish_all();
    int sum = 0;
    for (const char byte : bytes) sum += byte;
    EXPECT_EQ(sum, expected);
}

TEST_P(Conformance, polls_and_reads_of_one_descriptor_do_not_disturb_each_other) {
    Pipe pipe = open_pipe();
    char byte = 0;
    Poll first(pipe.reader, POLLIN);
    Read reading(pipe.reader, std::span(&byte, 1));
    Poll second(pipe.reader, POLLIN);
    ASSERT_TRUE(driver().submit(first));
    ASSERT_TRUE(driver().submit(reading));
    ASSERT_TRUE(driver().submit(second));
    ASSERT_EQ(write(pipe.writer, "xy"), 2);
    driver().finish_all();
    EXPECT_EQ(first.result, POLLIN);
    EXPECT_EQ(reading.result, 1);
    EXPECT_EQ(second.result, POLLIN);
}

TEST_P(Conformance, twelve_thousand_operations_are_in_flight_and_all_come_back) {
    constexpr std::size_t per_pipe = 3000;
    std::array<Pipe, 4> pipes;
    std::deque<Poll> polls;
    for (Pipe& pipe : pipes) {
        pipe = open_pipe();
        for (std::size_t i = 0; i < per_pipe; ++i) {
            ASSERT_TRUE(driver().submit(polls.emplace_back(pipe.reader, POLLIN)));
        }
    }
    driver().wait(internal::at_once);
    ASSERT_EQ(driver().in_flight(), 12'000u);

    // Every third is cancelled, before or after what it waits for has happened.
    for (std::size_t i = 0; i < polls.size(); i += 3) driver().cancel(polls[i]);
    for (Pipe& pipe : pipes) ASSERT_EQ(write(pipe.writer, "x"), 1);
    driver().finish_all();
    for (std::size_t i = 0; i < polls.size(); ++i) {
        const bool cancelled = i % 3 == 0 && polls[i].result == -ECANCELED;
        ASSERT_TRUE(cancelled || polls[i].result == POLLIN) << i << ": " << polls[i].result;
    }
}

// In a ring: some complete while the others are still being queued, and there are more than a ring
// holds.
TEST_P(Conformance, operations_that_finish_while_others_are_submitted_are_not_lost) {
    Pipe noisy = open_pipe();
    Pipe quiet = open_pipe();
    std::deque<Poll> polls;
    for (int batch = 0; batch < 10; ++batch) {
        for (int i = 0; i < 200; ++i) driver().submit(polls.emplace_back(noisy.reader, POLLIN));
        ASSERT_EQ(write(noisy.writer, "x"), 1);
        for (int i = 0; i < 600; ++i) driver().submit(polls.emplace_back(quiet.reader, POLLIN));
        ASSERT_EQ(read(noisy.reader), "x");
    }
    ASSERT_EQ(write(noisy.writer, "x"), 1);
    ASSERT_EQ(write(quiet.writer, "x"), 1);
    // Looking suffices to get them all, though nothing more is submitted.
    for (int look = 0; look < 20'000 && driver().in_flight() > 0; ++look) {
        driver().wait(internal::at_once);
    }
    EXPECT_EQ(driver().in_flight(), 0u);
    driver().finish_all();
    for (const Poll& poll : polls) ASSERT_EQ(poll.result, POLLIN);
}

TEST_P(Conformance, ten_thousand_reads_in_flight_share_what_comes) {
    std::vector<char> bytes(10'000);
    std::array<Pipe, 4> pipes;
    for (Pipe& pipe : pipes) pipe = open_pipe();
    std::deque<Read> readings;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const int fd = pipes[i % pipes.size()].reader;
        ASSERT_TRUE(driver().submit(readings.emplace_back(fd, std::span(&bytes[i], 1))));
    }
    driver().wait(soon());
    const std::string share(bytes.size() / pipes.size(), 'x');
    for (Pipe& pipe : pipes) ASSERT_EQ(write(pipe.writer, share), static_cast<int>(share.size()));
    driver().finish_all();
    for (const Read& reading : readings) ASSERT_EQ(reading.result, 1);
    for (const char byte : bytes) ASSERT_EQ(byte, 'x');
}

TEST_P(Conformance, a_number_used_again_means_the_new_file) {
    for (int round = 0; round < 100; ++round) {
        char byte = 0;
        auto [old_reader, old_writer] = real_pipe();
        const int number = old_reader.get();
        Read reading(number, std::span(&byte, 1));
        ASSERT_TRUE(driver().submit(reading));
        driver().wait(internal::at_once);
        driver().cancel(reading);
        driver().finish(reading);
        old_reader.reset();

        auto [reader, writer] = real_pipe();
        ASSERT_EQ(reader.get(), number) << "the lowest free number is given out again";
        ASSERT_TRUE(driver().submit(reading));
        ASSERT_EQ(::write(writer.get(), "n", 1), 1);
        driver().finish(reading);
        ASSERT_EQ(reading.result, 1);
        ASSERT_EQ(byte, 'n');
    }
}

// A duplicate keeps the old file alive, and with it whatever the kernel remembered about it.
TEST_P(Conformance, a_number_used_again_hears_nothing_of_the_old_file_that_lives_on) {
    for (int round = 0; round < 100; ++round) {
        auto [old_reader, old_writer] = real_pipe();
        const int number = old_reader.get();
        Poll polling(number, POLLIN);
        ASSERT_TRUE(driver().submit(polling));
        driver().wait(internal::at_once);
        driver().cancel(polling);
        driver().finish(polling);
        const Fd duplicate(::dup(number));
        old_reader.reset();

        auto [reader, writer] = real_pipe();
        ASSERT_EQ(reader.get(), number);
        ASSERT_TRUE(driver().submit(polling));
        ASSERT_EQ(::write(old_writer.get(), "o", 1), 1);
        old_writer.reset();
        driver().wait_out(soon());
        ASSERT_TRUE(driver().is_in_flight(polling)) << "answered for another file";
        ASSERT_EQ(::write(writer.get(), "n", 1), 1);
        driver().finish(polling);
        ASSERT_EQ(polling.result, POLLIN);
    }
}

TEST_P(Conformance, a_file_that_comes_back_to_its_number_is_watched_again) {
    auto [reader, writer] = real_pipe();
    const int number = reader.get();
    for (int round = 0; round < 20; ++round) {
        char byte = 0;
        Read reading(number, std::span(&byte, 1));
        ASSERT_TRUE(driver().submit(reading));
        driver().wait(internal::at_once);
        driver().cancel(reading);
        driver().finish(reading);

        const Fd elsewhere(::dup(number));
        Close closing(number);
        ASSERT_EQ(driver().run(closing), 0);
        ASSERT_EQ(::dup2(elsewhere.get(), number), number);

        ASSERT_TRUE(driver().submit(reading));
        ASSERT_EQ(::write(writer.get(), "x", 1), 1);
        driver().finish(reading);
        ASSERT_EQ(reading.result, 1);
    }
}

TEST_P(Conformance, a_pidfd_is_readable_when_the_process_has_ended) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    ASSERT_TRUE(static_cast<bool>(pidfd));
    Poll ended(pidfd.get(), POLLIN);
    ASSERT_TRUE(driver().submit(ended));
    driver().wait_out(backend().now() + 5ms);
    ASSERT_TRUE(driver().is_in_flight(ended));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    driver().finish(ended);
    EXPECT_EQ(ended.result & POLLIN, POLLIN);

    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, WNOHANG), child);
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST_P(Conformance, an_eventfd_and_a_timerfd_are_read_like_any_other) {
    const Fd event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    const Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    char counts[2][8] = {};
    Read event_count(event.get(), counts[0]);
    Read expirations(timer.get(), counts[1]);
    ASSERT_TRUE(driver().submit(event_count));
    ASSERT_TRUE(driver().submit(expirations));
    const itimerspec in_a_millisecond{{}, {0, 1'000'000}};
    ASSERT_EQ(::timerfd_settime(timer.get(), 0, &in_a_millisecond, nullptr), 0);
    ASSERT_EQ(::eventfd_write(event.get(), 7), 0);
    driver().finish_all();
    EXPECT_EQ(event_count.result, 8);
    EXPECT_EQ(counts[0][0], 7);
    EXPECT_EQ(expirations.result, 8);
    EXPECT_EQ(counts[1][0], 1);
}

TEST_P(Conformance, a_regular_file_is_written_and_read_at_its_position) {
    std::FILE* file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    const int fd = ::fileno(file);
    EXPECT_EQ(write(fd, "first "), 6);
    EXPECT_EQ(write(fd, "second"), 6);
    ASSERT_EQ(::lseek(fd, 0, SEEK_SET), 0);
    EXPECT_EQ(read(fd, 6), "first ");
    EXPECT_EQ(read(fd, 100), "second");
    EXPECT_EQ(read(fd, 100), "") << "the end of the file";
    Poll ready(fd, POLLIN | POLLOUT);
    EXPECT_EQ(driver().run(ready), POLLIN | POLLOUT);
    std::fclose(file);
}

// A peer that has finished sending shows POLLRDHUP for good. The ring's polls report that unasked.
TEST_P(Conformance, a_half_closed_peer_does_not_answer_for_the_other_half) {
    auto [ours, theirs] = real_sockets();
    fill_directly(ours.get());
    Poll writable(ours.get(), POLLOUT);
    Write writing(ours.get(), std::string_view("more"));
    ASSERT_TRUE(driver().submit(writable));
    ASSERT_TRUE(driver().submit(writing));
    ASSERT_EQ(::shutdown(theirs.get(), SHUT_WR), 0);
    const int waits = driver().wait_out(backend().now() + 20ms);
    EXPECT_LT(waits, 100) << "a wait that costs processor time";
    ASSERT_TRUE(driver().is_in_flight(writable)) << "reported " << writable.result;
    ASSERT_TRUE(driver().is_in_flight(writing)) << "reported " << writing.result;
    empty_directly(theirs.get());
    driver().finish_all();
    EXPECT_EQ(writable.result, POLLOUT);
    EXPECT_EQ(writing.result, 4);
}

TEST_P(Conformance, an_operation_on_a_half_closed_connection_can_be_cancelled) {
    auto [ours, theirs] = real_sockets();
    fill_directly(ours.get());
    ASSERT_EQ(::shutdown(theirs.get(), SHUT_WR), 0);
    for (int round = 0; round < 200; ++round) {
        Write writing(ours.get(), std::string_view("more"));
        ASSERT_TRUE(driver().submit(writing));
        for (int waits = 0; waits < round % 4; ++waits) driver().wait(internal::at_once);
        driver().wait_out(soon());
        if (round % 2 == 0) empty_directly(theirs.get());
        if (round % 3 == 0) driver().wait(internal::at_once);
        if (driver().is_in_flight(writing)) driver().cancel(writing);
        driver().finish(writing);
        EXPECT_TRUE(writing.result == -ECANCELED || writing.result == 4) << writing.result;
        fill_directly(ours.get());
    }
}

TEST_P(Conformance, a_descriptor_left_readable_that_nobody_reads_costs_nothing) {
    Anchor anchor(driver());
    auto [reader, writer] = real_pipe();
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    ASSERT_TRUE(driver().submit(reading));
    ASSERT_EQ(::write(writer.get(), "many bytes", 10), 10);
    driver().finish(reading);
    EXPECT_LT(driver().wait_out(backend().now() + 20ms), 100);
}

TEST_P(OnKernel, the_ends_of_a_pipe_are_nonblocking_and_not_inherited) {
    const Pipe pipe = open_pipe();
    for (const int end : {pipe.reader, pipe.writer}) {
        EXPECT_NE(::fcntl(end, F_GETFL) & O_NONBLOCK, 0);
        EXPECT_NE(::fcntl(end, F_GETFD) & FD_CLOEXEC, 0);
    }
}

// The limit is in force for one call only, and that on a path that has been walked before: the
// sanitizers open descriptors of their own to check what they see for the first time.
TEST_P(OnKernel, a_pipe_is_EMFILE_when_the_process_has_no_descriptor_left) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const Fd highest(::dup(0));
    const rlimit tight{static_cast<rlim_t>(highest.get() + 1), before.rlim_max};
    MakePipe granted;
    MakePipe refused;
    for (MakePipe* request : {&granted, &refused}) {
        if (request == &refused) {
            ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
        }
        driver().run(*request);
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    }
    for (const int end : granted.ends) ::close(end);
    EXPECT_EQ(granted.result, 0);
    EXPECT_EQ(refused.result, -EMFILE);
    EXPECT_EQ(refused.ends[0], -1) << "nothing is written on failure";
}

TEST_P(OnKernel, no_descriptor_is_left_when_the_back_end_is_gone) {
    const int before = support::open_descriptors();
    for (int round = 0; round < 50; ++round) {
        auto another = make(GetParam());
        Driver drive(*another);
        auto [reader, writer] = real_pipe();
        char byte = 0;
        Read reading(reader.get(), std::span(&byte, 1));
        ASSERT_TRUE(drive.submit(reading));
        drive.wait(internal::at_once);
        drive.cancel(reading);
        drive.finish(reading);
        another->wake();
    }
    EXPECT_EQ(support::open_descriptors(), before);
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
