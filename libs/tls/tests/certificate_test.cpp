// Goal: every bad certificate is refused, by the side that verifies it, with a message that says
// which check has failed and for which name; the message contains nothing that the peer has sent.
// Method: a table of certificates, made by OpenSSL at the time of the test.

#include "tls_help.h"

#include <cctype>
#include <functional>
#include <ostream>

namespace {

using namespace tls_test;
using tls::CertificateError;

/// Words in every certificate, which must not come back in a message.
const std::string mark = "BYTES-OF-THE-PEER";

/// A server's certificate, and the client's reason to refuse it.
struct Bad {
    const char* name;
    std::function<Issued()> make;
    const char* asked = "example.test";
    std::string reason;
    int depth = 0;
    std::function<std::string(const Issued&)> status = nullptr;
    bool demand_status = false;
};

std::ostream& operator<<(std::ostream& out, const Bad& bad) { return out << bad.name; }

Request for_names(std::vector<std::string> dns) {
    return {.common_name = mark, .dns = std::move(dns)};
}

Request with(Request request, std::vector<std::pair<std::string, std::string>> extensions) {
    request.extensions = std::move(extensions);
    return request;
}

Issued issued(const Request& request) { return Issued(request, &root()); }

Issued below(const Request& authority, const Request& request) {
    const Issued middle(authority, &root());
    return Issued(request, &middle);
}

Request authority() { return {.common_name = mark, .is_authority = true}; }

Issued expired() {
    Request request = for_names({"example.test"});
    request.valid_from_seconds = -7200;
    request.valid_until_seconds = -3600;
    return issued(request);
}

Issued from_tomorrow() {
    Request request = for_names({"example.test"});
    request.valid_from_seconds = 3600;
    return issued(request);
}

Issued from_an_unknown_root() {
    const Issued other(authority());
    return Issued(for_names({"example.test"}), &other);
}

Issued below_an_expired_authority() {
    Request middle = authority();
    middle.valid_from_seconds = -7200;
    middle.valid_until_seconds = -3600;
    return below(middle, for_names({"example.test"}));
}

Issued with_weak_key() {
    Request request = for_names({"example.test"});
    request.rsa_bits = 1024;
    return issued(request);
}

Issued with_weak_digest() {
    Request request = for_names({"example.test"});
    request.digest = "SHA1";
    return issued(request);
}

Issued below_a_server() {
    Request middle = authority();
    middle.is_authority = false;
    return below(middle, for_names({"example.test"}));
}

Issued too_deep() {
    Request first = authority();
    first.path_length = 0;
    const Issued above(first, &root());
    Request second = authority();
    second.common_name = "another name";  // one that issues for itself does not count
    const Issued middle(second, &above);
    return Issued(for_names({"example.test"}), &middle);
}

Issued below_one_who_may_issue_for(const char* constraints) {
    return below(with(authority(), {{"nameConstraints", constraints}}),
                 for_names({"example.test"}));
}

const std::string other_names = "it was issued for other names than ";
const std::string unknown_issuer =
    "its issuer is not among the trusted certificates, or the peer has not sent the certificates "
    "between them";

const Bad bad_certificates[] = {
    {"expired", expired, "example.test", "it has expired"},
    {"not_yet_valid", from_tomorrow, "example.test", "it is not valid yet"},
    {"wrong_host", [] { return issued(for_names({"other.test"})); }, "example.test",
     other_names + "\"example.test\""},
    {"name_of_the_parent", [] { return issued(for_names({"test"})); }, "example.test",
     other_names + "\"example.test\""},
    {"no_names_but_a_common_name", [] { return issued({.common_name = "example.test"}); },
     "example.test", other_names + "\"example.test\""},
    {"wildcard_for_two_labels", [] { return issued(for_names({"*.example.test"})); },
     "a.b.example.test", other_names + "\"a.b.example.test\""},
    {"wildcard_for_no_label", [] { return issued(for_names({"*.example.test"})); }, "example.test",
     other_names + "\"example.test\""},
    {"wildcard_in_a_label", [] { return issued(for_names({"w*.example.test"})); },
     "www.example.test", other_names + "\"www.example.test\""},
    {"wildcard_for_a_whole_domain", [] { return issued(for_names({"*.test"})); }, "example.test",
     other_names + "\"example.test\""},
    {"self_signed", [] { return Issued(for_names({"example.test"})); }, "example.test",
     "it is self-signed and not among the trusted certificates"},
    {"unknown_root", from_an_unknown_root, "example.test", unknown_issuer},
    {"expired_authority", below_an_expired_authority, "example.test", "it has expired", 1},
    {"revoked", [] { return issued(for_names({"example.test"})); }, "example.test",
     "it was revoked", 0, [](const Issued& made) { return made.revocation_status(true); }},
    {"no_statement_where_the_program_demands_one",
     [] { return issued(for_names({"example.test"})); }, "example.test",
     "no valid statement of revocation came with it", 0, nullptr, true},
    {"outdated_statement", [] { return issued(for_names({"example.test"})); }, "example.test",
     "no valid statement of revocation came with it", 0,
     [](const Issued& made) { return made.revocation_status(false, -7200, -3600); }, true},
    {"no_statement_where_the_certificate_demands_one",
     [] { return issued(with(for_names({"example.test"}), {{"tlsfeature", "status_request"}})); },
     "example.test", "no valid statement of revocation came with it"},
    {"weak_key", with_weak_key, "example.test", "its key is too weak"},
    {"weak_digest", with_weak_digest, "example.test",
     "it is signed with a digest that is too weak"},
    {"for_clients_only",
     [] { return issued(with(for_names({"example.test"}), {{"extendedKeyUsage", "clientAuth"}})); },
     "example.test", "it was issued for another purpose"},
    {"issued_by_a_server", below_a_server, "example.test", "it must not issue certificates", 1},
    {"name_that_is_not_permitted",
     [] { return below_one_who_may_issue_for("critical,permitted;DNS:other.test"); },
     "example.test", "its issuer must not issue certificates for these names"},
    {"name_that_is_excluded",
     [] { return below_one_who_may_issue_for("critical,excluded;DNS:example.test"); },
     "example.test", "its issuer must not issue certificates for these names"},
    {"chain_too_long", too_deep, "example.test", "the chain of its issuers is too long", 2},
    {"nul_in_the_name",
     [] { return issued(for_names({std::string("example.test\0.evil.test", 23)})); },
     "example.test", other_names + "\"example.test\""},
    {"address_in_a_name", [] { return issued(for_names({"127.0.0.1"})); }, "127.0.0.1",
     "it was issued for other addresses than \"127.0.0.1\""},
    {"other_address",
     [] { return issued({.common_name = mark, .addresses = {"127.0.0.2", "::1"}}); }, "127.0.0.1",
     "it was issued for other addresses than \"127.0.0.1\""},
    {"name_where_only_an_address_is",
     [] { return issued({.common_name = mark, .addresses = {"127.0.0.1"}}); }, "example.test",
     other_names + "\"example.test\""},
};

class bad_certificate : public ::testing::TestWithParam<Bad> {};

INSTANTIATE_TEST_SUITE_P(every, bad_certificate, ::testing::ValuesIn(bad_certificates),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(bad_certificate, is_refused_with_the_reason_and_the_name) {
    run_simulated([]() -> Coro<> {
        const Bad& bad = GetParam();
        const Issued certificate = bad.make();
        const std::string status = bad.status ? bad.status(certificate) : std::string();
        // The server itself does not mind.
        const tls::Context server =
            server_of(certificate, {.security_level = 0, .revocation_status = status});
        const tls::Context client = client_of({.demand_revocation_status = bad.demand_status});
        MemoryChannels ends = channels_between({});
        Task<std::string> accepting =
            create_task(said_by(tls::start_tls(std::move(ends.second), server)));
        Task<TlsPtr> connecting = create_task(
            tls::start_tls(std::move(ends.first), client, {.server_hostname = bad.asked}));
        const auto outcome = co_await internal::settle(std::move(connecting));
        const std::string server_said = co_await accepting;
        EXPECT_TRUE(outcome.failed());
        if (!outcome.failed()) co_return;
        try {
            std::rethrow_exception(outcome.error());
        } catch (const CertificateError& error) {
            const std::string whose =
                bad.depth == 0 ? "the certificate of the peer"
                               : "the issuer's certificate at depth " + std::to_string(bad.depth);
            const std::string asked = bad.asked;
            EXPECT_EQ(std::string(error.what()), "TLS handshake with \"" + asked + "\": " + whose +
                                                     " is refused: " + bad.reason);
            EXPECT_EQ(error.reason(), bad.reason);
            EXPECT_EQ(error.name(), asked);
            EXPECT_EQ(error.depth(), bad.depth);
            EXPECT_NE(error.verify_code(), 0);
            EXPECT_EQ(error.alert(), -1);
            EXPECT_EQ(std::string(error.what()).find(mark), std::string::npos);
        }
        // The server's handshake ends at the latest by the alert. With TLS 1.3 it may have been
        // complete before the client's answer came.
        EXPECT_EQ(server_said.find(mark), std::string::npos);
    });
    EXPECT_EQ(left_error(), 0U);
}

TEST(good_certificate, is_accepted_for_its_names_and_addresses) {
    const std::pair<std::vector<std::string>, std::string> names[] = {
        {{"example.test"}, "example.test"},  {{"example.test"}, "EXAMPLE.test"},
        {{"example.test"}, "example.test."}, {{"*.example.test"}, "www.example.test"},
        {{"a.test", "b.test"}, "b.test"},
    };
    for (const auto& [dns, asked] : names) {
        run_simulated([&]() -> Coro<> {
            const Issued made = issued(for_names(dns));
            Ends ends = co_await connect_over(channels_between({}), client_of(), server_of(made),
                                              {.server_hostname = asked});
            Streams client(std::move(ends.client));
            Streams server(std::move(ends.server));
            co_await close_both(client, server);
        });
    }
    for (const std::string address : {"127.0.0.1", "::1", "0:0:0:0:0:0:0:1"}) {
        run_simulated([&]() -> Coro<> {
            const Issued made = issued({.addresses = {"127.0.0.1", "::1"}});
            Ends ends = co_await connect_over(channels_between({}), client_of(), server_of(made),
                                              {.server_hostname = address});
            EXPECT_EQ(ends.server->info().server_hostname, "") << "addresses are not sent";
            Streams client(std::move(ends.client));
            Streams server(std::move(ends.server));
            co_await close_both(client, server);
        });
    }
}

TEST(good_certificate, with_a_good_statement_satisfies_a_client_that_demands_one) {
    for (const tls::Version version : {tls::Version::tls_1_2, tls::Version::tls_1_3}) {
        run_simulated([version]() -> Coro<> {
            const Issued made =
                issued(with(for_names({"example.test"}), {{"tlsfeature", "status_request"}}));
            const std::string status = made.revocation_status(false);
            Ends ends = co_await connect_over(
                channels_between({}),
                client_of({.demand_revocation_status = true, .maximum_version = version}),
                server_of(made, {.revocation_status = status}));
            Streams client(std::move(ends.client));
            Streams server(std::move(ends.server));
            co_await close_both(client, server);
        });
    }
}

TEST(good_certificate, is_described) {
    run_simulated([]() -> Coro<> {
        const Issued made = issued({.common_name = "ex,ample",
                                    .dns = {"a.test", std::string("b\0c", 3), "d.test"},
                                    .addresses = {"127.0.0.1", "::1"}});
        Ends ends = co_await connect_over(channels_between({}), client_of(), server_of(made),
                                          {.server_hostname = "a.test"});
        const auto found = ends.client->info().peer_certificate;
        EXPECT_TRUE(found.has_value());
        EXPECT_FALSE(ends.server->info().peer_certificate.has_value());
        EXPECT_EQ(found->subject, "CN=ex\\,ample");
        EXPECT_EQ(found->issuer, "CN=root of the tests");
        EXPECT_EQ(found->dns_names, (std::vector<std::string>{"a.test", "d.test"}));
        EXPECT_EQ(found->ip_addresses, (std::vector<std::string>{"127.0.0.1", "::1"}));
        const auto now = std::chrono::system_clock::now();
        EXPECT_LT(found->valid_from, now);
        EXPECT_GT(found->valid_until, now + 1h);
        EXPECT_EQ(found->fingerprint.size(), 64U);
        EXPECT_FALSE(found->serial_number.empty());
        EXPECT_EQ(found->der.substr(0, 1), "\x30");
        Streams client(std::move(ends.client));
        Streams server(std::move(ends.server));
        co_await close_both(client, server);
    });
}

/// The clock counts nanoseconds and ends in the year 2262; RFC 5280 has the year 9999 for "no end".
TEST(good_certificate, may_end_after_the_clock_does) {
    run_simulated([]() -> Coro<> {
        constexpr long year_seconds = 365 * 24 * 3600;
        const Issued made = issued({.dns = {"a.test"}, .valid_until_seconds = 7900 * year_seconds});
        Ends ends = co_await connect_over(channels_between({}), client_of(), server_of(made),
                                          {.server_hostname = "a.test"});
        const auto found = ends.client->info().peer_certificate;
        EXPECT_EQ(found->valid_until, std::chrono::system_clock::time_point::max());
        Streams client(std::move(ends.client));
        Streams server(std::move(ends.server));
        co_await close_both(client, server);
    });
}

// --- The other side -----------------------------------------------------------------------------

TEST(bad_certificate_of_a_server, TLS_04_does_not_disturb_the_server) {
    run_simulated([]() -> Coro<> {
        const tls::Context server = server_of(expired());
        const tls::Context trusting = client_of({.verify = tls::Verify::none});
        for (const bool verifies : {true, false, true, false}) {
            MemoryChannels ends = channels_between({});
            Task<TlsPtr> accepting = create_task(tls::start_tls(std::move(ends.second), server));
            Task<TlsPtr> connecting = create_task(tls::start_tls(
                std::move(ends.first), verifies ? client_of() : trusting, to_example));
            Outcome<TlsPtr> connected = co_await internal::settle(std::move(connecting));
            Outcome<TlsPtr> accepted = co_await internal::settle(std::move(accepting));
            EXPECT_EQ(connected.failed(), verifies);
            if (verifies) {
                // The alert that the client sends reaches the server, in the handshake or after it.
                if (!accepted.failed()) {
                    Streams left(std::move(accepted).value());
                    const std::string said = co_await said_by(left.reader.read());
                    EXPECT_EQ(said, "OsError: read from TLS to a client (certificate expired): "
                                    "Protocol error");
                }
                continue;
            }
            Streams client(std::move(connected).value());
            Streams served(std::move(accepted).value());
            co_await served.writer.send("served");
            const std::string got = co_await client.reader.readexactly(6);
            EXPECT_EQ(got, "served");
            co_await close_both(client, served);
        }
    });
}

TEST(bad_certificate_of_a_server, is_named_to_the_server_by_an_alert_whatever_the_pieces_are) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        run_simulated([seed]() -> Coro<> {
            const Issued made = expired();
            const bool is_narrow = seed % 2 == 0;
            MemoryChannels ends = channels_between(
                {.seed = seed, .capacity_bytes = is_narrow ? std::size_t{1} : 64 * 1024});
            Task<std::string> accepting =
                create_task(said_by(tls::start_tls(std::move(ends.second), server_of(made))));
            const tls::Context client = client_of({.maximum_version = tls::Version::tls_1_2});
            const std::string said =
                co_await said_by(tls::start_tls(std::move(ends.first), client, to_example));
            EXPECT_EQ(said.substr(0, 17), "CertificateError:");
            const std::string server_said = co_await accepting;
            EXPECT_EQ(server_said, "TlsError: TLS handshake with a client: the peer has refused it "
                                   "with the alert \"certificate expired\"");
        });
    }
}

