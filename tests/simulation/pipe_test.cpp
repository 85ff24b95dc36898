// Goal: a pipe in memory behaves as Linux's. Method: each rule by hand in the plain world; then a
// random walk of reads, writes, polls and closes on a simulated and a real pipe side by side, with
// equal answers at each step.

#include "simulation/world.h"

#include <climits>
#include <csignal>
#include <random>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace simulation {
namespace {

constexpr int all_events = POLLIN | POLLOUT;

TEST(Pipe, its_numbers_are_far_above_any_real_descriptor) {
    World world;
    const Pipe pipe = world.pipe();
    EXPECT_GE(pipe.read_end, 1 << 30);
    EXPECT_GE(pipe.write_end, 1 << 30);
    EXPECT_NE(pipe.read_end, pipe.write_end);
}

TEST(Pipe, the_plain_world_never_uses_a_number_twice) {
    World world;
    const Pipe first = world.pipe();
    world.close(first.read_end);
    world.close(first.write_end);
    const Pipe second = world.pipe();
    EXPECT_NE(second.read_end, first.read_end);
    EXPECT_NE(second.write_end, first.write_end);
    EXPECT_EQ(world.close(first.read_end), -EBADF);
}

TEST(Pipe, a_seeded_world_gives_out_the_lowest_free_number) {
    World world(1);
    const Pipe first = world.pipe();
    const Pipe second = world.pipe();
    world.close(second.read_end);
    world.close(first.write_end);
    const Pipe third = world.pipe();
    EXPECT_EQ(third.read_end, first.write_end);
    EXPECT_EQ(third.write_end, second.read_end);
}

TEST(Pipe, what_was_written_is_read_in_order_and_in_any_portion) {
    World world;
    const Pipe pipe = world.pipe();
    EXPECT_EQ(world.write(pipe.write_end, "hello "), 6);
    EXPECT_EQ(world.write(pipe.write_end, "world"), 5);
    EXPECT_EQ(world.read(pipe.read_end, 3), "hel");
    EXPECT_EQ(world.read(pipe.read_end, 5), "lo wo");
    EXPECT_EQ(world.read(pipe.read_end, 100), "rld");
}

TEST(Pipe, a_read_waits_for_the_first_byte) {
    World world;
    const Pipe pipe = world.pipe();
    std::string bytes(10, '?');
    Read read(pipe.read_end, bytes.data(), bytes.size());
    EXPECT_FALSE(world.submit(read));
    EXPECT_TRUE(world.look().empty());
    world.write(pipe.write_end, "abc");
    EXPECT_TRUE(in_flight(read)) << "nothing finishes outside submit and wait";
    EXPECT_EQ(world.look(), std::vector<Operation*>{&read});
    EXPECT_EQ(read.result, 3);
    EXPECT_EQ(bytes, "abc???????");
}

TEST(Pipe, readers_are_served_in_the_order_they_came) {
    World world;
    const Pipe pipe = world.pipe();
    char bytes[3] = {};
    Read first(pipe.read_end, &bytes[0], 1);
    Read second(pipe.read_end, &bytes[1], 1);
    Read third(pipe.read_end, &bytes[2], 1);
    for (Read* read : {&first, &second, &third}) world.submit(*read);
    world.write(pipe.write_end, "ab");
    EXPECT_EQ(world.look(), (std::vector<Operation*>{&first, &second}));
    EXPECT_EQ(std::string(bytes, 2), "ab");
    world->cancel(third);
    EXPECT_EQ(world.finish(third), -ECANCELED);
}

TEST(Pipe, the_stream_ends_when_the_writer_is_gone_and_everything_is_read) {
    World world;
    const Pipe pipe = world.pipe();
    world.write(pipe.write_end, "last");
    EXPECT_EQ(world.close(pipe.write_end), 0);
    EXPECT_EQ(world.read(pipe.read_end, 100), "last");
    EXPECT_EQ(world.read(pipe.read_end, 100), "");
    EXPECT_EQ(world.read(pipe.read_end, 100), "") << "and it stays ended";
}

TEST(Pipe, a_waiting_reader_is_told_of_the_end) {
    World world;
    const Pipe pipe = world.pipe();
    char byte = 0;
    Read read(pipe.read_end, &byte, 1);
    world.submit(read);
    world.close(pipe.write_end);
    EXPECT_EQ(world.look(), std::vector<Operation*>{&read});
    EXPECT_EQ(read.result, 0);
}

TEST(Pipe, writing_to_nobody_is_refused) {
    World world;
    const Pipe pipe = world.pipe();
    world.close(pipe.read_end);
    EXPECT_EQ(world.write(pipe.write_end, "x"), -EPIPE);
    EXPECT_EQ(world.write(pipe.write_end, ""), 0) << "as Linux answers a write of nothing";
}

TEST(Pipe, a_waiting_writer_is_told_that_nobody_reads) {
    World world;
    const Pipe pipe = world.pipe();
    const std::string much(65536, 'x');
    ASSERT_EQ(world.write(pipe.write_end, much), 65536);
    Write more(pipe.write_end, "y", 1);
    EXPECT_FALSE(world.submit(more));
    world.close(pipe.read_end);
    EXPECT_EQ(world.look(), std::vector<Operation*>{&more});
    EXPECT_EQ(more.result, -EPIPE);
}

TEST(Pipe, it_holds_64_kib) {
    World world;
    const Pipe pipe = world.pipe();
    EXPECT_EQ(world.write(pipe.write_end, std::string(1'000'000, 'x')), 65536);
    Write more(pipe.write_end, "y", 1);
    EXPECT_FALSE(world.submit(more));
    EXPECT_EQ(world.read(pipe.read_end, 1).size(), 1u);
    EXPECT_EQ(world.look(), std::vector<Operation*>{&more});
    EXPECT_EQ(more.result, 1);
}

TEST(Pipe, a_small_write_waits_until_it_fits_whole_and_a_big_one_takes_what_room_there_is) {
    World world;
    const Pipe pipe = world.pipe();
    world.write(pipe.write_end, std::string(65536 - 100, 'x'));
    const std::string page(PIPE_BUF, 'y');
    Write small(pipe.write_end, page.data(), page.size());
    EXPECT_FALSE(world.submit(small)) << "PIPE_BUF bytes are atomic, and only 100 fit";
    EXPECT_EQ(world.write(pipe.write_end, std::string(PIPE_BUF + 1, 'z')), 100);
    EXPECT_EQ(world.read(pipe.read_end, PIPE_BUF - 1).size(), PIPE_BUF - 1u);
    EXPECT_TRUE(world.look().empty()) << "still one byte short";
    EXPECT_EQ(world.read(pipe.read_end, 1).size(), 1u);
    EXPECT_EQ(world.look(), std::vector<Operation*>{&small});
    EXPECT_EQ(small.result, PIPE_BUF);
}

TEST(Pipe, nothing_is_read_and_written_at_once) {
    World world;
    const Pipe pipe = world.pipe();
    EXPECT_EQ(world.read(pipe.read_end, 0), "") << "though a longer read would wait";
    EXPECT_EQ(world.write(pipe.write_end, ""), 0);
}

TEST(Pipe, a_wrong_number_is_refused_whatever_is_asked_of_it) {
    World world;
    const Pipe pipe = world.pipe();
    const std::string error = "error " + std::to_string(EBADF);
    EXPECT_EQ(world.read(pipe.write_end, 1), error) << "the wrong end";
    EXPECT_EQ(world.write(pipe.read_end, "x"), -EBADF) << "the wrong end";
    const int unknown = pipe.write_end + 1000;
    EXPECT_EQ(world.read(unknown, 1), error);
    EXPECT_EQ(world.write(unknown, "x"), -EBADF);
    EXPECT_EQ(world.close(unknown), -EBADF);
    EXPECT_EQ(world.poll_now(unknown, POLLIN), -EBADF);
    world.close(pipe.read_end);
    EXPECT_EQ(world.read(pipe.read_end, 1), error) << "closed before";
    EXPECT_EQ(world.close(pipe.read_end), -EBADF) << "closed before";
}

TEST(Pipe, a_hundred_thousand_changed_ones_end_with_their_world) {
    World world;
    for (int i = 0; i < 100'000; ++i) {
        const Pipe pipe = world.pipe();
        ASSERT_EQ(world.close(pipe.read_end), 0);
        ASSERT_EQ(world.close(pipe.write_end), 0);
    }
    // No wait comes that would try what waits on them.
}

TEST(Pipe, poll_tells_what_can_be_done) {
    World world;
    const Pipe pipe = world.pipe();
    EXPECT_EQ(world.poll_now(pipe.read_end, all_events), 0);
    EXPECT_EQ(world.poll_now(pipe.write_end, all_events), POLLOUT);
    world.write(pipe.write_end, "x");
    EXPECT_EQ(world.poll_now(pipe.read_end, all_events), POLLIN);
    EXPECT_EQ(world.poll_now(pipe.read_end, POLLOUT), 0) << "only what was asked for";
    world.write(pipe.write_end, std::string(65536, 'x'));
    EXPECT_EQ(world.poll_now(pipe.write_end, all_events), 0);
    world.close(pipe.write_end);
    EXPECT_EQ(world.poll_now(pipe.read_end, all_events), POLLIN | POLLHUP);
    EXPECT_EQ(world.poll_now(pipe.read_end, 0), POLLHUP) << "a hang-up need not be asked for";
}

TEST(Pipe, poll_tells_a_writer_that_nobody_reads) {
    World world;
    const Pipe pipe = world.pipe();
    world.close(pipe.read_end);
    EXPECT_EQ(world.poll_now(pipe.write_end, POLLOUT), POLLOUT | POLLERR);
    EXPECT_EQ(world.poll_now(pipe.write_end, 0), POLLERR);
}

TEST(Pipe, poll_promises_room_only_where_a_whole_small_write_fits) {
    World world;
    const Pipe pipe = world.pipe();
    world.write(pipe.write_end, std::string(65536 - PIPE_BUF + 1, 'x'));
    EXPECT_EQ(world.poll_now(pipe.write_end, POLLOUT), 0);
    world.read(pipe.read_end, 1);
    EXPECT_EQ(world.poll_now(pipe.write_end, POLLOUT), POLLOUT);
    EXPECT_EQ(world.write(pipe.write_end, std::string(PIPE_BUF, 'y')), PIPE_BUF);
}

TEST(Pipe, a_poll_waits_until_its_event_holds_and_moves_nothing) {
    World world;
    const Pipe pipe = world.pipe();
    Poll readable(pipe.read_end, POLLIN);
    Poll hung_up(pipe.read_end, 0);
    world.submit(readable);
    world.submit(hung_up);
    world.write(pipe.write_end, "abc");
    EXPECT_EQ(world.look(), std::vector<Operation*>{&readable});
    EXPECT_EQ(readable.result, POLLIN);
    world.close(pipe.write_end);
    EXPECT_EQ(world.look(), std::vector<Operation*>{&hung_up});
    EXPECT_EQ(hung_up.result, POLLHUP);
    EXPECT_EQ(world.read(pipe.read_end, 10), "abc");
}

TEST(Pipe, a_close_ends_the_operation_in_flight_which_spares_the_next_pipe) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        World world(seed);
        const Pipe pipe = world.pipe();
        char byte = 0;
        Read read(pipe.read_end, &byte, 1);
        ASSERT_FALSE(world.submit(read));
        world.close(pipe.read_end);
        const Pipe next = world.pipe();
        world.write(next.write_end, "x");
        EXPECT_EQ(world.finish(read), -ECANCELED) << "seed " << seed;
        EXPECT_EQ(world.read(next.read_end, 10), "x") << "seed " << seed;
    }
}

