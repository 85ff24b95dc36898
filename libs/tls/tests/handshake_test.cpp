// Goal: a handshake succeeds over every legal channel; when it fails or is given up, the waiting
// side learns why, and the inner channel is closed.
// Method: both ends in memory and in simulated time; seeds decide short transfers and delays.

#include "tls_help.h"

#include <cerrno>

namespace {

using namespace tls_test;

/// A narrow channel holds less than a record, so nothing waits for a send before the other end
/// reads.
Coro<> exchange(Ends& ends) {
    Streams client(ends.client);
    Streams server(ends.server);
    client.writer.write("question\n");
    const std::string question = co_await server.reader.readline();
    EXPECT_EQ(question, "question\n");
    server.writer.write("answer\n");
    const std::string answer = co_await client.reader.readline();
    EXPECT_EQ(answer, "answer\n");
    co_await close_both(client, server);
}

TEST(tls_handshake, gives_two_ends_that_understand_each_other) {
    run_simulated([]() -> Coro<> {
        Ends ends = co_await connect();
        EXPECT_EQ(ends.client->info().version, "TLSv1.3");
        EXPECT_EQ(ends.client->info().cipher, ends.server->info().cipher);
        EXPECT_FALSE(ends.client->info().session_reused);
        EXPECT_EQ(ends.client->name(), "TLS to \"example.test\"");
        EXPECT_EQ(ends.server->name(), "TLS to a client");
        EXPECT_EQ(ends.server->info().server_hostname, "example.test");
        co_await exchange(ends);
    });
}

TEST(tls_handshake, works_whatever_the_pieces_are_in_which_bytes_come) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        run_simulated([seed]() -> Coro<> {
            const bool is_narrow = seed % 3 == 0;
            Ends ends = co_await connect(
                {.seed = seed, .capacity_bytes = is_narrow ? seed : std::size_t{64 * 1024}});
            co_await exchange(ends);
        });
        EXPECT_EQ(left_error(), 0U);
    }
}

TEST(tls_handshake, works_byte_by_byte) {
    run_simulated([]() -> Coro<> {
        Ends ends = co_await connect({.capacity_bytes = 1});
        co_await exchange(ends);
    });
}

TEST(tls_handshake, of_version_1_2_works_as_well) {
    for (const std::uint64_t seed : {0U, 5U, 6U}) {
        run_simulated([seed]() -> Coro<> {
            Ends ends = co_await connect_over(channels_between({.seed = seed}),
                                              client_of({.maximum_version = tls::Version::tls_1_2}),
                                              good_server_context());
            EXPECT_EQ(ends.client->info().version, "TLSv1.2");
            co_await exchange(ends);
        });
    }
}

/// Begins a handshake that the call itself is to refuse.
void begin(ChannelPtr channel, const tls::Context& context, const TlsOptions& options = {}) {
    static_cast<void>(tls::start_tls(std::move(channel), context, options));
}

// --- Limits -------------------------------------------------------------------------------------

/// A peer that takes bytes and never answers. Tells whether its connection was closed.
Coro<bool> silent_peer(ChannelPtr channel) {
    const StreamReader reader(get_running_loop(), std::move(channel));
    co_await reader.read();
    co_return true;
}

TEST(tls_handshake, TLS_01_a_limit_of_the_caller_ends_it_and_the_peer_sees_the_end) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        Task<bool> peer = create_task(silent_peer(std::move(ends.second)));
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        const std::string said = co_await said_by(
            wait_for(tls::start_tls(std::move(ends.first), client_of(), to_example), 5s));
        EXPECT_EQ(said, "TimeoutError: the time limit has passed");
        const bool closed = co_await peer;
        EXPECT_TRUE(closed);
        EXPECT_EQ(loop.time() - start, 5s);
    });
}

TEST(tls_handshake, TLS_01_has_a_limit_of_its_own_that_says_whom_it_waited_for) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        Task<bool> peer = create_task(silent_peer(std::move(ends.second)));
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        const std::string said =
            co_await said_by(tls::start_tls(std::move(ends.first), client_of(), to_example));
        EXPECT_EQ(said, "TimeoutError: the handshake of TLS to \"example.test\" took too long");
        const bool closed = co_await peer;
        EXPECT_TRUE(closed);
        EXPECT_EQ(loop.time() - start, 60s);
    });
}

