// Goal: CPython's ssl and asyncio understand this library, and the other way round: as client and
// as server, with both versions of TLS, amounts around the sizes of buffers and records, and both
// ways to end a connection.
// Method: peer.py is the other side. Both sides compute check sums of what they send and read, and
// say how the other one has ended.

#include "peers.h"

#include <tuple>

namespace {

using namespace peers_test;

struct Case {
    /// "ssl" or "asyncio".
    std::string module;
    tls::Version version;
    /// How peer.py ends: "clean", "ragged" or "wait". If it waits, this side ends, by `we_abort`.
    std::string how;
    bool we_abort = false;

    std::string number() const { return version == tls::Version::tls_1_2 ? "1.2" : "1.3"; }
    /// What peer.py says about the end of this side. Its asyncio cannot tell.
    std::string end() const {
        if (how != "wait") return "-";
        if (module == "asyncio") return "end";
        return we_abort ? "ragged" : "clean";
    }
    std::string line(std::uint64_t size) const {
        return std::to_string(size) + " good TLSv" + number() + " echo/1 " + end() + "\n";
    }
};

std::string command_of(const Case& scene, const std::string& role, int port,
                       const std::vector<std::uint64_t>& sizes) {
    const Credentials& files = credentials();
    std::string command = "python3 " ASYNCIO_SOURCE_DIR "/tests/peers/peer.py ";
    command += scene.module + " " + role + " " + scene.how + " " + scene.number() + " ";
    command += role == "client" ? files.trusted.path() : files.server.path();
    command += " " + std::to_string(port);
    for (const std::uint64_t size : sizes) command += " " + std::to_string(size);
    return command;
}

/// The end of a connection, as the scene wants it.
Coro<tls::End> end_as_wanted(const Stream& stream, const Case& scene) {
    tls::End end = tls::End::open;
    if (scene.how != "wait") end = co_await end_of(stream);
    if (scene.we_abort) {
        stream.abort();
    } else {
        co_await stream.aclose();
    }
    co_return end;
}

tls::End expected_end(const Case& scene) {
    if (scene.how == "wait") return tls::End::open;
    return scene.how == "clean" ? tls::End::clean : tls::End::ragged;
}

/// peer.py is the client.
void serve(const Case& scene, const std::vector<std::uint64_t>& sizes) {
    run_with_peers([&]() -> Coro<> {
        std::vector<std::uint64_t> served;
        const auto handle = [&](Stream stream) -> Coro<> {
            served.push_back(co_await answer(stream));
            EXPECT_EQ(tls::channel_of(stream)->info().server_hostname, "localhost");
            EXPECT_EQ(tls::channel_of(stream)->info().alpn, "echo/1");
            const tls::End end = co_await end_as_wanted(stream, scene);
            EXPECT_EQ(end, expected_end(scene));
        };
        Server server =
            co_await tls::start_server(handle, "127.0.0.1", 0, server_context({.alpn = protocols}));
        Peer peer = co_await Peer::start(command_of(scene, "client", server.port(), sizes));
        const std::string said = co_await peer.end();
        std::string expected;
        for (const std::uint64_t size : sizes) expected += scene.line(size);
        EXPECT_EQ(said, expected);
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(served, sizes);
    });
}

/// peer.py is the server.
void connect(const Case& scene, const std::vector<std::uint64_t>& sizes) {
    run_with_peers([&]() -> Coro<> {
        Peer peer = co_await Peer::start(command_of(scene, "server", 0, sizes));
        const std::string port = co_await peer.output_until("\n");
        const tls::Context context = client_context({.alpn = protocols});
        std::string expected;
        for (const std::uint64_t size : sizes) {
            const Stream stream =
                co_await tls::open_connection("127.0.0.1", std::stoi(port), context, to_localhost);
            const bool good = co_await ask(stream, size);
            EXPECT_TRUE(good) << size;
            const tls::End end = co_await end_as_wanted(stream, scene);
            EXPECT_EQ(end, expected_end(scene));
            expected += scene.line(size);
        }
        const std::string said = co_await peer.end();
        EXPECT_EQ(said, expected);
    });
}

class cpython : public ::testing::TestWithParam<std::tuple<const char*, tls::Version>> {
protected:
    void SetUp() override {
        if (!is_installed("python3")) GTEST_SKIP() << "NOT TESTED: python3 is not installed";
    }
    static Case scene(const char* how, bool we_abort = false) {
        return {std::get<0>(GetParam()), std::get<1>(GetParam()), how, we_abort};
    }
};

INSTANTIATE_TEST_SUITE_P(with, cpython,
                         ::testing::Combine(::testing::Values("ssl", "asyncio"),
                                            ::testing::Values(tls::Version::tls_1_2,
                                                              tls::Version::tls_1_3)),
                         [](const auto& info) {
                             const bool is_old = std::get<1>(info.param) == tls::Version::tls_1_2;
                             return std::string(std::get<0>(info.param)) +
                                    (is_old ? "_1_2" : "_1_3");
                         });

TEST_P(cpython, client_gets_back_what_it_sends) { serve(scene("clean"), usual_sizes); }

TEST_P(cpython, server_sends_back_what_it_gets) { connect(scene("clean"), usual_sizes); }

TEST_P(cpython, client_that_ends_without_close_notify_is_noticed) {
    serve(scene("ragged"), {70000});
}

TEST_P(cpython, server_that_ends_without_close_notify_is_noticed) {
    connect(scene("ragged"), {70000});
}

TEST_P(cpython, client_sees_how_the_server_ends) {
    serve(scene("wait"), {1, 70000});
    serve(scene("wait", true), {1, 70000});
}

TEST_P(cpython, server_sees_how_the_client_ends) {
    connect(scene("wait"), {1, 70000});
    connect(scene("wait", true), {1, 70000});
}

TEST(cpython_much, goes_both_ways_as_client_and_as_server) {
    if (!is_installed("python3")) GTEST_SKIP() << "NOT TESTED: python3 is not installed";
    const Case scene{"asyncio", tls::Version::tls_1_3, "clean"};
    serve(scene, {100'000'000});
    connect(scene, {100'000'000});
}

}  // namespace