/// A real pipe, asked the same questions in the same words.
class KernelPipe {
public:
    KernelPipe() { EXPECT_EQ(::pipe2(ends_, O_NONBLOCK | O_CLOEXEC), 0); }
    ~KernelPipe() {
        for (int end : ends_) {
            if (end >= 0) ::close(end);
        }
    }
    int read(std::size_t size) { return answer(::read(ends_[0], space_, size)); }
    int write(std::size_t size) { return answer(::write(ends_[1], space_, size)); }
    int poll(int side) {
        pollfd asked{ends_[side], all_events, 0};
        ::poll(&asked, 1, 0);
        return asked.revents;
    }
    void close(int side) { ::close(std::exchange(ends_[side], -1)); }

private:
    static int answer(ssize_t result) { return result < 0 ? -errno : static_cast<int>(result); }

    int ends_[2] = {-1, -1};
    char space_[1 << 17] = {};
};

/// A simulated one, whose operations are withdrawn when they would wait.
class SimulatedPipe {
public:
    int read(std::size_t size) {
        Read request(pipe_.read_end, space_, size);
        return try_now(request);
    }
    int write(std::size_t size) {
        Write request(pipe_.write_end, space_, size);
        return try_now(request);
    }
    int poll(int side) { return world_.poll_now(number(side), all_events); }
    void close(int side) { EXPECT_EQ(world_.close(number(side)), 0); }

private:
    int number(int side) const { return side == 0 ? pipe_.read_end : pipe_.write_end; }
    int try_now(Operation& request) {
        if (world_.submit(request)) return request.result;
        world_->cancel(request);
        EXPECT_EQ(world_.finish(request), -ECANCELED);
        return -EAGAIN;
    }

