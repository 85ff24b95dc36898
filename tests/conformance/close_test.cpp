// Rule 9: a close ends the operations in flight on its descriptor.
//
// Each test closes a descriptor under operations that wait on it, and then lets the number mean
// another file, which the ended operations must not touch.

#include "conformance/harness.h"

#include <cerrno>

#include <poll.h>

namespace asyncio::lowlevel::conformance {
namespace {

TEST_P(Conformance, a_close_ends_a_read_a_write_and_a_poll_of_its_descriptor) {
    Pipe pipe = open_pipe();
    Pipe full = open_pipe();
    fill(full.writer);
    char byte = 0;
    Read reading(pipe.reader, {&byte, 1});
    Poll polling(pipe.reader, POLLIN);
    Write writing(full.writer, "x");
    ASSERT_TRUE(driver().submit(reading));
    ASSERT_TRUE(driver().submit(polling));
    ASSERT_TRUE(driver().submit(writing));
    close_end(pipe.reader);
    close_end(full.writer);
    driver().finish_all();
    EXPECT_EQ(reading.result, -ECANCELED);
    EXPECT_EQ(polling.result, -ECANCELED);
    EXPECT_EQ(writing.result, -ECANCELED);
}

TEST_P(Conformance, a_close_after_a_wait_ends_what_the_wait_has_armed) {
    Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, {&byte, 1});
    ASSERT_TRUE(driver().submit(reading));
    driver().wait_out(soon());
    close_end(pipe.reader);
    driver().finish(reading);
    EXPECT_EQ(reading.result, -ECANCELED);
}

TEST_P(Conformance, an_operation_that_a_close_has_ended_spares_the_next_file_of_the_number) {
    for (const bool armed : {false, true}) {
        Pipe pipe = open_pipe();
        char byte = 'o';
        Read reading(pipe.reader, {&byte, 1});
        ASSERT_TRUE(driver().submit(reading));
        if (armed) driver().wait_out(soon());
        write(pipe.writer, "a");
        close_end(pipe.reader);
        Pipe next = open_pipe();
        write(next.writer, "b");
        driver().finish(reading);
        // The byte may have come before the close, and then it is not lost.
        EXPECT_EQ(byte, reading.result == 1 ? 'a' : 'o');
        EXPECT_EQ(read(next.reader), "b");
    }
}

TEST_P(Conformance, a_close_spares_the_operations_of_other_descriptors) {
    Pipe closed = open_pipe();
    Pipe kept = open_pipe();
    char bytes[2] = {};
    Read ended(closed.reader, {&bytes[0], 1});
    Read waiting(kept.reader, {&bytes[1], 1});
    ASSERT_TRUE(driver().submit(ended));
    ASSERT_TRUE(driver().submit(waiting));
    close_end(closed.reader);
    driver().finish(ended);
    ASSERT_TRUE(driver().is_in_flight(waiting));
    write(kept.writer, "x");
    driver().finish(waiting);
    EXPECT_EQ(waiting.result, 1);
}

TEST_P(Conformance, the_other_end_sees_a_close_under_an_operation_in_flight) {
    Pipe pipe = open_pipe();
    fill(pipe.writer);
    Write writing(pipe.writer, "x");
    ASSERT_TRUE(driver().submit(writing));
    driver().wait_out(soon());
    close_end(pipe.writer);
    driver().finish(writing);
    while (!read(pipe.reader, 65536).empty()) {
    }
}

TEST_P(Conformance, an_operation_that_was_cancelled_and_closed_is_reported_once) {
    Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, {&byte, 1});
    ASSERT_TRUE(driver().submit(reading));
    driver().cancel(reading);
    close_end(pipe.reader);
    if (driver().is_in_flight(reading)) driver().cancel(reading);
    if (driver().is_in_flight(reading)) driver().finish(reading);
    EXPECT_EQ(reading.result, -ECANCELED);
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
