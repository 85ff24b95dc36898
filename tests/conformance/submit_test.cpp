// Goal: an operation does what the system call of its name does, reports what that call would
// report, and waits where that call would say EAGAIN. Method: pipes of the back-end's own, so that
// the simulated ones are tested on their in-memory pipes.

#include "conformance/harness.h"

#include <cerrno>
#include <climits>

#include <poll.h>

namespace asyncio::lowlevel::conformance {
namespace {

/// So far that no back-end gives it out, and so near that the kernel looks it up.
constexpr int no_such_descriptor = 1'000'000;

TEST_P(Conformance, a_read_takes_what_is_there) {
    Pipe pipe = open_pipe();
    EXPECT_EQ(write(pipe.writer, "hello"), 5);
    std::string got;
    while (got.size() < 5) got += read(pipe.reader);
    EXPECT_EQ(got, "hello");
}

TEST_P(Conformance, a_read_of_an_empty_pipe_is_in_flight_until_bytes_come) {
    Pipe pipe = open_pipe();
    char bytes[8] = {};
    Read reading(pipe.reader, bytes);
    ASSERT_TRUE(driver().submit(reading));
    driver().wait_out(soon());
    ASSERT_TRUE(driver().is_in_flight(reading));

    ASSERT_EQ(write(pipe.writer, "x"), 1);
    driver().finish(reading);
    EXPECT_EQ(reading.result, 1);
    EXPECT_EQ(bytes[0], 'x');
}

TEST_P(Conformance, a_write_into_a_full_pipe_is_in_flight_until_there_is_room) {
    Pipe pipe = open_pipe();
    const std::size_t filled = fill(pipe.writer);
    const std::string block(PIPE_BUF, 'b');
    Write writing(pipe.writer, block);
    ASSERT_TRUE(driver().submit(writing));
    driver().wait_out(soon());
    ASSERT_TRUE(driver().is_in_flight(writing));

    drain(pipe.reader, filled);
    driver().finish(writing);
    EXPECT_EQ(writing.result, PIPE_BUF) << "a write of PIPE_BUF bytes is whole or not at all";
    drain(pipe.reader, block.size());
}

TEST_P(Conformance, a_write_longer_than_the_room_is_short_and_never_zero) {
    Pipe pipe = open_pipe();
    const std::string block(1024 * 1024, 'b');
    Write writing(pipe.writer, block);
    const int count = driver().run(writing);
    ASSERT_GT(count, 0);
    EXPECT_LT(count, 1024 * 1024);
    drain(pipe.reader, static_cast<std::size_t>(count));
}

/// Submits an operation over and over until it asks for nothing; hands each result to `account`
/// once.
class Repeated {
public:
    explicit Repeated(Operation& operation) : operation_(operation) {}

