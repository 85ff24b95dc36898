// Goal: what Python promises of transports holds for the streams of connections: every byte
// arrives, in order, and the end behind it; the two directions end one by one; errors reach the
// program and not the log.
// Method: both ends of a connection, over TCP and over a Unix socket.

#include "net/net_help.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace net_test;

/// More than the buffers of the kernel, and the high mark, hold together. Made once: it takes a
/// while.
const std::string& more_than_fits() {
    static const std::string text = numbered(20'000'000);
    return text;
}

struct Ends {
    Stream client;
    Stream server;
};

Coro<Ends> connect_to(Socket listener, Address address) {
    listener.bind(address);
    listener.listen();
    Task<Accepted> accepting = create_task(listener.accept());
    Ends ends;
    ends.client = co_await open_connection(listener.getsockname());
    Accepted accepted = co_await std::move(accepting);
    ends.server = connect_accepted_socket(std::move(accepted.socket));
    co_return ends;
}

Coro<Ends> over_tcp() { return connect_to(Socket(AF_INET), Address::ip(loopback, 0)); }

/// An abstract name, which leaves no file.
Coro<Ends> over_unix() {
    // The kernel may still hold the name of the test before.
    static int count = 0;
    const std::string name = std::string(1, '\0') + "asyncio test " + std::to_string(::getpid()) +
                             "." + std::to_string(++count);
    return connect_to(Socket(AF_UNIX), Address::local(name));
}

struct Kind {
    const char* name;
    Coro<Ends> (*make)();
};

std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

class carrying : public ::testing::TestWithParam<Kind> {
protected:
    static Coro<Ends> make() { return GetParam().make(); }
};

INSTANTIATE_TEST_SUITE_P(connections, carrying,
                         ::testing::Values(Kind{"tcp", over_tcp}, Kind{"unix", over_unix}),
                         [](const auto& info) { return std::string(info.param.name); });

/// A drain as a coroutine, for a task.
Coro<> drained(const StreamWriter& writer) { co_await writer.drain(); }

// --- Bytes --------------------------------------------------------------------------------------

TEST_P(carrying, TRN_02_what_the_kernel_does_not_take_at_once_is_sent_later_in_order) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        const std::string& sent = more_than_fits();
        ends.client.write("at once ");
        EXPECT_EQ(ends.client.writer.get_write_buffer_size(), 0u);
        ends.client.write(sent);
        EXPECT_GT(ends.client.writer.get_write_buffer_size(), 0u);
        ends.client.write(" behind");
        const std::string got = co_await ends.server.readexactly(8 + sent.size() + 7);
        EXPECT_TRUE(got == "at once " + sent + " behind");
        EXPECT_EQ(ends.client.writer.get_write_buffer_size(), 0u);
    });
}

TEST_P(carrying, TRN_03_the_memory_that_was_written_is_free_when_write_returns) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        const std::string& sent = more_than_fits();
        std::string memory = sent;
        ends.client.write(std::string_view(memory));
        std::fill(memory.begin(), memory.end(), '#');
        const std::string got = co_await ends.server.readexactly(sent.size());
        EXPECT_TRUE(got == sent);
    });
}

TEST_P(carrying, TRN_16_a_hundred_thousand_tiny_writes_arrive_in_order) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        const std::string& before = more_than_fits();
        ends.client.write(before);
        std::string sent;
        for (int i = 0; i < 100'000; ++i) {
            const std::string piece = std::to_string(i) + " ";
            ends.client.write(piece);
            sent += piece;
        }
        ends.client.close();
        const std::string got = co_await ends.server.read();
        EXPECT_TRUE(got == before + sent);
    });
}

TEST_P(carrying, TRN_16_tiny_writes_into_an_empty_buffer_arrive_in_order_and_others_run) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        std::string sent;
        const auto write = [&]() -> Coro<> {
            for (int i = 0; i < 100'000; ++i) {
                const std::string piece = std::to_string(i) + " ";
                ends.client.write(piece);
                sent += piece;
                if (i % 1000 == 0) co_await ends.client.drain();
            }
            ends.client.close();
        };
        Task<> writing = create_task(write());
        const std::string got = co_await ends.server.read();
        co_await writing;
        EXPECT_TRUE(got == sent);
    });
}