    World world_;
    Pipe pipe_ = world_.pipe();
    char space_[1 << 17] = {};
};

/// Sizes are whole pages: Linux counts a pipe's room in pages, the world in bytes, and at whole
/// pages the two agree.
template <class AnyPipe>
std::string walk(AnyPipe& pipe, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::string story;
    int open[2] = {1, 1};
    const auto note = [&](const char* what, int answer) {
        story += what + std::to_string(answer) + '\n';
    };
    for (int step = 0; step < 200; ++step) {
        const std::size_t size = PIPE_BUF * (random() % 20);
        const auto choice = random() % 100;
        if (choice < 45 && open[0] != 0) note("read ", pipe.read(size));
        if (choice >= 45 && choice < 99 && open[1] != 0) note("write ", pipe.write(size));
        if (choice == 99) {
            const int side = static_cast<int>(random() % 2);
            if (std::exchange(open[side], 0) != 0) pipe.close(side);
        }
        for (int side : {0, 1}) {
            if (open[side] != 0) note(side == 0 ? "reader " : "writer ", pipe.poll(side));
        }
    }
    return story;
}

TEST(Pipe, it_answers_as_a_real_one_step_by_step) {
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        KernelPipe real;
        SimulatedPipe simulated;
        ASSERT_EQ(walk(simulated, seed), walk(real, seed)) << "walk " << seed;
    }
    std::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace simulation
