// Goal: the methods of a DatagramProtocol are called in Python's order, whatever ends the endpoint.
// Method: a protocol that writes down its calls.

#include "net/datagram_help.h"

#include <memory>
#include <stdexcept>

namespace {

using namespace net_test;

/// Writes down what it is called for.
class Diary : public DatagramProtocol {
public:
    void connection_made(Datagram& to) override {
        endpoint = &to;
        calls.push_back("made");
        if (when_made) when_made();
    }
    void datagram_received(std::string data, const Address& address) override {
        calls.push_back("got " + data);
        last_address = address;
        if (when_received) when_received();
    }
    void error_received(const OsError& error) override {
        calls.push_back("error " + std::to_string(error.error()));
    }
    void connection_lost(std::exception_ptr error) override {
        calls.push_back(error == nullptr ? "lost" : "lost by " + describe(error));
        lost.set();
    }

    std::string all() const {
        std::string text;
        for (const std::string& call : calls) text += (text.empty() ? "" : ", ") + call;
        return text;
    }

    Datagram* endpoint = nullptr;
    Address last_address;
    std::vector<std::string> calls;
    std::function<void()> when_made;
    std::function<void()> when_received;
    Event lost;
};

/// Waits until the last method has been called.
Coro<> end_of(Datagram& endpoint, Diary& diary) {
    endpoint.close();
    co_await diary.lost.wait();
}

Coro<Datagram> open_with(std::shared_ptr<Diary> diary, DatagramOptions options = {}) {
    if (options.remote_addr.is_empty()) options.local_addr = here();
    co_return co_await get_running_loop().create_datagram_endpoint(std::move(diary), options);
}

TEST(datagram_protocol, TRN_01_connection_made_comes_first_and_connection_lost_last) {
    run_test([]() -> Coro<> {
        const auto diary = std::make_shared<Diary>();
        Datagram server = co_await open_with(diary);
        EXPECT_EQ(diary->all(), "made");
        Datagram client = co_await connected_endpoint(server.local());
        for (const char* text : {"one", "two", "three"}) co_await client.send(text);
        const bool arrived = co_await becomes([&] { return diary->calls.size() == 4; });
        EXPECT_TRUE(arrived);
        EXPECT_EQ(diary->last_address, client.local());
        server.close();
        EXPECT_EQ(diary->calls.back(), "got three");
        co_await diary->lost.wait();
        EXPECT_EQ(diary->all(), "made, got one, got two, got three, lost");
        co_await sleep(1ms);
        EXPECT_EQ(diary->calls.back(), "lost");
    });
}

TEST(datagram_protocol, a_callback_answers) {
    run_test([]() -> Coro<> {
        const auto diary = std::make_shared<Diary>();
        diary->when_received = [&] { diary->endpoint->send_nowait("answer", diary->last_address); };
        Datagram server = co_await open_with(diary);
        Datagram client = co_await connected_endpoint(server.local());
        co_await client.send("question");
        const ReceivedFrom message = co_await client.receive();
        EXPECT_EQ(message.data, "answer");
        EXPECT_EQ(message.address, server.local());
        co_await end_of(server, *diary);
    });
}

TEST(datagram_protocol, no_datagram_comes_after_a_close_in_a_callback) {
    run_test([]() -> Coro<> {
        const auto diary = std::make_shared<Diary>();
        diary->when_received = [&] {
            diary->endpoint->close();
            EXPECT_EQ(diary->all(), "made, got one");
        };
        Datagram server = co_await open_with(diary);
        Datagram client = co_await connected_endpoint(server.local());
        co_await client.send_many(texts("one", "two", "three"));
        co_await diary->lost.wait();
        EXPECT_EQ(diary->all(), "made, got one, lost");
    });
}

TEST(datagram_protocol, a_close_in_connection_made_is_the_end) {
    run_test([]() -> Coro<> {
        const auto diary = std::make_shared<Diary>();
        diary->when_made = [&] { diary->endpoint->close(); };
        Datagram server = co_await open_with(diary);
        co_await diary->lost.wait();
        EXPECT_EQ(diary->all(), "made, lost");
        EXPECT_TRUE(server.is_closing());
    });
}

TEST(datagram_protocol, UDP_03_a_refusal_is_an_error_and_the_endpoint_stays_open) {
    run_test([]() -> Coro<> {
        const Address nobody = co_await closed_port();
        const auto diary = std::make_shared<Diary>();
        Datagram client = co_await open_with(diary, {.remote_addr = nobody});
        EXPECT_TRUE(client.send_nowait("x"));
        bool told = co_await becomes([&] { return diary->calls.size() == 2; });
        EXPECT_TRUE(told);
        // A refusal that the next send meets is told as well.
        client.send_nowait("y");
        client.send_nowait("z");
        told = co_await becomes([&] { return diary->calls.size() >= 3; });
        EXPECT_TRUE(told);
        const std::string refused = "error " + std::to_string(ECONNREFUSED);
        EXPECT_EQ(diary->calls.at(1), refused);
        EXPECT_EQ(diary->calls.at(2), refused);
        Datagram late = co_await open_datagram({.local_addr = nobody});
        co_await late.send("hello", client.local());
        const bool arrived = co_await becomes([&] { return diary->calls.back() == "got hello"; });
        EXPECT_TRUE(arrived);
        co_await end_of(client, *diary);
    });
}

TEST(datagram_protocol, what_is_kept_is_sent_before_connection_lost) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        const auto diary = std::make_shared<Diary>();
        Datagram sender = co_await open_with(diary, {.remote_addr = pair.receiver.local()});
        const std::size_t sent = send_letters(sender, 3);
        sender.close();
        co_await sleep(1ms);
        EXPECT_EQ(diary->all(), "made");
        const std::vector<std::string> got = co_await receive_texts(pair.receiver, sent);
        co_await diary->lost.wait();
        EXPECT_EQ(diary->all(), "made, lost");
    });
}

