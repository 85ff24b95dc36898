// Goal: certificates on a list of revoked certificates are refused, at clients and at servers, and
// a list that says nothing about a certificate refuses it as well.
// Method: lists that the tests sign themselves, and handshakes over bytes in memory. The error of
// the side that refuses is compared as a whole.

#include "tls_help.h"

namespace {

using namespace tls_test;

constexpr const char* refused = "CertificateError: TLS handshake with \"example.test\": the "
                                "certificate of the peer is refused: ";

const Issued& intermediate() {
    static const Issued made({.common_name = "intermediate", .is_authority = true}, &root());
    return made;
}

/// What a client with these lists says about a server; "" if it accepts it.
std::string client_says(const Issued& certificate, const std::string& lists) {
    std::string said;
    run_simulated([&]() -> Coro<> {
        Outcome<Ends> ends = co_await internal::settle(
            connect_over(channels_between({}), client_of({.revocation_list_pem = lists}),
                         server_of(certificate)));
        if (!ends.failed()) {
            Streams one(ends.value().client);
            Streams other(ends.value().server);
            co_await close_both(one, other);
            co_return;
        }
        const auto fails = [&ends]() -> Coro<> {
            static_cast<void>(std::move(ends).value());
            co_return;
        };
        said = co_await said_by(fails());
    });
    return said;
}

TEST(tls_revocation_list, refuses_the_certificate_that_it_names_and_no_other) {
    const Issued revoked({.dns = {"example.test"}}, &root());
    const std::string list = root().revocation_list({revoked});
    EXPECT_EQ(client_says(revoked, list), std::string(refused) + "it was revoked");
    EXPECT_EQ(client_says(good_server(), list), "");
    EXPECT_EQ(client_says(revoked, root().revocation_list({})), "");
    EXPECT_EQ(client_says(revoked, ""), "") << "without lists nothing is looked up";
}

TEST(tls_revocation_list, tells_the_program_which_name_was_refused) {
    run_simulated([]() -> Coro<> {
        const Issued revoked({.dns = {"example.test"}}, &root());
        const std::string list = root().revocation_list({revoked});
        bool was_refused = false;
        try {
            co_await connect_over(channels_between({}), client_of({.revocation_list_pem = list}),
                                  server_of(revoked));
        } catch (const tls::CertificateError& error) {
            was_refused = true;
            EXPECT_EQ(error.name(), "example.test");
            EXPECT_EQ(error.reason(), "it was revoked");
            EXPECT_EQ(error.depth(), 0);
        }
        EXPECT_TRUE(was_refused);
    });
}

TEST(tls_revocation_list, must_be_there_and_valid_for_the_issuer_of_the_peer) {
    const Issued other({.common_name = "another root", .is_authority = true});
    EXPECT_EQ(client_says(good_server(), other.revocation_list({})),
              std::string(refused) +
                  "there is no list of the certificates that its issuer has revoked");
    EXPECT_EQ(client_says(good_server(), root().revocation_list({}, -7200, -3600)),
              std::string(refused) +
                  "the list of the certificates that its issuer has revoked is out of date");
    EXPECT_EQ(client_says(good_server(), root().revocation_list({}, 3600, 7200)),
              std::string(refused) +
                  "the list of the certificates that its issuer has revoked is not valid yet");
}

TEST(tls_revocation_list, of_a_stranger_with_the_name_of_the_issuer_does_not_count) {
    const Issued stranger({.common_name = "root of the tests", .is_authority = true});
    EXPECT_EQ(client_says(good_server(), stranger.revocation_list({})),
              std::string(refused) + "the list of the certificates that its issuer has revoked has "
                                     "a wrong signature");
}

TEST(tls_revocation_list, is_looked_up_for_issuers_that_have_one) {
    const Issued leaf({.dns = {"example.test"}}, &intermediate());
    const std::string own = intermediate().revocation_list({});
    EXPECT_EQ(client_says(leaf, own), "") << "the root has published no list";
    EXPECT_EQ(client_says(leaf, own + root().revocation_list({})), "");
    EXPECT_EQ(client_says(leaf, own + root().revocation_list({intermediate()})),
              "CertificateError: TLS handshake with \"example.test\": the issuer's certificate at "
              "depth 1 is refused: it was revoked");
    EXPECT_EQ(client_says(leaf, root().revocation_list({})),
              std::string(refused) +
                  "there is no list of the certificates that its issuer has revoked");
}

TEST(tls_revocation_list, of_a_server_refuses_a_client) {
    run_simulated([]() -> Coro<> {
        const std::string trusted = root().certificate_pem();
        const std::string list = root().revocation_list({good_client()});
        const std::string chain = good_client().chain_pem();
        const std::string key = good_client().key_pem();
        MemoryChannels channels = channels_between({});
        const tls::Context server = good_server_context(
            {.ca_pem = trusted, .verify = tls::Verify::required, .revocation_list_pem = list});
        Task<std::string> serving =
            create_task(said_by(tls::start_tls(std::move(channels.second), server)));
        const tls::Context client = client_of({.certificate_pem = chain, .key_pem = key});
        const auto connected = co_await internal::settle(
            tls::start_tls(std::move(channels.first), client, to_example));
        if (!connected.failed()) connected.value()->abort();
        const std::string said = co_await serving;
        EXPECT_EQ(said, "CertificateError: TLS handshake with a client: the certificate of the "
                        "peer is refused: it was revoked");
    });
}

/// What making a client's context throws; "" if nothing.
std::string error_of(const ContextOptions& options) {
    try {
        static_cast<void>(client_of(options));
    } catch (const std::exception& error) {
        return error.what();
    }
    return "";
}

TEST(tls_revocation_list, comes_from_a_file_or_a_text_with_any_number_of_lists) {
    const std::string lists =
        root().revocation_list({}) + intermediate().revocation_list({good_server()});
    const TemporaryFile file(lists);
    EXPECT_EQ(error_of({.revocation_list_file = file.path()}), "");
    EXPECT_EQ(error_of({.revocation_list_pem = lists}), "");
    EXPECT_EQ(error_of({.revocation_list_file = file.path(), .revocation_list_pem = lists}),
              "tls: the list of revoked certificates is given as a file and a text");
    EXPECT_EQ(error_of({.revocation_list_file = "/no/such/file"}),
              "read the list of revoked certificates from /no/such/file: No such file or "
              "directory");
    EXPECT_EQ(error_of({.revocation_list_pem = "no list"}),
              "tls: the text of the list of revoked certificates cannot be used: it has no list of "
              "revoked certificates in PEM");
    EXPECT_NE(error_of({.revocation_list_pem = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 "
                                               "CRL-----\n"}),
              "");
}

}  // namespace
