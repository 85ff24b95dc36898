// Goal: whatever is cancelled, every datagram that was sent is received exactly once, and none that
// was not sent. What may have been sent is received once at the most.
// Method: numbered datagrams in both directions between two endpoints. Tasks send and receive in
// every way, and are cancelled at random moments. The kernel drops what finds its buffer full, so
// only a few datagrams are on their way at a time.

#include "net/datagram_help.h"
#include "support/random.h"

#include <deque>
#include <map>

namespace {

using namespace net_test;
using support::Random;

/// One direction: what was sent, and what has arrived.
class Direction {
public:
    Direction(const Datagram& from, const Datagram& to, Random& random)
        : from_(from), to_(to), random_(random) {}

    /// Starts a task that sends or receives, and lets it run for a while.
    Coro<> play();
    /// Receives the rest, and checks the account.
    Coro<> settle_up();

private:
    static constexpr int most_on_their_way = 40;

    /// What is known of a number when its send has ended.
    enum class Sent { surely, perhaps, never };

    std::string next_text(std::size_t bytes) {
        std::string text = std::to_string(count_++) + " ";
        text.resize(std::max(bytes, text.size()), 'x');
        return text;
    }
    void note(const ReceivedFrom& message) {
        const int number = std::stoi(message.data);
        EXPECT_EQ(message.address, from_.local());
        ++received_[number];
    }
    bool has_room() const {
        int on_their_way = 0;
        for (const auto& [number, sent] : sent_)
            on_their_way += sent != Sent::never && !received_.contains(number) ? 1 : 0;
        return on_their_way < most_on_their_way;
    }

    Coro<> receive_one() {
        const ReceivedFrom message = co_await to_.receive();
        note(message);
    }
    Coro<> receive_many() {
        const std::vector<ReceivedFrom> some = co_await to_.receive_many(1 + random_.below(9));
        for (const ReceivedFrom& message : some) note(message);
    }
    Coro<> send_one() {
        const int number = count_;
        sent_[number] = Sent::never;
        const std::string text = next_text(random_.below(600));
        co_await from_.send(text);
        sent_[number] = Sent::surely;
    }
    Coro<> send_several() {
        const int first = count_;
        const std::size_t bytes = random_.below(300);
        std::vector<std::string> several;
        for (std::size_t left = 1 + random_.below(8); left > 0; --left) {
            sent_[count_] = Sent::perhaps;
            several.push_back(next_text(random_.one_in(4) ? random_.below(300) : bytes));
        }
        co_await from_.send_many(several);
        for (int number = first; number < first + static_cast<int>(several.size()); ++number)
            sent_[number] = Sent::surely;
    }
    void send_at_once() {
        const int number = count_;
        const bool accepted = from_.send_nowait(next_text(random_.below(600)));
        sent_[number] = accepted ? Sent::surely : Sent::never;
    }
    Coro<> begin() {
        const std::uint64_t choice = random_.below(5);
        if (!has_room() || choice < 2) return random_.one_in(2) ? receive_one() : receive_many();
        if (choice == 2) send_at_once();
        return random_.one_in(2) ? send_one() : send_several();
    }

    const Datagram& from_;
    const Datagram& to_;
    Random& random_;
    int count_ = 0;
    std::map<int, Sent> sent_;
    std::map<int, int> received_;
};

Coro<> Direction::play() {
    Task<> task = create_task(begin());
    for (std::uint64_t step = random_.below(4); step > 0; --step) co_await sleep(0ms);
    task.cancel();
    co_await until_done(task);
}

/// The last datagram is a mark: what was sent before it has arrived when it has, in either order.
Coro<> Direction::settle_up() {
    const auto all_arrived = [&] {
        for (const auto& [number, sent] : sent_)
            if (sent == Sent::surely && !received_.contains(number)) return false;
        return true;
    };
    const auto rest = [&]() -> Coro<> {
        while (!all_arrived()) co_await receive_one();
    };
    const bool cut_short = co_await move_on_after(5s, rest);
    EXPECT_FALSE(cut_short) << "datagrams are lost";
    const auto stray = [&]() -> Coro<> {
        for (;;) co_await receive_one();
    };
    co_await move_on_after(2ms, stray);
    for (const auto& [number, times] : received_) {
        EXPECT_EQ(times, 1) << "datagram " << number;
        EXPECT_NE(sent_[number], Sent::never) << "datagram " << number << " was not sent";
    }
}

Coro<> play_between(const Datagram& one, const Datagram& other, Random& random) {
    Direction there(one, other, random);
    Direction back(other, one, random);
    for (int round = 0; round < 150; ++round) {
        co_await there.play();
        co_await back.play();
    }
    co_await there.settle_up();
    co_await back.settle_up();
}

TEST(datagram_fuzz, UDP_09_every_datagram_is_received_once_whatever_is_cancelled) {
    Random random(support::seed_or(711));
    SCOPED_TRACE(random.name());
    for (int game = 0; game < 8; ++game) {
        run_test([&]() -> Coro<> {
            DatagramPair pair = co_await connected_datagrams();
            co_await play_between(pair.one, pair.other, random);
        });
    }
}

/// Here the kernel often has no room, so sends wait, and datagrams are kept.
TEST(datagram_fuzz, UDP_09_datagrams_that_wait_for_room_are_received_once) {
    Random random(support::seed_or(712));
    SCOPED_TRACE(random.name());
    for (int game = 0; game < 8; ++game) {
        run_test([&]() -> Coro<> {
            const Address one = Address::local(abstract_name());
            const Address other = Address::local(abstract_name());
            Socket first(AF_UNIX, SOCK_DGRAM);
            Socket second(AF_UNIX, SOCK_DGRAM);
            first.bind(one);
            second.bind(other);
            co_await first.connect(other);
            co_await second.connect(one);
            const Datagram left(std::move(first));
            const Datagram right(std::move(second));
            co_await play_between(left, right, random);
        });
    }
}

}  // namespace
