// Goal: what an endpoint keeps is sent in order or dropped as its end says, and the end reaches
// every task that waits.
// Method: Unix sockets, whose receivers are full after a few datagrams; every way to end.

#include "net/datagram_help.h"
#include "support/descriptors.h"
#include "support/how.h"

#include <optional>

namespace {

using namespace net_test;

TEST(datagram_kept, what_has_no_room_is_kept_and_sent_in_order) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        const std::size_t sent = send_letters(pair.sender, 3);
        EXPECT_GT(pair.sender.get_write_buffer_size(), 0u);
        Task<> behind = create_task(pair.sender.send("!"));
        co_await sleep(1ms);
        EXPECT_FALSE(behind.done());
        const std::vector<std::string> got = co_await receive_texts(pair.receiver, sent + 1);
        const std::string letters = "abcdefghijklmnopqrstuvwxyz";
        EXPECT_EQ(joined(got), letters.substr(0, sent) + "!");
        co_await behind;
        EXPECT_EQ(pair.sender.get_write_buffer_size(), 0u);
    });
}

TEST(datagram_kept, UDP_08_beyond_the_limit_datagrams_are_dropped) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair({.send_buffer_limit = 500});
        std::size_t sent = send_letters(pair.sender, 2);
        EXPECT_EQ(pair.sender.get_write_buffer_size(), 402u);
        EXPECT_FALSE(pair.sender.send_nowait("dropped"));
        EXPECT_EQ(pair.sender.get_write_buffer_size(), 402u);
        const std::vector<std::string> got = co_await receive_texts(pair.receiver, sent);
        co_await pair.sender.drain();
        EXPECT_TRUE(pair.sender.send_nowait("end"));
        const ReceivedFrom end = co_await pair.receiver.receive();
        EXPECT_EQ(end.data, "end");
    });
}

TEST(datagram_kept, drain_waits_until_all_of_them_are_sent) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        co_await pair.sender.drain();
        const std::size_t sent = send_letters(pair.sender, 4);
        Task<> draining = create_task(pair.sender.drain());
        Task<> cancelled = create_task(pair.sender.drain());
        co_await sleep(1ms);
        EXPECT_FALSE(draining.done());
        cancelled.cancel();
        const std::vector<std::string> got = co_await receive_texts(pair.receiver, sent);
        co_await draining;
        EXPECT_EQ(pair.sender.get_write_buffer_size(), 0u);
        co_await until_done(cancelled);
        EXPECT_TRUE(cancelled.cancelled());
    });
}

TEST(datagram_kept, an_error_of_a_kept_datagram_is_told_by_drain) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        send_letters(pair.sender, 3);
        co_await pair.receiver.aclose();
        const std::string text = co_await error_text(pair.sender.drain());
        EXPECT_EQ(text, "send a datagram that was kept: Connection refused");
        co_await pair.sender.drain();
        EXPECT_EQ(pair.sender.get_write_buffer_size(), 0u);
    });
}

TEST(datagram_end, close_sends_what_is_kept) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        const std::size_t sent = send_letters(pair.sender, 3);
        pair.sender.close();
        EXPECT_TRUE(pair.sender.is_closing());
        EXPECT_GE(pair.sender.fd(), 0);
        Task<> closing = create_task(pair.sender.wait_closed());
        co_await sleep(1ms);
        EXPECT_FALSE(closing.done());
        EXPECT_FALSE(pair.sender.send_nowait("too late"));
        const std::vector<std::string> got = co_await receive_texts(pair.receiver, sent);
        co_await closing;
        EXPECT_EQ(pair.sender.fd(), -1);
        co_await pair.sender.drain();
        pair.sender.close();
        co_await pair.sender.wait_closed();
    });
}

TEST(datagram_end, a_close_that_waits_ends_the_receives) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        const std::size_t sent = send_letters(pair.sender, 3);
        Task<ReceivedFrom> receiving = create_task(pair.sender.receive());
        Task<> sending = create_task(pair.sender.send("behind them"));
        co_await sleep(1ms);
        pair.sender.close();
        const int error = co_await error_number(std::move(receiving));
        EXPECT_EQ(error, ECANCELED);
        const std::vector<std::string> got = co_await receive_texts(pair.receiver, sent);
        const int not_sent = co_await error_number(std::move(sending));
        EXPECT_EQ(not_sent, ECANCELED);
        co_await pair.sender.wait_closed();
    });
}

