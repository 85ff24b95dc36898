// Goal: an endpoint sends and receives datagrams whole, one by one and many at once; it reports
// errors where they belong and stays usable.
// Method: endpoints on the loopback address and on abstract Unix names, on every back-end.

#include "net/datagram_help.h"

#include <array>
#include <stdexcept>

namespace {

using namespace net_test;

TEST(datagram, a_datagram_arrives_with_the_address_of_its_sender) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_here();
        Datagram client = co_await connected_endpoint(server.local());
        co_await client.send("question");
        ReceivedFrom message = co_await server.receive();
        EXPECT_EQ(message.data, "question");
        EXPECT_EQ(message.address, client.local());
        EXPECT_FALSE(message.truncated);
        co_await server.send("answer", message.address);
        message = co_await client.receive();
        EXPECT_EQ(message.data, "answer");
        EXPECT_EQ(message.address, server.local());
    });
}

TEST(datagram, works_over_ipv6) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_datagram({.local_addr = Address::loopback_v6(0)});
        Datagram client = co_await open_datagram({.remote_addr = server.local()});
        co_await client.send("six");
        const ReceivedFrom message = co_await server.receive();
        EXPECT_EQ(message.data, "six");
        EXPECT_EQ(message.address, client.local());
    });
}

TEST(datagram, an_endpoint_without_an_address_gets_one_when_it_sends) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_here();
        Datagram client = co_await open_datagram({.family = AF_INET});
        EXPECT_EQ(client.local().port(), 0);
        co_await client.send("x", server.local());
        EXPECT_NE(client.local().port(), 0);
        const ReceivedFrom message = co_await server.receive();
        EXPECT_EQ(message.address.port(), client.local().port());
    });
}

TEST(datagram, is_opened_by_the_name_of_a_host) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_here();
        Datagram client = co_await open_datagram("127.0.0.1", server.local().port());
        EXPECT_EQ(client.peer(), server.local());
        co_await client.send("by name");
        const ReceivedFrom message = co_await server.receive();
        EXPECT_EQ(message.data, "by name");
    });
}

TEST(datagram, an_empty_datagram_is_a_datagram) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        co_await pair.one.send("");
        EXPECT_TRUE(pair.one.send_nowait(""));
        co_await pair.one.send_many(texts("", "x", ""));
        const std::vector<std::string> got = co_await receive_texts(pair.other, 5);
        EXPECT_EQ(got, (std::vector<std::string>{"", "", "", "x", ""}));
    });
}

TEST(datagram, the_longest_datagram_arrives_whole) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        const std::string longest = numbered(65'507);
        co_await pair.one.send(longest);
        const ReceivedFrom message = co_await pair.other.receive();
        EXPECT_TRUE(message.data == longest);
        EXPECT_FALSE(message.truncated);
        const int error = co_await error_number(pair.one.send(longest + "x"));
        EXPECT_EQ(error, EMSGSIZE);
        EXPECT_THROW(pair.one.send_nowait(longest + "x"), OsError);
    });
}

TEST(datagram, what_is_cut_off_is_told) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        const std::string longer = numbered(70'000);
        co_await pair.sender.send(longer);
        co_await pair.sender.send("short");
        ReceivedFrom message = co_await pair.receiver.receive();
        EXPECT_TRUE(message.data == longer.substr(0, 65'536));
        EXPECT_TRUE(message.truncated);
        message = co_await pair.receiver.receive();
        EXPECT_EQ(message.data, "short");
        EXPECT_FALSE(message.truncated);
    });
}

// --- Addresses and options -----------------------------------------------------------------------

TEST(datagram, UDP_02_a_connected_endpoint_sends_to_its_peer_alone) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_here();
        Datagram stranger = co_await open_here();
        Datagram client = co_await connected_endpoint(server.local());
        co_await client.send("one", server.local());
        co_await client.send("two", Address());
        EXPECT_TRUE(client.send_nowait("three", server.local()));
        const std::string why = "the endpoint is connected to " + server.local().to_string() +
                                " and cannot send to " + stranger.local().to_string();
        std::string text = co_await error_text(client.send("x", stranger.local()));
        EXPECT_EQ(text, why);
        const std::vector<ReceivedFrom> astray{{"x", stranger.local()}};
        text = co_await error_text(client.send_many(astray));
        EXPECT_EQ(text, why);
        EXPECT_THROW(client.send_nowait("x", stranger.local()), std::invalid_argument);
        const std::vector<std::string> got = co_await receive_texts(server, 3);
        EXPECT_EQ(joined(got), "onetwothree");
    });
}