/// The shortest of a few tries, because other programs run as well.
template <class Work>
std::chrono::nanoseconds time_of(Work work) {
    auto shortest = std::chrono::nanoseconds::max();
    for (int round = 0; round < 5; ++round) {
        const auto start = std::chrono::steady_clock::now();
        work();
        shortest =
            std::min<std::chrono::nanoseconds>(shortest, std::chrono::steady_clock::now() - start);
    }
    return shortest;
}

TEST_P(carrying, TRN_20_a_write_and_a_look_at_the_buffer_cost_the_same_behind_many_others) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        ends.client.write(more_than_fits());
        std::size_t looks = 0;
        const auto write_some = [&] {
            for (int i = 0; i < 1000; ++i) {
                ends.client.write("tiny");
                looks += ends.client.writer.get_write_buffer_size() > 0 ? 1 : 0;
            }
        };
        const auto before = time_of(write_some);
        for (int i = 0; i < 100; ++i) write_some();
        const auto after = time_of(write_some);
        EXPECT_EQ(looks, 110'000u);
        EXPECT_LT(after, 10 * before + std::chrono::milliseconds(1));
        ends.client.abort();
    });
}

TEST_P(carrying, TRN_17_WRT_13_writelines_of_more_than_fits_sends_all_of_it_and_makes_drain_wait) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        const std::string piece = more_than_fits().substr(0, 5'000'000);
        ends.client.writelines(std::vector<std::string>{piece, "-", piece, "-", piece, piece});
        Task<> draining = create_task(drained(ends.client.writer));
        co_await sleep(1ms);
        EXPECT_FALSE(draining.done());
        const std::string got = co_await ends.server.readexactly(4 * piece.size() + 2);
        EXPECT_TRUE(got == piece + "-" + piece + "-" + piece + piece);
        co_await draining;
    });
}

TEST_P(carrying, TRN_06_a_connection_of_which_no_task_reads_holds_its_writer_back) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        ends.client.write(more_than_fits());
        Task<> draining = create_task(drained(ends.client.writer));
        co_await sleep(20ms);
        EXPECT_FALSE(draining.done());
        EXPECT_EQ(ends.server.reader.take_buffered(), "");
        co_await ends.server.readexactly(more_than_fits().size());
        co_await draining;
    });
}

// --- The end ------------------------------------------------------------------------------------

TEST_P(carrying, TRN_07_after_the_end_of_one_direction_the_other_goes_on) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        ends.client.write("question");
        ends.client.write_eof();
        const std::string question = co_await ends.server.read();
        EXPECT_EQ(question, "question");
        EXPECT_TRUE(ends.server.at_eof());
        co_await ends.server.send("answer");
        ends.server.close();
        const std::string answer = co_await ends.client.read();
        EXPECT_EQ(answer, "answer");
    });
}

TEST_P(carrying, TRN_08_TRN_18_a_close_sends_what_is_buffered_and_an_abort_drops_it) {
    run_test([]() -> Coro<> {
        const std::string& sent = more_than_fits();
        {
            const Ends ends = co_await make();
            ends.client.write(sent);
            EXPECT_GT(ends.client.writer.get_write_buffer_size(), 0u);
            ends.client.write(" behind the write that is busy");
            ends.client.close();
            ends.client.close();
            Task<std::string> reading = create_task(ends.server.read());
            co_await ends.client.wait_closed();
            const std::string got = co_await reading;
            EXPECT_TRUE(got == sent + " behind the write that is busy");
        }
        const Ends ends = co_await make();
        ends.client.write(sent);
        ends.client.abort();
        ends.client.abort();
        co_await ends.client.wait_closed();
        EXPECT_EQ(ends.client.writer.get_write_buffer_size(), 0u);
        const std::string got = co_await ends.server.read();
        EXPECT_LT(got.size(), sent.size());
        EXPECT_TRUE(got == sent.substr(0, got.size()));
    });
}

TEST_P(carrying, TRN_09_write_eof_comes_behind_what_is_buffered) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        const std::string& sent = more_than_fits();
        ends.client.write(sent);
        ends.client.write_eof();
        ends.client.write_eof();
        EXPECT_THROW(ends.client.write("x"), RuntimeError);
        const std::string got = co_await ends.server.read();
        EXPECT_TRUE(got == sent);
        ends.client.close();
        ends.client.write_eof();
        ends.client.write("dropped");
        co_await ends.client.wait_closed();
    });
}

