// Goal: the streams of this library and of CPython's asyncio understand each other, as client and
// as server: amounts around the sizes of buffers, a direction that ends before the other, a
// connection that breaks, and a peer that reads slowly, for which no memory is filled.
// Method: peer.py and scenes.py are the other side. Both sides compare check sums.

#include "peers/conversation.h"
#include "support/sanitizer.h"

#include <cerrno>
#include <fstream>

namespace {

using namespace peers_test;

std::string script(const std::string& name) {
    return "python3 " ASYNCIO_SOURCE_DIR "/tests/peers/" + name + " ";
}

std::string command_of(const std::string& role, const std::string& how, int port,
                       const std::vector<std::uint64_t>& sizes) {
    std::string command = script("peer.py") + "plain " + role + " " + how + " - - ";
    command += std::to_string(port);
    for (const std::uint64_t size : sizes) command += " " + std::to_string(size);
    return command;
}

std::string lines_of(const std::vector<std::uint64_t>& sizes) {
    std::string lines;
    for (const std::uint64_t size : sizes) lines += std::to_string(size) + " good - - -\n";
    return lines;
}

/// CPython is the client.
void serve(const std::string& how, const std::vector<std::uint64_t>& sizes) {
    run_with_peers([&]() -> Coro<> {
        std::vector<std::uint64_t> served;
        const auto handle = [&](Stream stream) -> Coro<> {
            served.push_back(co_await answer(stream));
            const std::string rest = co_await stream.read();
            EXPECT_EQ(rest, "");
            co_await stream.aclose();
        };
        Server server = co_await start_server(handle, "127.0.0.1", 0);
        Peer peer = co_await Peer::start(command_of("client", how, server.port(), sizes));
        const std::string said = co_await peer.end();
        EXPECT_EQ(said, lines_of(sizes));
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(served, sizes);
    });
}

/// CPython is the server.
void connect(const std::string& how, const std::vector<std::uint64_t>& sizes) {
    run_with_peers([&]() -> Coro<> {
        Peer peer = co_await Peer::start(command_of("server", how, 0, sizes));
        const std::string port = co_await peer.output_until("\n");
        for (const std::uint64_t size : sizes) {
            const Stream stream = co_await open_connection("127.0.0.1", std::stoi(port));
            const bool good = co_await ask(stream, size);
            EXPECT_TRUE(good) << size;
            const std::string rest = co_await stream.read();
            EXPECT_EQ(rest, "");
            co_await stream.aclose();
        }
        const std::string said = co_await peer.end();
        EXPECT_EQ(said, lines_of(sizes));
    });
}

/// Serves one connection of scenes.py with `handle`. Returns what the script has said.
template <class Handle>
Coro<std::string> serve_scene(std::string scene, Handle& handle) {
    Server server = co_await start_server(handle, "127.0.0.1", 0);
    Peer peer = co_await Peer::start(script("plain/scenes.py") + scene + " client " +
                                     std::to_string(server.port()));
    std::string said = co_await peer.end();
    server.close();
    co_await server.wait_closed();
    co_return said;
}

/// A line of /proc/self/status, in bytes: VmRSS is the memory of this process, VmHWM its peak.
std::uint64_t memory_bytes(const std::string& name) {
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;) {
        std::uint64_t kilobytes = 0;
        if (word == name + ":" && file >> kilobytes) return kilobytes * 1024;
    }
    ADD_FAILURE() << "/proc has no " << name;
    return 0;
}

/// Runs `scene`. The memory of this process must never grow by more than a part of the data.
template <class Scene>
void expect_little_memory(Scene scene) {
    // Sets the peak back (proc(5)).
    std::ofstream("/proc/self/clear_refs") << "5";
    const std::uint64_t before = memory_bytes("VmRSS");
    scene();
    // A sanitizer keeps freed memory for a while.
    if (support::under_address_sanitizer) return;
    EXPECT_LT(memory_bytes("VmHWM"), before + 8'000'000);
}

