// Goal: cancelling is a request. Whatever it meets, the operation is reported once, and what it
// achieved is not lost. Method: cancel in every order relative to what the operation waits for.

#include "conformance/harness.h"

#include <array>
#include <cerrno>
#include <climits>
#include <deque>

#include <poll.h>

namespace asyncio::lowlevel::conformance {
namespace {

TEST_P(Conformance, a_cancelled_operation_that_could_not_happen_reports_ECANCELED) {
    Pipe empty = open_pipe();
    Pipe full = open_pipe();
    fill(full.writer);
    char bytes[PIPE_BUF] = {};
    Read reading(empty.reader, bytes);
    Write writing(full.writer, bytes);
    Poll polling(empty.reader, POLLIN);
    for (Operation* operation : std::initializer_list<Operation*>{&reading, &writing, &polling}) {
        ASSERT_TRUE(driver().submit(*operation));
        driver().cancel(*operation);
        driver().finish(*operation);
        EXPECT_EQ(operation->result, -ECANCELED);

        ASSERT_TRUE(driver().submit(*operation));
        driver().wait_out(soon());
        driver().cancel(*operation);
        driver().finish(*operation);
        EXPECT_EQ(operation->result, -ECANCELED) << "when a wait lay between";
    }
}

TEST_P(Conformance, CPP_03_cancelling_twice_reports_once) {
    Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, std::span(&byte, 1));
    ASSERT_TRUE(driver().submit(reading));
    driver().cancel(reading);
    driver().cancel(reading);
    driver().finish(reading);
    EXPECT_EQ(reading.result, -ECANCELED);
    EXPECT_EQ(driver().wait(internal::at_once), 0u);
    driver().wait_out(soon());  // The driver fails on a second report.
}

TEST_P(Conformance, CPP_03_bytes_that_came_before_the_cancel_are_read_now_or_later) {
    Pipe pipe = open_pipe();
    for (int round = 0; round < 200; ++round) {
        char byte = 0;
        Read reading(pipe.reader, std::span(&byte, 1));
        ASSERT_TRUE(driver().submit(reading));
        if (round % 2 == 0) driver().wait(internal::at_once);
        ASSERT_EQ(write(pipe.writer, "x"), 1);
        if (driver().is_in_flight(reading)) driver().cancel(reading);
        driver().finish(reading);
        if (reading.result == 1) {
            EXPECT_EQ(byte, 'x');
        } else {
            ASSERT_EQ(reading.result, -ECANCELED);
            EXPECT_EQ(read(pipe.reader), "x");
        }
    }
}

TEST_P(Conformance, CPP_03_bytes_that_come_after_the_cancel_are_read_now_or_later) {
    Pipe pipe = open_pipe();
    for (int round = 0; round < 200; ++round) {
        char byte = 0;
        Read reading(pipe.reader, std::span(&byte, 1));
        ASSERT_TRUE(driver().submit(reading));
        if (round % 2 == 0) driver().wait(internal::at_once);
        driver().cancel(reading);
        ASSERT_EQ(write(pipe.writer, "x"), 1);
        driver().finish(reading);
        if (reading.result != 1) {
            ASSERT_EQ(reading.result, -ECANCELED);
            EXPECT_EQ(read(pipe.reader), "x");
        }
    }
}

TEST_P(Conformance, CPP_03_room_that_came_before_the_cancel_takes_all_or_nothing) {
    Pipe pipe = open_pipe();
    for (int round = 0; round < 20; ++round) {
        const std::size_t filled = fill(pipe.writer);
        const std::string block(PIPE_BUF, 'b');
        Write writing(pipe.writer, block);
        ASSERT_TRUE(driver().submit(writing));
        drain(pipe.reader, filled);
        if (driver().is_in_flight(writing)) driver().cancel(writing);
        driver().finish(writing);
        if (writing.result == PIPE_BUF) {
            drain(pipe.reader, block.size());
        } else {
            ASSERT_EQ(writing.result, -ECANCELED);
        }
        Poll anything_left(pipe.reader, POLLIN);
        ASSERT_TRUE(driver().submit(anything_left)) << "bytes that nobody admits to";
        driver().cancel(anything_left);
        driver().finish(anything_left);
        ASSERT_EQ(anything_left.result, -ECANCELED);
    }
}

TEST_P(Conformance, a_cancel_leaves_the_others_on_the_same_descriptor_alone) {
    Pipe pipe = open_pipe();
    std::array<char, 5> bytes{};
    std::deque<Read> readings;
    for (char& byte : bytes) {
        ASSERT_TRUE(driver().submit(readings.emplace_back(pipe.reader, std::span(&byte, 1))));
    }
    for (const std::size_t withdrawn : {0u, 2u, 4u}) driver().cancel(readings[withdrawn]);
    for (const std::size_t withdrawn : {0u, 2u, 4u}) {
        driver().finish(readings[withdrawn]);
        EXPECT_EQ(readings[withdrawn].result, -ECANCELED);
    }
    ASSERT_EQ(driver().in_flight(), 2u);
    ASSERT_EQ(write(pipe.writer, "xy"), 2);
    driver().finish_all();
    EXPECT_EQ(readings[1].result, 1);
    EXPECT_EQ(readings[3].result, 1);
    EXPECT_EQ(bytes[1] + bytes[3], 'x' + 'y');
}

TEST_P(Conformance, a_cancelled_operation_is_reported_by_a_wait_that_only_looks) {
    Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, std::span(&byte, 1));
    ASSERT_TRUE(driver().submit(reading));
    driver().cancel(reading);
    // How many looks it takes is the back-end's affair (in the simulated world, where time hardly
    // moves while a program only looks, a good many); that they suffice is the contract.
    for (int look = 0; look < 10'000 && driver().is_in_flight(reading); ++look) {
        driver().wait(internal::at_once);
    }
    EXPECT_FALSE(driver().is_in_flight(reading));
    if (driver().is_in_flight(reading)) driver().finish(reading);
}

TEST_P(Conformance, after_a_cancel_the_same_operation_can_wait_again_at_once) {
    Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, std::span(&byte, 1));
    for (int round = 0; round < 1000; ++round) {
        ASSERT_TRUE(driver().submit(reading));
        driver().cancel(reading);
        driver().finish(reading);
        ASSERT_EQ(reading.result, -ECANCELED);
    }
    ASSERT_TRUE(driver().submit(reading));
    ASSERT_EQ(write(pipe.writer, "x"), 1);
    driver().finish(reading);
    EXPECT_EQ(reading.result, 1) << "no late cancellation meets it";
}

TEST_P(Conformance, a_thousand_operations_are_cancelled_in_any_order) {
    Pipe pipe = open_pipe();
    std::array<char, 1000> bytes{};
    std::deque<Read> readings;
    for (char& byte : bytes) {
        ASSERT_TRUE(driver().submit(readings.emplace_back(pipe.reader, std::span(&byte, 1))));
    }
    // 617 and 1000 have no common divisor, so every index is met once.
    for (std::size_t i = 0; i < readings.size(); ++i) {
        Read& reading = readings[i * 617 % readings.size()];
        driver().cancel(reading);
        if (i % 100 == 0) driver().wait(internal::at_once);
    }
    driver().finish_all();
    for (const Read& reading : readings) ASSERT_EQ(reading.result, -ECANCELED);
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
