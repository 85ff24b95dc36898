// Goal: a connection ends without losing bytes; the program learns whether the peer said that it
// was the end; and no peer can keep the end waiting for longer than the limit.
// Method: both ends in memory and in simulated time; peers made of OpenSSL that do not answer.

#include "raw_peer.h"

#include <cerrno>

namespace {

using namespace tls_test;
using streams_test::numbered_text;
using tls::End;

struct OpenEnds {
    TlsPtr client_tls;
    TlsPtr server_tls;
    Stream client;
    Stream server;
};

/// Streams that forget their channels when they go.
Coro<std::unique_ptr<OpenEnds>> open_ends(Between between = {}, TlsOptions options = to_example) {
    Ends ends = co_await connect_over(channels_between(between), client_of(), good_server_context(),
                                      options);
    EventLoop& loop = get_running_loop();
    auto opened = std::make_unique<OpenEnds>();
    opened->client_tls = ends.client;
    opened->server_tls = ends.server;
    opened->client = Stream(loop, std::move(ends.client));
    opened->server = Stream(loop, std::move(ends.server));
    co_return opened;
}

struct RawEnds {
    TlsPtr tls;
    Stream client;
    std::unique_ptr<RawPeer> peer;
};

Coro<std::unique_ptr<RawEnds>> raw_ends(tls::Version newest = tls::Version::tls_1_3,
                                        Between between = {}, TlsOptions options = to_example) {
    MemoryChannels ends = channels_between(between);
    auto made = std::make_unique<RawEnds>();
    made->peer = std::make_unique<RawPeer>(std::move(ends.second), newest);
    Task<> accepting = create_task(made->peer->handshake());
    made->tls = co_await tls::start_tls(std::move(ends.first), client_of(), options);
    co_await accepting;
    made->client = Stream(get_running_loop(), made->tls);
    co_return made;
}

Coro<> aclose(const Stream& stream) { co_await stream.aclose(); }

// --- Clean and ragged ---------------------------------------------------------------------------

TEST(tls_end, TLS_09_everything_written_comes_before_the_end) {
    for (const std::uint64_t seed : {0U, 1U, 2U, 3U, 4U, 5U}) {
        run_simulated([seed]() -> Coro<> {
            const auto ends = co_await open_ends({.seed = seed});
            const std::string text = numbered_text(600'000);
            ends->client.write(text);
            Task<> closing = create_task(aclose(ends->client));
            EXPECT_EQ(ends->server_tls->end(), End::open);
            const std::string got = co_await ends->server.read();
            EXPECT_TRUE(got == text) << got.size();
            EXPECT_EQ(ends->server_tls->end(), End::clean);
            co_await ends->server.aclose();
            co_await closing;
        });
    }
}

TEST(tls_end, without_a_word_of_the_peer_is_ragged) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await raw_ends();
        co_await ends->peer->write("not all");
        ends->peer.reset();
        const std::string got = co_await ends->client.read();
        EXPECT_EQ(got, "not all");
        EXPECT_EQ(ends->tls->end(), End::ragged);
        co_await ends->client.aclose();
        EXPECT_EQ(ends->tls->end(), End::ragged);
    });
}

TEST(tls_end, in_the_middle_of_a_record_is_ragged) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await raw_ends();
        ends->peer->encrypt("cut off");
        const std::string bytes = ends->peer->take_output();
        co_await ends->peer->plain().writer.send(bytes.substr(0, bytes.size() - 1));
        ends->peer.reset();
        const std::string got = co_await ends->client.read();
        EXPECT_EQ(got, "");
        EXPECT_EQ(ends->tls->end(), End::ragged);
        co_await ends->client.aclose();
    });
}

