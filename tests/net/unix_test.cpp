// Goal: servers and connections at paths, and the descriptors that travel between processes.
// Method: paths in a folder of their own, on the back-ends of the kernel; abstract names, which are
// in no folder, on every back-end.

#include "net/datagram_help.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace net_test;

/// A folder that is removed with everything in it. In a simulated world: /tmp, which is empty when
/// a run begins.
class SocketFolder {
public:
    SocketFolder() {
        if (is_simulated()) return;
        char name[] = "/tmp/asyncio-unix-XXXXXX";
        if (::mkdtemp(name) == nullptr) throw OsError(errno, "make a folder");
        path_ = name;
    }
    SocketFolder(const SocketFolder&) = delete;
    SocketFolder& operator=(const SocketFolder&) = delete;
    ~SocketFolder() {
        if (path_ != simulated_path) std::filesystem::remove_all(path_);
    }

    std::string at(const std::string& name) const { return path_ + "/" + name; }

private:
    static constexpr auto simulated_path = "/tmp";
    std::string path_ = simulated_path;
};

Coro<> expect_socket(std::string path) {
    const FileStat about = co_await files::stat(path);
    EXPECT_TRUE(S_ISSOCK(about.mode)) << path;
}

Coro<> expect_nothing(std::string path) {
    const bool is_there = co_await files::exists(path);
    EXPECT_FALSE(is_there) << path;
}

/// A server answers there.
Coro<> expect_echo(std::string path) {
    Stream stream = co_await open_unix_connection(path);
    co_await stream.send("hello");
    const std::string got = co_await stream.readexactly(5);
    EXPECT_EQ(got, "hello");
    co_await stream.aclose();
}

Coro<> end_of(Server& server) {
    server.close();
    co_await server.wait_closed();
}

TEST(unix_server, serves_at_an_abstract_name) {
    run_test([]() -> Coro<> {
        const std::string name = abstract_name();
        Server server = co_await start_unix_server(echo, name);
        EXPECT_EQ(server.addresses().front().path(), name);
        EXPECT_EQ(server.port(), 0);
        co_await expect_echo(name);
        co_await end_of(server);
    });
}

TEST(unix_server, serves_at_a_path) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        Server server = co_await start_unix_server(echo, folder.at("s"));
        co_await expect_socket(folder.at("s"));
        co_await expect_echo(folder.at("s"));
        co_await end_of(server);
    });
}

TEST(unix_server, UNX_01_an_old_socket_is_replaced) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        {
            Socket old(AF_UNIX);
            old.bind(Address::local(folder.at("s")));
        }
        co_await sleep(1ms);
        co_await expect_socket(folder.at("s"));
        const int refused = co_await error_number(open_unix_connection(folder.at("s")));
        EXPECT_EQ(refused, ECONNREFUSED);
        Server server = co_await start_unix_server(echo, folder.at("s"));
        co_await expect_echo(folder.at("s"));
        co_await end_of(server);
    });
}

TEST(unix_server, UNX_01_any_other_file_makes_it_fail_and_stays) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        co_await files::write_text(folder.at("file"), "precious");
        const std::string text = co_await error_text(start_unix_server(echo, folder.at("file")));
        EXPECT_EQ(text, "bind to " + folder.at("file") + ": Address already in use");
        const std::string left = co_await files::read_text(folder.at("file"));
        EXPECT_EQ(left, "precious");
        if (is_simulated()) co_return;  // which knows no links
        std::filesystem::create_symlink(folder.at("nowhere"), folder.at("link"));
        const int error = co_await error_number(start_unix_server(echo, folder.at("link")));
        EXPECT_EQ(error, EADDRINUSE);
        EXPECT_TRUE(std::filesystem::is_symlink(folder.at("link")));
    });
}

TEST(unix_server, UNX_02_the_file_is_removed_at_the_close) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        Server server = co_await start_unix_server(echo, folder.at("s"));
        co_await end_of(server);
        co_await expect_nothing(folder.at("s"));
    });
}

TEST(unix_server, UNX_02_a_file_that_is_gone_already_is_no_error) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        Server server = co_await start_unix_server(echo, folder.at("s"));
        co_await files::remove(folder.at("s"));
        co_await end_of(server);
    });
}

TEST(unix_server, UNX_02_a_file_that_another_has_put_there_stays) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        Server first = co_await start_unix_server(echo, folder.at("s"));
        Server second = co_await start_unix_server(echo, folder.at("s"));
        co_await end_of(first);
        co_await expect_socket(folder.at("s"));
        co_await expect_echo(folder.at("s"));
        co_await end_of(second);
        co_await expect_nothing(folder.at("s"));
    });
}

TEST(unix_server, UNX_02_the_file_stays_if_the_program_wants_it) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        const UnixServerOptions options{.cleanup_socket = false};
        Server server = co_await start_unix_server(echo, folder.at("s"), options);
        co_await end_of(server);
        co_await expect_socket(folder.at("s"));
    });
}

