// Goal: faults happen when they are told to, and have the effects of real ones, at real times.
// Method: a connection between two hosts, and what its two ends see of a fault, in virtual time.

#include <asyncio/queue.h>

#include "network_help.h"

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace network_test;

// --- Faults -------------------------------------------------------------------------------------

TEST(network, a_connect_over_a_partition_gives_up_after_two_minutes) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        server.start(serve_echo());
        co_await sleep(0s);
        network.partition(client, server);
        const TimePoint beginning = get_running_loop().time();
        EXPECT_EQ(co_await client.run(error_of(ask("10.0.0.1", "x"))), ETIMEDOUT);
        EXPECT_EQ(since(beginning), 127s);
        network.heal(client, server);
        EXPECT_EQ(co_await client.run(ask("server", "x")), "x");
    });
}

TEST(network, a_connect_goes_on_when_the_partition_ends) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        server.start(serve_echo());
        network.partition(client, server);
        network.plan("5s heal client server");
        const TimePoint beginning = get_running_loop().time();
        EXPECT_EQ(co_await client.run(ask("server", "x")), "x");
        EXPECT_EQ(since(beginning), 7s) << "SYN is sent after 0, 1, 3 and 7 seconds";
    });
}

TEST(network, a_stream_waits_for_the_end_of_a_partition_and_loses_nothing) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        server.start(serve_echo());
        co_await sleep(0s);
        const Stream stream = co_await client.run(open_connection("server", port));
        network.partition(client, server);
        network.plan({{1s, Fault::heal("client", "server")}});
        const TimePoint beginning = get_running_loop().time();
        co_await stream.send("through");
        EXPECT_EQ(co_await stream.readexactly(7), "through");
        EXPECT_EQ(since(beginning), 1400ms) << "sent again after 0.2, 0.6 and 1.4 seconds";
        co_await stream.aclose();
    });
}

TEST(network, a_sender_learns_of_a_partition_after_a_quarter_of_an_hour_and_a_reader_never) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        server.start(serve_echo());
        co_await sleep(0s);
        const Stream stream = co_await client.run(open_connection("server", port));
        network.partition(client, server);
        const auto read = [&]() -> Coro<> { co_await stream.read(1); };
        EXPECT_TRUE(co_await move_on_after(24h, read)) << "half-open";
        const TimePoint beginning = get_running_loop().time();
        co_await stream.send("x");
        EXPECT_EQ(co_await error_of(stream.readexactly(1)), ETIMEDOUT);
        EXPECT_GT(since(beginning), 15min);
        EXPECT_LT(since(beginning), 16min);
        stream.abort();
    });
}

struct GivenUp {
    Server serving;
    Stream at_server;
    Stream at_client;
};

/// A connection that its client has given up, in a network that is whole again. Nothing has read
/// the bytes that the server has sent.
Coro<GivenUp> given_up(Network& network, std::size_t sent_bytes) {
    const Host server = network.host("server");
    const Host client = network.host("client");
    Queue<Stream> accepted;
    auto handler = [&accepted](Stream stream) -> Coro<> {
        co_await accepted.put(std::move(stream));
    };
    Server serving = co_await server.run(start_server(handler, "0.0.0.0", port));
    Stream at_client = co_await client.run(open_connection("server", port));
    Stream at_server = co_await accepted.get();
    if (sent_bytes > 0) at_server.write(std::string(sent_bytes, 'x'));
    co_await sleep(1s);
    network.partition(client, server);
    at_client.write("x");
    co_await sleep(20min);
    network.heal(client, server);
    GivenUp all{std::move(serving), std::move(at_server), std::move(at_client)};
    co_return all;
}

Coro<> drained(const Stream& stream) { co_await stream.drain(); }

/// Ends the connection without a word, and the server.
Coro<> end(const GivenUp& all) {
    all.at_server.abort();
    all.at_client.abort();
    all.serving.close();
    co_await all.serving.wait_closed();
}

TEST(network, an_end_that_has_given_up_answers_bytes_with_a_reset) {
    simulate([](Network& network) -> Coro<> {
        const GivenUp all = co_await given_up(network, 0);
        EXPECT_EQ(co_await error_of(all.at_client.readexactly(1)), ETIMEDOUT);
        const auto read = [&]() -> Coro<> { co_await all.at_server.read(1); };
        EXPECT_TRUE(co_await move_on_after(1h, read)) << "half-open";
        const TimePoint beginning = get_running_loop().time();
        co_await all.at_server.send("y");
        EXPECT_EQ(co_await error_of(all.at_server.readexactly(1)), ECONNRESET);
        EXPECT_LT(since(beginning), 1s);
        co_await end(all);
    });
}

TEST(network, an_end_that_has_given_up_answers_the_end_with_a_reset) {
    simulate([](Network& network) -> Coro<> {
        const GivenUp all = co_await given_up(network, 0);
        all.at_server.write_eof();
        EXPECT_EQ(co_await error_of(all.at_server.readexactly(1)), ECONNRESET);
        EXPECT_EQ(co_await error_of(all.at_client.readexactly(1)), ETIMEDOUT) << "not the end";
        co_await end(all);
    });
}

