// Goal: whatever is asked of connections in whatever order, and whatever is cancelled, every byte
// arrives once and in order, and every connection is accepted once. Method: random sends, receives,
// polls, cancellations, waits and half closes on a few connections, from a printed seed
// (ASYNCIO_TEST_SEED=N repeats it). The value of a byte depends on its place in its stream, so a
// byte that is lost, doubled or out of order is seen. The memory of an operation is overwritten and
// freed as soon as the operation is reported. So a back-end that uses it later sends wrong bytes,
// or is found out by the sanitizers.

#include "conformance/harness.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <list>
#include <map>
#include <random>
#include <set>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

std::uint64_t seed_of_socket_fuzz() {
    static const std::uint64_t seed = [] {
        const char* given = std::getenv("ASYNCIO_TEST_SEED");
        const std::uint64_t chosen =
            given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
        std::cout << "ASYNCIO_TEST_SEED=" << chosen << '\n';
        return chosen;
    }();
    return seed;
}

char byte_at(std::size_t stream, std::uint64_t place) {
    return static_cast<char>(place * 31 + place / 251 + stream * 17);
}

/// An operation with the memory it works on, of which nothing is left when it is reported.
struct Effort : Operation {
    ~Effort() { std::fill(bytes.begin(), bytes.end(), '\xee'); }

    std::size_t stream = 0;
    std::vector<char> bytes;
    std::array<iovec, 2> parts{};
    msghdr message{};

    bool sends() const { return kind == OperationKind::send || kind == OperationKind::sendmsg; }
    bool receives() const { return kind == OperationKind::recv || kind == OperationKind::recvmsg; }
    bool peeks() const { return receives() && (flags & MSG_PEEK) != 0; }
};

/// One direction of a connection.
struct Stream {
    int from = -1;
    int to = -1;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    bool is_sending = false;
    bool is_receiving = false;
    bool is_finished = false;
    bool has_ended = false;
};

class SocketFuzz : public Sockets {
protected:
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

    void play(int steps) {
        streams_.clear();
        for (int i = 0; i < 2; ++i) add(connection());
        add(unix_connection());
        for (int i = 0; i < steps && !HasFailure(); ++i) move();
        settle();
        for (std::size_t i = 0; i < streams_.size(); ++i) read_rest(i);
        for (const Stream& stream : streams_) {
            if (stream.from < stream.to) continue;
            close(stream.from);
            close(stream.to);
        }
    }

    void add(std::pair<int, int> pair) {
        streams_.push_back({.from = pair.first, .to = pair.second});
        streams_.push_back({.from = pair.second, .to = pair.first});
    }

    std::pair<int, int> unix_connection() {
        static int names = 0;
        const std::string name =
            "fuzz-" + std::to_string(::getpid()) + "-" + std::to_string(++names);
        SocketAddress address;
        auto& of_unix = reinterpret_cast<sockaddr_un&>(address.storage);
        of_unix.sun_family = AF_UNIX;
        std::memcpy(of_unix.sun_path + 1, name.data(), name.size());
        address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
        const int listening = make_socket(AF_UNIX, SOCK_STREAM);
        EXPECT_EQ(run({.kind = OperationKind::bind,
                       .fd = listening,
                       .buffer = address.get(),
                       .size = address.length}),
                  0);
        EXPECT_EQ(run({.kind = OperationKind::listen, .fd = listening, .size = 1}), 0);
        const int client = make_socket(AF_UNIX, SOCK_STREAM);
        EXPECT_EQ(connect(client, address), 0);
        const int server = accept(listening);
        close(listening);
        return {client, server};
    }

    void move() {
        const std::uint64_t choice = below(100);
        if (choice < 35) return begin_send();
        if (choice < 65) return begin_receive();
        if (choice < 70) return watch();
        if (choice < 82) return cancel_some();
        if (choice < 90) return look(internal::at_once);
        if (choice < 98) return look(backend().now() + std::chrono::microseconds(below(50)));
        if (below(20) == 0) finish(streams_[below(streams_.size())]);
    }

    Effort& effort(std::size_t stream, std::size_t size) {
        Effort& made = efforts_.emplace_back();
        made.stream = stream;
        made.bytes.resize(size);
        made.buffer = made.bytes.data();
        made.size = size;
        return made;
    }