    template <class Account>
    void step(Driver& driver, Account account) {
        if (begun_ && driver.is_in_flight(operation_)) return;
        if (begun_) account(static_cast<std::size_t>(operation_.result));
        begun_ = operation_.size > 0;
        if (begun_) driver.submit(operation_);
    }

private:
    Operation& operation_;
    bool begun_ = false;
};

TEST_P(Conformance, bytes_arrive_in_order_through_a_pipe_that_is_always_too_small) {
    Pipe pipe = open_pipe();
    std::string sent(300'000, '\0');
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 31 >> 3);
    std::string got;
    char part[7000];
    Write writing(pipe.writer, sent);
    Read reading(pipe.reader, part);
    Repeated writer(writing);
    Repeated reader(reading);
    while (reading.size > 0) {
        writer.step(driver(), [&](std::size_t count) {
            ASSERT_LE(count, writing.size);
            writing.buffer = static_cast<char*>(writing.buffer) + count;
            writing.size -= count;
        });
        reader.step(driver(), [&](std::size_t count) {
            ASSERT_LE(count, sizeof part);
            got.append(part, count);
            reading.size = std::min(sizeof part, sent.size() - got.size());
        });
        if (driver().in_flight() > 0) driver().wait(soon());
    }
    driver().finish_all();
    EXPECT_TRUE(got == sent);
}

TEST_P(Conformance, the_end_of_the_stream_is_a_read_of_zero_bytes) {
    Pipe pipe = open_pipe();
    char bytes[8];
    Read before(pipe.reader, bytes);
    ASSERT_TRUE(driver().submit(before));
    close_end(pipe.writer);
    driver().finish(before);
    EXPECT_EQ(before.result, 0) << "in flight when the writer left";

    Read after(pipe.reader, bytes);
    EXPECT_EQ(driver().run(after), 0) << "begun when the writer had left";
}

TEST_P(Conformance, what_was_written_before_the_writer_left_is_read_before_the_end) {
    Pipe pipe = open_pipe();
    ASSERT_EQ(write(pipe.writer, "last words"), 10);
    close_end(pipe.writer);
    std::string got;
    for (std::string part = read(pipe.reader); !part.empty(); part = read(pipe.reader)) got += part;
    EXPECT_EQ(got, "last words");
}

TEST_P(Conformance, a_write_without_readers_is_EPIPE) {
    Pipe pipe = open_pipe();
    close_end(pipe.reader);
    EXPECT_EQ(write(pipe.writer, "x"), -EPIPE);
}

TEST_P(Conformance, a_write_in_flight_is_EPIPE_when_the_last_reader_leaves) {
    Pipe pipe = open_pipe();
    fill(pipe.writer);
    const std::string block(PIPE_BUF, 'b');
    Write writing(pipe.writer, block);
    ASSERT_TRUE(driver().submit(writing));
    close_end(pipe.reader);
    driver().finish(writing);
    EXPECT_EQ(writing.result, -EPIPE);
}

TEST_P(Conformance, nothing_asked_is_nothing_done_at_once) {
    Pipe pipe = open_pipe();
    Read reading(pipe.reader, {});
    EXPECT_EQ(driver().run(reading), 0) << "though the pipe is empty";
    Write writing(pipe.writer, {});
    EXPECT_EQ(driver().run(writing), 0);
}

TEST_P(Conformance, a_number_that_is_no_descriptor_is_EBADF) {
    char byte = 0;
    for (const int number : {-1, no_such_descriptor}) {
        Read reading(number, std::span(&byte, 1));
        EXPECT_EQ(driver().run(reading), -EBADF) << number;
        Write writing(number, std::span(&byte, 1));
        EXPECT_EQ(driver().run(writing), -EBADF) << number;
        Poll polling(number, POLLIN);
        EXPECT_EQ(driver().run(polling), -EBADF) << number;
        Close closing(number);
        EXPECT_EQ(driver().run(closing), -EBADF) << number;
    }
}

TEST_P(Conformance, the_wrong_end_is_EBADF) {
    Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.writer, std::span(&byte, 1));
    EXPECT_EQ(driver().run(reading), -EBADF);
    Write writing(pipe.reader, std::span(&byte, 1));
    EXPECT_EQ(driver().run(writing), -EBADF);
}

TEST_P(Conformance, a_closed_end_is_EBADF) {
    Pipe pipe = open_pipe();
    const int reader = pipe.reader;
    close_end(pipe.reader);
    char byte = 0;
    Read reading(reader, std::span(&byte, 1));
    EXPECT_EQ(driver().run(reading), -EBADF);
    Close again(reader);
    EXPECT_EQ(driver().run(again), -EBADF);
}

TEST_P(Conformance, poll_reports_the_events_that_hold) {
    Pipe pipe = open_pipe();
    Poll writable(pipe.writer, POLLOUT);
    EXPECT_EQ(driver().run(writable), POLLOUT);

    Poll readable(pipe.reader, POLLIN);
    ASSERT_TRUE(driver().submit(readable));
    driver().wait_out(soon());
    ASSERT_TRUE(driver().is_in_flight(readable));
    ASSERT_EQ(write(pipe.writer, "x"), 1);
    driver().finish(readable);
    EXPECT_EQ(readable.result, POLLIN);
    EXPECT_EQ(read(pipe.reader), "x") << "poll takes nothing";
}

TEST_P(Conformance, poll_waits_for_room_in_a_full_pipe) {
    Pipe pipe = open_pipe();
    const std::size_t filled = fill(pipe.writer);
    Poll writable(pipe.writer, POLLOUT);
    ASSERT_TRUE(driver().submit(writable));
    drain(pipe.reader, filled);
    driver().finish(writable);
    EXPECT_EQ(writable.result, POLLOUT);
}

TEST_P(Conformance, poll_reports_a_hang_up_and_an_error_unasked) {
    Pipe pipe = open_pipe();
    Poll nothing_asked(pipe.reader, 0);
    Poll readable(pipe.reader, POLLIN);
    ASSERT_TRUE(driver().submit(nothing_asked));
    ASSERT_TRUE(driver().submit(readable));
    close_end(pipe.writer);
    driver().finish_all();
    EXPECT_EQ(nothing_asked.result, POLLHUP);
    EXPECT_EQ(readable.result, POLLHUP);

    Pipe other = open_pipe();
    fill(other.writer);
    Poll without_reader(other.writer, 0);
    ASSERT_TRUE(driver().submit(without_reader));
    close_end(other.reader);
    driver().finish(without_reader);
    EXPECT_EQ(without_reader.result, POLLERR);
}

TEST_P(Conformance, an_operation_can_be_used_again_after_its_report) {
    Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, std::span(&byte, 1));
    for (int round = 0; round < 1000; ++round) {
        const char sent = static_cast<char>(round);
        if (round % 3 == 0) {
            ASSERT_EQ(write(pipe.writer, std::string_view(&sent, 1)), 1);
            ASSERT_EQ(driver().run(reading), 1);
        } else {
            ASSERT_TRUE(driver().submit(reading));
            ASSERT_EQ(write(pipe.writer, std::string_view(&sent, 1)), 1);
            driver().finish(reading);
            ASSERT_EQ(reading.result, 1);
        }
        ASSERT_EQ(byte, sent);
    }
}

