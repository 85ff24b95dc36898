// Goal: memory that a call was given is the caller's again when the await ends, however it ends.
// Method: receives and sends are cancelled at random moments. As soon as the await has ended, the
// memory is filled with a pattern, and poisoned under the address sanitizer. The sanitizer then
// finds a copy that the library makes too late, and the pattern a late write of the kernel. Each
// byte tells its place in its stream, so a byte that a cancellation loses is found as well.

#include "net/net_help.h"
#include "support/random.h"
#include "support/sanitizer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (static_cast<void>(address))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (static_cast<void>(address))
#endif

namespace {

using namespace net_test;
using support::Random;

char byte_at(std::uint64_t place) { return static_cast<char>(place * 31 + place / 251); }

/// Memory that is used by one call after the other.
class Memory {
public:
    explicit Memory(std::size_t size) : bytes_(size) { close(); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() { open(); }

    std::size_t size() const { return bytes_.size(); }
    char* open() {
        ASAN_UNPOISON_MEMORY_REGION(bytes_.data(), bytes_.size());
        EXPECT_TRUE(std::ranges::all_of(bytes_, [](char byte) { return byte == pattern; }))
            << "written to after the await has ended";
        return bytes_.data();
    }
    void close() {
        std::ranges::fill(bytes_, pattern);
        ASAN_POISON_MEMORY_REGION(bytes_.data(), bytes_.size());
    }

private:
    static constexpr char pattern = '\xee';
    std::vector<char> bytes_;
};

/// The first bytes of the memory, for one call.
class Loan {
public:
    Loan(Memory& memory, std::size_t size) : memory_(memory), bytes_(memory.open(), size) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { memory_.close(); }

    std::span<char> bytes() const { return bytes_; }
    void fill(std::uint64_t place) const {
        for (char& byte : bytes_) byte = byte_at(place++);
    }
    bool holds(std::size_t count, std::uint64_t place) const {
        return std::ranges::all_of(bytes_.first(count),
                                   [&](char byte) { return byte == byte_at(place++); });
    }

private:
    Memory& memory_;
    std::span<char> bytes_;
};

/// The books of a run, and its dice.
struct Traffic {
    static constexpr std::uint64_t all = 300'000;

    Random& random;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    int cancelled = 0;

    std::size_t some_of(const Memory& memory, std::uint64_t left) const {
        return 1 + random.below(std::min<std::uint64_t>(memory.size(), left));
    }
};

/// Runs the call in a task, and cancels the task at a random moment in two of three cases.
Coro<> let_run(Traffic& traffic, Coro<> call) {
    Task<> task = create_task(std::move(call));
    const bool ends_early = !traffic.random.one_in(3);
    for (auto steps = traffic.random.below(4); ends_early && steps > 0; --steps)
        co_await sleep(traffic.random.one_in(10) ? 100us : 0us);
    if (ends_early) task.cancel();
    try {
        co_await task;
    } catch (const CancelledError&) {
        ++traffic.cancelled;
    }
}

Coro<> send_once(const Socket& socket, Memory& memory, Traffic& traffic) {
    const Loan loan(memory, traffic.some_of(memory, Traffic::all - traffic.sent));
    loan.fill(traffic.sent);
    const std::string_view bytes(loan.bytes().data(), loan.bytes().size());
    traffic.sent += co_await socket.send(bytes);
}

Coro<std::size_t> receive_into(const Socket& socket, std::span<char> room) {
    co_return co_await socket.recv_into(room);
}
Coro<std::size_t> receive_into(const StreamReader& reader, std::span<char> room) {
    co_return co_await reader.read_into(room);
}

template <class Source>
Coro<> receive_once(const Source& source, Memory& memory, Traffic& traffic) {
    const Loan loan(memory, traffic.some_of(memory, memory.size()));
    const std::size_t count = co_await receive_into(source, loan.bytes());
    EXPECT_TRUE(loan.holds(count, traffic.received)) << "at " << traffic.received;
    traffic.received += count;
}

Coro<> send_all(const Socket& socket, Traffic& traffic) {
    Memory memory(100'000);
    while (traffic.sent < Traffic::all)
        co_await let_run(traffic, send_once(socket, memory, traffic));
}

template <class Source>
Coro<> receive_all(const Source& source, Traffic& traffic) {
    Memory memory(100'000);
    while (traffic.received < Traffic::all)
        co_await let_run(traffic, receive_once(source, memory, traffic));
}

struct Connection {
    Socket client;
    Socket server;
};

/// Small buffers of the kernel, so that sends have to wait.
Coro<Connection> connection() {
    Socket listener(AF_INET);
    listener.bind(Address::loopback_v4(0));
    listener.listen();
    Connection both{.client = Socket(AF_INET), .server = {}};
    both.client.setsockopt(SOL_SOCKET, SO_SNDBUF, 16 * 1024);
    co_await both.client.connect(listener.getsockname());
    both.server = std::move((co_await listener.accept()).socket);
    co_return both;
}

/// For a few seeds. Each must have cancelled something, or the test shows nothing.
template <class Run>
void with_seeds(Run run) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        Random random(support::seed_or(seed));
        SCOPED_TRACE(random.name());
        Traffic traffic{.random = random};
        run_test([&]() -> Coro<> { co_await run(traffic); });
        EXPECT_EQ(traffic.received, Traffic::all);
        EXPECT_GT(traffic.cancelled, 0);
    }
}

TEST(lent_memory, of_sends_and_receives_is_free_when_they_end) {
    with_seeds([](Traffic& traffic) -> Coro<> {
        const Connection both = co_await connection();
        co_await gather(send_all(both.client, traffic), receive_all(both.server, traffic));
    });
}

TEST(lent_memory, of_reads_into_it_is_free_when_they_end) {
    with_seeds([](Traffic& traffic) -> Coro<> {
        Connection both = co_await connection();
        const Stream stream = connect_accepted_socket(std::move(both.server));
        co_await gather(send_all(both.client, traffic), receive_all(stream.reader, traffic));
    });
}

}  // namespace
