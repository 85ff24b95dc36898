// Goal: sessions are resumed, with both versions of TLS; never for another name, another context,
// or another choice of the server.
// Method: connections one after the other; OpenSSL says whether a session was resumed.

#include "raw_peer.h"

namespace {

using namespace tls_test;

/// One connection, on which both sides say something. Returns whether its session was resumed.
Coro<bool> resumes(tls::Context client, tls::Context server, TlsOptions options = to_example) {
    Ends ends = co_await connect_over(channels_between({}), client, server, options);
    const bool reused = ends.client->info().session_reused;
    EXPECT_EQ(ends.server->info().session_reused, reused);
    Streams one(std::move(ends.client));
    Streams other(std::move(ends.server));
    // With TLS 1.3 the session comes after the handshake, and is there when data is read.
    other.writer.write("hello");
    const std::string got = co_await one.reader.readexactly(5);
    EXPECT_EQ(got, "hello");
    co_await close_both(one, other);
    co_return reused;
}

class tls_session : public ::testing::TestWithParam<tls::Version> {};

INSTANTIATE_TEST_SUITE_P(of, tls_session,
                         ::testing::Values(tls::Version::tls_1_2, tls::Version::tls_1_3),
                         [](const auto& info) {
                             return info.param == tls::Version::tls_1_2 ? "tls_1_2" : "tls_1_3";
                         });

TEST_P(tls_session, is_resumed_again_and_again) {
    run_simulated([]() -> Coro<> {
        const tls::Context client = client_of({.maximum_version = GetParam()});
        const tls::Context server = good_server_context();
        bool reused = co_await resumes(client, server);
        EXPECT_FALSE(reused);
        for (int round = 0; round < 20; ++round) {
            reused = co_await resumes(client, server);
            EXPECT_TRUE(reused) << round;
        }
    });
}

TEST_P(tls_session, is_resumed_after_an_end_without_close_notify) {
    run_simulated([]() -> Coro<> {
        const tls::Context client = client_of({.maximum_version = GetParam()});
        const tls::Context server = good_server_context();
        {
            Ends ends = co_await connect_over(channels_between({}), client, server);
            const Streams other(ends.server);
            const Streams one(ends.client);
            other.writer.write("hello");
            const std::string got = co_await one.reader.readexactly(5);
            EXPECT_EQ(got, "hello");
            ends.client->abort();
            ends.server->abort();
        }
        const bool reused = co_await resumes(client, server);
        EXPECT_TRUE(reused);
    });
}

TEST_P(tls_session, keeps_the_certificate_of_the_client) {
    run_simulated([]() -> Coro<> {
        const std::string trusted = root().certificate_pem();
        const std::string chain = good_client().chain_pem();
        const std::string key = good_client().key_pem();
        const tls::Context client =
            client_of({.certificate_pem = chain, .key_pem = key, .maximum_version = GetParam()});
        const tls::Context server =
            good_server_context({.ca_pem = trusted, .verify = tls::Verify::required});
        bool reused = co_await resumes(client, server);
        reused = co_await resumes(client, server);
        EXPECT_TRUE(reused);
    });
}

/// The time of the loop is simulated, and that of OpenSSL, which ends a session, is not.
TEST_P(tls_session, is_resumed_with_the_key_of_its_ticket_and_with_the_key_before) {
    run_simulated([]() -> Coro<> {
        const tls::Context client = client_of({.maximum_version = GetParam()});
        const tls::Context server = good_server_context({.ticket_key_lifetime = 1h});
        bool reused = co_await resumes(client, server);
        for (int round = 0; round < 3; ++round) {
            // The old key opens the ticket, and the new one seals the ticket for the next round.
            co_await sleep(61min);
            reused = co_await resumes(client, server);
            EXPECT_TRUE(reused) << round;
        }
        co_await sleep(119min);
        reused = co_await resumes(client, server);
        EXPECT_TRUE(reused) << "the key is in its second lifetime";
        co_await sleep(121min);
        reused = co_await resumes(client, server);
        EXPECT_FALSE(reused) << "the key was erased";
        reused = co_await resumes(client, server);
        EXPECT_TRUE(reused);
    });
}

TEST_P(tls_session, is_not_lost_when_the_key_never_changes) {
    run_simulated([]() -> Coro<> {
        const tls::Context client = client_of({.maximum_version = GetParam()});
        const tls::Context server = good_server_context({.ticket_key_lifetime = Duration::max()});
        bool reused = co_await resumes(client, server);
        co_await sleep(100h);
        reused = co_await resumes(client, server);
        EXPECT_TRUE(reused);
    });
}

TEST_P(tls_session, belongs_to_a_name) {
    run_simulated([]() -> Coro<> {
        const Issued both({.dns = {"one.test", "two.test"}}, &root());
        const tls::Context client = client_of({.maximum_version = GetParam()});
        const tls::Context server = server_of(both);
        const TlsOptions one{.server_hostname = "one.test"};
        const TlsOptions two{.server_hostname = "two.test"};
        const TlsOptions other_port{.server_hostname = "one.test", .session_key = "8443"};
        bool reused = co_await resumes(client, server, one);
        reused = co_await resumes(client, server, two);
        EXPECT_FALSE(reused);
        reused = co_await resumes(client, server, other_port);
        EXPECT_FALSE(reused);
        reused = co_await resumes(client, server, one);
        EXPECT_TRUE(reused);
    });
}

TEST_P(tls_session, belongs_to_a_context) {
    run_simulated([]() -> Coro<> {
        const tls::Context server = good_server_context();
        const tls::Context careless =
            client_of({.verify = tls::Verify::none, .maximum_version = GetParam()});
        const tls::Context careful = client_of({.maximum_version = GetParam()});
        bool reused = co_await resumes(careless, server);
        reused = co_await resumes(careful, server);
        EXPECT_FALSE(reused);
        const tls::Context other_server = good_server_context();
        reused = co_await resumes(careful, other_server);
        EXPECT_FALSE(reused) << "another server cannot read its ticket";
    });
}

TEST_P(tls_session, is_not_kept_or_given_if_the_program_does_not_want_it) {
    run_simulated([]() -> Coro<> {
        const tls::Context server = good_server_context();
        const tls::Context forgetful =
            client_of({.maximum_version = GetParam(), .cached_sessions = 0});
        bool reused = co_await resumes(forgetful, server);
        reused = co_await resumes(forgetful, server);
        EXPECT_FALSE(reused);
        const tls::Context client = client_of({.maximum_version = GetParam()});
        const tls::Context without = good_server_context({.session_tickets = 0});
        reused = co_await resumes(client, without);
        reused = co_await resumes(client, without);
        EXPECT_FALSE(reused);
    });
}

TEST_P(tls_session, of_the_server_that_was_not_used_for_the_longest_time_goes_first) {
    run_simulated([]() -> Coro<> {
        const Issued all({.dns = {"a.test", "b.test", "c.test"}}, &root());
        const tls::Context client =
            client_of({.maximum_version = GetParam(), .cached_sessions = 2});
        const tls::Context server = server_of(all);
        const TlsOptions a{.server_hostname = "a.test"};
        const TlsOptions b{.server_hostname = "b.test"};
        const TlsOptions c{.server_hostname = "c.test"};
        bool reused = co_await resumes(client, server, a);
        reused = co_await resumes(client, server, b);
        reused = co_await resumes(client, server, a);
        EXPECT_TRUE(reused);
        reused = co_await resumes(client, server, c);
        EXPECT_FALSE(reused);
        reused = co_await resumes(client, server, b);
        EXPECT_FALSE(reused) << "c has taken its place";
        reused = co_await resumes(client, server, c);
        EXPECT_TRUE(reused);
    });
}

/// One connection of a raw client. Returns what the server says: "" if it accepts the client.
Coro<std::string> server_says(RawPeer& client, ChannelPtr end, tls::Context server) {
    Task<TlsPtr> accepting = create_task(tls::start_tls(std::move(end), server));
    const auto shaken = co_await internal::settle(client.handshake());
    Outcome<TlsPtr> accepted = co_await internal::settle(std::move(accepting));
    if (accepted.failed()) co_return describe(accepted.error());
    EXPECT_FALSE(shaken.failed());
    // The client reads, so it gets its sessions.
    Streams served(std::move(accepted).value());
    served.writer.write("hello");
    const std::string got = co_await client.read();
    EXPECT_EQ(got, "hello");
    served.writer.abort();
    co_return "";
}

/// A client that one context of a server has accepted must not reach another one by its session:
/// that one may demand a certificate.
TEST_P(tls_session, does_not_carry_a_client_from_one_context_of_a_server_to_another) {
    run_simulated([]() -> Coro<> {
        const Issued both({.dns = {"open.test", "closed.test"}}, &root());
        const std::string trusted = root().certificate_pem();
        const tls::Context closed =
            server_of(both, {.ca_pem = trusted, .verify = tls::Verify::required});
        const tls::NamedContext names[] = {{"closed.test", closed}};
        const tls::Context server = server_of(both, {.contexts_by_name = names});
        MemoryChannels ends[] = {channels_between({}), channels_between({}), channels_between({})};
        RawPeer first(std::move(ends[0].first), GetParam(), "open.test", nullptr);
        std::string said = co_await server_says(first, std::move(ends[0].second), server);
        EXPECT_EQ(said, "");
        RawPeer again(std::move(ends[1].first), GetParam(), "open.test", &first);
        said = co_await server_says(again, std::move(ends[1].second), server);
        EXPECT_EQ(said, "");
        EXPECT_TRUE(again.is_resumed());
        RawPeer attacker(std::move(ends[2].first), GetParam(), "closed.test", &again);
        said = co_await server_says(attacker, std::move(ends[2].second), server);
        EXPECT_EQ(said, "TLS handshake with a client: the client sent no certificate");
    });
}

TEST(tls_session, of_version_1_3_is_used_once) {
    run_simulated([]() -> Coro<> {
        const tls::Context client = client_of();
        const tls::Context server = good_server_context({.session_tickets = 1});
        co_await resumes(client, server);
        // Two connections begin at the same time, and there is one ticket.
        Task<bool> one = create_task(resumes(client, server));
        Task<bool> other = create_task(resumes(client, server));
        const bool first = co_await one;
        const bool second = co_await other;
        EXPECT_EQ(int{first} + int{second}, 1);
    });
}

}  // namespace
