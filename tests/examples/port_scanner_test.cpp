// The port scanner: its functions in a simulated world, where the ports are known, and on the
// network, and the program.

#define main port_scanner_main
#include "../../examples/port_scanner.cpp"
#undef main

#include <asyncio/lowlevel/names.h>

#include "examples/running.h"
#include "support/run_test.h"

#include <memory>

#include <netdb.h>

namespace {

using examples::Output;
using namespace std::chrono_literals;

Coro<> do_nothing(Stream) { co_return; }

/// A host with an address of each family.
class OneHost final : public lowlevel::Names {
public:
    Addresses addresses_of(const std::string& host, const std::string&,
                           const AddressHints& hints) override {
        if (host != "two.test") return {.error = EAI_NONAME};
        ++questions;
        Addresses answer;
        for (const char* number : {"::1", "127.0.0.1"})
            answer.list.push_back({.type = hints.type, .address = Address::ip(number, 0)});
        return answer;
    }
    Name name_of(const Address&, int) override { return {.error = EAI_NONAME}; }

    int questions = 0;
};

/// Runs the body in a plain simulated world, in which "two.test" is this host.
template <class Body>
void run_in_world(Body body) {
    const support::LogCapture log;
    OneHost names;
    support::TestLoop loop(lowlevel::make_simulated_backend({}));
    loop.probe().names_instead = &names;
    loop->run_until_complete(body(names));
    loop.expect_idle();
    loop->close();
}

/// Connects to a listener until its queue is full. The next connect gets no answer.
Coro<std::vector<Socket>> fill(const Socket& listener) {
    std::vector<Socket> waiting;
    for (bool is_full = false; !is_full;) {
        Socket client(AF_INET);
        const auto connect = [&]() -> Coro<> { co_await client.connect(listener.getsockname()); };
        is_full = co_await move_on_after(100ms, connect);
        waiting.push_back(std::move(client));
    }
    waiting.pop_back();
    co_return waiting;
}

TEST(port_scanner, finds_the_open_ports_among_closed_and_silent_ones) {
    run_in_world([](OneHost&) -> Coro<> {
        const Server first = co_await start_server(do_nothing, "127.0.0.1", 22);
        const Server second = co_await start_server(do_nothing, "127.0.0.1", 25);
        Socket listener(AF_INET);
        listener.bind(Address::loopback_v4(23));
        listener.listen(0);
        const std::vector<Socket> waiting = co_await fill(listener);
        const Options options{.host = "127.0.0.1", .first = 21, .last = 25};
        const std::vector<Port> found = co_await scan(options);
        EXPECT_EQ(found, (std::vector<Port>{Port::closed, Port::open, Port::silent, Port::closed,
                                            Port::open}));
        co_await first.shutdown(1s);
        co_await second.shutdown(1s);
    });
}

TEST(port_scanner, tries_so_many_ports_at_a_time_and_waits_so_long_for_each) {
    run_in_world([](OneHost&) -> Coro<> {
        std::vector<Socket> sockets;
        for (int port = 1; port <= 6; ++port) {
            Socket listener(AF_INET);
            listener.bind(Address::loopback_v4(static_cast<std::uint16_t>(port)));
            listener.listen(0);
            std::vector<Socket> waiting = co_await fill(listener);
            for (Socket& socket : waiting) sockets.push_back(std::move(socket));
            sockets.push_back(std::move(listener));
        }
        const Options options{
            .host = "127.0.0.1", .first = 1, .last = 6, .at_once = 2, .timeout_seconds = 5};
        const TimePoint start = get_running_loop().time();
        const std::vector<Port> found = co_await scan(options);
        EXPECT_EQ(found, std::vector<Port>(6, Port::silent));
        const Duration took = get_running_loop().time() - start;
        EXPECT_TRUE(took >= 15s && took < 16s) << took.count();
    });
}

TEST(port_scanner, finds_a_port_that_is_open_at_one_of_two_addresses_and_asks_for_the_name_once) {
    run_in_world([](OneHost& names) -> Coro<> {
        const Server server = co_await start_server(do_nothing, "127.0.0.1", 80);
        const Options options{.host = "two.test", .first = 79, .last = 81};
        const std::vector<Port> found = co_await scan(options);
        EXPECT_EQ(found, (std::vector<Port>{Port::closed, Port::open, Port::closed}));
        EXPECT_EQ(names.questions, 1);
        co_await server.shutdown(1s);
    });
}

TEST(port_scanner, a_name_that_does_not_exist_is_one_error) {
    run_in_world([](OneHost&) -> Coro<> {
        const Options options{.host = "none.test", .first = 1, .last = 1000};
        std::string message;
        try {
            co_await scan(options);
        } catch (const GaiError& error) {
            message = error.what();
        }
        EXPECT_NE(message.find("none.test"), message.npos) << message;
    });
}

TEST(port_scanner, is_a_program_that_prints_the_open_ports) {
    if (examples::on_simulated_backend()) return;
    support::run_test([]() -> Coro<> {
        const Server server = co_await start_server(do_nothing, "127.0.0.1", 0);
        const std::string port = std::to_string(server.port());
        std::vector<std::string> words{"127.0.0.1", port, "--timeout", "60"};
        const Output run = co_await examples::run_to_end("port_scanner", words);
        EXPECT_EQ(run.text, port + "\n1 open, 0 closed, 0 silent\n");
        EXPECT_EQ(run.status, 0) << run.errors;
        co_await server.shutdown(10s);
    });
}

TEST(port_scanner, says_how_it_is_used_and_what_is_wrong) {
    EXPECT_EQ(examples::run_example("port_scanner", {"--help"}).status, 0);
    EXPECT_EQ(examples::run_example("port_scanner", {"localhost"}).status, 2);
    EXPECT_EQ(examples::run_example("port_scanner", {"localhost", "0"}).status, 2);
    EXPECT_EQ(examples::run_example("port_scanner", {"localhost", "3-1"}).status, 2);
    EXPECT_EQ(examples::run_example("port_scanner", {"localhost", "65530-65536"}).status, 2);
    EXPECT_EQ(examples::run_example("port_scanner", {"localhost", "1", "--timeout"}).status, 2);
    EXPECT_EQ(examples::run_example("port_scanner", {"localhost", "1", "--timeout", "0"}).status,
              2);
    const auto unknown = examples::run_example("port_scanner", {"no.such.host.invalid", "1"});
    EXPECT_EQ(unknown.status, 1);
    EXPECT_TRUE(unknown.errors.starts_with("port_scanner: ")) << unknown.errors;
}

}  // namespace