TEST(tls_handshake, TLS_02_a_limit_that_is_not_positive_is_refused) {
    run_simulated([]() -> Coro<> {
        for (const Delay limit : {Delay(0s), Delay(-1s)}) {
            MemoryChannels ends = channels_between({});
            TlsOptions options = to_example;
            options.handshake_timeout = limit;
            EXPECT_THROW(begin(ends.first, client_of(), options), std::invalid_argument);
            options = to_example;
            options.shutdown_timeout = limit;
            EXPECT_THROW(begin(ends.first, client_of(), options), std::invalid_argument);
        }
        co_return;
    });
}

TEST(tls_handshake, that_is_cancelled_at_any_step_closes_the_channel) {
    for (int steps = 0; steps < 12; ++steps) {
        run_simulated([steps]() -> Coro<> {
            MemoryChannels ends = channels_between({.seed = 3});
            Task<TlsPtr> accepting =
                create_task(tls::start_tls(std::move(ends.second), good_server_context()));
            Task<TlsPtr> connecting =
                create_task(tls::start_tls(std::move(ends.first), client_of(), to_example));
            for (int i = 0; i < steps; ++i) co_await sleep(0s);
            connecting.cancel();
            const auto connected = co_await internal::settle(std::move(connecting));
            if (!connected.cancelled()) {
                Outcome<TlsPtr> accepted = co_await internal::settle(std::move(accepting));
                Streams client(connected.value());
                Streams server(std::move(accepted).value());
                co_await close_both(client, server);
                co_return;
            }
            const std::string said = co_await said_by(std::move(accepting));
            EXPECT_EQ(said, "OsError: TLS handshake with a client: Connection reset by peer");
        });
    }
}

TEST(tls_handshake, that_fails_closes_the_channel_also_if_the_program_holds_it) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        const ChannelPtr held = ends.first;
        Task<bool> peer = create_task(silent_peer(std::move(ends.second)));
        const std::string said = co_await said_by(
            wait_for(tls::start_tls(std::move(ends.first), client_of(), to_example), 5s));
        EXPECT_EQ(said, "TimeoutError: the time limit has passed");
        const bool closed = co_await peer;
        EXPECT_TRUE(closed);
    });
}

TEST(tls_handshake, is_not_disturbed_by_errors_that_other_code_has_left) {
    run_simulated([]() -> Coro<> {
        MemoryChannels channels = channels_between({.capacity_bytes = 100});
        Task<TlsPtr> accepting =
            create_task(tls::start_tls(std::move(channels.second), good_server_context()));
        Task<TlsPtr> connecting =
            create_task(tls::start_tls(std::move(channels.first), client_of(), to_example));
        while (!accepting.done() || !connecting.done()) {
            leave_error();
            co_await sleep(0s);
        }
        Streams server(co_await std::move(accepting));
        Streams client(co_await std::move(connecting));
        client.writer.write(std::string(1000, 'x'));
        Task<std::string> reading = create_task(server.reader.readexactly(1000));
        while (!reading.done()) {
            leave_error();
            co_await sleep(0s);
        }
        co_await std::move(reading);
        leave_error();
        co_await close_both(client, server);
    });
    EXPECT_EQ(left_error(), 0U);
}

// --- Peers that misbehave -----------------------------------------------------------------------

TEST(tls_handshake, TLS_03_a_peer_that_vanishes_is_a_connection_reset) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        std::weak_ptr<Channel> left = ends.first;
        create_task([](ChannelPtr channel) -> Coro<> {
            const StreamReader reader(get_running_loop(), std::move(channel));
            co_await reader.read(10);
        }(std::move(ends.second)));
        const std::string said =
            co_await said_by(tls::start_tls(std::move(ends.first), client_of(), to_example));
        EXPECT_EQ(said, "OsError: TLS handshake with \"example.test\": Connection reset by peer");
        EXPECT_TRUE(left.expired());
    });
}

TEST(tls_handshake, an_error_of_the_inner_channel_is_reported) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        ends.first = std::make_shared<streams_test::FaultyChannel>(
            get_running_loop(), std::move(ends.first),
            streams_test::Faults{.fails_after_bytes = 1, .error = EHOSTUNREACH});
        const std::string said =
            co_await said_by(tls::start_tls(std::move(ends.first), client_of(), to_example));
        EXPECT_EQ(said, "OsError: TLS handshake with \"example.test\": No route to host");
    });
}