TEST(tls_end, TLS_11_bytes_that_came_before_the_close_of_the_peer_are_delivered) {
    for (const std::uint64_t seed : {0U, 7U, 8U}) {
        run_simulated([seed]() -> Coro<> {
            const auto ends = co_await open_ends({.seed = seed});
            const std::string text = numbered_text(50'000);
            ends->server.write(text);
            Task<> closing = create_task(aclose(ends->server));
            co_await sleep(1s);
            std::string got;
            for (;;) {
                // Reading pauses again and again.
                const std::string piece = co_await ends->client.read(999);
                if (piece.empty()) break;
                got += piece;
                co_await sleep(1ms);
            }
            EXPECT_TRUE(got == text);
            EXPECT_EQ(ends->client_tls->end(), End::clean);
            co_await ends->client.aclose();
            co_await closing;
        });
    }
}

TEST(tls_end, TLS_12_bytes_that_come_after_the_own_close_are_dropped) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await raw_ends();
        Task<> closing = create_task(aclose(ends->client));
        co_await sleep(1s);
        for (int i = 0; i < 20; ++i) co_await ends->peer->write(numbered_text(20'000));
        EXPECT_FALSE(closing.done()) << "the peer has not said that it ends";
        ends->peer->say_goodbye();
        co_await ends->peer->flush();
        co_await closing;
        EXPECT_EQ(ends->tls->end(), End::clean);
        const std::string after = co_await ends->client.read(1);
        EXPECT_EQ(after, "");
    });
}

TEST(tls_end, TLS_14_a_write_after_close_has_no_effect_and_is_reported_by_drain) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await open_ends();
        Task<> closing = create_task(aclose(ends->client));
        Task<> closing_server = create_task(aclose(ends->server));
        co_await closing;
        co_await closing_server;
        ends->client.write("late");
        const std::string said = co_await said_by(ends->client.drain());
        EXPECT_EQ(said, "OsError: write to TLS to \"example.test\" (closed): Connection reset by "
                        "peer");
    });
}

// --- One side -----------------------------------------------------------------------------------

TEST(tls_end, TLS_18_of_one_side_leaves_the_other_one_open) {
    for (const tls::Version newest : {tls::Version::tls_1_2, tls::Version::tls_1_3}) {
        for (const std::uint64_t seed : {0U, 1U, 2U}) {
            run_simulated([newest, seed]() -> Coro<> {
                const auto ends = co_await raw_ends(newest, {.seed = seed});
                ends->client.write("question");
                ends->client.write_eof();
                std::string got = co_await ends->peer->read();
                EXPECT_EQ(got, "question");
                got = co_await ends->peer->read();
                EXPECT_EQ(got, "");
                EXPECT_TRUE(ends->peer->got_goodbye());
                co_await ends->peer->write("answer");
                ends->peer->say_goodbye();
                co_await ends->peer->flush();
                got = co_await ends->client.read();
                EXPECT_EQ(got, "answer");
                EXPECT_EQ(ends->tls->end(), End::clean);
                co_await ends->client.aclose();
            });
        }
    }
}

TEST(tls_end, of_the_own_side_and_then_of_the_other_one_waits_for_the_peer_once_more) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await raw_ends();
        EventLoop& loop = get_running_loop();
        ends->client.write_eof();
        co_await sleep(100s);
        const TimePoint start = loop.time();
        co_await ends->client.aclose();
        EXPECT_EQ(loop.time() - start, 30s);
    });
}

// --- Peers that do not answer -------------------------------------------------------------------

TEST(tls_end, TLS_10_waits_no_longer_than_the_limit_for_the_peer) {
    for (const Delay limit : {Delay(30s), Delay(5s)}) {
        run_simulated([limit]() -> Coro<> {
            TlsOptions options = to_example;
            options.shutdown_timeout = limit;
            const auto ends = co_await raw_ends(tls::Version::tls_1_3, {}, options);
            EventLoop& loop = get_running_loop();
            const TimePoint start = loop.time();
            ends->client.write("the last bytes");
            co_await ends->client.aclose();
            EXPECT_EQ(loop.time() - start, limit.duration());
            const std::string got = co_await ends->peer->read();
            EXPECT_EQ(got, "the last bytes");
            const std::string end = co_await ends->peer->read();
            EXPECT_EQ(end, "");
            EXPECT_TRUE(ends->peer->got_goodbye());
        });
    }
}

TEST(tls_end, TLS_10_a_peer_that_answers_leaves_no_timer) {
    run_simulated([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        const auto ends = co_await open_ends();
        Task<> closing = create_task(aclose(ends->client));
        co_await sleep(1s);
        co_await ends->server.aclose();
        co_await closing;
        EXPECT_EQ(loop.time() - start, 1s);
        // `run_simulated` checks that no timer is left.
    });
}