    /// The bytes in two buffers, in place of one.
    void split(Effort& made, OperationKind kind) {
        const std::size_t first = below(made.bytes.size() + 1);
        made.parts = {iovec{made.bytes.data(), first},
                      iovec{made.bytes.data() + first, made.bytes.size() - first}};
        made.message.msg_iov = made.parts.data();
        made.message.msg_iovlen = 2;
        made.kind = kind;
        made.buffer = &made.message;
        made.size = 1;
    }

    std::size_t some_size() { return 1 + below(below(10) == 0 ? 100'000 : 3000); }

    void begin_send() {
        const std::size_t index = below(streams_.size());
        Stream& stream = streams_[index];
        if (stream.is_sending || stream.is_finished) return;
        Effort& made = effort(index, some_size());
        for (std::size_t i = 0; i < made.bytes.size(); ++i)
            made.bytes[i] = byte_at(index, stream.sent + i);
        made.kind = OperationKind::send;
        made.fd = stream.from;
        if (below(3) == 0) split(made, OperationKind::sendmsg);
        stream.is_sending = true;
        submit(made);
    }

    void begin_receive() {
        const std::size_t index = below(streams_.size());
        Stream& stream = streams_[index];
        if (stream.is_receiving || stream.has_ended) return;
        Effort& made = effort(index, some_size());
        made.kind = OperationKind::recv;
        made.fd = stream.to;
        if (below(4) == 0) made.flags = MSG_PEEK;
        if (below(3) == 0) {
            split(made, OperationKind::recvmsg);
        } else if (below(2) == 0) {
            bring_no_memory(made);
        }
        stream.is_receiving = true;
        submit(made);
    }

    static void bring_no_memory(Effort& made) {
        made.buffer = nullptr;
        made.receive = [](Operation& operation, std::span<const char> bytes) noexcept {
            auto& receiver = static_cast<Effort&>(operation);
            EXPECT_LE(bytes.size(), receiver.bytes.size());
            std::copy(bytes.begin(), bytes.end(), receiver.bytes.begin());
        };
    }

    void watch() {
        const std::size_t index = below(streams_.size());
        Effort& made = effort(index, 0);
        made.kind = OperationKind::poll;
        made.fd = below(2) == 0 ? streams_[index].from : streams_[index].to;
        made.events = below(2) == 0 ? POLLIN : POLLOUT;
        submit(made);
    }

    void submit(Effort& made) {
        driver().submit(made);
        sweep();
    }

    void cancel_some() {
        for (Effort& made : efforts_) {
            if (below(4) == 0 && driver().is_in_flight(made)) driver().cancel(made);
        }
    }

    void look(TimePoint deadline) {
        driver().wait(deadline);
        sweep();
    }

    /// The sender says that no more comes. Its bytes so far still do.
    void finish(Stream& stream) {
        if (stream.is_sending || stream.is_finished) return;
        stream.is_finished = true;
        EXPECT_EQ(run({.kind = OperationKind::shutdown, .fd = stream.from, .flags = SHUT_WR}), 0);
    }

    void sweep() {
        for (auto made = efforts_.begin(); made != efforts_.end();) {
            if (made->state == State::in_flight) {
                ++made;
                continue;
            }
            book(*made);
            made = efforts_.erase(made);
        }
    }

    void book(const Effort& made) {
        Stream& stream = streams_[made.stream];
        if (made.sends()) stream.is_sending = false;
        if (made.receives()) stream.is_receiving = false;
        if (made.result == -ECANCELED) return;
        ASSERT_GE(made.result, 0) << static_cast<int>(made.kind);
        const auto count = static_cast<std::uint64_t>(made.result);
        if (made.sends()) stream.sent += count;
        if (!made.receives()) return;
        check(made.stream, made.bytes.data(), count);
        if (count == 0) stream.has_ended = true;
        if (!made.peeks()) stream.received += count;
    }

    void check(std::size_t index, const char* bytes, std::uint64_t count) {
        const Stream& stream = streams_[index];
        std::uint64_t right = 0;
        while (right < count && bytes[right] == byte_at(index, stream.received + right)) ++right;
        EXPECT_EQ(right, count) << "a wrong byte at place " << stream.received + right;
        if (count > 0) return;
        EXPECT_TRUE(stream.is_finished);
        EXPECT_EQ(stream.received, stream.sent);
    }

    void settle() {
        for (Effort& made : efforts_) {
            if (driver().is_in_flight(made)) driver().cancel(made);
        }
        driver().finish_all();
        sweep();
    }

    void read_rest(std::size_t index) {
        Stream& stream = streams_[index];
        finish(stream);
        while (!stream.has_ended && !HasFailure()) {
            const std::string rest = recv(stream.to, 65536);
            check(index, rest.data(), rest.size());
            stream.received += rest.size();
            stream.has_ended = rest.empty();
        }
        EXPECT_EQ(stream.received, stream.sent);
    }

    std::mt19937_64 random_;
    std::vector<Stream> streams_;
    std::list<Effort> efforts_;
};

INSTANTIATE_TEST_SUITE_P(, SocketFuzz,
                         testing::Values(Tested::io_uring, Tested::io_uring_plain, Tested::epoll,
                                         Tested::simulated, Tested::simulated_seeded),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(SocketFuzz, CPP_03_every_byte_arrives_once_and_in_order) {
    const std::uint64_t seed = seed_of_socket_fuzz();
    for (std::uint64_t round = 0; round < 10 && !HasFailure(); ++round) {
        SCOPED_TRACE("ASYNCIO_TEST_SEED=" + std::to_string(seed) + ", round " +
                     std::to_string(round));
        random_.seed(seed + round);
        play(600);
    }
}

/// Clients that connect, and a listener whose accepts are cancelled. Each client says its number.
class AcceptFuzz : public SocketFuzz {
protected:
    void play_accepts(int steps) {
        SocketAddress address;
        const int listening = listener(address, 64);
        std::set<char> expected;
        std::set<char> seen;
        std::list<Asked> accepts;
        const auto take = [&](int server) {
            keep(server);
            const std::string name = recv(server, 1);
            ASSERT_EQ(name.size(), 1u);
            EXPECT_TRUE(seen.insert(name[0]).second) << "accepted twice";
            close(server);
        };
        const auto collect = [&] {
            for (auto made = accepts.begin(); made != accepts.end();) {
                if (made->state == State::in_flight) {
                    ++made;
                    continue;
                }
                if (made->result != -ECANCELED) take(made->result);
                made = accepts.erase(made);
            }
        };
        for (int step = 0; step < steps && !HasFailure(); ++step) {
            if (below(3) == 0 && expected.size() < 100) {
                const char name = static_cast<char>(expected.size());
                const int client = make_socket(AF_INET, SOCK_STREAM);
                ASSERT_EQ(connect(client, address), 0);
                ASSERT_EQ(send(client, std::string(1, name)), 1);
                expected.insert(name);
            }
            if (below(2) == 0) {
                accepts.emplace_back(
                    OperationRequest{.kind = OperationKind::accept, .fd = listening});
                driver().submit(accepts.back());
            }
            if (below(3) == 0) {
                for (Asked& made : accepts) {
                    if (below(2) == 0 && driver().is_in_flight(made)) driver().cancel(made);
                }
            }
            driver().wait(internal::at_once);
            collect();
            // The queue of the listener must not run over.
            while (expected.size() - seen.size() > 50 && !HasFailure()) take(accept(listening));
        }
        for (Asked& made : accepts) {
            if (driver().is_in_flight(made)) driver().cancel(made);
        }
        driver().finish_all();
        collect();
        while (seen.size() < expected.size() && !HasFailure()) take(accept(listening));
        EXPECT_EQ(seen, expected);
    }
};

INSTANTIATE_TEST_SUITE_P(, AcceptFuzz,
                         testing::Values(Tested::io_uring, Tested::io_uring_plain, Tested::epoll,
                                         Tested::simulated, Tested::simulated_seeded),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(AcceptFuzz, CPP_03_every_connection_is_accepted_once) {
    const std::uint64_t seed = seed_of_socket_fuzz();
    for (std::uint64_t round = 0; round < 5 && !HasFailure(); ++round) {
        SCOPED_TRACE("ASYNCIO_TEST_SEED=" + std::to_string(seed) + ", round " +
                     std::to_string(round));
        random_.seed(seed + round);
        play_accepts(300);
    }
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
