// Goal: what io_uring alone promises: a read or write that would hold up the thread is left to the
// kernel, and looking at what did not happen is free.
// Method: descriptors in blocking mode, on which a plain call would hang the test.

#include "conformance/child.h"
#include "conformance/harness.h"

#include <cerrno>
#include <thread>

#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

class Ring : public Conformance {};
INSTANTIATE_TEST_SUITE_P(, Ring, testing::Values(Tested::io_uring, Tested::io_uring_plain),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(Ring, a_read_of_a_descriptor_in_blocking_mode_does_not_block) {
    auto [reader, writer] = real_pipe(O_CLOEXEC);
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    for (int round = 0; round < 100; ++round) {
        ASSERT_TRUE(driver().submit(reading));
        if (round % 2 == 0) driver().wait(internal::at_once);
        ASSERT_EQ(::write(writer.get(), "x", 1), 1);
        driver().finish(reading);
        ASSERT_EQ(reading.result, 1);
        ASSERT_EQ(byte, 'x');
    }
}

TEST_P(Ring, it_can_be_cancelled) {
    auto [reader, writer] = real_pipe(O_CLOEXEC);
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    for (int round = 0; round < 100; ++round) {
        ASSERT_TRUE(driver().submit(reading));
        if (round % 2 == 0) driver().wait(internal::at_once);
        driver().cancel(reading);
        driver().cancel(reading);
        driver().finish(reading);
        ASSERT_EQ(reading.result, -ECANCELED);
    }
}

TEST_P(Ring, a_write_into_a_full_pipe_in_blocking_mode_does_not_block) {
    auto [reader, writer] = real_pipe();
    const std::string block(200'000, 'b');
    const ssize_t filled = ::write(writer.get(), block.data(), block.size());
    ASSERT_GT(filled, 0);
    ASSERT_EQ(::fcntl(writer.get(), F_SETFL, 0), 0);
    Write writing(writer.get(), block);
    ASSERT_TRUE(driver().submit(writing));
    ssize_t got = 0;
    char part[10'000];
    while (driver().is_in_flight(writing) || got < filled + writing.result) {
        driver().wait(soon());
        Poll readable(reader.get(), 1);
        if (driver().submit(readable)) {
            driver().cancel(readable);
            driver().finish(readable);
        }
        if (readable.result != 1) continue;
        const ssize_t count = ::read(reader.get(), part, sizeof part);
        ASSERT_GT(count, 0);
        got += count;
    }
    EXPECT_GT(writing.result, 0);
    EXPECT_EQ(got, filled + writing.result);
}

TEST_P(Ring, a_mode_that_changes_while_the_read_is_in_flight_changes_nothing) {
    auto [reader, writer] = real_pipe(O_CLOEXEC);
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    ASSERT_TRUE(driver().submit(reading));
    ASSERT_EQ(::fcntl(reader.get(), F_SETFL, O_NONBLOCK), 0);
    driver().wait_out(soon());
    ASSERT_TRUE(driver().is_in_flight(reading));
    ASSERT_EQ(::write(writer.get(), "x", 1), 1);
    driver().finish(reading);
    EXPECT_EQ(reading.result, 1);
}

TEST_P(Ring, CPP_02_a_buffer_in_the_kernels_hands_is_left_before_the_back_end_is_gone) {
    auto [reader, writer] = real_pipe(O_CLOEXEC);
    for (int round = 0; round < 20; ++round) {
        auto another = make(GetParam());
        char byte = 'a';
        Read reading(reader.get(), std::span(&byte, 1));
        ASSERT_EQ(another->submit(reading), Submitted::in_flight);
        OperationList finished;
        if (round % 2 == 0) another->wait(internal::at_once, finished);
        another.reset();
        ASSERT_EQ(::write(writer.get(), "x", 1), 1);
        char next = 0;
        ASSERT_EQ(::read(reader.get(), &next, 1), 1) << "nobody else took it";
        EXPECT_EQ(byte, 'a');
    }
}

// A buffer in the kernel's hands cannot be taken along.

TEST_P(Ring, a_read_of_a_descriptor_in_blocking_mode_moves_to_another_thread) {
    auto [reader, writer] = real_pipe(O_CLOEXEC);
    for (int round = 0; round < 20; ++round) {
        char byte = 0;
        Read reading(reader.get(), std::span(&byte, 1));
        std::thread([&] {
            ASSERT_TRUE(driver().submit(reading));
            if (round % 4 != 0) driver().wait(internal::at_once);
            if (round % 5 == 0) {
                ASSERT_EQ(::write(writer.get(), "x", 1), 1);
            }
            backend().hand_over();
        }).join();
        if (round % 5 != 0 && round % 2 == 0) driver().cancel(reading);
        driver().wait(internal::at_once);
        if (round % 5 != 0 && round % 2 != 0) {
            EXPECT_TRUE(driver().is_in_flight(reading));
            ASSERT_EQ(::write(writer.get(), "x", 1), 1);
        }
        driver().finish(reading);
        EXPECT_EQ(reading.result, round % 5 != 0 && round % 2 == 0 ? -ECANCELED : 1);
    }
}

// The kernel says in shared memory when there is something to fetch. (epoll must ask.)
TEST_P(Ring, looking_makes_no_system_call_while_nothing_happens) {
    std::unique_ptr<Backend> counted;
    auto [reader, writer] = real_pipe();
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    const int enter = SYS_io_uring_enter;
    const int count = count_system_calls(
        {&enter, 1},
        [&] {
            OperationList finished;
            counted = make(GetParam());
            counted->submit(reading);
            counted->wait(internal::at_once, finished);
        },
        [&] {
            OperationList finished;
            for (int i = 0; i < 1000; ++i) counted->wait(internal::at_once, finished);
        });
    EXPECT_EQ(count, 0);
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