TEST_P(carrying, TRN_15_what_comes_directly_before_the_end_arrives) {
    run_test([]() -> Coro<> {
        for (int steps = 0; steps < 4; ++steps) {
            const Ends ends = co_await make();
            Task<std::string> reading = create_task(ends.server.read());
            for (int step = 0; step < steps; ++step) co_await sleep(0ms);
            ends.client.write("last words");
            ends.client.close();
            const std::string got = co_await reading;
            EXPECT_EQ(got, "last words");
        }
    });
}

// --- Errors -------------------------------------------------------------------------------------

/// Sends until the peer's absence is known. Returns the errno.
Coro<int> send_until_it_fails(const Stream& stream) {
    for (int round = 0; round < 1000; ++round) {
        const int error = co_await error_number(stream.send("x"));
        if (error != 0) co_return error;
        co_await sleep(1ms);
    }
    co_return 0;
}

TEST_P(carrying, TRN_10_writes_after_the_connection_was_lost_are_dropped_and_drain_says_why) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        ends.client.abort();
        const int error = co_await send_until_it_fails(ends.server);
        EXPECT_TRUE(error == EPIPE || error == ECONNRESET) << error;
        for (int i = 0; i < 10; ++i) ends.server.write("dropped");
        EXPECT_EQ(ends.server.writer.get_write_buffer_size(), 0u);
        const int again = co_await error_number(ends.server.drain());
        EXPECT_EQ(again, error);
    });
}

TEST_P(carrying, TRN_11_a_reset_reaches_the_write_and_not_the_log) {
    run_test([]() -> Coro<> {
        int reports = 0;
        get_running_loop().set_exception_handler(
            [&](EventLoop&, const ErrorContext&) { ++reports; });
        {
            const Ends ends = co_await make();
            ends.client.write(more_than_fits());
            Task<> draining = create_task(drained(ends.client.writer));
            co_await readable(ends.server.fd());
            ends.server.abort();
            const int error = co_await error_number(std::move(draining));
            EXPECT_TRUE(error == ECONNRESET || error == EPIPE) << error;
            const int at_close = co_await error_number(ends.client.aclose());
            EXPECT_EQ(at_close, error);
        }
        co_await sleep(1ms);
        EXPECT_EQ(reports, 0);
    });
}

TEST_P(carrying, TRN_11_a_reset_reaches_the_read_and_not_the_log) {
    run_test([]() -> Coro<> {
        int reports = 0;
        get_running_loop().set_exception_handler(
            [&](EventLoop&, const ErrorContext&) { ++reports; });
        {
            const Ends ends = co_await make();
            co_await ends.client.send("never read");
            co_await readable(ends.server.fd());
            ends.server.abort();
            const int error = co_await error_number(ends.client.read());
            EXPECT_EQ(error, ECONNRESET);
        }
        co_await sleep(1ms);
        EXPECT_EQ(reports, 0);
    });
}

TEST_P(carrying, TRN_11_a_reset_that_a_write_was_told_is_no_end_for_the_read) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        co_await ends.client.send("never read");
        co_await readable(ends.server.fd());
        ends.server.abort();
        // The network of the simulated world takes its time.
        const int of_write = co_await send_until_it_fails(ends.client);
        const int of_read = co_await error_number(ends.client.read());
        EXPECT_EQ(of_read, of_write == EPIPE ? of_read : of_write);
        EXPECT_NE(of_read, 0);
        const int again = co_await error_number(ends.client.read());
        EXPECT_EQ(again, of_read);
    });
}

TEST_P(carrying, NET_44_what_the_peer_has_sent_can_be_read_after_a_write_has_failed) {
    run_test([]() -> Coro<> {
        const Ends ends = co_await make();
        co_await ends.server.send("the answer");
        co_await readable(ends.client.fd());
        ends.server.close();
        const int error = co_await send_until_it_fails(ends.client);
        EXPECT_TRUE(error == EPIPE || error == ECONNRESET) << error;
        const std::string answer = co_await ends.client.read(100);
        EXPECT_EQ(answer, "the answer");
    });
}

}  // namespace