TEST(unix_server, UNX_02_a_server_that_has_never_served_removes_its_file) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        const UnixServerOptions options{.start_serving = false};
        Server server = co_await start_unix_server(echo, folder.at("s"), options);
        co_await expect_socket(folder.at("s"));
        co_await end_of(server);
        co_await expect_nothing(folder.at("s"));
    });
}

TEST(unix_server, UNX_02_the_end_of_the_run_removes_the_file) {
    if (is_simulated()) GTEST_SKIP() << "the files of a simulated world end with it";
    const SocketFolder folder;
    const support::LogCapture log;
    run([&]() -> Coro<> {
        Server server = co_await start_unix_server(echo, folder.at("s"));
        co_await sleep(1ms);
    }());
    EXPECT_FALSE(std::filesystem::exists(folder.at("s")));
}

TEST(unix_server, a_start_that_is_cancelled_leaves_no_file) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        for (int steps = 0; steps < 6; ++steps) {
            Task<Server> starting = create_task(start_unix_server(echo, folder.at("s")));
            for (int step = 0; step < steps; ++step) co_await sleep(0ms);
            starting.cancel();
            co_await until_done(starting);
            if (!starting.cancelled()) {
                Server server = co_await std::move(starting);
                co_await end_of(server);
            }
            co_await expect_nothing(folder.at("s"));
        }
    });
}

TEST(unix_server, UNX_04_a_path_is_needed) {
    run_test([]() -> Coro<> {
        std::string text = co_await error_text(start_unix_server(echo, ""));
        EXPECT_EQ(text, "start_unix_server: the path is empty");
        text = co_await error_text(open_unix_connection(""));
        EXPECT_EQ(text, "open_unix_connection: the path is empty");
        const std::string long_path(200, 'x');
        text = co_await error_text(start_unix_server(echo, long_path));
        EXPECT_NE(text.find("path"), std::string::npos) << text;
        text = co_await error_text(open_unix_connection(long_path));
        EXPECT_NE(text.find("path"), std::string::npos) << text;
    });
}

TEST(unix_connection, a_path_without_a_socket_is_named) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        std::string text = co_await error_text(open_unix_connection(folder.at("none")));
        EXPECT_EQ(text, "connect to " + folder.at("none") + ": No such file or directory");
        co_await files::write_text(folder.at("file"), "x");
        text = co_await error_text(open_unix_connection(folder.at("file")));
        EXPECT_EQ(text, "connect to " + folder.at("file") + ": Connection refused");
    });
}

/// The queue of the listener holds one connection or two, so most of them have to wait.
TEST(unix_connection, waits_until_a_full_listener_has_room) {
    run_test([]() -> Coro<> {
        const std::string name = abstract_name();
        const UnixServerOptions options{.backlog = 1, .start_serving = false};
        Server server = co_await start_unix_server(echo, name, options);
        std::vector<Task<>> clients;
        for (int client = 0; client < 8; ++client)
            clients.push_back(create_task(expect_echo(name)));
        co_await sleep(5ms);
        server.start_serving();
        for (const Task<>& client : clients) co_await client;
        co_await end_of(server);
    });
}

TEST(unix_connection, has_no_delay_and_no_address_of_its_own) {
    run_test([]() -> Coro<> {
        const std::string name = abstract_name();
        Server server = co_await start_unix_server(wait_for_end, name);
        Stream stream = co_await open_unix_connection(name);
        EXPECT_EQ(stream.peer(), Address::local(name));
        EXPECT_TRUE(stream.local().path().empty());
        co_await stream.aclose();
        co_await end_of(server);
    });
}

TEST(unix_datagram, UNX_01_an_old_socket_at_the_path_of_an_endpoint_is_replaced) {
    const SocketFolder folder;
    run_test([&]() -> Coro<> {
        const std::string path = folder.at("d");
        for (int round = 0; round < 2; ++round) {
            Datagram server = co_await open_datagram({.local_addr = Address::local(path)});
            Datagram client = co_await open_datagram({.local_addr = Address::local(abstract_name()),
                                                      .remote_addr = Address::local(path)});
            co_await client.send("question");
            const ReceivedFrom message = co_await server.receive();
            EXPECT_EQ(message.address, client.local());
            co_await server.send("answer", message.address);
            const ReceivedFrom answer = co_await client.receive();
            EXPECT_EQ(answer.data, "answer");
        }
    });
}

// --- Descriptors that travel ---------------------------------------------------------------------