TEST(datagram_end, abort_drops_what_is_kept) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        const std::size_t sent = send_letters(pair.sender, 3);
        Task<> draining = create_task(pair.sender.drain());
        Task<> sending = create_task(pair.sender.send("behind them"));
        co_await sleep(1ms);
        pair.sender.abort();
        EXPECT_EQ(pair.sender.fd(), -1);
        const std::string text = co_await error_text(std::move(draining));
        EXPECT_EQ(text, "send a datagram that was kept: Operation canceled");
        const int not_sent = co_await error_number(std::move(sending));
        EXPECT_EQ(not_sent, ECANCELED);
        co_await pair.sender.wait_closed();
        const std::vector<std::string> got = co_await receive_texts(pair.receiver, sent - 3);
        const bool cut_short =
            co_await move_on_after(5ms, [&]() -> Coro<> { co_await pair.receiver.receive(); });
        EXPECT_TRUE(cut_short);
    });
}

TEST(datagram_end, a_close_ends_a_receive_that_waits) {
    run_test([]() -> Coro<> {
        Datagram endpoint = co_await open_here();
        const std::string at = endpoint.local().to_string();
        Task<ReceivedFrom> receiving = create_task(endpoint.receive());
        Task<std::vector<ReceivedFrom>> many = create_task(endpoint.receive_many(3));
        co_await sleep(1ms);
        endpoint.close();
        EXPECT_EQ(endpoint.fd(), -1);
        EXPECT_TRUE(endpoint.local().is_empty());
        std::string text = co_await error_text(std::move(receiving));
        EXPECT_EQ(text, "receive at " + at + ": Operation canceled");
        text = co_await error_text(std::move(many));
        EXPECT_EQ(text, "receive at " + at + ": Operation canceled");
        text = co_await error_text(endpoint.receive());
        EXPECT_EQ(text, "receive at " + at + ": Bad file descriptor");
        const int error = co_await error_number(endpoint.send("x", here(9)));
        EXPECT_EQ(error, EBADF);
        EXPECT_FALSE(endpoint.send_nowait("x", here(9)));
        endpoint.close();
        endpoint.abort();
        co_await endpoint.aclose();
    });
}

TEST(datagram_end, datagrams_that_no_task_has_asked_for_go_with_the_close) {
    run_test([]() -> Coro<> {
        DatagramPair pair = co_await connected_datagrams();
        co_await pair.one.send_many(numbered_texts(10, 50));
        co_await receive_texts(pair.other, 2);
        pair.other.close();
        const int error = co_await error_number(pair.other.receive());
        EXPECT_EQ(error, EBADF);
    });
}

TEST(datagram_end, destroying_the_handle_ends_the_tasks_that_wait) {
    run_test([]() -> Coro<> {
        std::optional<Datagram> endpoint = co_await open_here();
        Task<ReceivedFrom> receiving = create_task(endpoint->receive());
        co_await sleep(1ms);
        endpoint.reset();
        const int error = co_await error_number(std::move(receiving));
        EXPECT_EQ(error, ECANCELED);
        Datagram first = co_await open_here();
        Datagram second = co_await open_here();
        receiving = create_task(first.receive());
        co_await sleep(1ms);
        const Address kept = second.local();
        first = std::move(second);
        EXPECT_EQ(first.local(), kept);
        const int assigned = co_await error_number(std::move(receiving));
        EXPECT_EQ(assigned, ECANCELED);
    });
}

TEST(datagram_end, no_descriptor_is_left) {
    const int before = support::open_descriptors();
    run_test([]() -> Coro<> {
        for (int round = 0; round < 10; ++round) {
            NarrowPair pair = co_await narrow_pair();
            send_letters(pair.sender, 2);
            Task<Datagram> opening = create_task(open_datagram("127.0.0.1", 9));
            for (int step = 0; step < round; ++step) co_await sleep(0ms);
            opening.cancel();
            co_await until_done(opening);
            if (round % 2 == 0) pair.sender.close();
        }
    });
    EXPECT_EQ(support::open_descriptors(), before);
}

TEST(datagram_end, a_loop_that_closes_ends_what_is_kept) {
    const support::LogCapture log;
    std::optional<NarrowPair> pair;
    {
        support::TestLoop loop;
        loop->run_until_complete([&]() -> Coro<> {
            pair = co_await narrow_pair();
            send_letters(pair->sender, 3);
        }());
        loop->close();
        EXPECT_EQ(pair->sender.fd(), -1);
        EXPECT_TRUE(pair->receiver.is_closing());
    }
    pair.reset();
}

TEST(datagram_end, an_endpoint_that_outlives_its_loop_is_closed) {
    const support::LogCapture log;
    std::optional<Datagram> endpoint;
    run_test([&]() -> Coro<> { endpoint = co_await open_here(); });
    EXPECT_TRUE(endpoint->is_closing());
    EXPECT_TRUE(endpoint->local().is_empty());
    EXPECT_FALSE(endpoint->send_nowait("x", here(9)));
    run_test([&]() -> Coro<> {
        const int error = co_await error_number(endpoint->receive());
        EXPECT_EQ(error, EBADF);
        co_await endpoint->drain();
        co_await endpoint->wait_closed();
    });
}

