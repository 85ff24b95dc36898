// The operations on Unix sockets: names, full queues, descriptors in messages, datagrams.

#include "conformance/harness.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

/// A name that no other test has. An abstract one begins with a zero byte.
std::string unused_name(bool abstract) {
    static std::atomic<int> names{0};
    const std::string word =
        "asyncio-" + std::to_string(::getpid()) + "-" + std::to_string(++names);
    return abstract ? std::string(1, '\0') + word : "/tmp/" + word;
}

SocketAddress address_of(const std::string& name) {
    SocketAddress address;
    auto& of_unix = reinterpret_cast<sockaddr_un&>(address.storage);
    of_unix.sun_family = AF_UNIX;
    std::memcpy(of_unix.sun_path, name.data(), name.size());
    const bool is_path = name.front() != '\0';
    address.length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (is_path ? 1 : 0));
    return address;
}

/// Removes the file in the end; in the simulated world there is none.
struct UnixPath {
    ~UnixPath() { ::unlink(name.c_str()); }
    std::string name = unused_name(false);
    SocketAddress address = address_of(name);
};

/// A message that carries descriptors, or has room for some.
struct Carrier {
    explicit Carrier(std::string text) : bytes(std::move(text)) {
        part = {bytes.data(), bytes.size()};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
    }
    Carrier& with(std::initializer_list<int> descriptors) {
        with_room();
        header.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
        cmsghdr* first = CMSG_FIRSTHDR(&header);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
        std::memcpy(CMSG_DATA(first), std::data(descriptors), descriptors.size() * sizeof(int));
        return *this;
    }
    Carrier& with_room() {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        return *this;
    }
    std::vector<int> descriptors() {
        const cmsghdr* first = CMSG_FIRSTHDR(&header);
        if (first == nullptr || first->cmsg_type != SCM_RIGHTS) return {};
        std::vector<int> numbers((first->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        std::memcpy(numbers.data(), CMSG_DATA(first), numbers.size() * sizeof(int));
        return numbers;
    }

    std::string bytes;
    iovec part{};
    alignas(cmsghdr) std::array<char, 256> control{};
    msghdr header{};
};

class UnixSockets : public Sockets {
protected:
    int bind(int fd, SocketAddress& address) {
        return run({.kind = OperationKind::bind,
                    .fd = fd,
                    .buffer = address.get(),
                    .size = address.length});
    }
    int listen(int fd, std::size_t backlog) {
        return run({.kind = OperationKind::listen, .fd = fd, .size = backlog});
    }
    int unix_listener(SocketAddress& address, std::size_t backlog = 8) {
        const int fd = make_socket(AF_UNIX, SOCK_STREAM);
        EXPECT_EQ(bind(fd, address), 0);
        EXPECT_EQ(listen(fd, backlog), 0);
        return fd;
    }
    std::pair<int, int> unix_pair() {
        SocketAddress address = address_of(unused_name(true));
        const int listening = unix_listener(address);
        const int client = make_socket(AF_UNIX, SOCK_STREAM);
        EXPECT_EQ(connect(client, address), 0);
        const int server = accept(listening);
        EXPECT_EQ(close(listening), 0);
        return {client, server};
    }
    int bound_datagrams(SocketAddress& address) {
        const int fd = make_socket(AF_UNIX, SOCK_DGRAM);
        EXPECT_EQ(bind(fd, address), 0);
        return fd;
    }
    int send_message(int fd, Carrier& message) {
        return run(
            {.kind = OperationKind::sendmsg, .fd = fd, .buffer = &message.header, .size = 1});
    }
    int receive_message(int fd, Carrier& message, int flags = 0) {
        return run({.kind = OperationKind::recvmsg,
                    .fd = fd,
                    .flags = flags,
                    .buffer = &message.header,
                    .size = 1});
    }
    /// A message of one byte with these descriptors.
    void pass(int fd, std::initializer_list<int> descriptors) {
        Carrier message("d");
        EXPECT_EQ(send_message(fd, message.with(descriptors)), 1);
    }
    /// The descriptors of the next byte.
    std::vector<int> passed(int fd) {
        Carrier message(" ");
        EXPECT_EQ(receive_message(fd, message.with_room()), 1);
        std::vector<int> numbers = message.descriptors();
        for (const int number : numbers) keep(number);
        return numbers;
    }
};

INSTANTIATE_TEST_SUITE_P(, UnixSockets,
                         testing::Values(Tested::io_uring, Tested::io_uring_plain, Tested::epoll,
                                         Tested::simulated, Tested::simulated_seeded),
                         [](const auto& info) { return name_of(info.param); });

// --- Names --------------------------------------------------------------------------------------

TEST_P(UnixSockets, a_connection_carries_bytes) {
    UnixPath path;
    const int listening = unix_listener(path.address);
    const int client = make_socket(AF_UNIX, SOCK_STREAM);
    ASSERT_EQ(connect(client, path.address), 0);
    const int server = accept(listening);
    EXPECT_EQ(send(client, "question"), 8);
    EXPECT_EQ(recv_exactly(server, 8), "question");
    EXPECT_EQ(send(server, "answer"), 6);
    EXPECT_EQ(recv_exactly(client, 6), "answer");
}

TEST_P(UnixSockets, a_path_is_used_once_and_stays_when_its_socket_is_closed) {
    UnixPath path;
    const int listening = unix_listener(path.address);
    EXPECT_EQ(bind(make_socket(AF_UNIX, SOCK_STREAM), path.address), -EADDRINUSE);
    EXPECT_EQ(close(listening), 0);
    EXPECT_EQ(bind(make_socket(AF_UNIX, SOCK_STREAM), path.address), -EADDRINUSE);
}

TEST_P(UnixSockets, a_path_that_was_removed_is_free_and_no_way_to_the_old_socket) {
    UnixPath path;
    const int old = unix_listener(path.address);
    struct statx known{};
    EXPECT_EQ(run({.kind = OperationKind::statx,
                   .fd = AT_FDCWD,
                   .buffer = path.name.data(),
                   .size = STATX_TYPE,
                   .second = &known}),
              0);
    EXPECT_TRUE(S_ISSOCK(known.stx_mode));
    EXPECT_EQ(run({.kind = OperationKind::unlink, .fd = AT_FDCWD, .buffer = path.name.data()}), 0);
    EXPECT_EQ(connect(make_socket(AF_UNIX, SOCK_STREAM), path.address), -ENOENT);
    const int current = unix_listener(path.address);
    EXPECT_EQ(close(old), 0);
    EXPECT_EQ(connect(make_socket(AF_UNIX, SOCK_STREAM), path.address), 0);
    accept(current);
}

TEST_P(UnixSockets, a_path_needs_its_folder) {
    std::string name = unused_name(false) + "/socket";
    SocketAddress address = address_of(name);
    EXPECT_EQ(bind(make_socket(AF_UNIX, SOCK_STREAM), address), -ENOENT);
}

TEST_P(UnixSockets, a_connect_finds_no_path_or_a_path_without_a_listener) {
    UnixPath path;
    EXPECT_EQ(connect(make_socket(AF_UNIX, SOCK_STREAM), path.address), -ENOENT);
    const int bound = make_socket(AF_UNIX, SOCK_STREAM);
    ASSERT_EQ(bind(bound, path.address), 0);
    EXPECT_EQ(connect(make_socket(AF_UNIX, SOCK_STREAM), path.address), -ECONNREFUSED);
    EXPECT_EQ(connect(make_socket(AF_UNIX, SOCK_DGRAM), path.address), -EPROTOTYPE);
    EXPECT_EQ(close(bound), 0);
    EXPECT_EQ(connect(make_socket(AF_UNIX, SOCK_STREAM), path.address), -ECONNREFUSED);
}

TEST_P(UnixSockets, an_abstract_name_goes_with_its_socket) {
    SocketAddress address = address_of(unused_name(true));
    const int first = unix_listener(address);
    EXPECT_EQ(bind(make_socket(AF_UNIX, SOCK_STREAM), address), -EADDRINUSE);
    EXPECT_EQ(close(first), 0);
    EXPECT_EQ(connect(make_socket(AF_UNIX, SOCK_STREAM), address), -ECONNREFUSED);
    EXPECT_EQ(bind(make_socket(AF_UNIX, SOCK_STREAM), address), 0);
}

TEST_P(UnixSockets, the_accepted_end_has_the_name_of_the_listener_and_the_client_has_none) {
    UnixPath path;
    const int listening = unix_listener(path.address);
    const int client = make_socket(AF_UNIX, SOCK_STREAM);
    ASSERT_EQ(connect(client, path.address), 0);
    const int server = accept(listening);
    const auto ask = [&](OperationKind kind, int fd) {
        SocketAddress answer;
        Asked asked(
            {.kind = kind, .fd = fd, .buffer = answer.get(), .size = sizeof answer.storage});
        EXPECT_EQ(driver().run(asked), 0);
        return std::string(reinterpret_cast<const char*>(answer.get()), asked.size);
    };
    const std::string name(reinterpret_cast<const char*>(path.address.get()), path.address.length);
    EXPECT_EQ(ask(OperationKind::getsockname, server), name);
    EXPECT_EQ(ask(OperationKind::getpeername, client), name);
    EXPECT_EQ(ask(OperationKind::getpeername, server).size(), sizeof(sa_family_t));
    EXPECT_EQ(ask(OperationKind::getsockname, client).size(), sizeof(sa_family_t));
}

TEST_P(UnixSockets, a_socket_takes_an_unused_abstract_name) {
    SocketAddress nameless;
    nameless.storage.ss_family = AF_UNIX;
    nameless.length = sizeof(sa_family_t);
    std::string names[2];
    for (std::string& name : names) {
        const int fd = make_socket(AF_UNIX, SOCK_STREAM);
        EXPECT_EQ(bind(fd, nameless), 0);
        SocketAddress answer;
        Asked asked({.kind = OperationKind::getsockname,
                     .fd = fd,
                     .buffer = answer.get(),
                     .size = sizeof answer.storage});
        EXPECT_EQ(driver().run(asked), 0);
        name.assign(reinterpret_cast<const char*>(answer.get()), asked.size);
        EXPECT_EQ(name.size(), sizeof(sa_family_t) + 6);
    }
    EXPECT_NE(names[0], names[1]);
}

TEST_P(UnixSockets, a_connect_to_a_full_queue_is_told_to_try_again) {
    SocketAddress address = address_of(unused_name(true));
    const int listening = unix_listener(address, 1);
    std::vector<int> waiting;
    int answer = 0;
    while (waiting.size() < 10) {
        const int client = make_socket(AF_UNIX, SOCK_STREAM);
        answer = connect(client, address);
        if (answer != 0) break;
        waiting.push_back(client);
    }
    EXPECT_EQ(waiting.size(), 2u);
    EXPECT_EQ(answer, -EBUSY);
    accept(listening);
    EXPECT_EQ(connect(make_socket(AF_UNIX, SOCK_STREAM), address), 0);
}

TEST_P(UnixSockets, a_listener_that_closes_resets_the_connections_in_its_queue) {
    SocketAddress address = address_of(unused_name(true));
    const int listening = unix_listener(address);
    const int client = make_socket(AF_UNIX, SOCK_STREAM);
    ASSERT_EQ(connect(client, address), 0);
    EXPECT_EQ(close(listening), 0);
    std::string byte(1, ' ');
    EXPECT_EQ(run({.kind = OperationKind::recv, .fd = client, .buffer = byte.data(), .size = 1}),
              -ECONNRESET);
    EXPECT_EQ(send(client, "x"), -EPIPE);
}

TEST_P(UnixSockets, a_write_into_a_full_connection_waits_for_the_reader) {
    const auto [client, server] = unix_pair();
    fill(client);
    Asked writing(
        {.kind = OperationKind::send, .fd = client, .buffer = const_cast<char*>("x"), .size = 1});
    ASSERT_TRUE(driver().submit(writing));
    driver().wait_out(soon());
    ASSERT_TRUE(driver().is_in_flight(writing));
    while (driver().is_in_flight(writing)) recv(server, 65536);
    EXPECT_EQ(writing.result, 1);
}

// --- Descriptors in messages --------------------------------------------------------------------

TEST_P(UnixSockets, a_descriptor_that_was_passed_is_the_same_pipe) {
    const auto [client, server] = unix_pair();
    const Pipe pipe = open_pipe();
    pass(client, {pipe.writer});
    const std::vector<int> got = passed(server);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_NE(got[0], pipe.writer);
    EXPECT_EQ(write(got[0], "x"), 1);
    EXPECT_EQ(read(pipe.reader), "x");
}

TEST_P(UnixSockets, a_passed_descriptor_lives_without_the_one_that_was_sent) {
    const auto [client, server] = unix_pair();
    Pipe pipe = open_pipe();
    pass(client, {pipe.writer});
    close_end(pipe.writer);
    std::vector<int> got = passed(server);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(write(got[0], "x"), 1);
    EXPECT_EQ(read(pipe.reader), "x");
    EXPECT_EQ(close(got[0]), 0);
    EXPECT_EQ(read(pipe.reader), "");
}

TEST_P(UnixSockets, an_operation_ends_with_its_descriptor_though_another_one_names_the_same) {
    const auto [client, server] = unix_pair();
    Pipe pipe = open_pipe();
    pass(client, {pipe.reader});
    const std::vector<int> got = passed(server);
    ASSERT_EQ(got.size(), 1u);
    char byte = 0;
    Read ended(pipe.reader, {&byte, 1});
    ASSERT_TRUE(driver().submit(ended));
    close_end(pipe.reader);
    driver().finish(ended);
    EXPECT_EQ(ended.result, -ECANCELED);
    EXPECT_EQ(write(pipe.writer, "x"), 1);
    EXPECT_EQ(read(got[0]), "x");
}

TEST_P(UnixSockets, a_receive_without_room_closes_what_was_passed) {
    const auto [client, server] = unix_pair();
    Pipe pipe = open_pipe();
    pass(client, {pipe.writer});
    close_end(pipe.writer);
    EXPECT_EQ(recv(server), "d");
    EXPECT_EQ(read(pipe.reader), "");
}

TEST_P(UnixSockets, a_socket_that_closes_closes_what_it_has_not_received) {
    const auto [client, server] = unix_pair();
    Pipe pipe = open_pipe();
    pass(client, {pipe.writer});
    close_end(pipe.writer);
    EXPECT_EQ(close(server), 0);
    EXPECT_EQ(read(pipe.reader), "");
}

TEST_P(UnixSockets, a_receive_stops_behind_a_message_with_descriptors) {
    const auto [client, server] = unix_pair();
    const Pipe pipe = open_pipe();
    for (const char* text : {"ab", "cd"}) {
        Carrier message(text);
        message.with({pipe.reader, pipe.writer});
        while (message.part.iov_len > 0) {
            const int count = send_message(client, message);
            ASSERT_GT(count, 0);
            message.part.iov_base = static_cast<char*>(message.part.iov_base) + count;
            message.part.iov_len -= static_cast<std::size_t>(count);
            message.header.msg_controllen = 0;
        }
    }
    std::string bytes;
    std::size_t descriptors = 0;
    while (bytes.size() < 4) {
        Carrier message("         ");
        const int count = receive_message(server, message.with_room());
        ASSERT_GT(count, 0);
        // Never the descriptors of both messages at once.
        EXPECT_LE(message.descriptors().size(), 2u);
        descriptors += message.descriptors().size();
        for (const int number : message.descriptors()) keep(number);
        bytes += message.bytes.substr(0, static_cast<std::size_t>(count));
    }
    EXPECT_EQ(bytes, "abcd");
    EXPECT_EQ(descriptors, 4u);
}

TEST_P(UnixSockets, a_number_that_is_no_descriptor_is_not_passed) {
    const auto [client, server] = unix_pair();
    Pipe pipe = open_pipe();
    const int closed = pipe.writer;
    close_end(pipe.writer);
    Carrier message("d");
    EXPECT_EQ(send_message(client, message.with({closed})), -EBADF);
    EXPECT_EQ(send(client, "x"), 1);
    EXPECT_EQ(recv(server), "x");
}

TEST_P(UnixSockets, a_real_descriptor_is_passed_and_closed_on_exec) {
    const auto [client, server] = unix_pair();
    auto [reader, writer] = real_pipe();
    pass(client, {writer.get()});
    writer.reset();
    const std::vector<int> got = passed(server);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_NE(::fcntl(got[0], F_GETFD) & FD_CLOEXEC, 0);
    ASSERT_EQ(::write(got[0], "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
}

TEST_P(UnixSockets, a_socket_passes_itself) {
    const auto [client, server] = unix_pair();
    pass(client, {server});
    pass(client, {client, server});
}

// --- Datagrams ----------------------------------------------------------------------------------

TEST_P(UnixSockets, datagrams_arrive_whole_in_order_with_the_name_of_the_sender) {
    SocketAddress here = address_of(unused_name(true));
    SocketAddress there = address_of(unused_name(true));
    const int sender = bound_datagrams(here);
    const int receiver = bound_datagrams(there);
    for (const char* text : {"one", "", "three"}) {
        Carrier message(text);
        message.header.msg_name = there.get();
        message.header.msg_namelen = there.length;
        EXPECT_EQ(send_message(sender, message), static_cast<int>(std::strlen(text)));
    }
    for (const std::string text : {"one", "", "three"}) {
        SocketAddress from;
        Carrier message("          ");
        message.header.msg_name = from.get();
        message.header.msg_namelen = sizeof from.storage;
        EXPECT_EQ(receive_message(receiver, message), static_cast<int>(text.size()));
        EXPECT_EQ(message.bytes.substr(0, text.size()), text);
        ASSERT_EQ(message.header.msg_namelen, here.length);
        EXPECT_EQ(std::memcmp(from.get(), here.get(), here.length), 0);
    }
}

TEST_P(UnixSockets, a_datagram_waits_for_room_at_the_receiver) {
    SocketAddress there = address_of(unused_name(true));
    const int receiver = bound_datagrams(there);
    const int sender = make_socket(AF_UNIX, SOCK_DGRAM);
    ASSERT_EQ(connect(sender, there), 0);
    int sent = 0;
    std::string byte = "x";
    Asked sending(
        {.kind = OperationKind::send, .fd = sender, .buffer = byte.data(), .size = byte.size()});
    for (;; ++sent) {
        ASSERT_LT(sent, 10'000) << "never full";
        if (driver().submit(sending)) driver().wait_out(soon());
        if (driver().is_in_flight(sending)) break;
        ASSERT_EQ(sending.result, 1);
    }
    for (int received = 0; received <= sent; ++received) EXPECT_EQ(recv(receiver), "x");
    if (driver().is_in_flight(sending)) driver().finish(sending);
    EXPECT_EQ(sending.result, 1);
}

TEST_P(UnixSockets, a_datagram_for_a_closed_socket_is_refused) {
    SocketAddress there = address_of(unused_name(true));
    const int receiver = bound_datagrams(there);
    const int sender = make_socket(AF_UNIX, SOCK_DGRAM);
    ASSERT_EQ(connect(sender, there), 0);
    EXPECT_EQ(close(receiver), 0);
    EXPECT_EQ(send(sender, "x"), -ECONNREFUSED);
    EXPECT_EQ(send(sender, "x"), -ENOTCONN);
}

TEST_P(UnixSockets, descriptors_travel_in_datagrams) {
    SocketAddress there = address_of(unused_name(true));
    const int receiver = bound_datagrams(there);
    const int sender = make_socket(AF_UNIX, SOCK_DGRAM);
    ASSERT_EQ(connect(sender, there), 0);
    const Pipe pipe = open_pipe();
    pass(sender, {pipe.reader, pipe.writer});
    const std::vector<int> got = passed(receiver);
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(write(got[1], "x"), 1);
    EXPECT_EQ(read(pipe.reader), "x");
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