TEST(tls_end, TLS_10_a_peer_that_sends_without_an_end_does_not_extend_the_limit) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await raw_ends();
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        Task<> sending = create_task([](RawPeer& peer) -> Coro<> {
            try {
                for (;;) {
                    co_await peer.write(std::string(1000, 'x'));
                    co_await sleep(100ms);
                }
            } catch (const OsError& error) {
                EXPECT_EQ(error.error(), EPIPE);
            }
        }(*ends->peer));
        co_await ends->client.aclose();
        EXPECT_EQ(loop.time() - start, 30s);
        co_await sending;
    });
}

TEST(tls_end, whose_last_word_cannot_be_sent_is_reported) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await raw_ends(tls::Version::tls_1_3, {.capacity_bytes = 1000});
        // The wire is full, up to a few bytes.
        co_await ends->client.send(std::string(970, 'x'));
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        const std::string said = co_await said_by(ends->client.aclose());
        EXPECT_EQ(said, "OsError: write to TLS to \"example.test\": Connection timed out");
        EXPECT_EQ(loop.time() - start, 30s);
    });
}

TEST(tls_end, by_abort_waits_for_nothing) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await raw_ends(tls::Version::tls_1_3, {.capacity_bytes = 1000});
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        Task<std::string> reading = create_task(ends->client.readline());
        ends->client.write(numbered_text(300'000));
        co_await sleep(1ms);
        ends->client.abort();
        co_await ends->client.wait_closed();
        const std::string got = co_await reading;
        EXPECT_EQ(got, "");
        EXPECT_EQ(loop.time() - start, 1ms);
        const std::string peer_got = co_await ends->peer->read();
        EXPECT_EQ(peer_got, "") << "a part of a record";
        EXPECT_FALSE(ends->peer->got_goodbye());
    });
}

TEST(tls_end, by_abort_of_a_connection_that_is_idle_waits_for_nothing_either) {
    run_simulated([]() -> Coro<> {
        for (const bool is_dropped : {false, true}) {
            const auto ends = co_await raw_ends();
            EventLoop& loop = get_running_loop();
            const TimePoint start = loop.time();
            const std::weak_ptr<TlsChannel> channel = ends->tls;
            ends->tls = nullptr;
            if (is_dropped) {
                ends->client = Stream();
            } else {
                ends->client.abort();
                co_await ends->client.wait_closed();
                ends->client = Stream();
            }
            const std::string peer_got = co_await ends->peer->read();
            EXPECT_EQ(peer_got, "");
            EXPECT_FALSE(ends->peer->got_goodbye()) << "bytes may be missing";
            EXPECT_TRUE(channel.expired());
            EXPECT_EQ(loop.time(), start);
        }
    });
}

TEST(tls_end, that_waits_for_the_peer_is_cut_short_by_an_abort) {
    run_simulated([]() -> Coro<> {
        const auto ends = co_await raw_ends();
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        Task<> closing = create_task(aclose(ends->client));
        co_await sleep(3s);
        EXPECT_FALSE(closing.done());
        ends->client.abort();
        co_await closing;
        EXPECT_EQ(loop.time() - start, 3s);
    });
}

TEST(tls_end, by_abort_reaches_a_connection_below) {
    run_simulated([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Ends outer = co_await connect();
        const std::weak_ptr<TlsChannel> below = outer.client;
        MemoryChannels between{std::move(outer.client), outer.server};
        Ends inner = co_await connect_over(std::move(between), client_of(), good_server_context());
        const TimePoint start = loop.time();
        Stream client(loop, std::move(inner.client));
        client.abort();
        co_await client.wait_closed();
        client = Stream();
        EXPECT_TRUE(below.expired());
        EXPECT_EQ(loop.time(), start);
        inner.server->abort();
        outer.server->abort();
    });
}