/// Answers whatever comes with `bytes`.
Coro<std::string> answer_with(ChannelPtr channel, std::string bytes) {
    Streams streams(std::move(channel));
    co_await streams.reader.read(1);
    std::string got;
    try {
        co_await streams.writer.send(std::move(bytes));
        got = co_await streams.reader.read();
    } catch (const OsError&) {
        // The other end has gone.
    }
    co_return got;
}

TEST(tls_handshake, TLS_06_garbage_fails_at_both_ends_and_is_not_repeated) {
    const std::pair<std::string, std::string> peers[] = {
        {"SSH-2.0-OpenSSH_9.2p1 secret\r\n", "the peer does not speak TLS"},
        {"220 mail.example.test ESMTP secret\r\n", "the peer does not speak TLS"},
        {"HTTP/1.1 400 Bad Request secret\r\n\r\n", "the peer does not speak TLS"},
        {std::string(200, '\0'), "the peer does not speak TLS"},
    };
    for (const auto& [bytes, words] : peers) {
        run_simulated([&]() -> Coro<> {
            MemoryChannels ends = channels_between({});
            Task<std::string> peer = create_task(answer_with(std::move(ends.second), bytes));
            const std::string said =
                co_await said_by(tls::start_tls(std::move(ends.first), client_of(), to_example));
            EXPECT_EQ(said, "TlsError: TLS handshake with \"example.test\": " + words);
            co_await peer;
        });
        EXPECT_EQ(left_error(), 0U);
    }
}

TEST(tls_handshake, TLS_06_a_client_without_TLS_is_told_by_the_server) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        Task<std::string> accepting =
            create_task(said_by(tls::start_tls(std::move(ends.second), good_server_context())));
        Streams client(std::move(ends.first));
        co_await client.writer.send("GET / HTTP/1.1\r\nHost: secret\r\n\r\n");
        const std::string said = co_await accepting;
        EXPECT_EQ(said, "TlsError: TLS handshake with a client: the peer speaks HTTP without TLS");
        const std::string rest = co_await client.reader.read();
        EXPECT_LT(rest.size(), 20U) << "an alert at most";
    });
}

TEST(tls_handshake, an_alert_of_the_peer_is_named) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        const std::string alert("\x15\x03\x03\x00\x02\x02\x28", 7);
        Task<std::string> peer = create_task(answer_with(std::move(ends.second), alert));
        int number = 0;
        std::string said;
        try {
            co_await tls::start_tls(std::move(ends.first), client_of(), to_example);
        } catch (const tls::TlsError& error) {
            number = error.alert();
            said = error.what();
        }
        EXPECT_EQ(number, 40);
        EXPECT_EQ(said, "TLS handshake with \"example.test\": the peer has refused it with the "
                        "alert \"handshake failure\"");
        co_await peer;
    });
}

TEST(tls_handshake, needs_a_version_in_common) {
    run_simulated([]() -> Coro<> {
        const std::string said = co_await said_by(connect_over(
            channels_between({}), client_of({.maximum_version = tls::Version::tls_1_2}),
            good_server_context({.minimum_version = tls::Version::tls_1_3})));
        EXPECT_EQ(said, "TlsError: TLS handshake with \"example.test\": the peer has refused it "
                        "with the alert \"protocol version\"");
    });
}

// --- Bytes that were read before ----------------------------------------------------------------

/// Upgrades as a server of SMTP does: the client may send its hello without waiting for the answer.
Coro<Stream> upgraded_server(Stream stream, tls::Context context) {
    const std::string command = co_await stream.readline();
    EXPECT_EQ(command, "STARTTLS\r\n");
    co_return co_await tls::start_tls(std::move(stream), context);
}

