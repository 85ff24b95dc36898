// Goal: the hosts of a network have addresses, ports, names, disks, clocks and tasks of their own.
// Method: small clients and servers on hosts of one simulated world, in virtual time.

#include <asyncio/files.h>
#include <asyncio/names.h>

#include "network_help.h"

#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace network_test;

// --- Hosts --------------------------------------------------------------------------------------

TEST(network, hosts_find_each_other_by_name_and_by_address) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client", "192.0.2.7", "2001:db8::7");
        EXPECT_EQ(server.address(), "10.0.0.1");
        EXPECT_EQ(client.address(), "192.0.2.7");
        server.start(serve_echo());
        co_await sleep(0s);
        EXPECT_EQ(co_await client.run(ask("server", "by name")), "by name");
        EXPECT_EQ(co_await client.run(ask("10.0.0.1", "by address")), "by address");
    });
}

TEST(network, a_connection_has_the_addresses_of_its_hosts) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        std::string peer;
        auto handler = [&peer](Stream stream) -> Coro<> {
            peer = stream.peer().host();
            co_await stream.aclose();
        };
        const Server serving = co_await server.run(start_server(handler, "0.0.0.0", port));
        Stream stream = co_await client.run(open_connection("server", port));
        EXPECT_EQ(stream.peer().host(), "10.0.0.1");
        EXPECT_EQ(stream.local().host(), "10.0.0.2");
        EXPECT_EQ(co_await stream.read(), "");
        EXPECT_EQ(peer, "10.0.0.2");
        co_await stream.aclose();
        serving.close();
        co_await serving.wait_closed();
    });
}

TEST(network, hosts_have_ports_of_their_own) {
    simulate([](Network& network) -> Coro<> {
        const Host one = network.host("one");
        const Host other = network.host("other");
        const auto server_that_says = [](std::string word) {
            return [word](Stream stream) -> Coro<> {
                co_await stream.send(word);
                co_await stream.aclose();
            };
        };
        auto say_one = server_that_says("one");
        auto say_other = server_that_says("other");
        const Server first = co_await one.run(start_server(say_one, "0.0.0.0", port));
        const Server second = co_await other.run(start_server(say_other, "0.0.0.0", port));
        for (const std::string name : {"one", "other"}) {
            const Stream stream = co_await other.run(open_connection(name, port));
            EXPECT_EQ(co_await stream.read(), name);
            co_await stream.aclose();
        }
        // The loopback address means the host itself.
        const Stream stream = co_await other.run(open_connection("127.0.0.1", port));
        EXPECT_EQ(co_await stream.read(), "other");
        co_await stream.aclose();
        for (const Server* server : {&first, &second}) {
            server->close();
            co_await server->wait_closed();
        }
    });
}

TEST(network, no_other_host_reaches_a_loopback_address_or_an_address_that_no_host_has) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        server.start([]() -> Coro<> {
            Server listening = co_await start_server(echo, "127.0.0.1", port);
            co_await listening.serve_forever();
        }());
        co_await sleep(0s);
        EXPECT_EQ(co_await client.run(error_of(ask("server", "x"))), ECONNREFUSED);
        EXPECT_EQ(co_await client.run(error_of(ask("127.0.0.1", "x"))), ECONNREFUSED);
        EXPECT_EQ(co_await client.run(error_of(ask("10.9.9.9", "x"))), ENETUNREACH);
        EXPECT_EQ(co_await error_of(ask("server", "x")), ENETUNREACH);
    });
}

TEST(network, tasks_run_on_the_host_of_the_task_that_has_created_them) {
    simulate([](Network& network) -> Coro<> {
        const Host front = network.host("front");
        const Host back = network.host("back");
        const Host client = network.host("client");
        std::string asked_from;
        auto answer = [&asked_from](Stream stream) -> Coro<> {
            asked_from = stream.peer().host();
            co_await stream.send("answer");
            co_await stream.aclose();
        };
        // The handler of a connection runs in a task that the server has created.
        auto pass_on = [](Stream stream) -> Coro<> {
            const Stream behind = co_await open_connection("back", port);
            co_await stream.send(co_await behind.read());
            co_await behind.aclose();
            co_await stream.aclose();
        };
        const Server behind = co_await back.run(start_server(answer, "0.0.0.0", port));
        const Server before = co_await front.run(start_server(pass_on, "0.0.0.0", port));
        const Stream stream = co_await client.run(open_connection("front", port));
        EXPECT_EQ(co_await stream.read(), "answer");
        EXPECT_EQ(asked_from, front.address());
        co_await stream.aclose();
        for (const Server* server : {&behind, &before}) {
            server->close();
            co_await server->wait_closed();
        }
    });
}

TEST(network, names_are_those_of_the_hosts) {
    simulate([](Network& network) -> Coro<> {
        const Host server = network.host("server", "192.0.2.1", "2001:db8::1");
        network.add_name("www.example.org", server);
        const auto found = co_await getaddrinfo("WWW.example.org", "http", {.type = SOCK_STREAM});
        std::vector<std::string> addresses;
        for (const AddressInfo& info : found) addresses.push_back(info.address.to_string());
        EXPECT_EQ(addresses, (std::vector<std::string>{"192.0.2.1:80", "[2001:db8::1]:80"}));
        EXPECT_THROW(co_await getaddrinfo("nowhere.example.org", 80), GaiError);
        const NameInfo name = co_await getnameinfo(Address::ip("192.0.2.1", 443));
        EXPECT_EQ(name, (NameInfo{"server", "https"}));
        const auto local = co_await getaddrinfo("localhost", 80, {.type = SOCK_STREAM});
        EXPECT_EQ(local.size(), 2u);
    });
}