TEST(datagram_protocol, dropping_the_endpoint_is_its_end) {
    run_test([]() -> Coro<> {
        const auto diary = std::make_shared<Diary>();
        {
            const Datagram server = co_await open_with(diary);
        }
        co_await diary->lost.wait();
        EXPECT_EQ(diary->all(), "made, lost");
    });
}

TEST(datagram_protocol, the_endpoint_holds_the_protocol_until_connection_lost) {
    run_test([]() -> Coro<> {
        std::weak_ptr<Diary> watched;
        Datagram server;
        {
            const auto diary = std::make_shared<Diary>();
            watched = diary;
            server = co_await open_with(diary);
        }
        co_await sleep(1ms);
        EXPECT_FALSE(watched.expired());
        server.abort();
        const bool gone = co_await becomes([&] { return watched.expired(); });
        EXPECT_TRUE(gone);
    });
}

TEST(datagram_protocol, TRN_12_an_exception_goes_to_the_handler_and_the_endpoint_goes_on) {
    run_test([]() -> Coro<> {
        std::vector<std::string> errors;
        get_running_loop().set_exception_handler([&](EventLoop&, const ErrorContext& context) {
            errors.push_back(describe(context.exception));
        });
        const auto diary = std::make_shared<Diary>();
        diary->when_made = [] { throw std::runtime_error("from made"); };
        diary->when_received = [] { throw std::runtime_error("from received"); };
        Datagram server = co_await open_with(diary);
        Datagram client = co_await connected_endpoint(server.local());
        co_await client.send("one");
        co_await client.send("two");
        const bool arrived = co_await becomes([&] { return diary->calls.size() == 3; });
        EXPECT_TRUE(arrived);
        EXPECT_EQ(errors.size(), 3u);
        co_await end_of(server, *diary);
        get_running_loop().set_exception_handler(nullptr);
    });
}

const ContextVar<int> place("place", 0);

TEST(datagram_protocol, CTX_05_the_callbacks_run_in_the_context_in_which_the_endpoint_was_made) {
    run_test([]() -> Coro<> {
        std::vector<int> found;
        const auto diary = std::make_shared<Diary>();
        diary->when_made = diary->when_received = [&] { found.push_back(place.get()); };
        place.set(1);
        Datagram server = co_await open_with(diary);
        place.set(2);
        Datagram client = co_await connected_endpoint(server.local());
        co_await client.send("x");
        co_await becomes([&] { return found.size() == 2; });
        EXPECT_EQ(found, (std::vector<int>{1, 1}));
        co_await end_of(server, *diary);
    });
}

