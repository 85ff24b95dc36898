// Goal: after the handshake a connection carries bytes in both directions, whatever the pieces are,
// with bounded memory; messages of the protocol in between are not seen.
// Method: both ends in memory and in simulated time, with seeds; and a peer made of OpenSSL that
// asks for new keys, alters records, and goes without a word.

#include "raw_peer.h"

#include <cerrno>

#include <sys/socket.h>

namespace {

using namespace tls_test;
using streams_test::numbered_text;
using support::run_test;

struct Pair {
    explicit Pair(Ends ends) : client(std::move(ends.client)), server(std::move(ends.server)) {}
    Streams client;
    Streams server;
};

Coro<std::unique_ptr<Pair>> pair(Between between = {}) {
    Ends ends = co_await connect(between);
    co_return std::make_unique<Pair>(std::move(ends));
}

/// A client of this library, and a raw server.
struct RawPair {
    RawPair(TlsPtr channel, std::unique_ptr<RawPeer> server)
        : tls(channel), client(std::move(channel)), peer(std::move(server)) {}
    TlsPtr tls;
    Streams client;
    std::unique_ptr<RawPeer> peer;
};

Coro<std::unique_ptr<RawPair>> raw_pair(tls::Version newest = tls::Version::tls_1_3,
                                        Between between = {}, TlsOptions options = to_example) {
    MemoryChannels ends = channels_between(between);
    auto peer = std::make_unique<RawPeer>(std::move(ends.second), newest);
    Task<> accepting = create_task(peer->handshake());
    TlsPtr channel = co_await tls::start_tls(std::move(ends.first), client_of(), options);
    co_await accepting;
    co_return std::make_unique<RawPair>(std::move(channel), std::move(peer));
}

/// Ends a connection whose peer is raw.
Coro<> close(std::unique_ptr<RawPair> pair) {
    pair->peer.reset();
    co_await tls_test::close(pair->client);
}

// --- Bytes --------------------------------------------------------------------------------------

/// Reads `total` bytes, which must be those of `text` again and again.
Coro<> check_bytes(const StreamReader& reader, std::string text, std::size_t total) {
    std::size_t got = 0;
    while (got < total) {
        const std::string piece = co_await reader.read(text.size() - got % text.size());
        if (piece.empty()) break;
        const bool same = text.compare(got % text.size(), piece.size(), piece) == 0;
        EXPECT_TRUE(same) << "at " << got;
        if (!same) break;
        got += piece.size();
    }
    EXPECT_EQ(got, total);
}

Coro<> write_bytes(const StreamWriter& writer, std::string text, std::size_t total) {
    for (std::size_t sent = 0; sent < total; sent += text.size()) co_await writer.send(text);
}

TEST(tls_connection, carries_a_hundred_megabytes) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await pair();
        const std::string text = numbered_text(1'000'000);
        Task<> writing = create_task(write_bytes(ends->client.writer, text, 100 * text.size()));
        co_await check_bytes(ends->server.reader, text, 100 * text.size());
        co_await writing;
        co_await close_both(ends->client, ends->server);
    });
}

TEST(tls_connection, carries_both_directions_at_once_in_any_pieces) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        run_simulated([seed]() -> Coro<> {
            const auto ends =
                co_await pair({.seed = seed, .capacity_bytes = 1 + seed * seed * seed});
            const std::string text = numbered_text(40'000);
            Task<> there = create_task(write_bytes(ends->client.writer, text, text.size()));
            Task<> back = create_task(write_bytes(ends->server.writer, text, text.size()));
            Task<> got = create_task(check_bytes(ends->client.reader, text, text.size()));
            co_await check_bytes(ends->server.reader, text, text.size());
            co_await got;
            co_await there;
            co_await back;
            co_await close_both(ends->client, ends->server);
        });
        EXPECT_EQ(left_error(), 0U);
    }
}

/// The channels of a connection over sockets with little room.
Coro<MemoryChannels> socket_channels() {
    Socket listener(AF_INET);
    listener.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096);
    listener.bind(Address::loopback_v4(0));
    listener.listen();
    Socket client(AF_INET);
    client.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
    co_await client.connect(listener.getsockname());
    Accepted accepted = co_await listener.accept();
    co_return MemoryChannels{connect_accepted_socket(std::move(client)).detach().channel,
                             connect_accepted_socket(std::move(accepted.socket)).detach().channel};
}

