// Goal: a connection carries bytes in both directions, ends in each of its ways, and an attempt
// that fails says why and leaves nothing open.
// Method: servers of this library on the loopback address, on every back-end.

#include "net/net_help.h"

#include <cerrno>

#include <sys/socket.h>

namespace {

using namespace net_test;

TEST(connection, carries_bytes_in_both_directions) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        co_await stream.send("hello");
        std::string answer = co_await stream.readexactly(5);
        EXPECT_EQ(answer, "hello");
        stream.write_eof();
        answer = co_await stream.read();
        EXPECT_EQ(answer, "");
        co_await stream.aclose();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, is_taken_as_a_pair) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        auto [reader, writer] = co_await open_connection(loopback, server.port());
        writer.write("one\ntwo\n");
        auto lines = reader.lines();
        std::optional<std::string> line = co_await lines.next();
        EXPECT_EQ(line, "one\n");
        line = co_await lines.next();
        EXPECT_EQ(line, "two\n");
        writer.close();
        co_await writer.wait_closed();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, knows_its_two_addresses) {
    run_test([]() -> Coro<> {
        Address seen_peer;
        Server server = co_await start_server(
            [&seen_peer](Stream stream) -> Coro<> {
                seen_peer = stream.peer();
                co_await stream.read();
            },
            loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        EXPECT_EQ(stream.peer(), Address::ip(loopback, server.port()));
        EXPECT_EQ(stream.local().host(), loopback);
        EXPECT_GE(stream.fd(), 0);
        const Address local = stream.local();
        co_await stream.aclose();
        EXPECT_EQ(stream.fd(), -1);
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(seen_peer, local);
    });
}

TEST(connection, carries_much_in_both_directions_at_once) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        const std::string sent = numbered(10'000'000);
        Task<std::string> reading = create_task(stream.readexactly(sent.size()));
        co_await stream.send(sent);
        const std::string got = co_await reading;
        EXPECT_TRUE(got == sent);
        co_await stream.aclose();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, reads_into_memory_of_the_caller) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        co_await stream.send("abcdef");
        char room[4];
        std::string got;
        while (got.size() < 6) {
            const std::size_t count = co_await stream.read_into(room);
            EXPECT_GT(count, 0u);
            got.append(room, count);
        }
        EXPECT_EQ(got, "abcdef");
        stream.write_eof();
        const std::size_t at_end = co_await stream.read_into(room);
        EXPECT_EQ(at_end, 0u);
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, WRT_07_a_reader_that_waits_sees_the_close_of_the_writer) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        Task<std::string> reading = create_task(stream.read());
        co_await sleep(1ms);
        stream.close();
        const std::string got = co_await reading;
        EXPECT_EQ(got, "");
        co_await stream.wait_closed();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, WRT_06_closes_with_unread_bytes) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(
            [](Stream stream) -> Coro<> { co_await stream.send("never read"); }, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        co_await readable(stream.fd());
        co_await stream.aclose();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, TRN_09_refuses_a_write_behind_its_own_write_eof) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        EXPECT_TRUE(stream.writer.can_write_eof());
        stream.write_eof();
        EXPECT_FALSE(stream.is_closing());
        EXPECT_THROW(stream.write("x"), RuntimeError);
        stream.close();
        EXPECT_TRUE(stream.is_closing());
        stream.write("x");
        co_await stream.wait_closed();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, WRT_03_a_write_to_a_peer_that_is_gone_ends_with_an_error) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(
            [](Stream stream) -> Coro<> {
                stream.abort();
                co_return;
            },
            loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        int error = 0;
        for (int round = 0; round < 1000 && error == 0; ++round) {
            stream.write("x");
            error = co_await error_number(stream.drain());
            co_await sleep(1ms);
        }
        EXPECT_TRUE(error == ECONNRESET || error == EPIPE) << error;
        server.close();
        co_await server.wait_closed();
    });
}

/// Only the drains let the other task run, which makes the peer go.
TEST(connection, WRT_03_writes_and_drains_alone_let_the_news_of_the_end_come) {
    run_test([]() -> Coro<> {
        Stream peer;
        const auto keep = [&peer](Stream stream) { peer = std::move(stream); };
        Server server = co_await start_server(keep, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return static_cast<bool>(peer); });
        const support::Ticks ticks;
        const auto abort_soon = [&]() -> Coro<> {
            for (int step = 0; step < 3; ++step) co_await sleep(0ms);
            peer.abort();
        };
        Task<> aborting = create_task(abort_soon());
        int error = 0;
        int rounds = 0;
        for (; rounds < 10'000 && error == 0; ++rounds) {
            stream.write("x");
            error = co_await error_number(stream.drain());
        }
        EXPECT_TRUE(error == ECONNRESET || error == EPIPE) << error << " after " << rounds;
        EXPECT_GE(ticks.count(), 3);
        co_await aborting;
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, an_answer_can_be_read_after_a_write_has_failed) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(
            [](Stream stream) -> Coro<> {
                co_await stream.readexactly(1);
                co_await stream.send("enough");
                // The reading side is closed with nothing unread, so that the client gets no reset.
            },
            loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        co_await stream.send("x");
        const std::string answer = co_await stream.read();
        EXPECT_EQ(answer, "enough");
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, a_port_without_a_server_is_refused_with_host_port_and_reason) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        const int port = server.port();
        server.close();
        co_await server.wait_closed();
        const std::string message = co_await error_text(open_connection(loopback, port));
        EXPECT_EQ(message, "connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
    });
}

TEST(connection, NET_03_a_local_address_of_another_family_fails_for_that_address) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        const ConnectOptions options{.local_addr = Address::loopback_v6(0)};
        const int error = co_await error_number(open_connection(loopback, server.port(), options));
        EXPECT_EQ(error, EAFNOSUPPORT);
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, a_local_address_is_used) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        const ConnectOptions options{.local_addr = Address::ip(loopback, 0)};
        Stream stream = co_await open_connection(loopback, server.port(), options);
        EXPECT_EQ(stream.local().host(), loopback);
        stream.close();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, detaches_its_channel_with_the_bytes_that_it_has_read_ahead) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        co_await stream.send("line\nrest");
        std::string line;
        while (line != "line\n") line = co_await stream.readline();
        DetachedStream detached = std::move(stream).detach();
        EXPECT_FALSE(stream);
        Stream again(get_running_loop(), std::move(detached.channel));
        std::string rest = detached.unread;
        while (rest.size() < 4) rest += co_await again.read(100);
        EXPECT_EQ(rest, "rest");
        co_await again.send("more");
        const std::string more = co_await again.readexactly(4);
        EXPECT_EQ(more, "more");
        co_await again.aclose();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, is_not_detached_while_a_task_reads) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        Task<std::string> reading = create_task(stream.read());
        co_await sleep(1ms);
        EXPECT_THROW(static_cast<void>(std::move(stream).detach()), RuntimeError);
        stream.close();
        co_await reading;
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connection, a_cancelled_connect_leaves_no_descriptor) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        for (int steps = 0; steps < 6; ++steps) {
            Task<Stream> connecting = create_task(open_connection(loopback, server.port()));
            for (int step = 0; step < steps; ++step) co_await sleep(0ms);
            connecting.cancel();
            co_await until_done(connecting);
        }
        const bool all_gone = co_await becomes([&] { return server.connections() == 0; });
        EXPECT_TRUE(all_gone);
        server.close();
        co_await server.wait_closed();
    });
}

}  // namespace