TEST(datagram_protocol, a_cancelled_creation_leaves_nothing_open) {
    run_test([]() -> Coro<> {
        for (int steps = 0; steps < 6; ++steps) {
            const auto diary = std::make_shared<Diary>();
            Task<Datagram> opening = create_task(open_with(diary));
            for (int step = 0; step < steps; ++step) co_await sleep(0ms);
            opening.cancel();
            co_await until_done(opening);
            if (opening.cancelled()) {
                co_await sleep(1ms);
                const std::string calls = diary->all();
                EXPECT_TRUE(calls == "" || calls == "made, lost") << calls;
            } else {
                Datagram endpoint = co_await std::move(opening);
                co_await end_of(endpoint, *diary);
            }
        }
    });
}

TEST(datagram_protocol, the_end_of_a_run_ends_the_endpoint) {
    const support::LogCapture log;
    const auto diary = std::make_shared<Diary>();
    Datagram server;
    run([&]() -> Coro<> { server = co_await open_with(diary); }());
    EXPECT_EQ(diary->all(), "made, lost");
    EXPECT_TRUE(server.is_closing());
}

TEST(datagram_protocol, an_error_of_opening_calls_nothing) {
    run_test([]() -> Coro<> {
        Datagram taken = co_await open_here();
        const auto diary = std::make_shared<Diary>();
        const DatagramOptions options{.local_addr = taken.local()};
        const int error =
            co_await error_number(get_running_loop().create_datagram_endpoint(diary, options));
        EXPECT_EQ(error, EADDRINUSE);
        EXPECT_EQ(diary->all(), "");
        EXPECT_THROW(
            static_cast<void>(get_running_loop().create_datagram_endpoint(nullptr, options)),
            std::invalid_argument);
    });
}

TEST(datagram_protocol, an_endpoint_that_is_open_gets_a_protocol) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Socket socket(AF_INET, SOCK_DGRAM);
        socket.bind(here());
        const auto of_server = std::make_shared<Diary>();
        Datagram server =
            co_await loop.create_datagram_endpoint(of_server, Datagram(std::move(socket)));
        const auto of_client = std::make_shared<Diary>();
        Datagram client = co_await loop.create_datagram_endpoint(
            of_client, co_await open_datagram("127.0.0.1", server.local().port()));
        co_await client.send("by name");
        const bool arrived = co_await becomes([&] { return of_server->calls.size() == 2; });
        EXPECT_TRUE(arrived);
        co_await server.send("back", client.local());
        co_await becomes([&] { return of_client->calls.size() == 2; });
        co_await end_of(server, *of_server);
        co_await end_of(client, *of_client);
        EXPECT_EQ(of_server->all(), "made, got by name, lost");
        EXPECT_EQ(of_client->all(), "made, got back, lost");
    });
}

TEST(datagram_protocol, an_endpoint_that_is_empty_or_closed_is_no_trap) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const auto diary = std::make_shared<Diary>();
        const std::string text =
            co_await error_text(loop.create_datagram_endpoint(diary, Datagram()));
        EXPECT_EQ(text, "this Datagram is empty: it was default-constructed or moved from");
        EXPECT_EQ(diary->all(), "");
        Datagram closed = co_await open_here();
        closed.close();
        const Datagram still = co_await loop.create_datagram_endpoint(diary, std::move(closed));
        co_await diary->lost.wait();
        EXPECT_EQ(diary->all(), "made, lost");
    });
}

TEST(datagram_protocol, a_protocol_without_methods_is_enough) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const DatagramOptions options{.local_addr = here()};
        const auto protocol = std::make_shared<DatagramProtocol>();
        Datagram server = co_await loop.create_datagram_endpoint(protocol, options);
        Datagram client = co_await connected_endpoint(server.local());
        co_await client.send("x");
        co_await sleep(1ms);
        co_await server.aclose();
        const bool ended = co_await becomes([&] { return protocol.use_count() == 1; });
        EXPECT_TRUE(ended);
    });
}

}  // namespace