TEST_P(Conformance, the_back_end_calls_nobody_back) {
    Pipe pipe = open_pipe();
    char byte = 0;
    static bool called;
    called = false;
    Read reading(pipe.reader, std::span(&byte, 1));
    reading.on_finished = [](Operation&) noexcept { called = true; };
    ASSERT_TRUE(driver().submit(reading));
    ASSERT_EQ(write(pipe.writer, "x"), 1);
    driver().finish(reading);
    driver().submit(reading);
    driver().cancel(reading);
    driver().finish(reading);
    EXPECT_FALSE(called) << "that is the loop's part";
}

TEST_P(Conformance, CPP_02_an_operation_is_not_touched_after_its_report) {
    Pipe pipe = open_pipe();
    alignas(Read) std::byte memory[sizeof(Read)];
    char byte = 'a';
    for (int round = 0; round < 100; ++round) {
        auto* reading = new (memory) Read(pipe.reader, std::span(&byte, 1));
        ASSERT_TRUE(driver().submit(*reading));
        if (round % 2 == 0) driver().cancel(*reading);
        if (round % 4 != 0) {
            ASSERT_EQ(write(pipe.writer, "x"), 1);
        }
        driver().finish(*reading);
        const bool took_it = reading->result == 1;
        reading->~Read();
        byte = 'a';
        std::fill(std::begin(memory), std::end(memory), std::byte{0xee});
        if (round % 4 != 0 && !took_it) {
            EXPECT_EQ(read(pipe.reader), "x");
        }
        driver().wait_out(soon());
        EXPECT_EQ(byte, 'a');
        EXPECT_TRUE(std::all_of(std::begin(memory), std::end(memory),
                                [](std::byte b) { return b == std::byte{0xee}; }));
    }
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
