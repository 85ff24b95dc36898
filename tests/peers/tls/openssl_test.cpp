// Goal: the tools of OpenSSL and ncat, which many people use to look at servers, work with this
// library in both directions: versions, ALPN, certificates of clients, resumption, and the end.
// Method: the tool is started with its usual options, and exchanges lines with this side.

#include "peers.h"

#include <tuple>

namespace {

using namespace peers_test;

std::string address_of(int port) { return "127.0.0.1:" + std::to_string(port); }

const char* option_of(tls::Version version) {
    return version == tls::Version::tls_1_2 ? "-tls1_2" : "-tls1_3";
}
const char* name_of(tls::Version version) {
    return version == tls::Version::tls_1_2 ? "TLSv1.2" : "TLSv1.3";
}

/// What our server found out about its connections.
struct Served {
    std::vector<tls::ConnectionInfo> infos;
    std::vector<tls::End> ends;
};

/// Answers lines until the peer ends.
Coro<> echo_lines(Stream stream, Served& served) {
    served.infos.push_back(tls::channel_of(stream)->info());
    for (;;) {
        const std::string line = co_await stream.readline();
        if (line.empty()) break;
        co_await stream.send("you said " + line);
    }
    served.ends.push_back(tls::channel_of(stream)->end());
}

class openssl_tools : public ::testing::TestWithParam<tls::Version> {
protected:
    void SetUp() override {
        if (!is_installed("openssl")) GTEST_SKIP() << "NOT TESTED: openssl is not installed";
    }
};

INSTANTIATE_TEST_SUITE_P(with, openssl_tools,
                         ::testing::Values(tls::Version::tls_1_2, tls::Version::tls_1_3),
                         [](const auto& info) {
                             return info.param == tls::Version::tls_1_2 ? "tls_1_2" : "tls_1_3";
                         });

// --- s_client -----------------------------------------------------------------------------------

/// One connection of s_client, with a line there and back. Returns all that the tool prints.
Coro<std::string> run_s_client(int port, std::string more) {
    Peer client = co_await Peer::start(
        "openssl s_client -connect " + address_of(port) + " -CAfile " +
        credentials().trusted.path() +
        " -verify_return_error -verify_hostname localhost -servername localhost " +
        option_of(openssl_tools::GetParam()) + more);
    co_await client.say("hello\n");
    const std::string begun = co_await client.output_until("you said hello\n");
    client.end_input();
    const std::string rest = co_await client.end();
    co_return begun + rest;
}

TEST_P(openssl_tools, s_client_shows_a_certificate_and_chooses_a_protocol) {
    run_with_peers([]() -> Coro<> {
        Served served;
        const auto handle = [&served](Stream stream) -> Coro<> {
            co_await echo_lines(std::move(stream), served);
        };
        Server server = co_await tls::start_server(
            handle, "127.0.0.1", 0,
            server_context({.verify = tls::Verify::required, .alpn = protocols}));
        const std::string own = credentials().client.path();
        const std::string more = " -alpn h2,echo/1 -cert " + own + " -key " + own;
        const std::string output = co_await run_s_client(server.port(), more);
        EXPECT_NE(output.find("Verify return code: 0 (ok)"), std::string::npos) << output;
        EXPECT_NE(output.find("ALPN protocol: echo/1"), std::string::npos) << output;
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(served.infos.size(), 1U);
        if (served.infos.size() == 1) {
            EXPECT_EQ(served.infos[0].version, name_of(GetParam()));
            EXPECT_EQ(served.infos[0].server_hostname, "localhost");
            EXPECT_EQ(served.infos[0].peer_certificate.value_or(tls::Certificate()).subject,
                      "CN=client");
        }
        EXPECT_EQ(served.ends, std::vector<tls::End>{tls::End::clean});
    });
}

TEST_P(openssl_tools, s_client_without_a_certificate_is_told_so) {
    run_with_peers([]() -> Coro<> {
        Served served;
        const auto handle = [&served](Stream stream) -> Coro<> {
            co_await echo_lines(std::move(stream), served);
        };
        Server server = co_await tls::start_server(
            handle, "127.0.0.1", 0, server_context({.verify = tls::Verify::required}));
        Peer client = co_await Peer::start(
            "openssl s_client -connect " + address_of(server.port()) + " -CAfile " +
            credentials().trusted.path() + " " + option_of(GetParam()));
        const bool is_new = GetParam() == tls::Version::tls_1_3;
        co_await client.output_until(is_new ? "alert certificate required"
                                            : "alert handshake failure");
        co_await client.stop();
        server.close();
        co_await server.wait_closed();
        EXPECT_TRUE(served.infos.empty());
    });
}

TEST_P(openssl_tools, s_client_resumes_its_session) {
    run_with_peers([]() -> Coro<> {
        Served served;
        const auto handle = [&served](Stream stream) -> Coro<> {
            co_await echo_lines(std::move(stream), served);
        };
        Server server = co_await tls::start_server(handle, "127.0.0.1", 0, server_context());
        const TemporaryFile session("");
        std::string output = co_await run_s_client(server.port(), " -sess_out " + session.path());
        EXPECT_NE(output.find("New, TLSv1."), std::string::npos) << output;
        output = co_await run_s_client(server.port(), " -sess_in " + session.path());
        EXPECT_NE(output.find("Reused, TLSv1."), std::string::npos) << output;
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(served.infos.size(), 2U);
        if (served.infos.size() == 2) {
            EXPECT_FALSE(served.infos[0].session_reused);
            EXPECT_TRUE(served.infos[1].session_reused);
        }
    });
}

/// The client offers the weaker cipher first, and one without forward secrecy.
TEST_P(openssl_tools, s_client_does_not_choose_the_cipher) {
    run_with_peers([]() -> Coro<> {
        Served served;
        const auto handle = [&served](Stream stream) -> Coro<> {
            co_await echo_lines(std::move(stream), served);
        };
        Server server = co_await tls::start_server(handle, "127.0.0.1", 0, server_context());
        co_await run_s_client(
            server.port(),
            " -cipher AES128-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
            " -ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(served.infos.size(), 1U);
        if (served.infos.size() == 1) {
            const bool is_old = GetParam() == tls::Version::tls_1_2;
            EXPECT_EQ(served.infos[0].cipher,
                      is_old ? "ECDHE-ECDSA-AES256-GCM-SHA384" : "TLS_AES_256_GCM_SHA384");
        }
    });
}

TEST(openssl_ciphers, without_forward_secrecy_or_with_sha_1_are_refused) {
    if (!is_installed("openssl")) GTEST_SKIP() << "NOT TESTED: openssl is not installed";
    run_with_peers([]() -> Coro<> {
        Served served;
        const auto handle = [&served](Stream stream) -> Coro<> {
            co_await echo_lines(std::move(stream), served);
        };
        Server server = co_await tls::start_server(handle, "127.0.0.1", 0, server_context());
        Peer client = co_await Peer::start(
            "openssl s_client -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:AES128-SHA256 -connect " +
            address_of(server.port()));
        co_await client.output_until("alert handshake failure");
        co_await client.stop();
        server.close();
        co_await server.wait_closed();
        EXPECT_TRUE(served.infos.empty());
    });
}

// --- s_server -----------------------------------------------------------------------------------

/// s_server with a reversing of lines for an answer. Sets the port that it has chosen.
Coro<Peer> start_s_server(int& port, std::string more) {
    const std::string own = credentials().server.path();
    Peer server =
        co_await Peer::start("openssl s_server -accept 127.0.0.1:0 -rev -cert " + own + " -key " +
                             own + " " + option_of(openssl_tools::GetParam()) + more);
    co_await server.output_until("ACCEPT 127.0.0.1:");
    const std::string text = co_await server.output_until("\n");
    port = std::stoi(text);
    co_return server;
}

/// One connection with a line there and back. Returns what was negotiated.
Coro<tls::ConnectionInfo> talk_to_s_server(int port, tls::Context context) {
    const Stream stream = co_await tls::open_connection("127.0.0.1", port, context, to_localhost);
    co_await stream.send("hello\n");
    const std::string line = co_await stream.readline();
    EXPECT_EQ(line, "olleh\n");
    tls::ConnectionInfo info = tls::channel_of(stream)->info();
    co_await stream.aclose();
    co_return info;
}

TEST_P(openssl_tools, s_server_accepts_our_certificate_and_chooses_a_protocol) {
    run_with_peers([]() -> Coro<> {
        int port = 0;
        const std::string more =
            " -alpn h2,echo/1 -naccept 1 -Verify 2 -verify_return_error -CAfile " +
            credentials().trusted.path();
        Peer server = co_await start_s_server(port, more);
        const std::string own = credentials().client.path();
        const tls::Context context = client_context({.certificate_file = own, .alpn = protocols});
        const tls::ConnectionInfo info = co_await talk_to_s_server(port, context);
        EXPECT_EQ(info.version, name_of(GetParam()));
        EXPECT_EQ(info.alpn, "h2");
        EXPECT_FALSE(info.session_reused);
        const std::string output = co_await server.end();
        EXPECT_NE(output.find("Peer certificate: CN = client"), std::string::npos) << output;
        EXPECT_NE(output.find("CONNECTION CLOSED"), std::string::npos) << output;
    });
}

TEST_P(openssl_tools, s_server_resumes_our_session) {
    run_with_peers([]() -> Coro<> {
        int port = 0;
        Peer server = co_await start_s_server(port, " -naccept 3");
        const tls::Context context = client_context();
        for (int round = 0; round < 3; ++round) {
            const tls::ConnectionInfo info = co_await talk_to_s_server(port, context);
            EXPECT_EQ(info.session_reused, round > 0);
        }
        const std::string output = co_await server.end();
        EXPECT_NE(output.find("2 session cache hits"), std::string::npos) << output;
    });
}

// --- ncat ---------------------------------------------------------------------------------------

constexpr const char* no_ncat = "NOT TESTED: ncat is not installed";

TEST(ncat, verifies_our_server_and_gets_an_answer) {
    if (!is_installed("ncat")) GTEST_SKIP() << no_ncat;
    run_with_peers([]() -> Coro<> {
        Served served;
        const auto handle = [&served](Stream stream) -> Coro<> {
            co_await echo_lines(std::move(stream), served);
        };
        Server server = co_await tls::start_server(handle, "127.0.0.1", 0, server_context());
        Peer client = co_await Peer::start("ncat -4 --ssl-verify --ssl-trustfile " +
                                           credentials().trusted.path() + " localhost " +
                                           std::to_string(server.port()));
        co_await client.say("hello\n");
        const std::string line = co_await client.output_until("\n");
        EXPECT_EQ(line, "you said hello\n");
        client.end_input();
        co_await client.stop();
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(served.infos.size(), 1U);
    });
}

TEST(ncat, serves_our_client) {
    if (!is_installed("ncat")) GTEST_SKIP() << no_ncat;
    run_with_peers([]() -> Coro<> {
        const std::string own = credentials().server.path();
        const int port = free_port();
        Peer server =
            co_await Peer::start("ncat -v --ssl --ssl-cert " + own + " --ssl-key " + own +
                                 " -l 127.0.0.1 " + std::to_string(port) + " -e /bin/cat");
        co_await server.output_until("Listening on ");
        const Stream stream =
            co_await tls::open_connection("127.0.0.1", port, client_context(), to_localhost);
        for (int round = 0; round < 3; ++round) {
            const std::string text = std::string(5000, 'x') + "\n";
            co_await stream.send(text);
            const std::string line = co_await stream.readline();
            EXPECT_EQ(line, text);
        }
        co_await stream.aclose();
        co_await server.end();
    });
}

}  // namespace