TEST(datagram_end, an_empty_handle_says_so) {
    run_test([]() -> Coro<> {
        Datagram none;
        EXPECT_FALSE(none);
        EXPECT_TRUE(none.is_closing());
        none.close();
        none.abort();
        EXPECT_THROW(static_cast<void>(none.receive()), RuntimeError);
        EXPECT_THROW(static_cast<void>(none.send("x")), RuntimeError);
        EXPECT_THROW(none.send_nowait("x"), RuntimeError);
        EXPECT_THROW(static_cast<void>(none.local()), RuntimeError);
        Datagram endpoint = co_await open_here();
        const Datagram taken = std::move(endpoint);
        EXPECT_TRUE(taken);
        EXPECT_THROW(static_cast<void>(endpoint.receive()), RuntimeError);
    });
}

TEST(datagram_end, needs_a_loop) { EXPECT_THROW(Datagram{Socket()}, RuntimeError); }

TEST(datagram_unix, a_sender_without_a_name_has_no_address) {
    run_test([]() -> Coro<> {
        NarrowPair pair = co_await narrow_pair();
        co_await pair.sender.send("x");
        const ReceivedFrom message = co_await pair.receiver.receive();
        EXPECT_TRUE(message.address.is_empty() || message.address.path().empty());
    });
}

// An unconnected sender gets no event when the receiver has room again.

/// A receiver that is full, and a sender that is not connected to it.
struct FullReceiver {
    Address address;
    Datagram receiver;
    Datagram sender;
    std::size_t count = 0;
};
Coro<FullReceiver> full_receiver() {
    FullReceiver full;
    full.address = Address::local(abstract_name());
    full.receiver = co_await open_datagram({.local_addr = full.address});
    full.sender = co_await open_datagram({.family = AF_UNIX});
    while (full.sender.get_write_buffer_size() == 0)
        full.count += full.sender.send_nowait("x", full.address) ? 1 : 0;
    co_return full;
}

TEST(datagram_unix, a_full_receiver_costs_an_unconnected_sender_no_processor_time) {
    run_test([]() -> Coro<> {
        FullReceiver full = co_await full_receiver();
        const auto send = [&]() -> Coro<> { co_await full.sender.send("y", full.address); };
        Socket other(AF_UNIX, SOCK_DGRAM);
        const auto send_other = [&]() -> Coro<> { co_await other.sendto("z", full.address); };
        Task<> kept_first = create_task(send());
        Task<> plain = create_task(send_other());
        co_await sleep(20ms);
        const auto before = processor_time();
        co_await sleep(300ms);
        EXPECT_LT(processor_time() - before, 100ms);
        EXPECT_FALSE(kept_first.done());
        EXPECT_FALSE(plain.done());
        const std::vector<std::string> got = co_await receive_texts(full.receiver, full.count + 2);
        EXPECT_EQ(got.size(), full.count + 2);
        co_await kept_first;
        co_await plain;
        EXPECT_EQ(full.sender.get_write_buffer_size(), 0u);
    });
}

TEST(datagram_unix, many_to_a_full_receiver_arrive_in_order) {
    run_test([]() -> Coro<> {
        FullReceiver full = co_await full_receiver();
        const std::vector<std::string> sent = numbered_texts(300, 10);
        const auto send = [&]() -> Coro<> { co_await full.sender.send_many(sent, full.address); };
        Task<> sending = create_task(send());
        co_await receive_texts(full.receiver, full.count);
        const std::vector<std::string> got = co_await receive_texts(full.receiver, sent.size());
        EXPECT_TRUE(got == sent);
        co_await sending;
    });
}

TEST(datagram_unix, an_end_during_the_pause_between_two_attempts_ends_the_sends) {
    run_test([]() -> Coro<> {
        for (const bool by_close : {true, false}) {
            FullReceiver full = co_await full_receiver();
            if (by_close) co_await receive_texts(full.receiver, full.count);
            const auto drain = [&]() -> Coro<> { co_await full.sender.drain(); };
            Task<> draining = create_task(drain());
            co_await sleep(5ms);
            by_close ? full.sender.close() : full.sender.abort();
            const int error = co_await error_number(std::move(draining));
            EXPECT_EQ(error, by_close ? 0 : ECANCELED);
            co_await full.sender.wait_closed();
        }
        // A task that makes its own attempts.
        FullReceiver full = co_await full_receiver();
        Datagram second = co_await open_datagram({.family = AF_UNIX});
        const auto send = [&]() -> Coro<> { co_await second.send("y", full.address); };
        Task<> sending = create_task(send());
        co_await sleep(5ms);
        second.close();
        const int error = co_await error_number(std::move(sending));
        EXPECT_EQ(error, ECANCELED);
        full.sender = Datagram();
    });
}

}  // namespace
