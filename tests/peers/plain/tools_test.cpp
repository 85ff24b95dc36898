// Goal: socat, nc and ncat, which many people use to look at servers, exchange lines with this
// library in both directions, over TCP, over Unix sockets and (socat) in datagrams.
// Method: the tool connects its standard streams with a socket. A line goes each way, and then each
// side ends its direction. A tool cannot say that it listens, so this side tries to connect until
// it does.

#include "peers/conversation.h"

#include <filesystem>

namespace {

using namespace peers_test;

/// A tool over one kind of socket. "WHERE" in a command is the port or the path.
struct Tool {
    std::string program;
    bool is_unix;
    std::string connect;
    std::string listen;
};

std::ostream& operator<<(std::ostream& out, const Tool& tool) { return out << tool.connect; }

const Tool tools[] = {
    {"socat", false, "socat -t 10 - TCP:127.0.0.1:WHERE",
     "socat -t 10 TCP-LISTEN:WHERE,bind=127.0.0.1,reuseaddr -"},
    {"nc", false, "nc -N 127.0.0.1 WHERE", "nc -N -l 127.0.0.1 WHERE"},
    {"ncat", false, "ncat 127.0.0.1 WHERE", "ncat -l 127.0.0.1 WHERE"},
    {"socat", true, "socat -t 10 - UNIX-CONNECT:WHERE", "socat -t 10 UNIX-LISTEN:WHERE -"},
    {"nc", true, "nc -N -U WHERE", "nc -N -l -U WHERE"},
    {"ncat", true, "ncat -U WHERE", "ncat -l -U WHERE"},
};

std::string with_place(std::string command, const std::string& where) {
    return command.replace(command.find("WHERE"), 5, where);
}

/// A path for a socket in a folder of its own, which is removed at the end.
class SocketPath {
public:
    SocketPath() {
        folder_ = (std::filesystem::temp_directory_path() / "asyncio_peers_XXXXXX").string();
        EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    }
    SocketPath(const SocketPath&) = delete;
    SocketPath& operator=(const SocketPath&) = delete;
    ~SocketPath() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    std::string get() const { return folder_ + "/socket"; }

private:
    std::string folder_;
};

/// Answers each line. When the peer ends its direction, says goodbye in the other one.
Coro<> answer_lines(Stream stream) {
    for (;;) {
        const std::string line = co_await stream.readline();
        if (line.empty()) break;
        co_await stream.send("you said " + line);
    }
    co_await stream.send("goodbye\n");
    co_await stream.aclose();
}

/// A function of its own: g++ 12 ends the result of a `co_await` within `? :` too early.
Coro<Server> serve_lines(const Tool& tool, std::string path) {
    if (tool.is_unix) co_return co_await start_unix_server(answer_lines, std::move(path));
    co_return co_await start_server(answer_lines, "127.0.0.1", 0);
}

Coro<Stream> connect_to(const Tool& tool, std::string where) {
    if (tool.is_unix) return open_unix_connection(std::move(where));
    return open_connection("127.0.0.1", std::stoi(where));
}

/// Tries until the tool listens. The limit of the test ends this.
Coro<Stream> connect_when_it_listens(const Tool& tool, std::string where) {
    for (;;) {
        Outcome<Stream> outcome = co_await internal::settle(connect_to(tool, where));
        if (!outcome.failed()) co_return std::move(outcome).value();
        co_await sleep(20ms);
    }
}

class network_tools : public ::testing::TestWithParam<Tool> {
protected:
    void SetUp() override {
        const std::string& program = GetParam().program;
        if (!is_installed(program))
            GTEST_SKIP() << "NOT TESTED: " << program << " is not installed";
    }
};

INSTANTIATE_TEST_SUITE_P(with, network_tools, ::testing::ValuesIn(tools), [](const auto& info) {
    return info.param.program + (info.param.is_unix ? "_unix" : "_tcp");
});

TEST_P(network_tools, client_exchanges_lines_with_our_server) {
    run_with_peers([]() -> Coro<> {
        const Tool& tool = GetParam();
        const SocketPath path;
        Server server = co_await serve_lines(tool, path.get());
        const std::string where = tool.is_unix ? path.get() : std::to_string(server.port());
        Peer peer = co_await Peer::start(with_place(tool.connect, where));
        co_await peer.say("one\ntwo\n");
        const std::string answered = co_await peer.output_until("two\n");
        EXPECT_EQ(answered, "you said one\nyou said two\n");
        peer.end_input();
        const std::string rest = co_await peer.end();
        EXPECT_EQ(rest, "goodbye\n");
        server.close();
        co_await server.wait_closed();
    });
}

TEST_P(network_tools, server_exchanges_lines_with_our_client) {
    run_with_peers([]() -> Coro<> {
        const Tool& tool = GetParam();
        const SocketPath path;
        const std::string where = tool.is_unix ? path.get() : std::to_string(free_port());
        Peer peer = co_await Peer::start(with_place(tool.listen, where));
        const Stream stream = co_await connect_when_it_listens(tool, where);
        co_await stream.send("to the tool\n");
        const std::string heard = co_await peer.output_until("\n");
        EXPECT_EQ(heard, "to the tool\n");
        co_await peer.say("from the tool\n");
        const std::string line = co_await stream.readline();
        EXPECT_EQ(line, "from the tool\n");
        peer.end_input();
        const std::string rest = co_await stream.read();
        EXPECT_EQ(rest, "");
        co_await stream.aclose();
        co_await peer.end();
    });
}

class socat_datagrams : public ::testing::Test {
protected:
    void SetUp() override {
        if (!is_installed("socat")) GTEST_SKIP() << "NOT TESTED: socat is not installed";
    }
};

TEST_F(socat_datagrams, go_to_our_endpoint_and_back) {
    run_with_peers([]() -> Coro<> {
        const DatagramOptions options{.local_addr = Address::loopback_v4(0)};
        const Datagram endpoint = co_await open_datagram(options);
        Peer peer = co_await Peer::start("socat -t 1 - UDP:127.0.0.1:" +
                                         std::to_string(endpoint.local().port()));
        co_await peer.say("one\n");
        const ReceivedFrom received = co_await endpoint.receive();
        EXPECT_EQ(received.data, "one\n");
        co_await endpoint.send("back\n", received.address);
        const std::string answered = co_await peer.output_until("\n");
        EXPECT_EQ(answered, "back\n");
        peer.end_input();
        co_await peer.end();
    });
}

/// An endpoint that is connected to a port without a socket gets an error (ECONNREFUSED). socat may
/// not have its socket yet, so the datagram is sent until it is heard.
TEST_F(socat_datagrams, come_from_our_endpoint_and_are_answered) {
    run_with_peers([]() -> Coro<> {
        const int port = free_port();
        const std::string at = std::to_string(port);
        Peer peer = co_await Peer::start("socat -t 1 UDP-LISTEN:" + at + ",bind=127.0.0.1 -");
        const Datagram endpoint = co_await open_datagram("127.0.0.1", port);
        Task<std::string> hearing = create_task(peer.output_until("\n"));
        while (!hearing.done()) {
            static_cast<void>(co_await internal::settle(endpoint.send("one\n")));
            co_await sleep(20ms);
        }
        const std::string heard = co_await hearing;
        EXPECT_EQ(heard, "one\n");
        co_await peer.say("back\n");
        Outcome<ReceivedFrom> received = co_await internal::settle(endpoint.receive());
        while (received.failed()) received = co_await internal::settle(endpoint.receive());
        EXPECT_EQ(received.value().data, "back\n");
        co_await peer.stop();
    });
}

}  // namespace
