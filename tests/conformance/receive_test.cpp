// Goal: a read that brings no buffer is a read in every other respect: each byte is handed over
// once, before the operation is finished, and none is lost (rule 2). Method: operations that note
// what they are given; pipes of the back-end, real ones, and files.

#include "conformance/harness.h"

#include <cerrno>
#include <cstdio>

#include <sys/socket.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

struct Receive : Operation {
    explicit Receive(int descriptor, std::size_t most = 64 * 1024,
                     Blocking what_is_known = Blocking::unknown) {
        kind = OperationKind::read;
        fd = descriptor;
        size = most;
        blocking = what_is_known;
        receive = [](Operation& operation, std::span<const char> bytes) noexcept {
            auto& self = static_cast<Receive&>(operation);
            EXPECT_NE(self.state, State::finished);
            EXPECT_FALSE(bytes.empty());
            ++self.calls;
            self.text.append(bytes.data(), bytes.size());
        };
    }
    int calls = 0;
    std::string text;
};

TEST_P(Conformance, a_read_without_a_buffer_takes_what_is_there) {
    const Pipe pipe = open_pipe();
    ASSERT_EQ(write(pipe.writer, "hello"), 5);
    std::string all;
    while (all.size() < 5) {
        Receive reading(pipe.reader, 3);
        const int count = driver().run(reading);
        ASSERT_GT(count, 0);
        EXPECT_LE(count, 3);
        EXPECT_EQ(reading.text.size(), static_cast<std::size_t>(count));
        EXPECT_EQ(reading.calls, 1);
        all += reading.text;
    }
    EXPECT_EQ(all, "hello");
}

TEST_P(Conformance, reads_without_buffers_that_finish_together_do_not_share_bytes) {
    const Pipe one = open_pipe();
    const Pipe other = open_pipe();
    Receive first(one.reader);
    Receive second(other.reader);
    ASSERT_TRUE(driver().submit(first));
    ASSERT_TRUE(driver().submit(second));
    driver().wait_out(soon());
    ASSERT_EQ(write(one.writer, "1"), 1);
    ASSERT_EQ(write(other.writer, "2"), 1);
    driver().finish_all();
    EXPECT_EQ(first.text, "1");
    EXPECT_EQ(second.text, "2");
}

TEST_P(Conformance, nothing_is_received_at_the_end_nor_after_a_cancellation_nor_with_an_error) {
    Pipe pipe = open_pipe();
    Receive cancelled(pipe.reader);
    ASSERT_TRUE(driver().submit(cancelled));
    driver().wait_out(soon());
    driver().cancel(cancelled);
    driver().finish(cancelled);
    EXPECT_EQ(cancelled.result, -ECANCELED);
    Receive wrong(pipe.writer);
    EXPECT_EQ(driver().run(wrong), -EBADF);
    close_end(pipe.writer);
    Receive at_end(pipe.reader);
    EXPECT_EQ(driver().run(at_end), 0);
    EXPECT_EQ(cancelled.calls + wrong.calls + at_end.calls, 0);
}

TEST_P(Conformance, bytes_that_cross_a_cancellation_are_received_or_stay) {
    const Pipe pipe = open_pipe();
    std::size_t received = 0;
    constexpr std::size_t rounds = 200;
    for (std::size_t round = 0; round < rounds; ++round) {
        Receive reading(pipe.reader);
        if (driver().submit(reading)) {
            if (round % 2 == 0) driver().wait(internal::at_once);
            ASSERT_EQ(write(pipe.writer, "x"), 1);
            if (driver().is_in_flight(reading)) driver().cancel(reading);
            driver().finish(reading);
        } else {
            ASSERT_EQ(write(pipe.writer, "x"), 1);
        }
        EXPECT_EQ(reading.text.size(), static_cast<std::size_t>(std::max(reading.result, 0)));
        received += reading.text.size();
    }
    while (received < rounds) {
        Receive rest(pipe.reader);
        ASSERT_GT(driver().run(rest), 0);
        received += rest.text.size();
    }
    EXPECT_EQ(received, rounds);
}

TEST_P(Conformance, a_file_is_received_whatever_is_known_about_it) {
    std::FILE* file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    const std::string content(100'000, 'f');
    ASSERT_EQ(::write(::fileno(file), content.data(), content.size()), 100'000);
    for (const Blocking known : {Blocking::unknown, Blocking::never, Blocking::possible}) {
        ASSERT_EQ(::lseek(::fileno(file), 0, SEEK_SET), 0);
        std::string all;
        for (;;) {
            Receive reading(::fileno(file), 1 << 20, known);
            const int count = driver().run(reading);
            ASSERT_GE(count, 0);
            if (count == 0) break;
            all += reading.text;
        }
        EXPECT_TRUE(all == content);
    }
    std::fclose(file);
}

TEST_P(Conformance, what_is_said_to_block_and_does_not_is_waited_for_all_the_same) {
    const Anchor anchor(driver());
    auto [reader, writer] = real_pipe();
    Receive reading(reader.get(), 10, Blocking::possible);
    ASSERT_TRUE(driver().submit(reading));
    driver().wait_out(soon());
    ASSERT_TRUE(driver().is_in_flight(reading));
    ASSERT_EQ(::write(writer.get(), "x", 1), 1);
    driver().finish(reading);
    EXPECT_EQ(reading.text, "x");
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