TEST(network, a_name_and_an_address_are_used_once) {
    simulate([](Network& network) -> Coro<> {
        network.host("server", "192.0.2.1");
        EXPECT_THROW(network.host("server"), std::invalid_argument);
        EXPECT_THROW(network.host("other", "192.0.2.1"), std::invalid_argument);
        EXPECT_THROW(network.host("other", "no address"), std::invalid_argument);
        EXPECT_THROW(network.host("other", "127.0.0.1"), std::invalid_argument);
        EXPECT_THROW(network.find("other"), std::invalid_argument);
        EXPECT_EQ(network.find("server"), network.find("server"));
        co_return;
    });
}

// --- Tasks --------------------------------------------------------------------------------------

TEST(network, the_tasks_of_hosts_end_with_the_test) {
    bool ended = false;
    simulate([&ended](Network& network) -> Coro<> {
        const Host server = network.host("server");
        server.start([](bool& has_ended) -> Coro<> {
            try {
                co_await serve_echo();
            } catch (...) {
                has_ended = true;
                throw;
            }
        }(ended));
        co_await sleep(1s);
    });
    EXPECT_TRUE(ended);
}

TEST(network, an_error_of_a_host_is_the_error_of_the_test) {
    const auto failing_server = [](Network& network) -> Coro<> {
        const Host server = network.host("server");
        server.start([]() -> Coro<> {
            co_await sleep(1s);
            throw AssertionError("the server has failed");
        }());
        co_await sleep(1h);
    };
    try {
        simulate(failing_server);
        FAIL() << "nothing was thrown";
    } catch (const AssertionError& error) {
        EXPECT_STREQ(error.what(), "the server has failed");
    }
}

TEST(network, a_test_returns_its_value) {
    const int value = simulate([](Network&) -> Coro<int> { co_return 7; });
    EXPECT_EQ(value, 7);
}

// --- Disks and clocks ---------------------------------------------------------------------------

TEST(network, unix_sockets_belong_to_one_host) {
    simulate([](Network& network) -> Coro<> {
        const Host here = network.host("here");
        const Host there = network.host("there");
        const Server server = co_await here.run(start_unix_server(echo, "/tmp/socket"));
        const Stream stream = co_await here.run(open_unix_connection("/tmp/socket"));
        co_await stream.send("x");
        EXPECT_EQ(co_await stream.readexactly(1), "x");
        co_await stream.aclose();
        EXPECT_EQ(co_await there.run(error_of(open_unix_connection("/tmp/socket"))), ENOENT);
        server.close();
        co_await server.wait_closed();
    });
}

TEST(network, files_belong_to_one_host_and_survive_its_death) {
    simulate([](Network& network) -> Coro<> {
        const Host here = network.host("here");
        const Host there = network.host("there");
        co_await here.run(files::write_text("/tmp/f", "mine"));
        EXPECT_EQ(co_await there.run(error_of(files::read_text("/tmp/f"))), ENOENT);
        co_await there.run(files::write_text("/tmp/f", "yours"));
        here.die();
        here.come_back();
        const std::string mine = co_await here.run(files::read_text("/tmp/f"));
        EXPECT_EQ(mine, "mine");
        const std::string yours = co_await there.run(files::read_text("/tmp/f"));
        EXPECT_EQ(yours, "yours");
    });
}

TEST(network, a_disk_can_be_full_for_a_while) {
    simulate([](Network& network) -> Coro<> {
        const Host full = network.host("full");
        const Host other = network.host("other");
        co_await full.run(files::write_text("/tmp/old", "old"));
        network.plan("1s disk full 0\n2s disk full 1000");
        co_await sleep(1500ms);
        EXPECT_EQ(co_await full.run(error_of(files::write_text("/tmp/new", "new"))), ENOSPC);
        const std::string old = co_await full.run(files::read_text("/tmp/old"));
        EXPECT_EQ(old, "old");
        co_await other.run(files::write_text("/tmp/new", "new"));
        co_await sleep(1s);
        co_await full.run(files::write_text("/tmp/new", "new"));
        EXPECT_EQ(
            co_await full.run(error_of(files::write_text("/tmp/big", std::string(1000, 'x')))),
            ENOSPC);
    });
}

TEST(network, clocks_differ_by_their_skews) {
    simulate([](Network& network) -> Coro<> {
        const Host right = network.host("right");
        const Host wrong = network.host("wrong");
        wrong.set_clock_skew(-3s);
        const auto before = wrong.clock_now();
        co_await sleep(10s);
        EXPECT_EQ(wrong.clock_now() - before, 10s);
        EXPECT_EQ(right.clock_now() - wrong.clock_now(), 3s);
    });
}

TEST(network, a_clock_drifts_from_the_moment_at_which_it_was_set) {
    simulate([](Network& network) -> Coro<> {
        const Host right = network.host("right");
        const Host fast = network.host("fast");
        co_await sleep(1h);
        network.plan("10s clock fast 2s drift=0.5");
        co_await sleep(14s);
        EXPECT_EQ(fast.clock_now() - right.clock_now(), 4s);
        fast.set_clock_skew(0s);
        co_await sleep(1h);
        EXPECT_EQ(fast.clock_now(), right.clock_now());
        fast.set_clock_skew(0s, -1);
        const auto stands = fast.clock_now();
        co_await sleep(1h);
        EXPECT_EQ(fast.clock_now(), stands);
    });
}

}  // namespace