TEST(datagram, a_connected_endpoint_receives_from_its_peer_alone) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_here();
        Datagram stranger = co_await open_here();
        Datagram client = co_await connected_endpoint(server.local());
        co_await stranger.send("stranger", client.local());
        co_await server.send("peer", client.local());
        const ReceivedFrom message = co_await client.receive();
        EXPECT_EQ(message.data, "peer");
    });
}

TEST(datagram, without_a_peer_an_address_is_needed) {
    run_test([]() -> Coro<> {
        Datagram endpoint = co_await open_here();
        const int error = co_await error_number(endpoint.send("x"));
        EXPECT_EQ(error, EDESTADDRREQ);
        EXPECT_TRUE(endpoint.peer().is_empty());
    });
}

TEST(datagram, UDP_06_options_are_set) {
    run_test([]() -> Coro<> {
        Datagram first = co_await open_here({.reuse_port = true});
        const DatagramOptions same{.local_addr = first.local(), .reuse_port = true};
        Datagram second = co_await open_datagram(same);
        EXPECT_EQ(first.local(), second.local());
        const DatagramOptions alone{.local_addr = first.local()};
        const std::string text = co_await error_text(open_datagram(alone));
        EXPECT_EQ(text, "bind to " + first.local().to_string() + ": Address already in use");
        Datagram caller = co_await open_here({.allow_broadcast = true});
        EXPECT_NE(option_of(caller.fd(), SOL_SOCKET, SO_BROADCAST), 0);
        EXPECT_EQ(option_of(first.fd(), SOL_SOCKET, SO_BROADCAST), 0);
    });
}

TEST(datagram, UDP_06_an_existing_socket_is_taken_over) {
    run_test([]() -> Coro<> {
        Socket socket(AF_INET, SOCK_DGRAM);
        socket.bind(here());
        Datagram server(std::move(socket));
        Socket connected(AF_INET, SOCK_DGRAM);
        co_await connected.connect(server.local());
        Datagram client(std::move(connected));
        EXPECT_EQ(client.peer(), server.local());
        co_await client.send("x");
        const ReceivedFrom message = co_await server.receive();
        EXPECT_EQ(message.data, "x");
        EXPECT_THROW(Datagram{Socket(AF_INET, SOCK_STREAM)}, std::invalid_argument);
        EXPECT_THROW(Datagram{Socket()}, OsError);
    });
}

TEST(datagram, UDP_07_two_addresses_have_one_family) {
    run_test([]() -> Coro<> {
        const DatagramOptions mixed{.local_addr = here(), .remote_addr = Address::loopback_v6(9)};
        std::string text = co_await error_text(open_datagram(mixed));
        EXPECT_EQ(text, "open_datagram: 127.0.0.1:0 and [::1]:9 have different families");
        text = co_await error_text(open_datagram("::1", 9, {.local_addr = here()}));
        EXPECT_EQ(text, "open_datagram: no address of ::1 has the family of 127.0.0.1:0");
        text = co_await error_text(open_datagram({}));
        EXPECT_EQ(text, "open_datagram: neither an address nor a family is given");
        text = co_await error_text(open_datagram({.local_addr = here(), .family = AF_INET6}));
        EXPECT_EQ(text, "open_datagram: 127.0.0.1:0 is no address of the given family");
        text = co_await error_text(open_datagram("::1", 9, {.remote_addr = here(9)}));
        EXPECT_EQ(text, "open_datagram: the peer is given twice");
    });
}

// --- Many at once --------------------------------------------------------------------------------

TEST(datagram, UDP_10_many_are_received_at_once_in_order) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        for (int number = 0; number < 50; ++number)
            co_await pair.one.send(std::to_string(number) + ",");
        std::string expected;
        for (int number = 0; number < 50; ++number) expected += std::to_string(number) + ",";
        std::string got;
        std::size_t count = 0;
        std::size_t rounds = 0;
        while (count < 50) {
            const std::vector<ReceivedFrom> some = co_await pair.other.receive_many(7);
            EXPECT_LE(some.size(), 7u);
            EXPECT_GE(some.size(), 1u);
            for (const ReceivedFrom& message : some) {
                got += message.data;
                EXPECT_EQ(message.address, pair.one.local());
            }
            count += some.size();
            ++rounds;
        }
        EXPECT_EQ(got, expected);
        EXPECT_LT(rounds, 50u);
        const std::string text = co_await error_text(pair.other.receive_many(0));
        EXPECT_EQ(text, "receive_many: at least one must be wanted");
    });
}