/// A back-end finishes a read and a write of one connection in the same wait, and reports them one
/// after the other. The first report must not take the second operation for one that is free.
TEST(tls_connection, carries_both_directions_at_once_over_sockets) {
    run_test([]() -> Coro<> {
        Ends made =
            co_await connect_over(co_await socket_channels(), client_of(), good_server_context());
        const auto ends = std::make_unique<Pair>(std::move(made));
        const std::string text = numbered_text(100'000);
        constexpr std::size_t total = 3'000'000;
        Task<> there = create_task(write_bytes(ends->client.writer, text, total));
        Task<> back = create_task(write_bytes(ends->server.writer, text, total));
        Task<> got = create_task(check_bytes(ends->client.reader, text, total));
        co_await check_bytes(ends->server.reader, text, total);
        co_await got;
        co_await there;
        co_await back;
        co_await close_both(ends->client, ends->server);
    });
    EXPECT_EQ(left_error(), 0U);
}

TEST(tls_connection, carries_pieces_of_every_size_around_a_record) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await pair();
        for (const std::size_t size : {0, 1, 16383, 16384, 16385, 65535, 65536, 65537, 200'000}) {
            const std::string text = numbered_text(size);
            ends->client.writer.write(text);
            const std::string got = co_await ends->server.reader.readexactly(size);
            EXPECT_TRUE(got == text) << size;
        }
        co_await close_both(ends->client, ends->server);
    });
}

TEST(tls_connection, reads_into_memory_of_the_program) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await pair();
        const std::string text = numbered_text(30'000);
        ends->client.writer.write(text);
        std::string got(text.size(), '\0');
        std::size_t count = 0;
        while (count < got.size()) {
            const std::size_t more = co_await ends->server.reader.read_into(
                std::span(got.data() + count, got.size() - count));
            if (more == 0) break;
            count += more;
        }
        EXPECT_TRUE(got == text);
        co_await close_both(ends->client, ends->server);
    });
}

TEST(tls_connection, reads_no_further_ahead_than_one_piece) {
    run_simulated([]() -> Coro<> {
        constexpr std::size_t total = 1'000'000;
        const auto ends = co_await pair({.capacity_bytes = 100'000});
        ends->client.writer.write(numbered_text(total));
        co_await sleep(1s);
        // The wire is full; the server has not read at all.
        EXPECT_GT(ends->client.writer.get_write_buffer_size(), total - 200'000);
        const std::string one = co_await ends->server.reader.read(1);
        EXPECT_EQ(one, "0");
        co_await sleep(1s);
        EXPECT_GT(ends->client.writer.get_write_buffer_size(), total - 350'000);
        const std::string rest = co_await ends->server.reader.readexactly(total - 1);
        EXPECT_TRUE(one + rest == numbered_text(total));
        co_await close_both(ends->client, ends->server);
    });
}

TEST(tls_connection, a_send_returns_when_the_inner_channel_has_the_bytes) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await pair({.capacity_bytes = 1000});
        Task<> sending = create_task(write_bytes(ends->client.writer, std::string(900, 'x'), 900));
        co_await sleep(1s);
        EXPECT_TRUE(sending.done());
        Task<> waiting = create_task(write_bytes(ends->client.writer, std::string(900, 'y'), 900));
        co_await sleep(1s);
        EXPECT_FALSE(waiting.done());
        const std::string got = co_await ends->server.reader.readexactly(1800);
        co_await waiting;
        co_await sending;
        co_await close_both(ends->client, ends->server);
    });
}

TEST(tls_connection, TLS_08_goes_over_another_one) {
    for (const std::uint64_t seed : {0U, 4U, 9U}) {
        run_simulated([seed]() -> Coro<> {
            Ends outer = co_await connect({.seed = seed});
            MemoryChannels between{std::move(outer.client), std::move(outer.server)};
            Ends inner =
                co_await connect_over(std::move(between), client_of(), good_server_context());
            EXPECT_EQ(inner.client->name(), "TLS to \"example.test\"");
            Pair ends(std::move(inner));
            const std::string text = numbered_text(200'000);
            Task<> there = create_task(write_bytes(ends.client.writer, text, text.size()));
            co_await check_bytes(ends.server.reader, text, text.size());
            co_await there;
            co_await close_both(ends.client, ends.server);
        });
    }
}

TEST(tls_connection, TLS_18_has_addresses_and_no_descriptor_and_can_end_one_side) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await pair();
        EXPECT_EQ(ends->client.writer.fd(), -1);
        EXPECT_TRUE(ends->client.writer.peer().is_empty());
        EXPECT_TRUE(ends->client.writer.can_write_eof());
        co_await close_both(ends->client, ends->server);
    });
}

// --- Messages of the protocol -------------------------------------------------------------------

