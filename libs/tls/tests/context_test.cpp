// Goal: contexts load what they are given or say what is wrong with it; names, protocols and the
// key log do what the options say.
// Method: contexts from texts and files; handshakes in memory.

#include "tls_help.h"

#include <cstdlib>

#include <sys/stat.h>

namespace {

using namespace tls_test;

/// The text of what `make` throws, with its type in front.
template <class Make>
std::string error_of(Make make) {
    try {
        make();
    } catch (const tls::TlsError& error) {
        return std::string("TlsError: ") + error.what();
    } catch (const OsError& error) {
        return std::string("OsError: ") + error.what();
    } catch (const std::invalid_argument& error) {
        return std::string("invalid_argument: ") + error.what();
    }
    return "";
}

std::string error_of_server(const ContextOptions& options) {
    return error_of([&] { tls::server_context(options); });
}

std::string error_of_client(const ContextOptions& options) {
    return error_of([&] { tls::client_context(options); });
}

// --- Loading ------------------------------------------------------------------------------------

TEST(tls_context, loads_files_and_texts) {
    const std::string chain = good_server().chain_pem();
    const std::string key = good_server().key_pem();
    const TemporaryFile chain_file(chain);
    const TemporaryFile key_file(key);
    const TemporaryFile both_file(key + chain);
    EXPECT_EQ(error_of_server({.certificate_pem = chain, .key_pem = key}), "");
    EXPECT_EQ(error_of_server({.certificate_file = chain_file.path(), .key_file = key_file.path()}),
              "");
    EXPECT_EQ(error_of_server({.certificate_file = both_file.path()}), "");
    EXPECT_EQ(error_of_server({.certificate_pem = chain, .key_file = key_file.path()}), "");
    EXPECT_EQ(error_of_client({.ca_file = chain_file.path()}), "");
    EXPECT_EQ(error_of_client({.ca_directory = "/tmp"}), "");
    EXPECT_EQ(left_error(), 0U);
}

TEST(tls_context, an_encrypted_key_needs_its_password) {
    const std::string chain = good_server().chain_pem();
    const std::string key = good_server().key_pem("open sesame");
    EXPECT_EQ(
        error_of_server({.certificate_pem = chain, .key_pem = key, .password = "open sesame"}), "");
    for (const std::string_view wrong : {"", "wrong"}) {
        EXPECT_EQ(
            error_of_server({.certificate_pem = chain, .key_pem = key, .password = wrong}),
            "TlsError: tls: the text of the key cannot be used: the key is encrypted, and the "
            "password is missing or wrong");
    }
    EXPECT_EQ(left_error(), 0U);
}

TEST(tls_context, says_what_is_wrong_with_what_it_loads) {
    const std::string chain = good_server().chain_pem();
    const std::string key = good_server().key_pem();
    EXPECT_EQ(error_of_server({.certificate_file = "/nowhere/c.pem"}),
              "OsError: read the certificate from /nowhere/c.pem: No such file or directory");
    EXPECT_EQ(error_of_client({.ca_file = "/nowhere/ca.pem"}),
              "OsError: read the trusted certificates from /nowhere/ca.pem: No such file or "
              "directory");
    EXPECT_EQ(error_of_server({.certificate_pem = "text", .key_pem = key}),
              "TlsError: tls: the text of the certificate cannot be used: it has no certificate in "
              "PEM");
    EXPECT_EQ(error_of_server({.certificate_pem = chain, .key_pem = "text"}),
              "TlsError: tls: the text of the key cannot be used: it has no private key in PEM");
    EXPECT_EQ(error_of_server({.certificate_pem = chain, .key_pem = good_client().key_pem()}),
              "TlsError: tls: the text of the key cannot be used: the key does not belong to the "
              "certificate");
    EXPECT_EQ(error_of_client({.ca_pem = "text"}),
              "TlsError: tls: the text of the trusted certificates cannot be used: it has no "
              "certificate in PEM");
    std::string broken = chain;
    broken.replace(broken.size() / 2, 4, "!!!!");
    EXPECT_EQ(error_of_client({.ca_pem = broken}).substr(0, 72),
              "TlsError: tls: the text of the trusted certificates cannot be used: bad ");
    const Issued weak({.dns = {"example.test"}, .rsa_bits = 1024}, &root());
    EXPECT_EQ(error_of([&] { server_of(weak); }),
              "TlsError: tls: the text of the certificate cannot be used: the key of the own "
              "certificate is too weak");
    EXPECT_EQ(left_error(), 0U);
}

TEST(tls_context, refuses_options_that_contradict_each_other) {
    const std::string chain = good_server().chain_pem();
    const std::string key = good_server().key_pem();
    const std::string_view empty[] = {""};
    const tls::NamedContext unnamed[] = {{"", good_server_context()}};
    const tls::NamedContext of_client[] = {{"a.test", client_of()}};
    const ContextOptions refused_at_server[] = {
        {},
        {.key_pem = key},
        {.certificate_file = "a", .certificate_pem = chain, .key_pem = key},
        {.certificate_pem = chain, .key_pem = key, .verify = tls::Verify::required},
        {.certificate_pem = chain,
         .key_pem = key,
         .minimum_version = tls::Version::tls_1_3,
         .maximum_version = tls::Version::tls_1_2},
        {.certificate_pem = chain, .key_pem = key, .security_level = 6},
        {.certificate_pem = chain, .key_pem = key, .alpn = empty},
        {.certificate_pem = chain, .key_pem = key, .contexts_by_name = unnamed},
        {.certificate_pem = chain, .key_pem = key, .contexts_by_name = of_client},
    };
    for (const ContextOptions& options : refused_at_server)
        EXPECT_EQ(error_of_server(options).substr(0, 22), "invalid_argument: tls:");
    for (const Delay lifetime : {Delay(0s), Delay(-1s)})
        EXPECT_THROW(good_server_context({.ticket_key_lifetime = lifetime}), std::invalid_argument);
    EXPECT_EQ(error_of_client({.revocation_status = "x"}).substr(0, 22), "invalid_argument: tls:");
}

TEST(tls_context, of_the_process_is_made_once) {
    const tls::Context first = tls::default_client_context();
    EXPECT_TRUE(first);
    EXPECT_FALSE(first.is_server());
    EXPECT_TRUE(first == tls::default_client_context());
    EXPECT_FALSE(tls::Context());
    EXPECT_FALSE(tls::Context().is_server());
    EXPECT_TRUE(good_server_context().is_server());
}

TEST(tls_context, of_the_process_does_not_trust_the_root_of_the_tests) {
    run_simulated([]() -> Coro<> {
        MemoryChannels ends = channels_between({});
        Task<TlsPtr> accepting =
            create_task(tls::start_tls(std::move(ends.second), good_server_context()));
        const std::string said = co_await said_by(
            tls::start_tls(std::move(ends.first), tls::default_client_context(), to_example));
        EXPECT_EQ(said.substr(0, 17), "CertificateError:");
        co_await internal::settle(std::move(accepting));
    });
}

// --- Protocols ----------------------------------------------------------------------------------

Coro<> end(Ends ends) {
    Streams one(std::move(ends.client));
    Streams other(std::move(ends.server));
    co_await close_both(one, other);
}

TEST(tls_context, negotiates_a_protocol_by_the_order_of_the_server) {
    run_simulated([]() -> Coro<> {
        const std::string_view of_client[] = {"http/1.1", "h2", "x"};
        const std::string_view of_server[] = {"h2", "http/1.1"};
        Ends ends = co_await connect_over(channels_between({}), client_of({.alpn = of_client}),
                                          good_server_context({.alpn = of_server}));
        EXPECT_EQ(ends.client->info().alpn, "h2");
        EXPECT_EQ(ends.server->info().alpn, "h2");
        co_await end(std::move(ends));
    });
}

TEST(tls_context, has_no_protocol_if_one_side_names_none) {
    run_simulated([]() -> Coro<> {
        const std::string_view protocols[] = {"h2"};
        Ends ends = co_await connect_over(channels_between({}), client_of({.alpn = protocols}),
                                          good_server_context());
        EXPECT_EQ(ends.client->info().alpn, "");
        co_await end(std::move(ends));
        ends = co_await connect_over(channels_between({}), client_of(),
                                     good_server_context({.alpn = protocols}));
        EXPECT_EQ(ends.server->info().alpn, "");
        co_await end(std::move(ends));
    });
}

TEST(tls_context, TLS_19_ends_a_handshake_without_a_protocol_in_common) {
    run_simulated([]() -> Coro<> {
        const std::string_view of_client[] = {"h2"};
        const std::string_view of_server[] = {"http/1.1"};
        const std::string said =
            co_await said_by(connect_over(channels_between({}), client_of({.alpn = of_client}),
                                          good_server_context({.alpn = of_server})));
        EXPECT_EQ(said, "TlsError: TLS handshake with \"example.test\": the peer has refused it "
                        "with the alert \"no application protocol\"");
    });
}

// --- Names --------------------------------------------------------------------------------------

TEST(tls_context, is_chosen_by_the_name_that_the_client_asks_for) {
    run_simulated([]() -> Coro<> {
        const Issued first({.common_name = "first", .dns = {"first.test"}}, &root());
        const Issued second({.common_name = "second", .dns = {"*.second.test"}}, &root());
        const Issued other({.common_name = "other", .dns = {"other.test", "second.test"}}, &root());
        const std::string_view protocols[] = {"h2"};
        const tls::NamedContext names[] = {
            {"First.test", server_of(first, {.alpn = protocols})},
            {"*.second.test", server_of(second, {.maximum_version = tls::Version::tls_1_2})},
        };
        const tls::Context server = server_of(other, {.contexts_by_name = names});
        struct Case {
            const char* asked;
            const char* subject;
            const char* version;
            const char* alpn;
        };
        const Case cases[] = {
            {"first.test", "CN=first", "TLSv1.3", "h2"},
            {"FIRST.TEST", "CN=first", "TLSv1.3", "h2"},
            {"www.second.test", "CN=second", "TLSv1.2", ""},
            {"second.test", "CN=other", "TLSv1.3", ""},
            {"other.test", "CN=other", "TLSv1.3", ""},
        };
        const tls::Context client = client_of({.alpn = protocols});
        for (const Case& one : cases) {
            Ends ends = co_await connect_over(channels_between({}), client, server,
                                              {.server_hostname = one.asked});
            const tls::ConnectionInfo info = ends.client->info();
            EXPECT_EQ(info.peer_certificate->subject, one.subject) << one.asked;
            EXPECT_EQ(info.version, one.version) << one.asked;
            EXPECT_EQ(info.alpn, one.alpn) << one.asked;
            EXPECT_EQ(ends.server->info().server_hostname, one.asked);
            co_await end(std::move(ends));
        }
    });
}

TEST(tls_context, that_is_chosen_decides_about_the_certificate_of_the_client) {
    run_simulated([]() -> Coro<> {
        const Issued both({.dns = {"open.test", "closed.test"}}, &root());
        const std::string trusted = root().certificate_pem();
        const tls::NamedContext names[] = {
            {"closed.test", server_of(both, {.ca_pem = trusted, .verify = tls::Verify::required})}};
        const tls::Context server = server_of(both, {.contexts_by_name = names});
        const std::string chain = good_client().chain_pem();
        const std::string key = good_client().key_pem();
        const tls::Context known = client_of({.certificate_pem = chain, .key_pem = key});
        Ends ends = co_await connect_over(channels_between({}), known, server,
                                          {.server_hostname = "closed.test"});
        EXPECT_TRUE(ends.server->info().peer_certificate.has_value());
        co_await end(std::move(ends));
        ends = co_await connect_over(channels_between({}), client_of(), server,
                                     {.server_hostname = "open.test"});
        co_await end(std::move(ends));
        MemoryChannels channels = channels_between({});
        Task<std::string> accepting =
            create_task(said_by(tls::start_tls(std::move(channels.second), server)));
        Task<TlsPtr> connecting = create_task(tls::start_tls(std::move(channels.first), client_of(),
                                                             {.server_hostname = "closed.test"}));
        co_await internal::settle(std::move(connecting));
        const std::string said = co_await accepting;
        EXPECT_EQ(said, "TlsError: TLS handshake with a client: the client sent no certificate");
    });
}

// --- Checks that are switched off ---------------------------------------------------------------

TEST(tls_context, without_the_check_of_names_still_verifies_the_certificate) {
    run_simulated([]() -> Coro<> {
        const tls::Context client = client_of({.check_hostname = false});
        Ends ends = co_await connect_over(channels_between({}), client, good_server_context(),
                                          {.server_hostname = "wrong.test"});
        co_await end(std::move(ends));
        ends = co_await connect_over(channels_between({}), client, good_server_context(), {});
        EXPECT_EQ(ends.client->name(), "TLS to a server");
        co_await end(std::move(ends));
        const Issued unknown({.dns = {"example.test"}});
        const std::string said =
            co_await said_by(connect_over(channels_between({}), client, server_of(unknown), {}));
        EXPECT_EQ(said, "CertificateError: TLS handshake with a server: the certificate of the "
                        "peer is refused: it is self-signed and not among the trusted "
                        "certificates");
    });
}

TEST(tls_context, without_verification_accepts_everything_and_shows_it) {
    run_simulated([]() -> Coro<> {
        const Issued unknown({.common_name = "unknown", .valid_until_seconds = -60});
        Ends ends =
            co_await connect_over(channels_between({}), client_of({.verify = tls::Verify::none}),
                                  server_of(unknown), to_example);
        EXPECT_EQ(ends.client->info().peer_certificate->subject, "CN=unknown");
        co_await end(std::move(ends));
    });
}

// --- The key log --------------------------------------------------------------------------------

/// How often a word stands in a text.
int count_of(const std::string& word, const std::string& text) {
    int count = 0;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
        ++count;
    return count;
}

TEST(tls_context, writes_the_secrets_into_the_key_log_that_the_program_names) {
    const TemporaryFile log("");
    run_simulated([&]() -> Coro<> {
        const tls::Context client = client_of({.key_log_file = log.path()});
        for (int round = 0; round < 2; ++round) {
            Ends ends = co_await connect_over(channels_between({}), client, good_server_context());
            co_await end(std::move(ends));
        }
    });
    EXPECT_EQ(count_of("CLIENT_TRAFFIC_SECRET_0 ", log.text()), 2);
    EXPECT_EQ(log.text().back(), '\n');
}

TEST(tls_context, makes_a_key_log_that_only_its_owner_can_read) {
    std::string path;
    {
        const TemporaryFile unused("");
        path = unused.path();
    }
    const tls::Context client = client_of({.key_log_file = path});
    struct stat about{};
    EXPECT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777U, 0600U);
    std::remove(path.c_str());
    EXPECT_EQ(error_of_client({.key_log_file = "/nowhere/log"}),
              "OsError: open the key log file /nowhere/log: No such file or directory");
}

TEST(tls_context, reads_the_environment_for_a_key_log_only_if_the_program_says_so) {
    const TemporaryFile log("");
    ::setenv("SSLKEYLOGFILE", log.path().c_str(), 1);
    run_simulated([]() -> Coro<> {
        Ends ends = co_await connect_over(channels_between({}), client_of(), good_server_context());
        co_await end(std::move(ends));
    });
    EXPECT_EQ(log.text(), "");
    run_simulated([]() -> Coro<> {
        const tls::Context server = good_server_context({.key_log_from_environment = true});
        Ends ends = co_await connect_over(channels_between({}), client_of(), server);
        co_await end(std::move(ends));
    });
    ::unsetenv("SSLKEYLOGFILE");
    EXPECT_EQ(count_of("SERVER_TRAFFIC_SECRET_0 ", log.text()), 1);
}

}  // namespace