class cpython_streams : public ::testing::Test {
protected:
    void SetUp() override {
        if (!is_installed("python3")) GTEST_SKIP() << "NOT TESTED: python3 is not installed";
    }
};

TEST_F(cpython_streams, client_gets_back_what_it_sends) { serve("clean", usual_sizes); }

TEST_F(cpython_streams, server_sends_back_what_it_gets) { connect("clean", usual_sizes); }

TEST_F(cpython_streams, much_goes_both_ways_as_client_and_as_server) {
    serve("clean", {100'000'000});
    connect("clean", {100'000'000});
}

TEST_F(cpython_streams, slow_client_fills_no_memory) {
    expect_little_memory([] { serve("slow", {30'000'000}); });
}

TEST_F(cpython_streams, slow_server_fills_no_memory) {
    expect_little_memory([] { connect("slow", {30'000'000}); });
}

TEST_F(cpython_streams, client_that_has_ended_its_direction_gets_the_answer) {
    run_with_peers([]() -> Coro<> {
        const auto handle = [](Stream stream) -> Coro<> {
            const std::string data = co_await stream.read();
            co_await stream.send(data);
            co_await stream.aclose();
        };
        const std::string said = co_await serve_scene("half", handle);
        EXPECT_EQ(said, "300000 good\n");
    });
}

TEST_F(cpython_streams, server_answers_after_this_side_has_ended_its_direction) {
    run_with_peers([]() -> Coro<> {
        Peer peer = co_await Peer::start(script("plain/scenes.py") + "half server 0");
        const std::string port = co_await peer.output_until("\n");
        const Stream stream = co_await open_connection("127.0.0.1", std::stoi(port));
        const std::string data(300'000, 'x');
        co_await stream.send(data);
        stream.write_eof();
        const std::string echo = co_await stream.read();
        EXPECT_EQ(echo, data);
        const std::string said = co_await peer.end();
        EXPECT_EQ(said, "300000\n");
    });
}

TEST_F(cpython_streams, client_that_breaks_the_connection_is_an_error_of_the_server) {
    run_with_peers([]() -> Coro<> {
        int error = 0;
        const auto handle = [&error](Stream stream) -> Coro<> {
            try {
                co_await answer(stream);
            } catch (const OsError& failure) {
                error = failure.error();
            }
        };
        const std::string said = co_await serve_scene("reset", handle);
        EXPECT_EQ(said, "reset\n");
        EXPECT_TRUE(error == ECONNRESET || error == EPIPE) << error;
    });
}

/// What is wrong with a connection to a server that breaks it after 100 kB: 0, or the errno.
template <class Use>
int use_broken_connection(Use use) {
    int error = 0;
    run_with_peers([&]() -> Coro<> {
        Peer peer = co_await Peer::start(script("plain/scenes.py") + "reset server 0");
        const std::string port = co_await peer.output_until("\n");
        const Stream stream = co_await open_connection("127.0.0.1", std::stoi(port));
        try {
            co_await use(stream);
        } catch (const OsError& failure) {
            error = failure.error();
        }
        const std::string said = co_await peer.end();
        EXPECT_EQ(said, "reset\n");
    });
    return error;
}

TEST_F(cpython_streams, server_that_breaks_the_connection_is_an_error_of_a_read) {
    const int error = use_broken_connection([](const Stream& stream) -> Coro<> {
        co_await stream.send(std::string(100'000, 'x'));
        co_await stream.read();
    });
    EXPECT_EQ(error, ECONNRESET);
}

TEST_F(cpython_streams, server_that_breaks_the_connection_is_an_error_of_a_send) {
    const int error = use_broken_connection([](const Stream& stream) -> Coro<> {
        for (;;) co_await stream.send(std::string(100'000, 'x'));
    });
    EXPECT_TRUE(error == ECONNRESET || error == EPIPE) << error;
}

}  // namespace
