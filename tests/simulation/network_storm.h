#pragma once
// A client and a server program that meet every fault of the simulated network at once, and keep
// books on every byte.
//
// Three hosts with clients ask a fourth one over streams, in both directions at the same time: a
// request says how long its answer is to be, both have random lengths and a check sum, and the
// value of every byte is computed from its place. Datagrams go there and back beside them. Every
// program is started again when it has ended, and a client that was disturbed connects again.
//
// The first part of a run is the storm. The seed of the world draws links with latency, loss,
// duplication and reordering, partitions, resets, hosts that die (whose peers are half-open then),
// full disks and wrong clocks; it also shortens reads and writes. The storm itself cancels tasks on
// the hosts at random ticks: clients, handlers, accepting tasks, reads, drains, whole servers. In
// this part nothing must succeed, and no byte may be wrong.
//
// Then everything is healed, and in the second part everything must succeed: no time limit hides a
// lost wake-up, and no error is expected. Reads and drains are still cut short at random ticks and
// repeated, which must not lose a byte. At the end no task and no descriptor may be left.
//
#include <asyncio/event.h>
#include <asyncio/testing/network.h>

#include "support/random.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace network_storm {

class NetworkStorm {
public:
    /// What has happened, for the test to see that it was a storm.
    struct Books {
        long sessions = 0;   ///< That have ended with every answer.
        long broken = 0;     ///< That an error or a cancellation has ended.
        long expired = 0;    ///< That have reached their time limit.
        long cancels = 0;    ///< Tasks that the storm has cancelled.
        long reads_cut = 0;  ///< Reads and drains that were cut short, and repeated.
        long starts = 0;     ///< Of programs, on all hosts.
        long datagrams = 0;  ///< That have come back.
        long bytes = 0;      ///< Of streams, in both directions.

        Books& operator+=(const Books& other);
    };

    NetworkStorm(asyncio::testing::Network& network, std::uint64_t seed)
        : network_(network), random_(seed) {}

    /// A whole run. Throws: `AssertionError` that says what is wrong.
    asyncio::Coro<> run();

    Books books;

    // For the programs.

    /// Whether the storm is over.
    bool is_calm() const { return is_calm_; }
    /// Whether everything is done that is wanted.
    bool is_over() const { return is_over_; }
    /// Notes what is wrong; the first one is the error of the run.
    void fail(std::string what);
    /// A client is about to connect.
    void note_connect() { connecting_.set(); }
    /// Notes an error of the network. In the calm part it is a failure.
    void note_error(const std::string& where, const std::exception& error);
    support::Random another_random() { return support::Random(random_.below(1u << 31)); }

    static constexpr std::size_t clients = 3;
    /// How many sessions of each client, and how many of its datagrams, must succeed when it is
    /// calm.
    static constexpr int wanted = 2;
    struct Client {
        std::uint32_t sessions = 0;
        std::uint32_t datagrams = 0;
        int calm_sessions = 0;
        int calm_datagrams = 0;
    };
    std::array<Client, clients> state;

private:
    asyncio::Coro<> weather();
    asyncio::Coro<> next_connect(support::Random& random);
    asyncio::Coro<> cancel_at_random(support::Random random);
    asyncio::Coro<> until_all_is_done() const;
    bool is_done() const;
    void check_end();

    asyncio::testing::Network& network_;
    support::Random random_;
    asyncio::Event connecting_;
    bool is_calm_ = false;
    bool is_over_ = false;
    std::optional<std::string> failure_;
};

}  // namespace network_storm
