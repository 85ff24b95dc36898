// Goal: an established connection allocates nothing for a record: neither this library nor the
// streams above it, whether the records come one by one or in a row. A connection that waits holds
// no buffer.
// Method: `operator new` is replaced, and counts while 1,000 records go each way. OpenSSL does not
// use it: what OpenSSL allocates is counted by its own hook, and only shown to be bounded.

#include "allocations/failing_memory.h"
#include "tls_help.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <vector>

#include <openssl/crypto.h>

namespace {

using namespace tls_test;

// --- What OpenSSL allocates ---------------------------------------------------------------------

std::atomic<long> openssl_allocations{0};

void* take(std::size_t size, const char*, int) {
    openssl_allocations.fetch_add(1, std::memory_order_relaxed);
    return std::malloc(size);
}
void* take_again(void* block, std::size_t size, const char*, int) {
    openssl_allocations.fetch_add(1, std::memory_order_relaxed);
    return std::realloc(block, size);
}
void give(void* block, const char*, int) { std::free(block); }

/// OpenSSL takes the functions before its first allocation only.
const bool is_counted = CRYPTO_set_mem_functions(&take, &take_again, &give) == 1;

// --- Records ------------------------------------------------------------------------------------

constexpr int rounds = 1000;
constexpr std::size_t record_bytes = 1000;

struct Counts {
    long ours = 0;
    long openssl = 0;
};

/// Two connected ends whose coroutines use no frame for a record: the reads and writes below are
/// awaiters.
struct Pair {
    Streams client;
    Streams server;
};

Coro<> write_records(const StreamWriter& writer, int count) {
    const std::array<char, record_bytes> text{};
    for (int i = 0; i < count; ++i)
        co_await writer.send(std::string_view(text.data(), text.size()));
}

Coro<> read_records(const StreamReader& reader, int count) {
    std::array<char, record_bytes> room{};
    for (std::size_t left = record_bytes * static_cast<std::size_t>(count); left > 0;) {
        const std::size_t got = co_await reader.read_into(room);
        if (got == 0) throw std::runtime_error("the stream has ended early");
        left -= got;
    }
}

/// A record there, and when it has come, a record back. Both sides wait each time.
Coro<> answer_records(const StreamReader& reader, const StreamWriter& writer, int count) {
    std::array<char, record_bytes> room{};
    for (int i = 0; i < count; ++i) {
        for (std::size_t have = 0; have < record_bytes;)
            have += co_await reader.read_into(std::span(room).subspan(have));
        co_await writer.send(std::string_view(room.data(), room.size()));
    }
}
Coro<> ask_records(const StreamReader& reader, const StreamWriter& writer, int count) {
    std::array<char, record_bytes> room{};
    for (int i = 0; i < count; ++i) {
        co_await writer.send(std::string_view(room.data(), room.size()));
        for (std::size_t have = 0; have < record_bytes;)
            have += co_await reader.read_into(std::span(room).subspan(have));
    }
}

/// Runs `one` and `other` side by side, and counts.
template <class One, class Other>
Coro<Counts> count(One one, Other other) {
    // The coroutines are begun outside: their frames are not per record.
    Task<> task = create_task(std::move(other));
    const long openssl = openssl_allocations;
    memory::begin(0, 0);
    co_await std::move(one);
    co_await task;
    co_return Counts{memory::end(), openssl_allocations - openssl};
}

class tls_allocations : public ::testing::TestWithParam<tls::Version> {
protected:
    /// A connection that has exchanged some records already: buffers have grown, tickets have come.
    template <class Body>
    static void run(Body body) {
        run_simulated([&body]() -> Coro<> {
            Ends ends = co_await connect_over(channels_between({}),
                                              client_of({.maximum_version = GetParam()}),
                                              good_server_context());
            Pair pair{Streams(std::move(ends.client)), Streams(std::move(ends.server))};
            co_await body(pair);
            co_await close_both(pair.client, pair.server);
        });
    }
};

INSTANTIATE_TEST_SUITE_P(of, tls_allocations,
                         ::testing::Values(tls::Version::tls_1_2, tls::Version::tls_1_3),
                         [](const auto& info) {
                             return info.param == tls::Version::tls_1_2 ? "tls_1_2" : "tls_1_3";
                         });

void expect_none(const Counts& counts, const char* what) {
    EXPECT_TRUE(is_counted);
    EXPECT_EQ(counts.ours, 0) << what;
    // OpenSSL 3.0 has six for a record that is waited for, two of them its buffers.
    EXPECT_LE(counts.openssl, rounds * 16L) << what;
    ::testing::Test::RecordProperty(std::string("openssl_") + what, std::to_string(counts.openssl));
}

TEST_P(tls_allocations, none_for_records_in_a_row) {
    run([](Pair& pair) -> Coro<> {
        // The buffers grow to their size in the first rounds.
        for (const bool is_measured : {false, false, false, true}) {
            const Counts there = co_await count(write_records(pair.client.writer, rounds),
                                                read_records(pair.server.reader, rounds));
            const Counts back = co_await count(write_records(pair.server.writer, rounds),
                                               read_records(pair.client.reader, rounds));
            if (!is_measured) continue;
            expect_none(there, "there");
            expect_none(back, "back");
        }
    });
}

TEST_P(tls_allocations, none_for_records_that_are_waited_for) {
    run([](Pair& pair) -> Coro<> {
        for (const bool is_measured : {false, false, false, true}) {
            const Counts both =
                co_await count(ask_records(pair.client.reader, pair.client.writer, rounds),
                               answer_records(pair.server.reader, pair.server.writer, rounds));
            if (is_measured) expect_none(both, "both");
        }
    });
}

// --- Connections that wait ----------------------------------------------------------------------

/// Reads a record at each end of each connection, and waits for it. Returns how many blocks there
/// are while all of them wait.
Coro<long> blocks_while_all_wait(const std::vector<Pair>& pairs) {
    std::vector<Task<>> reading;
    for (const Pair& pair : pairs) {
        reading.push_back(create_task(read_records(pair.client.reader, 1)));
        reading.push_back(create_task(read_records(pair.server.reader, 1)));
    }
    co_await sleep(1s);
    const long blocks = memory::live();
    for (const Pair& pair : pairs) {
        co_await write_records(pair.client.writer, 1);
        co_await write_records(pair.server.writer, 1);
    }
    for (Task<>& task : reading) co_await task;
    co_return blocks;
}

constexpr long connections = 60;

/// How many blocks a connection that has exchanged records holds while both ends wait. `before` is
/// the number of blocks before the connections were made.
Coro<long> blocks_of_each(std::vector<Pair> pairs, long before) {
    co_await blocks_while_all_wait(pairs);
    const long blocks = co_await blocks_while_all_wait(pairs);
    for (Pair& pair : pairs) co_await close_both(pair.client, pair.server);
    co_return (blocks - before) / connections;
}

/// There are more connections than spare buffers. An end of TLS has its channel, its engine, the
/// wire, and the texts of its names; a buffer would be a block more.
TEST(tls_idle, connections_that_wait_hold_no_buffer) {
    run_simulated([]() -> Coro<> {
        std::vector<Pair> plain;
        long before = memory::live();
        for (int i = 0; i < connections; ++i) {
            MemoryChannels channels = channels_between({});
            plain.push_back(
                {Streams(std::move(channels.first)), Streams(std::move(channels.second))});
        }
        const long without = co_await blocks_of_each(std::move(plain), before);
        const tls::Context client = client_of();
        const tls::Context server = good_server_context();
        std::vector<Pair> protected_ones;
        before = memory::live();
        for (int i = 0; i < connections; ++i) {
            Ends ends = co_await connect_over(channels_between({}), client, server);
            protected_ones.push_back(
                {Streams(std::move(ends.client)), Streams(std::move(ends.server))});
        }
        const long with_tls = co_await blocks_of_each(std::move(protected_ones), before);
        EXPECT_LE(with_tls - without, 6);
    });
}

}  // namespace
