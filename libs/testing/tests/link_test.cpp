// Goal: links delay, lose, double and reorder packets as they are told, and streams survive it.
// Method: small clients and servers on hosts of one simulated world; times are exact.

#include "network_help.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace network_test;

// --- Links --------------------------------------------------------------------------------------

TEST(network, a_packet_takes_the_latency_of_its_link) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        network.link(client, server, {.latency = 20ms});
        server.start(serve_echo());
        co_await sleep(0s);
        const TimePoint beginning = get_running_loop().time();
        const Stream stream = co_await client.run(open_connection("server", port));
        EXPECT_EQ(since(beginning), 40ms) << "there and back";
        co_await stream.send("question");
        EXPECT_EQ(since(beginning), 40ms) << "a send does not wait";
        EXPECT_EQ(co_await stream.readexactly(8), "question");
        EXPECT_EQ(since(beginning), 80ms);
        co_await stream.aclose();
    });
}

TEST(network, the_two_directions_of_a_link_may_differ) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        network.one_way(client, server, {.latency = 10ms});
        network.one_way(server, client, {.latency = 30ms});
        server.start(serve_echo());
        co_await sleep(0s);
        const TimePoint beginning = get_running_loop().time();
        EXPECT_EQ(co_await client.run(ask("server", "x")), "x");
        EXPECT_EQ(since(beginning), 80ms);
    });
}

TEST(network, a_link_has_a_bandwidth) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        network.all_links({.bytes_per_second = 1'000'000});
        server.start([]() -> Coro<> {
            auto handler = [](Stream stream) -> Coro<> {
                co_await stream.send(std::string(2'000'000, 'x'));
                co_await stream.aclose();
            };
            Server serving = co_await start_server(handler, "0.0.0.0", port);
            co_await serving.serve_forever();
        }());
        co_await sleep(0s);
        const Stream stream = co_await client.run(open_connection("server", port));
        const TimePoint beginning = get_running_loop().time();
        const std::string bytes = co_await stream.read();
        EXPECT_EQ(bytes.size(), 2'000'000u);
        EXPECT_EQ(since(beginning), 2s);
        co_await stream.aclose();
    });
}

TEST(network, pieces_of_one_byte_arrive_one_by_one) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        network.all_links({.bytes_per_second = 1000, .largest_piece_bytes = 1});
        server.start(serve_echo());
        co_await sleep(0s);
        const Stream stream = co_await client.run(open_connection("server", port));
        co_await stream.send("abc");
        for (const std::string byte : {"a", "b", "c"}) EXPECT_EQ(co_await stream.read(100), byte);
        co_await stream.aclose();
    });
}

TEST(network, a_stream_over_a_lossy_link_is_slow_and_whole) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        network.all_links({.latency = 1ms, .largest_piece_bytes = 1000, .loss = 0.2});
        server.start(serve_echo());
        co_await sleep(0s);
        const TimePoint beginning = get_running_loop().time();
        std::string question;
        while (question.size() < 100'000) question += std::to_string(question.size());
        const std::string answer = co_await client.run(ask("server", question));
        EXPECT_EQ(answer, question);
        EXPECT_GT(since(beginning), 1s) << "lost segments are sent again after 200 ms";
    });
}

/// The numbers of datagrams that arrive of `count`, in their order.
Coro<std::vector<int>> datagrams_over(Network& network, const Link& link, int count) {
    const Host sender = network.host("sender");
    const Host receiver = network.host("receiver");
    network.link(sender, receiver, link);
    const auto bound = []() -> Coro<Socket> {
        Socket socket(AF_INET, SOCK_DGRAM);
        socket.bind(Address::any_v4(port));
        co_return socket;
    };
    const Socket in = co_await receiver.run(bound());
    const Socket out = co_await sender.run(bound());
    std::vector<int> numbers;
    const auto receive = [&]() -> Coro<> {
        for (;;) {
            const ReceivedFrom received = co_await in.recvfrom(100);
            numbers.push_back(std::stoi(received.data));
        }
    };
    const Task<> receiving = receiver.start(receive());
    for (int number = 0; number < count; ++number) {
        co_await out.sendto(std::to_string(number), Address::ip(receiver.address(), port));
        co_await sleep(1ms);
    }
    co_await sleep(1s);
    receiving.cancel();
    while (!receiving.done()) co_await sleep(0s);
    co_return numbers;
}

TEST(network, datagrams_are_lost_at_the_rate_of_the_link) {
    simulate([](Network& network) -> Coro<> {
        const auto numbers = co_await datagrams_over(network, {.loss = 0.3}, 1000);
        EXPECT_GT(numbers.size(), 600u);
        EXPECT_LT(numbers.size(), 800u);
        EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    });
}

TEST(network, datagrams_are_doubled_at_the_rate_of_the_link) {
    simulate([](Network& network) -> Coro<> {
        const auto numbers = co_await datagrams_over(network, {.duplication = 0.2}, 500);
        EXPECT_GT(numbers.size(), 550u);
        EXPECT_LT(numbers.size(), 650u);
        EXPECT_EQ(std::set<int>(numbers.begin(), numbers.end()).size(), 500u);
    });
}

TEST(network, datagrams_are_overtaken_at_the_rate_of_the_link) {
    simulate([](Network& network) -> Coro<> {
        const Link link{.latency = 5ms, .reordering = 0.2};
        const auto numbers = co_await datagrams_over(network, link, 500);
        EXPECT_EQ(numbers.size(), 500u);
        int overtaken = 0;
        int last = -1;
        for (const int number : numbers) {
            if (number < last) ++overtaken;
            last = std::max(last, number);
        }
        EXPECT_GT(overtaken, 50);
        EXPECT_LT(overtaken, 150);
    });
}

TEST(network, jitter_alone_does_not_change_the_order) {
    simulate([](Network& network) -> Coro<> {
        const Link link{.latency = 5ms, .jitter = 20ms};
        const auto numbers = co_await datagrams_over(network, link, 200);
        EXPECT_EQ(numbers.size(), 200u);
        EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    });
}

}  // namespace