TEST(datagram, UDP_10_many_of_one_size_are_sent_and_taken_apart) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        std::vector<std::string> sent = numbered_texts(100, 700);
        sent.back().resize(10);
        co_await pair.one.send_many(sent);
        std::vector<std::string> got = co_await receive_texts(pair.other, 1);
        const std::vector<ReceivedFrom> three = co_await pair.other.receive_many(3);
        for (const ReceivedFrom& message : three) got.push_back(message.data);
        EXPECT_LE(three.size(), 3u);
        while (got.size() < sent.size()) {
            const std::vector<ReceivedFrom> some = co_await pair.other.receive_many(1000);
            for (const ReceivedFrom& message : some) got.push_back(message.data);
        }
        EXPECT_TRUE(got == sent);
    });
}

TEST(datagram, UDP_10_many_of_every_size_keep_their_order) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        std::vector<std::string> sent;
        for (std::size_t size : {5, 5, 5, 3, 3, 0, 3, 0, 0, 9, 9, 2, 2, 2, 2, 7, 1, 0})
            sent.push_back(std::string(size, static_cast<char>('a' + sent.size())));
        co_await pair.one.send_many(sent);
        const std::vector<std::string> got = co_await receive_texts(pair.other, sent.size());
        EXPECT_EQ(got, sent);
    });
}

TEST(datagram, without_offload_many_arrive_as_well) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_here({.offload = false});
        Datagram client = co_await connected_endpoint(server.local(), {.offload = false});
        const std::vector<std::string> sent = numbered_texts(100, 500);
        co_await client.send_many(sent);
        const std::vector<std::string> got = co_await receive_texts(server, sent.size());
        EXPECT_TRUE(got == sent);
    });
}

TEST(datagram, what_was_received_is_sent_back_to_where_it_came_from) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_here();
        Datagram first = co_await connected_endpoint(server.local());
        Datagram second = co_await connected_endpoint(server.local());
        co_await first.send_many(texts("1a", "1b"));
        co_await second.send_many(texts("2a", "2b"));
        std::size_t answered = 0;
        while (answered < 4) {
            const std::vector<ReceivedFrom> some = co_await server.receive_many(10);
            co_await server.send_many(some);
            answered += some.size();
        }
        std::vector<std::string> got = co_await receive_texts(first, 2);
        EXPECT_EQ(joined(got), "1a1b");
        got = co_await receive_texts(second, 2);
        EXPECT_EQ(joined(got), "2a2b");
    });
}

TEST(datagram, many_texts_go_to_one_address) {
    run_test([]() -> Coro<> {
        Datagram server = co_await open_here();
        Datagram client = co_await open_datagram({.family = AF_INET});
        const std::array<const char*, 3> letters{"a", "b", "c"};
        co_await client.send_many(letters, server.local());
        const std::vector<std::string> got = co_await receive_texts(server, 3);
        EXPECT_EQ(joined(got), "abc");
        co_await client.send_many(std::vector<std::string>(), server.local());
    });
}

TEST(datagram, of_many_those_before_the_one_that_fails_are_sent) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        const std::vector<std::string> sent = texts("a", "b", "c", std::string(70'000, 'x'), "d");
        const std::string text = co_await error_text(pair.one.send_many(sent));
        EXPECT_EQ(text,
                  "send a datagram to " + pair.other.local().to_string() + ": Message too long");
        co_await pair.one.send("end");
        const std::vector<std::string> got = co_await receive_texts(pair.other, 4);
        EXPECT_EQ(joined(got), "abcend");
    });
}

/// Datagrams that the network has to cut cannot be a series.
TEST(datagram, many_that_are_too_long_for_a_series_are_sent_one_by_one) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        const std::vector<std::string> sent = numbered_texts(4, 40'000);
        co_await pair.one.send_many(sent);
        const std::vector<std::string> got = co_await receive_texts(pair.other, 4);
        EXPECT_TRUE(got == sent);
    });
}