// --- Certificates of clients --------------------------------------------------------------------

tls::Context strict_server(tls::Verify verify, tls::Version newest) {
    const std::string trusted = root().certificate_pem();
    return good_server_context({.ca_pem = trusted, .verify = verify, .maximum_version = newest});
}

tls::Context client_with(const Issued& own) {
    const std::string chain = own.chain_pem();
    const std::string key = own.key_pem();
    return client_of({.certificate_pem = chain, .key_pem = key});
}

TEST(certificate_of_a_client, is_verified_if_the_server_wants_it) {
    for (const tls::Version newest : {tls::Version::tls_1_2, tls::Version::tls_1_3}) {
        for (const tls::Verify verify : {tls::Verify::optional, tls::Verify::required}) {
            run_simulated([=]() -> Coro<> {
                Ends ends = co_await connect_over(channels_between({}), client_with(good_client()),
                                                  strict_server(verify, newest));
                const auto found = ends.server->info().peer_certificate;
                EXPECT_TRUE(found.has_value());
                EXPECT_EQ(found->subject, "CN=client");
                Streams client(std::move(ends.client));
                Streams server(std::move(ends.server));
                co_await close_both(client, server);
            });
        }
    }
}

/// What the server says, and what the client reads after its own handshake, if that succeeds.
Coro<std::pair<std::string, std::string>> refused_client(tls::Context client, tls::Context server) {
    MemoryChannels ends = channels_between({});
    Task<std::string> accepting =
        create_task(said_by(tls::start_tls(std::move(ends.second), server)));
    Task<TlsPtr> connecting =
        create_task(tls::start_tls(std::move(ends.first), client, to_example));
    Outcome<TlsPtr> connected = co_await internal::settle(std::move(connecting));
    std::pair<std::string, std::string> said;
    said.first = co_await accepting;
    if (connected.failed()) {
        said.second = describe(connected.error());
    } else {
        Streams left(std::move(connected).value());
        said.second = co_await said_by(left.reader.read());
    }
    co_return said;
}