/// A connected pair of Unix sockets of the loop.
struct UnixEnds {
    Socket one;
    Socket other;
};
Coro<UnixEnds> unix_sockets() {
    const Address address = Address::local(abstract_name());
    Socket listener(AF_UNIX);
    listener.bind(address);
    listener.listen();
    UnixEnds ends;
    ends.one = Socket(AF_UNIX);
    Task<Accepted> accepting = create_task(listener.accept());
    co_await ends.one.connect(address);
    Accepted accepted = co_await std::move(accepting);
    ends.other = std::move(accepted.socket);
    co_return ends;
}

TEST(send_fds, a_descriptor_of_the_kernel_arrives_as_another_number) {
    run_test([]() -> Coro<> {
        UnixEnds ends = co_await unix_sockets();
        int pipe_ends[2];
        EXPECT_EQ(::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
        lowlevel::Fd reader(pipe_ends[0]);
        lowlevel::Fd writer(pipe_ends[1]);
        const std::array<int, 2> sent{reader.get(), writer.get()};
        const std::size_t bytes = co_await ends.one.send_fds("two ends", sent);
        EXPECT_EQ(bytes, 8u);
        ReceivedFds received = co_await ends.other.recv_fds(100, 2);
        EXPECT_EQ(received.data, "two ends");
        EXPECT_FALSE(received.truncated);
        EXPECT_EQ(received.fds.size(), 2u);
        EXPECT_NE(::fcntl(received.fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
        reader.reset();
        writer.reset();
        EXPECT_EQ(::write(received.fds[1].get(), "x", 1), 1);
        char byte = 0;
        EXPECT_EQ(::read(received.fds[0].get(), &byte, 1), 1);
        EXPECT_EQ(byte, 'x');
    });
}

TEST(send_fds, a_connection_goes_on_in_other_hands) {
    run_test([]() -> Coro<> {
        UnixEnds ends = co_await unix_sockets();
        Server server = co_await start_server(echo, loopback, 0);
        {
            Socket client(AF_INET);
            co_await client.connect(server.addresses().front());
            const std::array<int, 1> sent{client.fileno()};
            co_await ends.one.send_fds("x", sent);
        }
        ReceivedFds received = co_await ends.other.recv_fds(1, 1);
        Socket adopted(std::move(received.fds.at(0)));
        Stream stream = connect_accepted_socket(std::move(adopted));
        co_await stream.send("hello");
        const std::string got = co_await stream.readexactly(5);
        EXPECT_EQ(got, "hello");
        co_await stream.aclose();
        co_await end_of(server);
    });
}

TEST(send_fds, what_finds_no_room_is_told_and_closed) {
    run_test([]() -> Coro<> {
        UnixEnds ends = co_await unix_sockets();
        const std::vector<int> many(6, STDOUT_FILENO);
        co_await ends.one.send_fds("x", many);
        const ReceivedFds received = co_await ends.other.recv_fds(10, 2);
        EXPECT_TRUE(received.truncated);
        EXPECT_GE(received.fds.size(), 2u);
        EXPECT_LE(received.fds.size(), 3u);
        co_await ends.one.send_fds("y", many);
        const ReceivedFds none = co_await ends.other.recv_fds(10, 0);
        EXPECT_TRUE(none.truncated);
        EXPECT_TRUE(none.fds.empty());
        EXPECT_EQ(none.data, "y");
    });
}

TEST(send_fds, without_descriptors_it_is_a_message) {
    run_test([]() -> Coro<> {
        UnixEnds ends = co_await unix_sockets();
        co_await ends.one.send_fds("only text", {});
        const ReceivedFds received = co_await ends.other.recv_fds(100, 4);
        EXPECT_EQ(received.data, "only text");
        EXPECT_TRUE(received.fds.empty());
        EXPECT_FALSE(received.truncated);
        const std::string text = co_await error_text(ends.one.send_fds("", {}));
        EXPECT_EQ(text, "send_fds: at least one byte must be sent");
        const std::array<int, 1> wrong{-1};
        const int error = co_await error_number(ends.one.send_fds("x", wrong));
        EXPECT_EQ(error, EBADF);
    });
}

TEST(send_fds, a_cancelled_receive_loses_no_descriptor) {
    run_test([]() -> Coro<> {
        UnixEnds ends = co_await unix_sockets();
        std::size_t received = 0;
        const auto receive = [&]() -> Coro<> {
            const ReceivedFds got = co_await ends.other.recv_fds(1, 1);
            received += got.fds.size();
        };
        const std::array<int, 1> sent{STDOUT_FILENO};
        for (int round = 0; round < 20; ++round) {
            Task<> receiving = create_task(receive());
            for (int step = 0; step < round % 3; ++step) co_await sleep(0ms);
            co_await ends.one.send_fds("x", sent);
            for (int step = 0; step < round % 4; ++step) co_await sleep(0ms);
            receiving.cancel();
            co_await until_done(receiving);
        }
        while (received < 20) co_await receive();
        EXPECT_EQ(received, 20u);
    });
}

}  // namespace