// --- Refusals ------------------------------------------------------------------------------------

TEST(datagram, UDP_03_a_refusal_is_told_to_the_next_receive_and_the_endpoint_stays_open) {
    run_test([]() -> Coro<> {
        const Address nobody = co_await closed_port();
        Datagram client = co_await connected_endpoint(nobody);
        co_await client.send("into the void");
        const std::string text = co_await error_text(client.receive());
        EXPECT_EQ(text, "receive from " + nobody.to_string() + ": Connection refused");
        Datagram late = co_await open_datagram({.local_addr = nobody});
        co_await client.send("again");
        const ReceivedFrom message = co_await late.receive();
        EXPECT_EQ(message.data, "again");
        co_await late.send("answer", client.local());
        const ReceivedFrom answer = co_await client.receive();
        EXPECT_EQ(answer.data, "answer");
    });
}

TEST(datagram, UDP_03_a_refusal_wakes_the_receive_that_waits) {
    run_test([]() -> Coro<> {
        const Address nobody = co_await closed_port();
        Datagram client = co_await connected_endpoint(nobody);
        Task<ReceivedFrom> receiving = create_task(client.receive());
        co_await sleep(1ms);
        co_await client.send("x");
        const int error = co_await error_number(std::move(receiving));
        EXPECT_EQ(error, ECONNREFUSED);
    });
}

TEST(datagram, UDP_03_a_send_never_fails_for_an_earlier_datagram) {
    run_test([]() -> Coro<> {
        const Address nobody = co_await closed_port();
        Datagram client = co_await connected_endpoint(nobody);
        const std::vector<std::string> several{"a", "b", "c"};
        for (int round = 0; round < 10; ++round) {
            co_await client.send("x");
            co_await sleep(1ms);
            EXPECT_TRUE(client.send_nowait("y"));
            co_await sleep(1ms);
            co_await client.send_many(several);
            co_await sleep(1ms);
        }
        const int error = co_await error_number(client.receive());
        EXPECT_EQ(error, ECONNREFUSED);
    });
}

TEST(datagram, UDP_03_a_refusal_that_a_send_has_met_goes_to_the_task_that_receives) {
    run_test([]() -> Coro<> {
        const Address nobody = co_await closed_port();
        Datagram client = co_await connected_endpoint(nobody);
        co_await client.send("x");
        co_await sleep(1ms);
        co_await client.send("y");
        Datagram late = co_await open_datagram({.local_addr = nobody});
        const int error = co_await error_number(client.receive());
        EXPECT_EQ(error, ECONNREFUSED);
    });
}

TEST(datagram, UDP_03_a_refusal_that_a_send_has_met_wakes_the_receive_that_waits) {
    run_test([]() -> Coro<> {
        const Address nobody = co_await closed_port();
        Datagram client = co_await connected_endpoint(nobody);
        Task<ReceivedFrom> receiving = create_task(client.receive());
        co_await sleep(1ms);
        client.send_nowait("refused");
        // Without a turn of the loop in between, the next send meets the refusal.
        Datagram late = co_await open_datagram({.local_addr = nobody});
        client.send_nowait("arrives");
        const int error = co_await error_number(std::move(receiving));
        EXPECT_EQ(error, ECONNREFUSED);
        const ReceivedFrom message = co_await late.receive();
        EXPECT_EQ(message.data, "arrives");
    });
}

TEST(datagram, UDP_03_an_endpoint_without_a_peer_is_not_disturbed_by_a_refusal) {
    run_test([]() -> Coro<> {
        const Address nobody = co_await closed_port();
        Datagram server = co_await open_here();
        Datagram client = co_await open_here();
        co_await client.send("into the void", nobody);
        co_await sleep(1ms);
        co_await server.send("real", client.local());
        const ReceivedFrom message = co_await client.receive();
        EXPECT_EQ(message.data, "real");
    });
}

TEST(datagram, a_datagram_to_a_unix_path_that_is_gone_fails_by_itself) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        co_await pair.receiver.aclose();
        const int error = co_await error_number(pair.sender.send("x"));
        EXPECT_EQ(error, ECONNREFUSED);
        const int later = co_await error_number(pair.sender.send("x"));
        EXPECT_EQ(later, ENOTCONN);
        // It is no news for a receive.
        const bool cut_short =
            co_await move_on_after(5ms, [&]() -> Coro<> { co_await pair.sender.receive(); });
        EXPECT_TRUE(cut_short);
    });
}