TEST(tls_end, handles_may_go_at_any_time) {
    for (int steps = 0; steps < 12; ++steps) {
        run_simulated([steps]() -> Coro<> {
            const auto ends = co_await open_ends({.seed = static_cast<std::uint64_t>(steps)});
            const std::weak_ptr<TlsChannel> client = ends->client_tls;
            const std::weak_ptr<TlsChannel> server = ends->server_tls;
            ends->client_tls = ends->server_tls = nullptr;
            Task<std::string> reading = create_task(ends->server.read());
            for (int i = 0; i < steps; ++i) co_await sleep(0s);
            ends->client.write(numbered_text(steps % 2 == 0 ? 500'000 : 10));
            for (int i = 0; i < steps; ++i) co_await sleep(0s);
            ends->client = Stream();
            ends->server = Stream();
            co_await internal::settle(std::move(reading));
            co_await sleep(1s);
            EXPECT_TRUE(client.expired());
            EXPECT_TRUE(server.expired());
        });
    }
}

TEST(tls_end, TLS_16_leaves_nothing_behind) {
    run_simulated([]() -> Coro<> {
        const tls::Context client = client_of();
        const tls::Context server = good_server_context();
        for (int round = 0; round < 1000; ++round) {
            Ends ends = co_await connect_over(channels_between({}), client, server);
            const std::weak_ptr<TlsChannel> left[] = {ends.client, ends.server};
            {
                Streams one(std::move(ends.client));
                Streams other(std::move(ends.server));
                co_await close_both(one, other);
            }
            EXPECT_TRUE(left[0].expired());
            EXPECT_TRUE(left[1].expired());
        }
    });
}

// --- The loop closes ----------------------------------------------------------------------------

TEST(tls_end, of_the_loop_ends_connections_that_are_open) {
    for (const std::uint64_t seed : {0U, 1U, 2U, 3U}) {
        const support::LogCapture log;
        std::unique_ptr<OpenEnds> left;
        support::TestLoop loop({.backend = lowlevel::BackendKind::simulated, .debug = false});
        loop->run_until_complete([&]() -> Coro<> {
            left = co_await open_ends({.seed = seed});
            left->client.write(numbered_text(1'000'000));
        }());
        loop->close();
        EXPECT_TRUE(left->client.is_closing());
        EXPECT_TRUE(left->server.is_closing());
    }
}

TEST(tls_end, of_the_loop_does_not_wait_for_a_peer_that_does_not_answer) {
    const support::LogCapture log;
    std::unique_ptr<RawEnds> left;
    support::TestLoop loop({.backend = lowlevel::BackendKind::simulated, .debug = false});
    loop->run_until_complete([&]() -> Coro<> {
        left = co_await raw_ends();
        left->client.close();
        co_await sleep(1s);
    }());
    loop->close();
    left->peer.reset();
    // The close was reported, or the loop would not have closed.
    EXPECT_TRUE(left->client.is_closing());
}

TEST(tls_end, of_the_loop_comes_before_the_limit_of_a_close_that_cannot_be_sent) {
    const support::LogCapture log;
    std::unique_ptr<RawEnds> left;
    support::TestLoop loop({.backend = lowlevel::BackendKind::simulated, .debug = false});
    loop->run_until_complete([&]() -> Coro<> {
        left = co_await raw_ends(tls::Version::tls_1_3, {.capacity_bytes = 1000});
        co_await left->client.send(std::string(970, 'x'));
        left->client.close();
        co_await sleep(1s);
    }());
    loop->close();
    left->peer.reset();
}

TEST(tls_end, of_the_loop_during_a_handshake_ends_it) {
    const support::LogCapture log;
    support::TestLoop loop({.backend = lowlevel::BackendKind::simulated, .debug = false});
    MemoryChannels ends;
    bool was_cancelled = false;
    loop->run_until_complete([&]() -> Coro<> {
        ends = channels_between({});
        create_task([](ChannelPtr channel, bool& cancelled) -> Coro<> {
            try {
                co_await tls::start_tls(std::move(channel), client_of(), to_example);
            } catch (const CancelledError&) {
                cancelled = true;
                throw;
            }
        }(std::move(ends.first), was_cancelled));
        co_await sleep(1s);
    }());
    loop->close();
    EXPECT_TRUE(was_cancelled);
}

}  // namespace
