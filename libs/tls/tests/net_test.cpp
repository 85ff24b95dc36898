// Goal: TLS over TCP: connections by host and port, and servers whose handlers see what is behind
// the handshake; clients that fail or do nothing disturb nobody.
// Method: client and server in one loop, on the loopback address; where time matters, in the
// simulated world.

#include "tls_help.h"

#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace tls_test;
using support::run_test;

constexpr auto loopback = "127.0.0.1";

const Issued& server_certificate() {
    static const Issued made({.dns = {"localhost"}, .addresses = {"127.0.0.1"}}, &root());
    return made;
}

tls::Context server_context() { return server_of(server_certificate()); }

Coro<> echo(Stream stream) {
    for (;;) {
        const std::string line = co_await stream.readline();
        if (line.empty()) break;
        co_await stream.send(line);
    }
}

Coro<> end(const Server& server) {
    server.close();
    co_await server.wait_closed();
}

/// The error of a reset is as good as the end.
Coro<std::string> read_to_end(const Stream& stream) {
    std::string got;
    try {
        got = co_await stream.read();
    } catch (const OsError&) {
        got = "reset";
    }
    co_return got;
}

TEST(tls_net, serves_many_clients_at_once_and_resumes_their_sessions) {
    run_test([]() -> Coro<> {
        Server server = co_await tls::start_server(echo, loopback, 0, server_context());
        const tls::Context context = client_of();
        int resumed = 0;
        for (int round = 0; round < 2; ++round) {
            std::vector<Stream> clients;
            for (int i = 0; i < 8; ++i) {
                clients.push_back(co_await tls::open_connection(loopback, server.port(), context));
                clients.back().write("client " + std::to_string(i) + "\n");
            }
            for (int i = 0; i < 8; ++i) {
                Stream& client = clients[static_cast<std::size_t>(i)];
                const std::string line = co_await client.readline();
                EXPECT_EQ(line, "client " + std::to_string(i) + "\n");
                resumed += tls::channel_of(client)->info().session_reused ? 1 : 0;
                EXPECT_EQ(client.peer().port(), server.port());
                EXPECT_EQ(client.fd(), -1);
            }
            for (Stream& client : clients) co_await client.aclose();
        }
        EXPECT_EQ(resumed, 8);
        co_await end(server);
    });
}

TEST(tls_net, keeps_the_sessions_of_two_ports_apart) {
    run_test([]() -> Coro<> {
        Server one = co_await tls::start_server(echo, loopback, 0, server_context());
        Server other = co_await tls::start_server(echo, loopback, 0, server_context());
        const tls::Context context = client_of();
        int resumed = 0;
        for (int round = 0; round < 3; ++round) {
            for (const std::uint16_t port : {one.port(), other.port()}) {
                const Stream client = co_await tls::open_connection(loopback, port, context);
                co_await client.send("hello\n");
                const std::string line = co_await client.readline();
                resumed += tls::channel_of(client)->info().session_reused ? 1 : 0;
                co_await client.aclose();
            }
        }
        EXPECT_EQ(resumed, 4);
        co_await end(one);
        co_await end(other);
    });
}

TEST(tls_net, verifies_the_name_of_the_host_unless_another_one_is_given) {
    run_test([]() -> Coro<> {
        Server server = co_await tls::start_server(echo, loopback, 0, server_of(good_server()));
        const tls::Context context = client_of();
        const std::string said =
            co_await said_by(tls::open_connection(loopback, server.port(), context));
        EXPECT_EQ(said, "CertificateError: TLS handshake with \"127.0.0.1\": the certificate of "
                        "the peer is refused: it was issued for other addresses than "
                        "\"127.0.0.1\"");
        {
            const Stream client = co_await tls::open_connection(loopback, server.port(), context,
                                                                {.tls = to_example});
            co_await client.send("hello\n");
            const std::string line = co_await client.readline();
            EXPECT_EQ(line, "hello\n");
            co_await client.aclose();
        }
        co_await end(server);
    });
}