// --- Cancellations -------------------------------------------------------------------------------

TEST(datagram, a_receive_after_a_cancelled_one_gets_the_datagram) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        Task<ReceivedFrom> first = create_task(pair.other.receive());
        co_await sleep(1ms);
        first.cancel();
        Task<ReceivedFrom> second = create_task(pair.other.receive());
        co_await until_done(first);
        EXPECT_TRUE(first.cancelled());
        co_await pair.one.send("x");
        const ReceivedFrom message = co_await second;
        EXPECT_EQ(message.data, "x");
    });
}

TEST(datagram, a_datagram_that_arrives_with_a_cancellation_is_not_lost) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        std::string got;
        const auto receive = [&]() -> Coro<> {
            const ReceivedFrom message = co_await pair.other.receive();
            got += message.data;
        };
        for (int round = 0; round < 40; ++round) {
            Task<> receiving = create_task(receive());
            for (int step = 0; step < round % 4; ++step) co_await sleep(0ms);
            co_await pair.one.send("x");
            for (int step = 0; step < round % 3; ++step) co_await sleep(0ms);
            receiving.cancel();
            co_await until_done(receiving);
        }
        while (got.size() < 40) co_await receive();
        EXPECT_EQ(got, std::string(40, 'x'));
    });
}

TEST(datagram, what_is_left_of_a_series_survives_a_cancellation) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        const std::vector<std::string> sent = numbered_texts(30, 100);
        co_await pair.one.send_many(sent);
        std::vector<std::string> got = co_await receive_texts(pair.other, 10);
        Task<std::vector<std::string>> cancelled = create_task(receive_texts(pair.other, 100));
        cancelled.cancel();
        co_await until_done(cancelled);
        const std::vector<std::string> rest = co_await receive_texts(pair.other, 20);
        got.insert(got.end(), rest.begin(), rest.end());
        EXPECT_TRUE(got == sent);
    });
}

TEST(datagram, a_cancelled_send_has_sent_nothing) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair({.send_buffer_limit = 0});
        std::size_t sent = 0;
        while (pair.sender.send_nowait("x")) ++sent;
        Task<> sending = create_task(pair.sender.send("never"));
        co_await sleep(1ms);
        EXPECT_FALSE(sending.done());
        sending.cancel();
        co_await until_done(sending);
        EXPECT_TRUE(sending.cancelled());
        std::vector<std::string> got = co_await receive_texts(pair.receiver, sent);
        co_await pair.sender.send("end");
        got = co_await receive_texts(pair.receiver, 1);
        EXPECT_EQ(got.front(), "end");
    });
}

TEST(datagram, a_flood_lets_other_tasks_run) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        for (int number = 0; number < 200; ++number) co_await pair.one.send("x");
        std::size_t received = 0;
        std::size_t seen = 0;
        const auto watch = [&]() -> Coro<> {
            co_await sleep(0ms);
            seen = received;
        };
        Task<> watching = create_task(watch());
        for (; received < 200; ++received) co_await pair.other.receive();
        co_await watching;
        EXPECT_LT(seen, 100u);
    });
}

TEST(datagram, two_tasks_share_what_comes) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        Task<std::vector<std::string>> first = create_task(receive_texts(pair.other, 5));
        Task<std::vector<std::string>> second = create_task(receive_texts(pair.other, 5));
        co_await sleep(1ms);
        const std::vector<std::string> sent = numbered_texts(10, 20);
        for (const std::string& text : sent) co_await pair.one.send(text);
        std::set<std::string> got;
        const std::vector<std::string> to_first = co_await first;
        const std::vector<std::string> to_second = co_await second;
        got.insert(to_first.begin(), to_first.end());
        got.insert(to_second.begin(), to_second.end());
        EXPECT_EQ(got, std::set<std::string>(sent.begin(), sent.end()));
    });
}

// --- Names of hosts ------------------------------------------------------------------------------

TEST(datagram, a_port_that_is_none_is_refused) {
    run_test([]() -> Coro<> {
        const std::string text = co_await error_text(open_datagram("127.0.0.1", 70'000));
        EXPECT_EQ(text, "port 70000 is not between 0 and 65535");
    });
}

}  // namespace