TEST(certificate_of_a_client, that_is_missing_or_bad_is_refused_by_name_of_the_reason) {
    for (const tls::Version newest : {tls::Version::tls_1_2, tls::Version::tls_1_3}) {
        run_simulated([=]() -> Coro<> {
            const auto missing =
                co_await refused_client(client_of(), strict_server(tls::Verify::required, newest));
            EXPECT_EQ(missing.first, "TlsError: TLS handshake with a client: the client sent no "
                                     "certificate");
            EXPECT_NE(missing.second, "");
            const Issued unknown({.common_name = mark, .dns = {"client.test"}});
            for (const tls::Verify verify : {tls::Verify::optional, tls::Verify::required}) {
                const auto bad =
                    co_await refused_client(client_with(unknown), strict_server(verify, newest));
                EXPECT_EQ(bad.first, "CertificateError: TLS handshake with a client: the "
                                     "certificate of the peer is refused: it is self-signed and "
                                     "not among the trusted certificates");
                EXPECT_NE(bad.second.find("unknown CA"), std::string::npos) << bad.second;
            }
        });
    }
}

TEST(certificate_of_a_client, is_not_asked_for_by_other_servers) {
    run_simulated([]() -> Coro<> {
        Ends ends = co_await connect_over(channels_between({}), client_with(good_client()),
                                          good_server_context());
        EXPECT_FALSE(ends.server->info().peer_certificate.has_value());
        Streams client(std::move(ends.client));
        Streams server(std::move(ends.server));
        co_await close_both(client, server);
    });
}

}  // namespace