TEST(tls_net, TLS_04_a_client_whose_handshake_fails_does_not_reach_the_handler) {
    run_test([]() -> Coro<> {
        int handled = 0;
        const auto count = [&handled](Stream stream) -> Coro<> {
            ++handled;
            co_await stream.read();
        };
        Server server = co_await tls::start_server(count, loopback, 0, server_context());
        const std::string said = co_await said_by(
            tls::open_connection(loopback, server.port(), tls::default_client_context()));
        EXPECT_EQ(said.substr(0, 17), "CertificateError:");
        {
            const Stream plain = co_await open_connection(loopback, server.port());
            co_await plain.send("GET / HTTP/1.1\r\n\r\n");
            const std::string got = co_await read_to_end(plain);
            EXPECT_TRUE(got.size() < 20 || got == "reset");
        }
        {
            const Stream gone = co_await open_connection(loopback, server.port());
        }
        {
            const Stream good = co_await tls::open_connection(loopback, server.port(), client_of());
            co_await good.aclose();
        }
        co_await end(server);
        // With TLS 1.3 the server's handshake is complete when the client refuses the certificate.
        EXPECT_GE(handled, 1);
        EXPECT_LE(handled, 2);
    });
}

TEST(tls_net, sends_what_a_handler_has_written_before_it_returned) {
    run_test([]() -> Coro<> {
        const std::string text(300'000, 'x');
        const auto write = [&text](Stream stream) -> Coro<> {
            stream.write(text);
            co_return;
        };
        Server server = co_await tls::start_server(write, loopback, 0, server_context());
        const Stream client = co_await tls::open_connection(loopback, server.port(), client_of());
        const std::string got = co_await client.read();
        EXPECT_TRUE(got == text) << got.size();
        EXPECT_EQ(tls::channel_of(client)->end(), tls::End::clean);
        co_await client.aclose();
        co_await end(server);
    });
}

TEST(tls_net, TLS_01_a_server_that_is_silent_is_given_up_and_sees_the_end) {
    run_simulated([]() -> Coro<> {
        std::string got;
        const auto silent = [&got](Stream stream) -> Coro<> { got = co_await read_to_end(stream); };
        Server server = co_await start_server(silent, loopback, 0);
        const std::string said = co_await said_by(
            wait_for(tls::open_connection(loopback, server.port(), client_of()), 5s));
        EXPECT_EQ(said, "TimeoutError: the time limit has passed");
        tls::ConnectOptions options;
        options.tls.handshake_timeout = 2s;
        const std::string own =
            co_await said_by(tls::open_connection(loopback, server.port(), client_of(), options));
        EXPECT_EQ(own, "TimeoutError: the handshake of TLS to \"127.0.0.1\" took too long");
        co_await end(server);
        EXPECT_GT(got.size(), 100U) << "the client hello, and then the end";
    });
}

TEST(tls_net, TLS_01_a_client_that_is_silent_is_given_up) {
    run_simulated([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        tls::ServerOptions options;
        options.tls.handshake_timeout = 3s;
        Server server = co_await tls::start_server(echo, loopback, 0, server_context(), options);
        const TimePoint start = loop.time();
        const Stream client = co_await open_connection(loopback, server.port());
        const std::string got = co_await read_to_end(client);
        EXPECT_GE(loop.time() - start, 3s);
        EXPECT_LT(loop.time() - start, 4s);
        co_await end(server);
    });
}

TEST(tls_net, closes_its_clients_with_a_word) {
    run_simulated([]() -> Coro<> {
        Server server = co_await tls::start_server(echo, loopback, 0, server_context());
        const Stream client = co_await tls::open_connection(loopback, server.port(), client_of());
        co_await client.send("hello\n");
        const std::string line = co_await client.readline();
        server.close_clients();
        const std::string rest = co_await client.read();
        EXPECT_EQ(tls::channel_of(client)->end(), tls::End::clean);
        co_await client.aclose();
        co_await end(server);
    });
}

TEST(tls_net, ends_clients_that_are_in_their_handshake) {
    run_simulated([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        for (const bool aborts : {false, true}) {
            Server server = co_await tls::start_server(echo, loopback, 0, server_context());
            const Stream client = co_await open_connection(loopback, server.port());
            co_await sleep(1s);
            EXPECT_EQ(server.connections(), 1U);
            const TimePoint start = loop.time();
            aborts ? server.abort_clients() : server.close_clients();
            const std::string got = co_await read_to_end(client);
            co_await end(server);
            EXPECT_LT(loop.time() - start, 1s);
        }
    });
}

TEST(tls_net, of_a_server_that_goes_takes_its_connections_along) {
    run_simulated([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Server server = co_await tls::start_server(echo, loopback, 0, server_context());
        const Stream client = co_await tls::open_connection(loopback, server.port(), client_of());
        co_await client.send("hello\n");
        const std::string line = co_await client.readline();
        const TimePoint start = loop.time();
        server = Server();
        const std::string rest = co_await read_to_end(client);
        EXPECT_LT(loop.time() - start, 1s);
        EXPECT_NE(tls::channel_of(client)->end(), tls::End::clean);
        client.abort();
    });
}

TEST(tls_net, tells_of_failed_handshakes_in_debug_mode) {
    support::LogCapture log;
    support::TestLoop loop({.backend = lowlevel::BackendKind::simulated, .debug = true});
    std::vector<std::string> told;
    loop->set_exception_handler([&told](EventLoop&, const ErrorContext& context) {
        told.push_back(std::string(context.message) + ": " + describe(context.exception));
    });
    loop->run_until_complete([]() -> Coro<> {
        Server server = co_await tls::start_server(echo, loopback, 0, server_context());
        const Stream plain = co_await open_connection(loopback, server.port());
        co_await plain.send("GET / HTTP/1.1\r\n\r\n");
        co_await read_to_end(plain);
        co_await end(server);
    }());
    loop->close();
    EXPECT_EQ(told, std::vector<std::string>{
                        "the TLS handshake of a client has failed: TLS handshake with a client: "
                        "the peer speaks HTTP without TLS"});
}

// --- Connections that become TLS ----------------------------------------------------------------

TEST(tls_net, NET_25_a_socket_that_the_program_has_accepted_becomes_a_stream_with_TLS) {
    run_test([]() -> Coro<> {
        Socket listener(AF_INET);
        listener.bind(Address::ip(loopback, 0));
        listener.listen();
        Task<Stream> connecting =
            create_task(tls::open_connection(loopback, listener.getsockname().port(), client_of()));
        Accepted accepted = co_await listener.accept();
        Stream server = connect_accepted_socket(std::move(accepted.socket));
        server = co_await tls::start_tls(std::move(server), server_context());
        const Stream client = co_await std::move(connecting);
        EXPECT_EQ(server.peer(), client.local());
        EXPECT_EQ(server.local(), client.peer());
        EXPECT_EQ(tls::channel_of(server)->info().version, "TLSv1.3");
        EXPECT_EQ(tls::channel_of(server)->info().cipher, tls::channel_of(client)->info().cipher);
        EXPECT_TRUE(tls::channel_of(client)->info().peer_certificate.has_value());
        co_await client.send("question\n");
        const std::string line = co_await server.readline();
        EXPECT_EQ(line, "question\n");
        Task<> closing = create_task(client.aclose());
        co_await server.aclose();
        co_await closing;
        EXPECT_EQ(tls::channel_of(client)->end(), tls::End::clean);
    });
}

/// Answers lines, in plain text until STARTTLS.
Coro<> serve_mail(Stream stream, tls::Context context, int& ended) {
    const std::string command = co_await stream.readline();
    EXPECT_EQ(command, "STARTTLS\r\n");
    stream.write("220 go ahead\r\n");
    stream = co_await tls::start_tls(std::move(stream), context);
    co_await echo(std::move(stream));
    ++ended;
}

/// The client of such a server.
Coro<Stream> start_mail(int port) {
    Stream stream = co_await open_connection(loopback, port);
    co_await stream.send("STARTTLS\r\n");
    const std::string answer = co_await stream.readline();
    EXPECT_EQ(answer, "220 go ahead\r\n");
    co_return co_await tls::start_tls(std::move(stream), client_of(),
                                      {.server_hostname = loopback});
}

TEST(tls_net, WRT_12_a_handler_upgrades_its_connection_and_the_client_ends_it) {
    run_test([]() -> Coro<> {
        int ended = 0;
        const auto handle = [&ended](Stream stream) -> Coro<> {
            co_await serve_mail(std::move(stream), server_context(), ended);
        };
        Server server = co_await start_server(handle, loopback, 0);
        const Stream client = co_await start_mail(server.port());
        co_await client.send("hello\n");
        const std::string line = co_await client.readline();
        EXPECT_EQ(line, "hello\n");
        EXPECT_EQ(server.connections(), 1U);
        co_await client.aclose();
        co_await end(server);
        EXPECT_EQ(ended, 1);
    });
}

/// The server knows the connection below TLS, and ends its reads there. The handler then returns,
/// and its stream closes as any other. An abort sends no close_notify.
TEST(tls_net, WRT_12_a_server_ends_connections_that_its_handlers_have_upgraded) {
    for (const bool aborts : {false, true}) {
        run_simulated([aborts]() -> Coro<> {
            EventLoop& loop = get_running_loop();
            int ended = 0;
            const auto handle = [&ended](Stream stream) -> Coro<> {
                co_await serve_mail(std::move(stream), server_context(), ended);
            };
            Server server = co_await start_server(handle, loopback, 0);
            const Stream client = co_await start_mail(server.port());
            co_await client.send("hello\n");
            std::string line = co_await client.readline();
            EXPECT_EQ(line, "hello\n");
            const TimePoint start = loop.time();
            aborts ? server.abort_clients() : server.close_clients();
            co_await read_to_end(client);
            EXPECT_EQ(tls::channel_of(client)->end() == tls::End::clean, !aborts);
            client.abort();
            co_await end(server);
            EXPECT_LT(loop.time() - start, 1s);
            EXPECT_LE(ended, 1);
            EXPECT_EQ(server.connections(), 0U);
        });
    }
}

/// The client does not wait for an answer: its hello comes with the command.
TEST(tls_net, WRT_11_a_hello_that_comes_with_the_command_is_not_lost_by_a_server) {
    run_simulated([]() -> Coro<> {
        const auto handle = [](Stream stream) -> Coro<> {
            // Both have come before the handler reads, and are read as one piece.
            co_await sleep(1s);
            const std::string command = co_await stream.readline();
            EXPECT_EQ(command, "STARTTLS\r\n");
            stream = co_await tls::start_tls(std::move(stream), server_context());
            co_await echo(std::move(stream));
        };
        Server server = co_await start_server(handle, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await client.send("STARTTLS\r\n");
        client =
            co_await tls::start_tls(std::move(client), client_of(), {.server_hostname = loopback});
        co_await client.send("hello\n");
        const std::string line = co_await client.readline();
        EXPECT_EQ(line, "hello\n");
        co_await client.aclose();
        co_await end(server);
    });
}

// --- Other places to listen ---------------------------------------------------------------------

/// A path that no file has.
std::string free_path() {
    const TemporaryFile taken("");
    return taken.path() + ".socket";
}

TEST(tls_net, goes_over_unix_sockets_and_resumes_there) {
    run_test([]() -> Coro<> {
        const std::string path = free_path();
        Server server = co_await tls::start_unix_server(echo, path, server_context());
        const tls::Context context = client_of();
        for (int round = 0; round < 2; ++round) {
            const Stream client = co_await tls::open_unix_connection(
                path, context, {.tls = {.server_hostname = "localhost"}});
            co_await client.send("hello\n");
            const std::string line = co_await client.readline();
            EXPECT_EQ(line, "hello\n");
            EXPECT_EQ(tls::channel_of(client)->info().session_reused, round > 0);
            EXPECT_EQ(tls::channel_of(client)->info().server_hostname, "localhost");
            co_await client.aclose();
            EXPECT_EQ(tls::channel_of(client)->end(), tls::End::clean);
        }
        co_await end(server);
        EXPECT_NE(::access(path.c_str(), F_OK), 0);
    });
}

TEST(tls_net, keeps_the_sessions_of_two_paths_apart) {
    run_simulated([]() -> Coro<> {
        const std::string paths[] = {free_path(), free_path()};
        Server one = co_await tls::start_unix_server(echo, paths[0], server_context());
        Server other = co_await tls::start_unix_server(echo, paths[1], server_context());
        const tls::Context context = client_of();
        const tls::ConnectOptions options{.tls = {.server_hostname = "localhost"}};
        int resumed = 0;
        for (int round = 0; round < 3; ++round) {
            for (const std::string& path : paths) {
                const Stream client = co_await tls::open_unix_connection(path, context, options);
                co_await client.send("hello\n");
                const std::string line = co_await client.readline();
                resumed += tls::channel_of(client)->info().session_reused ? 1 : 0;
                co_await client.aclose();
            }
        }
        EXPECT_EQ(resumed, 4);
        co_await end(one);
        co_await end(other);
    });
}

TEST(tls_net, UNX_04_a_path_is_no_name_for_a_certificate) {
    run_test([]() -> Coro<> {
        const std::string path = free_path();
        Server server = co_await tls::start_unix_server(echo, path, server_context());
        EXPECT_THROW(static_cast<void>(tls::open_unix_connection(path, client_of(), {})),
                     std::invalid_argument);
        const std::string said =
            co_await said_by(tls::open_unix_connection(path, client_of(), {.tls = to_example}));
        EXPECT_EQ(said, "CertificateError: TLS handshake with \"example.test\": the certificate of "
                        "the peer is refused: it was issued for other names than "
                        "\"example.test\"");
        const tls::Context nameless = client_of({.check_hostname = false});
        {
            const Stream client = co_await tls::open_unix_connection(path, nameless, {});
            co_await client.send("hello\n");
            const std::string line = co_await client.readline();
            EXPECT_EQ(line, "hello\n");
            co_await client.aclose();
        }
        co_await end(server);
    });
}

TEST(tls_net, listens_on_several_hosts_with_one_context) {
    run_simulated([]() -> Coro<> {
        std::vector<std::string> hosts{"127.0.0.1"};
        hosts.emplace_back("::1");
        Server server = co_await tls::start_server(echo, hosts, 0, server_context());
        EXPECT_EQ(server.addresses().size(), 2U);
        for (const Address& address : server.addresses()) {
            const Stream client =
                co_await tls::open_connection(address.host(), address.port(), client_of(),
                                              {.tls = {.server_hostname = "localhost"}});
            co_await client.send("hello\n");
            const std::string line = co_await client.readline();
            EXPECT_EQ(line, "hello\n");
            co_await client.aclose();
        }
        co_await end(server);
    });
}

/// Begins what the call itself is to refuse.
void begin_connection(const tls::Context& context, const tls::ConnectOptions& options = {}) {
    static_cast<void>(tls::open_connection("localhost", 443, context, options));
}
void begin_server(const tls::Context& context, const tls::ServerOptions& options = {}) {
    static_cast<void>(tls::start_server(echo, loopback, 0, context, options));
}

TEST(tls_net, serves_on_several_threads_which_share_the_sessions) {
    run_test([]() -> Coro<> {
        const tls::ThreadServerOptions options{.server = {.threads = 3}};
        const ThreadServer server =
            co_await tls::start_server_on_threads(echo, loopback, 0, server_context(), options);
        const tls::Context context = client_of();
        int resumed = 0;
        for (int round = 0; round < 12; ++round) {
            const Stream client = co_await tls::open_connection(loopback, server.port(), context);
            co_await client.send("hello\n");
            const std::string line = co_await client.readline();
            EXPECT_EQ(line, "hello\n");
            resumed += tls::channel_of(client)->info().session_reused ? 1 : 0;
            co_await client.aclose();
        }
        EXPECT_EQ(resumed, 11);
        const bool in_time = co_await server.shutdown(10s);
        EXPECT_TRUE(in_time);
    });
}

TEST(tls_net, serves_on_threads_until_it_is_cancelled) {
    run_test([]() -> Coro<> {
        const tls::ThreadServerOptions options{.server = {.threads = 2}};
        EXPECT_THROW(
            static_cast<void>(tls::serve_on_threads(echo, loopback, 0, client_of(), options)),
            std::invalid_argument);
        Task<> serving =
            create_task(tls::serve_on_threads(echo, loopback, 0, server_context(), options));
        co_await sleep(10ms);
        EXPECT_FALSE(serving.done());
        serving.cancel();
        const bool cancelled = (co_await internal::settle(serving)).cancelled();
        EXPECT_TRUE(cancelled);
    });
}

TEST(tls_net, TLS_02_refuses_options_that_make_no_sense_before_it_connects) {
    const tls::Context client = client_of();
    const tls::Context server = server_context();
    EXPECT_THROW(begin_connection(server), std::invalid_argument);
    EXPECT_THROW(begin_connection(tls::Context()), std::invalid_argument);
    EXPECT_THROW(begin_server(client), std::invalid_argument);
    EXPECT_THROW(begin_server(tls::Context()), std::invalid_argument);
    for (const Delay limit : {Delay(0s), Delay(-1s)}) {
        tls::ConnectOptions options;
        options.tls.handshake_timeout = limit;
        EXPECT_THROW(begin_connection(client, options), std::invalid_argument);
        tls::ServerOptions server_options;
        server_options.tls.shutdown_timeout = limit;
        EXPECT_THROW(begin_server(server, server_options), std::invalid_argument);
    }
    tls::ServerOptions named;
    named.tls.server_hostname = "example.test";
    EXPECT_THROW(begin_server(server, named), std::invalid_argument);
}

}  // namespace
