// Goal: one thread after the other may use a back-end, whatever is in flight, and whether or not
// the one before still lives (rule 11). Method: operations that are started on one thread and ended
// on another, in every state in which they can be; each thread is joined, or held, before the next
// one takes over.

#include "conformance/harness.h"

#include <cerrno>
#include <functional>
#include <latch>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

void on_another_thread(const std::function<void()>& body) { std::thread(body).join(); }

/// A thread that has used the back-end and has not ended. It ends with this object.
class Held {
public:
    explicit Held(const std::function<void()>& body)
        : thread_([this, body] {
              body();
              used_.count_down();
              may_end_.wait();
          }) {
        used_.wait();
    }
    ~Held() {
        may_end_.count_down();
        thread_.join();
    }

private:
    std::latch used_{1};
    std::latch may_end_{1};
    std::thread thread_;
};

TEST_P(Conformance, a_read_in_flight_is_finished_on_another_thread) {
    const Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, std::span(&byte, 1));
    on_another_thread([&] {
        ASSERT_TRUE(driver().submit(reading));
        driver().wait_out(soon());
        backend().hand_over();
    });
    on_another_thread([&] {
        driver().wait_out(soon());
        EXPECT_TRUE(driver().is_in_flight(reading)) << "the end of its thread is no end for it";
        EXPECT_EQ(write(pipe.writer, "x"), 1);
        driver().finish(reading);
        backend().hand_over();
    });
    EXPECT_EQ(reading.result, 1);
    EXPECT_EQ(byte, 'x');
}

TEST_P(Conformance, also_while_the_thread_before_lives_and_when_it_takes_over_again) {
    const Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, std::span(&byte, 1));
    for (int round = 0; round < 3; ++round) {
        const Held held([&] {
            if (!driver().is_in_flight(reading)) driver().submit(reading);
            driver().wait_out(soon());
            backend().hand_over();
        });
        driver().wait_out(soon());
        EXPECT_TRUE(driver().is_in_flight(reading));
        backend().hand_over();
    }
    EXPECT_EQ(write(pipe.writer, "x"), 1);
    driver().finish(reading);
    EXPECT_EQ(reading.result, 1);
}

TEST_P(Conformance, what_came_between_two_threads_is_seen_by_the_second) {
    auto [reader, writer] = real_pipe();
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    on_another_thread([&] {
        ASSERT_TRUE(driver().submit(reading));
        driver().wait_out(soon());
        ASSERT_EQ(::write(writer.get(), "x", 1), 1);
        backend().hand_over();
    });
    driver().finish(reading);
    EXPECT_EQ(reading.result, 1);
}

TEST_P(Conformance, a_cancellation_that_was_not_yet_reported_is_reported_there) {
    const Pipe pipe = open_pipe();
    char bytes[2];
    Read one(pipe.reader, std::span(&bytes[0], 1));
    Read other(pipe.reader, std::span(&bytes[1], 1));
    on_another_thread([&] {
        ASSERT_TRUE(driver().submit(one));
        driver().wait_out(soon());
        ASSERT_TRUE(driver().submit(other));
        driver().cancel(one);
        driver().cancel(other);
        backend().hand_over();
    });
    driver().finish_all();
    EXPECT_EQ(one.result, -ECANCELED);
    EXPECT_EQ(other.result, -ECANCELED);
}

TEST_P(Conformance, an_operation_can_be_cancelled_by_a_thread_that_has_not_waited_yet) {
    const Pipe pipe = open_pipe();
    char byte = 0;
    Read reading(pipe.reader, std::span(&byte, 1));
    Poll poll(pipe.reader, POLLIN);
    on_another_thread([&] {
        ASSERT_TRUE(driver().submit(reading));
        ASSERT_TRUE(driver().submit(poll));
        driver().wait_out(soon());
        backend().hand_over();
    });
    driver().cancel(reading);
    driver().cancel(poll);
    driver().finish_all();
    EXPECT_EQ(reading.result, -ECANCELED);
    EXPECT_EQ(poll.result, -ECANCELED);
}

TEST_P(Conformance, a_write_to_a_half_closed_peer_is_taken_along) {
    auto [ours, theirs] = real_sockets();
    const std::string block(4096, '.');
    while (::send(ours.get(), block.data(), block.size(), 0) > 0) {
    }
    ASSERT_EQ(::shutdown(theirs.get(), SHUT_WR), 0);
    Write writing(ours.get(), std::string_view("more"));
    on_another_thread([&] {
        ASSERT_TRUE(driver().submit(writing));
        driver().wait_out(soon());
        backend().hand_over();
    });
    driver().wait_out(soon());
    ASSERT_TRUE(driver().is_in_flight(writing));
    std::string some(1 << 20, '\0');
    while (::recv(theirs.get(), some.data(), some.size(), 0) > 0) {
    }
    driver().finish(writing);
    EXPECT_EQ(writing.result, 4);
}

TEST_P(Conformance, a_wake_reaches_whoever_waits_now) {
    on_another_thread([&] {
        driver().wait_out(soon());
        backend().hand_over();
    });
    const Anchor anchor(driver());
    std::thread waker([&] { backend().wake(); });
    OperationList finished;
    // Fails by hanging: nothing else ends this wait.
    EXPECT_EQ(backend().wait(internal::never, finished), Backend::Waited::ok);
    waker.join();
}

TEST_P(Conformance, a_back_end_is_destroyed_elsewhere_with_operations_in_flight) {
    auto [reader, writer] = real_pipe();
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    auto another = make(GetParam());
    on_another_thread([&] {
        OperationList finished;
        ASSERT_EQ(another->submit(reading), Submitted::in_flight);
        another->wait(internal::at_once, finished);
        another->hand_over();
    });
    on_another_thread([&] { another.reset(); });
}

TEST_P(Conformance, a_hundred_threads_one_after_the_other) {
    const Pipe pipe = open_pipe();
    for (int round = 0; round < 100; ++round) {
        on_another_thread([&] {
            char byte = 0;
            Read reading(pipe.reader, std::span(&byte, 1));
            ASSERT_TRUE(driver().submit(reading));
            if (round % 2 == 0) driver().wait_out(soon());
            EXPECT_EQ(write(pipe.writer, "x"), 1);
            driver().finish(reading);
            EXPECT_EQ(reading.result, 1);
            if (round % 3 != 0) backend().hand_over();
        });
    }
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