TEST(network, a_writer_that_waits_for_room_at_an_end_that_has_given_up_learns_of_it) {
    simulate([](Network& network) -> Coro<> {
        const GivenUp all = co_await given_up(network, 2'000'000);
        EXPECT_EQ(co_await error_of(drained(all.at_server)), ECONNRESET);
        co_await end(all);
    });
}

TEST(network, a_reset_ends_the_connections_of_two_hosts_at_both_ends) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        const Host witness = network.host("witness");
        int at_server = -1;
        auto handler = [&at_server](Stream stream) -> Coro<> {
            const int error = co_await error_of(stream.read());
            at_server = error;
            stream.abort();
        };
        const Server serving = co_await server.run(start_server(handler, "0.0.0.0", port));
        const Stream broken = co_await client.run(open_connection("server", port));
        const Stream spared = co_await witness.run(open_connection("server", port));
        network.reset(client, server);
        EXPECT_EQ(co_await error_of(broken.read()), ECONNRESET);
        co_await sleep(1s);
        EXPECT_EQ(at_server, ECONNRESET);
        const auto read = [&]() -> Coro<> { co_await spared.read(1); };
        EXPECT_TRUE(co_await move_on_after(1h, read));
        broken.abort();
        co_await spared.aclose();
        serving.close();
        co_await serving.wait_closed();
    });
}

TEST(network, the_peer_of_a_dead_host_hears_nothing_and_then_a_reset) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        auto task = server.start(serve_echo());
        co_await sleep(0s);
        const Stream stream = co_await client.run(open_connection("server", port));
        server.die();
        EXPECT_FALSE(server.is_alive());
        const auto read = [&]() -> Coro<> { co_await stream.read(1); };
        EXPECT_TRUE(co_await move_on_after(1h, read));
        EXPECT_TRUE(task.cancelled());
        EXPECT_EQ(co_await client.run(error_of(ask("10.0.0.1", "x"))), ETIMEDOUT);
        server.come_back();
        EXPECT_EQ(co_await client.run(error_of(ask("10.0.0.1", "x"))), ECONNREFUSED);
        co_await stream.send("x");
        EXPECT_EQ(co_await error_of(stream.readexactly(1)), ECONNRESET);
        stream.abort();
        server.start(serve_echo());
        co_await sleep(0s);
        EXPECT_EQ(co_await client.run(ask("server", "again")), "again");
    });
}

TEST(network, bytes_that_are_on_their_way_when_a_host_dies_are_lost) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        network.link(client, server, {.latency = 100ms});
        server.start(serve_echo());
        co_await sleep(0s);
        const Stream stream = co_await client.run(open_connection("server", port));
        co_await stream.send("x");
        network.plan("50ms die server\n 10s come_back server");
        const TimePoint beginning = get_running_loop().time();
        EXPECT_EQ(co_await error_of(stream.readexactly(1)), ECONNRESET);
        EXPECT_GT(since(beginning), 10s);
        stream.abort();
    });
}

TEST(network, every_task_of_a_dead_host_is_cancelled) {
    simulate([](Network& network) -> Coro<> {
        const Host host = network.host("host");
        std::vector<Task<>> tasks;
        const auto work = [](std::vector<Task<>>& made) -> Coro<> {
            for (int i = 0; i < 3; ++i)
                made.push_back(create_task([]() -> Coro<> { co_await sleep(1h); }()));
            co_await sleep(1h);
        };
        const Task<> outer = host.start(work(tasks));
        auto other = create_task([]() -> Coro<> { co_await sleep(2s); }());
        co_await sleep(1s);
        host.die();
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_TRUE(outer.cancelled());
        EXPECT_EQ(tasks.size(), 3u);
        for (const Task<>& task : tasks) EXPECT_TRUE(task.cancelled());
        co_await other;
    });
}

TEST(network, a_written_plan_happens_at_its_times) {
    simulate([](Network& network) -> Coro<> {
        const Host one = network.host("one");
        const Host other = network.host("other");
        network.plan({{3s, Fault::die("one")},
                      {1s, Fault::partition("one", "other")},
                      {2s, Fault::heal_all()},
                      {4s, Fault::come_back("one")},
                      {5s, Fault::clock("other", 250ms)},
                      {6s, Fault::link("one", "other", {.latency = 5ms})},
                      {7s, Fault::reset("one", "other")}});
        co_await sleep(3s + 1ms);
        EXPECT_FALSE(one.is_alive());
        co_await sleep(10s);
        EXPECT_TRUE(one.is_alive());
        EXPECT_EQ(to_text(network.history()), "1s partition one other\n"
                                              "2s heal\n"
                                              "3s die one\n"
                                              "4s come_back one\n"
                                              "5s clock other 250ms\n"
                                              "6s link one other latency=5ms\n"
                                              "7s reset one other\n");
        EXPECT_EQ(other.clock_now() - one.clock_now(), 250ms);
        EXPECT_THROW(network.plan("1s die nobody"), std::invalid_argument);
    });
}

TEST(network, what_is_left_of_a_plan_ends_with_the_test) {
    simulate([](Network& network) -> Coro<> {
        network.host("host");
        network.plan("1h die host");
        co_await sleep(1s);
    });
}

}  // namespace