/// What a client sends first, as bytes.
Coro<std::string> hello_of_client() {
    MemoryChannels ends = channels_between({});
    Task<TlsPtr> connecting =
        create_task(tls::start_tls(std::move(ends.first), client_of(), to_example));
    std::string hello;
    {
        const StreamReader plain(get_running_loop(), std::move(ends.second));
        hello = co_await plain.read(100'000);
    }
    const auto outcome = co_await internal::settle(std::move(connecting));
    EXPECT_TRUE(outcome.failed());
    co_return hello;
}

TEST(tls_handshake, WRT_11_bytes_that_were_read_too_early_belong_to_it) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        Stream server(get_running_loop(), std::move(ends.second));
        Stream client(get_running_loop(), std::move(ends.first));
        Task<Stream> upgrading =
            create_task(upgraded_server(std::move(server), good_server_context()));
        // The command and the hello come in one piece, so the plain stream reads both.
        co_await client.send("STARTTLS\r\n");
        client = co_await tls::start_tls(std::move(client), client_of(), to_example);
        server = co_await std::move(upgrading);
        co_await client.send("secret\n");
        const std::string line = co_await server.readline();
        EXPECT_EQ(line, "secret\n");
        EXPECT_EQ(tls::channel_of(server)->info().version, "TLSv1.3");
        Task<> closing = create_task(client.aclose());
        co_await server.aclose();
        co_await closing;
    });
}

TEST(tls_handshake, WRT_11_the_buffer_of_the_plain_stream_is_not_lost) {
    run_simulated([]() -> Coro<> {
        const std::string hello = co_await hello_of_client();
        EXPECT_GT(hello.size(), 100U);
        MemoryChannels ends = channels_between({});
        Stream server(get_running_loop(), std::move(ends.second));
        Stream client(get_running_loop(), std::move(ends.first));
        co_await client.send("STARTTLS\r\n" + hello);
        Task<Stream> upgrading =
            create_task(upgraded_server(std::move(server), good_server_context()));
        // The server answers the hello that lay in the buffer: a record of the handshake protocol.
        const std::string answer = co_await client.readexactly(1);
        EXPECT_EQ(answer, "\x16");
        client.close();
        const auto outcome = co_await internal::settle(std::move(upgrading));
        EXPECT_TRUE(outcome.failed());
    });
}

TEST(tls_handshake, WRT_12_an_upgraded_connection_ends_cleanly_at_both_ends) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        Stream server(get_running_loop(), std::move(ends.second));
        Stream client(get_running_loop(), std::move(ends.first));
        Task<Stream> upgrading =
            create_task(upgraded_server(std::move(server), good_server_context()));
        co_await client.send("STARTTLS\r\n");
        client = co_await tls::start_tls(std::move(client), client_of(), to_example);
        server = co_await std::move(upgrading);
        client.write("last words");
        Task<> closing = create_task(client.aclose());
        const std::string words = co_await server.read();
        EXPECT_EQ(words, "last words");
        EXPECT_EQ(tls::channel_of(server)->end(), tls::End::clean);
        co_await server.aclose();
        co_await closing;
    });
}

TEST(tls_handshake, WRT_11_plaintext_that_was_injected_before_it_is_not_taken_for_data) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        Task<std::string> accepting = create_task(said_by(tls::start_tls(
            std::move(ends.second), good_server_context(), TlsOptions{}, "RCPT TO:<x>\r\n")));
        const std::string said =
            co_await said_by(tls::start_tls(std::move(ends.first), client_of(), to_example));
        EXPECT_EQ(said, "OsError: TLS handshake with \"example.test\": Connection reset by peer");
        const std::string server_said = co_await accepting;
        EXPECT_EQ(server_said,
                  "TlsError: TLS handshake with a client: the peer does not speak TLS");
    });
}

// --- Arguments ----------------------------------------------------------------------------------

TEST(tls_handshake, refuses_what_makes_no_sense) {
    run_simulated([]() -> Coro<> {
        const ChannelPtr channel = channels_between({}).first;
        const tls::Context client = client_of();
        const tls::Context server = good_server_context();
        EXPECT_THROW(begin(nullptr, client, to_example), std::invalid_argument);
        EXPECT_THROW(begin(channel, tls::Context(), to_example), std::invalid_argument);
        EXPECT_THROW(begin(channel, client), std::invalid_argument);
        EXPECT_THROW(begin(channel, server, to_example), std::invalid_argument);
        using namespace std::string_view_literals;
        for (const std::string_view name :
             {"good.test\0.evil.test"sv, "two words"sv, ".test"sv, "a..b"sv, "münchen.test"sv,
              "[::1]"sv, "fe80::1%eth0"sv, "name\n"sv}) {
            EXPECT_THROW(begin(channel, client, {.server_hostname = name}), std::invalid_argument)
                << name;
        }
        co_return;
    });
}

}  // namespace