TEST(tls_connection, TLS_17_new_keys_are_transparent_while_data_flows) {
    for (const std::uint64_t seed : {0U, 1U, 2U, 3U}) {
        run_simulated([seed]() -> Coro<> {
            auto pair = co_await raw_pair(tls::Version::tls_1_3, {.seed = seed});
            for (int round = 0; round < 10; ++round) {
                const std::string text = "question " + std::to_string(round);
                pair->client.writer.write(text);
                std::string got = co_await pair->peer->read();
                EXPECT_EQ(got, text);
                pair->peer->update_keys();
                co_await pair->peer->write(text);
                got = co_await pair->client.reader.readexactly(text.size());
                EXPECT_EQ(got, text);
            }
            co_await close(std::move(pair));
        });
    }
}

TEST(tls_connection, TLS_17_a_renegotiation_is_refused) {
    run_simulated([]() -> Coro<> {
        auto pair = co_await raw_pair(tls::Version::tls_1_2);
        EXPECT_TRUE(pair->peer->renegotiate());
        pair->peer->encrypt("before the refusal");
        co_await pair->peer->flush();
        std::string got = co_await pair->client.reader.readexactly(18);
        EXPECT_EQ(got, "before the refusal");
        // The refusal is on its way, and this side goes on in both directions.
        co_await pair->client.writer.send("still here");
        pair->peer->encrypt("after the refusal");
        co_await pair->peer->flush();
        got = co_await pair->client.reader.readexactly(17);
        EXPECT_EQ(got, "after the refusal");
        EXPECT_EQ(pair->tls->end(), tls::End::open);
        // OpenSSL, which has asked, takes the refusal for the end.
        const std::string end = co_await pair->peer->read();
        EXPECT_EQ(end, "");
        pair->peer.reset();
        const auto outcome = co_await internal::settle(pair->client.reader.readexactly(1));
        EXPECT_TRUE(outcome.failed());
        co_await tls_test::close(pair->client);
    });
}

TEST(tls_connection, a_write_goes_on_when_a_message_of_the_protocol_has_come_in_part) {
    run_simulated([]() -> Coro<> {
        auto pair = co_await raw_pair();
        pair->peer->give_large_session();
        pair->peer->encrypt("data");
        const std::string bytes = pair->peer->take_output();
        EXPECT_GT(bytes.size(), 3000U);
        // The program reads while the first records of the message come, and stops.
        Task<std::string> reading = create_task(pair->client.reader.readexactly(4));
        co_await pair->peer->plain().writer.send(bytes.substr(0, 2000));
        co_await sleep(1s);
        reading.cancel();
        co_await internal::settle(std::move(reading));
        // OpenSSL does not write now. The write itself reads the rest of the message.
        Task<> writing = create_task(write_bytes(pair->client.writer, "text", 4));
        co_await sleep(1s);
        EXPECT_EQ(pair->client.writer.get_write_buffer_size(), 4U);
        co_await pair->peer->plain().writer.send(bytes.substr(2000));
        std::string got = co_await pair->peer->read();
        EXPECT_EQ(got, "text");
        co_await writing;
        got = co_await pair->client.reader.readexactly(4);
        EXPECT_EQ(got, "data");
        co_await close(std::move(pair));
    });
}

TEST(tls_connection, a_write_that_waits_for_the_rest_of_a_message_learns_of_the_end) {
    run_simulated([]() -> Coro<> {
        auto pair = co_await raw_pair();
        pair->peer->give_large_session();
        Task<std::string> reading = create_task(pair->client.reader.readexactly(4));
        co_await pair->peer->plain().writer.send(pair->peer->take_output().substr(0, 2000));
        co_await sleep(1s);
        reading.cancel();
        co_await internal::settle(std::move(reading));
        Task<> writing = create_task(write_bytes(pair->client.writer, "text", 4));
        co_await sleep(1s);
        pair->peer.reset();
        const int error = co_await streams_test::error_of(std::move(writing));
        EXPECT_EQ(error, EPIPE);
    });
}

TEST(tls_connection, a_peer_that_demands_answers_and_does_not_read_them_is_not_read_without_end) {
    run_simulated([]() -> Coro<> {
        auto pair = co_await raw_pair(tls::Version::tls_1_3, {.capacity_bytes = 2000});
        Task<std::string> reading = create_task(pair->client.reader.read(1));
        Task<> flooding = create_task([](RawPeer& peer) -> Coro<> {
            for (int round = 0; round < 20'000; ++round) {
                peer.update_keys();
                co_await peer.flush();
            }
        }(*pair->peer));
        co_await sleep(1s);
        EXPECT_FALSE(flooding.done()) << "the peer meets back-pressure";
        flooding.cancel();
        co_await internal::settle(std::move(flooding));
        reading.cancel();
        co_await internal::settle(std::move(reading));
        pair->peer->plain().writer.abort();
        pair->peer->plain().reader.close();
        co_await tls_test::close(pair->client);
    });
}

TEST(tls_connection, lets_other_tasks_run_while_a_peer_sends_nothing_but_messages) {
    run_simulated([]() -> Coro<> {
        auto pair = co_await raw_pair(tls::Version::tls_1_3,
                                      {.capacity_bytes = 100'000, .most_read_bytes = 27});
        // Everything lies in the wire before the client reads: it finds something at every read.
        for (int round = 0; round < 1000; ++round) pair->peer->update_keys();
        pair->peer->encrypt("x");
        co_await pair->peer->flush();
        Task<std::string> reading = create_task(pair->client.reader.readexactly(1));
        co_await sleep(0s);
        EXPECT_FALSE(reading.done()) << "it has read everything without a pause";
        const std::string got = co_await reading;
        EXPECT_EQ(got, "x");
        co_await close(std::move(pair));
    });
}

TEST(tls_connection, an_altered_record_ends_it_and_the_stream_says_why) {
    run_simulated([]() -> Coro<> {
        auto pair = co_await raw_pair();
        co_await pair->peer->write("good");
        pair->peer->encrypt("bad, with a SECRET");
        std::string bytes = pair->peer->take_output();
        bytes.back() = static_cast<char>(bytes.back() ^ 1);
        co_await pair->peer->plain().writer.send(bytes);
        const std::string got = co_await pair->client.reader.read(100);
        EXPECT_EQ(got, "good");
        const std::string said = co_await said_by(pair->client.reader.read(100));
        EXPECT_EQ(said, "OsError: read from TLS to \"example.test\" (a record was altered): "
                        "Protocol error");
        const std::string write_said = co_await said_by(pair->client.writer.send("more"));
        EXPECT_EQ(write_said, "OsError: write to TLS to \"example.test\" (a record was altered): "
                              "Protocol error");
        EXPECT_EQ(pair->tls->end(), tls::End::open);
        const std::string peer_read = co_await pair->peer->read();
        EXPECT_EQ(peer_read, "") << "it has got an alert";
        pair->peer.reset();
    });
    EXPECT_EQ(left_error(), 0U);
}

TEST(tls_connection, plaintext_between_records_ends_it) {
    run_simulated([]() -> Coro<> {
        auto pair = co_await raw_pair();
        co_await pair->peer->plain().writer.send("plain SECRET text\n");
        const std::string said = co_await said_by(pair->client.reader.read(100));
        EXPECT_EQ(said.substr(0, 45), "OsError: read from TLS to \"example.test\" (the");
        EXPECT_EQ(said.find("SECRET"), std::string::npos);
        co_await close(std::move(pair));
    });
}

// --- Cancellation -------------------------------------------------------------------------------

TEST(tls_connection, a_cancelled_read_takes_nothing_away) {
    for (const std::uint64_t seed : {0U, 1U, 2U, 3U, 4U, 5U}) {
        run_simulated([seed]() -> Coro<> {
            const auto ends = co_await pair({.seed = seed});
            for (int round = 0; round < 40; ++round) {
                Task<std::string> reading = create_task(ends->server.reader.readexactly(1000));
                co_await sleep(0s);
                ends->client.writer.write("x");
                for (int i = 0; i < round % 7; ++i) co_await sleep(0s);
                reading.cancel();
                const auto outcome = co_await internal::settle(std::move(reading));
                EXPECT_TRUE(outcome.cancelled());
            }
            const std::string got = co_await ends->server.reader.readexactly(40);
            EXPECT_EQ(got, std::string(40, 'x'));
            co_await close_both(ends->client, ends->server);
        });
    }
}

TEST(tls_connection, a_reader_that_goes_leaves_nothing_in_flight) {
    run_simulated([]() -> Coro<> {
        // Only the reading side is used, so no stream closes the channel as a whole.
        Ends ends = co_await connect();
        const std::weak_ptr<TlsChannel> left = ends.client;
        StreamReader reader(get_running_loop(), std::move(ends.client));
        Task<std::string> reading = create_task(reader.readline());
        co_await sleep(1s);
        EXPECT_FALSE(reading.done());
        reader = StreamReader();
        const std::string got = co_await reading;
        EXPECT_EQ(got, "");
        co_await sleep(1s);
        EXPECT_TRUE(left.expired());
        ends.server->abort();
    });
}

TEST(tls_connection, a_cancelled_send_is_sent_as_a_whole) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await pair({.capacity_bytes = 1000});
        const std::string text = numbered_text(300'000);
        Task<> sending = create_task(write_bytes(ends->client.writer, text, text.size()));
        co_await sleep(1s);
        sending.cancel();
        const auto outcome = co_await internal::settle(std::move(sending));
        EXPECT_TRUE(outcome.cancelled());
        const std::string got = co_await ends->server.reader.readexactly(text.size());
        EXPECT_TRUE(got == text);
        co_await close_both(ends->client, ends->server);
    });
}

}  // namespace
