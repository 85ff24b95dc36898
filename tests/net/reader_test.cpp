// Goal: the callbacks of `add_reader` and `add_writer` are called as long as their descriptor is
// ready, and never for another descriptor or after their end.
// Method: pipes of the kernel, and sockets of the loop, which are in memory in the simulated world.

#include "net/reader_help.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

using namespace net_test;

Coro<> iterations(int count) {
    for (int step = 0; step < count; ++step) co_await sleep(0ms);
}

TEST(add_reader, a_reader_is_called_when_bytes_come) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        Event called;
        loop.add_reader(pipe.reader.get(), [&] {
            pipe.take();
            called.set();
        });
        for (int round = 0; round < 3; ++round) {
            co_await sleep(1ms);
            EXPECT_FALSE(called.is_set());
            pipe.put();
            co_await called.wait();
            called.clear();
        }
        EXPECT_TRUE(loop.remove_reader(pipe.reader.get()));
    });
}

TEST(add_reader, works_on_sockets_of_the_loop) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        SocketEnds ends = co_await sockets_of_the_loop();
        std::string got;
        Event called;
        Task<std::string> receiving;
        const auto receive = [&]() -> Coro<std::string> {
            co_return co_await ends.other.recv(100);
        };
        loop.add_reader(ends.other.fileno(), [&] {
            loop.remove_reader(ends.other.fileno());
            receiving = create_task(receive());
            called.set();
        });
        co_await ends.one.sendall("hello");
        co_await called.wait();
        got = co_await receiving;
        EXPECT_EQ(got, "hello");
    });
}

TEST(add_reader, a_reader_that_leaves_bytes_is_called_once_in_each_iteration) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        int calls = 0;
        loop.add_reader(pipe.reader.get(), [&] { ++calls; });
        co_await iterations(3);
        EXPECT_EQ(calls, 0);
        pipe.put();
        const bool was_called = co_await becomes([&] { return calls > 0; });
        EXPECT_TRUE(was_called);
        const int before = calls;
        co_await iterations(10);
        EXPECT_EQ(calls, before + 10);
        loop.remove_reader(pipe.reader.get());
    });
}

TEST(add_reader, the_end_and_a_hang_up_call_the_reader) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        RealPipe pipe;
        Event called;
        loop.add_reader(pipe.reader.get(), [&] { called.set(); });
        co_await sleep(1ms);
        pipe.writer.reset();
        co_await called.wait();
        EXPECT_TRUE(loop.remove_reader(pipe.reader.get()));
    });
}

TEST(add_reader, a_writer_is_called_as_long_as_there_is_room) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        const std::string piece(4096, 'x');
        int calls = 0;
        std::size_t written = 0;
        loop.add_writer(pipe.writer.get(), [&] {
            ++calls;
            const auto count = ::write(pipe.writer.get(), piece.data(), piece.size());
            written += count > 0 ? static_cast<std::size_t>(count) : 0;
        });
        const bool is_full = co_await becomes([&] { return written >= 65'536; });
        EXPECT_TRUE(is_full);
        co_await iterations(2);
        const int before = calls;
        co_await sleep(2ms);
        EXPECT_EQ(calls, before);
        std::string drained(8192, ' ');
        EXPECT_GT(::read(pipe.reader.get(), drained.data(), drained.size()), 0);
        const bool goes_on = co_await becomes([&] { return calls > before; });
        EXPECT_TRUE(goes_on);
        EXPECT_TRUE(loop.remove_writer(pipe.writer.get()));
    });
}

TEST(add_reader, arguments_are_kept_for_every_call) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        std::vector<std::string> got;
        const auto note = [&got](const std::string& text, int number) {
            got.push_back(text + std::to_string(number));
        };
        loop.add_reader(pipe.reader.get(), note, std::string("reader"), 1);
        loop.add_writer(pipe.writer.get(), note, std::string("writer"), 2);
        pipe.put();
        const bool called = co_await becomes([&] { return got.size() >= 4; });
        EXPECT_TRUE(called);
        loop.remove_reader(pipe.reader.get());
        loop.remove_writer(pipe.writer.get());
        EXPECT_EQ(std::count(got.begin(), got.end(), "reader1") > 1, true);
        EXPECT_EQ(std::count(got.begin(), got.end(), "writer2") > 1, true);
    });
}

TEST(add_reader, SCK_14_a_second_reader_replaces_the_first_and_its_captures) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        const int fd = pipe.reader.get();
        int first = 0;
        int second = 0;
        bool gone = false;
        loop.add_reader(fd, [&first, witness = Witness(gone)] { ++first; });
        co_await sleep(1ms);
        loop.add_reader(fd, [&second] { ++second; });
        EXPECT_TRUE(gone);
        pipe.put();
        const bool called = co_await becomes([&] { return second > 0; });
        EXPECT_TRUE(called);
        EXPECT_EQ(first, 0);
        EXPECT_TRUE(loop.remove_reader(fd));
        EXPECT_FALSE(loop.remove_reader(fd));
    });
}

TEST(add_reader, SCK_14_removing_the_reader_keeps_the_writer) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        SocketEnds ends = co_await sockets_of_the_loop();
        const int fd = ends.one.fileno();
        int reads = 0;
        int writes = 0;
        loop.add_reader(fd, [&] { ++reads; });
        loop.add_writer(fd, [&] { ++writes; });
        bool called = co_await becomes([&] { return writes > 0; });
        EXPECT_TRUE(called);
        EXPECT_TRUE(loop.remove_reader(fd));
        const int before = writes;
        called = co_await becomes([&] { return writes > before; });
        EXPECT_TRUE(called);
        EXPECT_EQ(reads, 0);
        EXPECT_FALSE(loop.remove_reader(fd));
        EXPECT_TRUE(loop.remove_writer(fd));
        EXPECT_FALSE(loop.remove_writer(fd));
    });
}

TEST(add_reader, a_reader_that_was_removed_is_not_called_although_it_is_ready) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe one;
        const RealPipe other;
        int calls = 0;
        bool gone = false;
        one.put();
        other.put();
        // Both are ready in the same iteration. The first that is called removes the other.
        loop.add_reader(one.reader.get(), [&, witness = Witness(gone)] {
            ++calls;
            EXPECT_TRUE(loop.remove_reader(other.reader.get()));
            EXPECT_TRUE(loop.remove_reader(one.reader.get()));
            EXPECT_FALSE(gone);
        });
        loop.add_reader(other.reader.get(), [&] { ++calls; });
        co_await iterations(4);
        EXPECT_EQ(calls, 1);
        EXPECT_TRUE(gone);
        EXPECT_FALSE(loop.remove_reader(other.reader.get()));
    });
}

TEST(add_reader, a_reader_that_is_ready_may_be_replaced_before_its_turn) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe one;
        const RealPipe other;
        std::string calls;
        one.put();
        other.put();
        loop.add_reader(one.reader.get(), [&] {
            calls += "1";
            loop.remove_reader(one.reader.get());
            loop.add_reader(other.reader.get(), [&] {
                calls += "3";
                loop.remove_reader(other.reader.get());
            });
        });
        loop.add_reader(other.reader.get(), [&] { calls += "2"; });
        co_await iterations(1);
        EXPECT_EQ(calls, "1");
        co_await iterations(3);
        EXPECT_EQ(calls, "13");
    });
}

TEST(add_reader, a_reader_may_replace_itself) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        const int fd = pipe.reader.get();
        std::string calls;
        bool gone = false;
        pipe.put();
        loop.add_reader(fd, [&, witness = Witness(gone)] {
            calls += "1";
            loop.add_reader(fd, [&] {
                calls += "2";
                loop.remove_reader(fd);
            });
            EXPECT_FALSE(gone);
        });
        co_await iterations(4);
        EXPECT_EQ(calls, "12");
        EXPECT_TRUE(gone);
    });
}

TEST(add_reader, an_exception_goes_to_the_handler_and_the_reader_stays) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        int calls = 0;
        std::vector<std::string> errors;
        loop.set_exception_handler([&](EventLoop&, const ErrorContext& context) {
            errors.push_back(describe(context.exception));
        });
        loop.add_reader(pipe.reader.get(), [&] {
            ++calls;
            pipe.take();
            throw std::runtime_error("from the reader");
        });
        for (int round = 1; round <= 2; ++round) {
            pipe.put();
            const bool called = co_await becomes([&] { return calls == round; });
            EXPECT_TRUE(called);
        }
        EXPECT_EQ(errors.size(), 2u);
        EXPECT_NE(errors.front().find("from the reader"), std::string::npos);
        loop.remove_reader(pipe.reader.get());
        loop.set_exception_handler(nullptr);
    });
}

ContextVar<int> number{"number", 0};

TEST(add_reader, runs_in_a_copy_of_the_context_in_which_it_was_added) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        std::vector<int> seen;
        number.set(1);
        loop.add_reader(pipe.reader.get(), [&] {
            seen.push_back(number.get());
            number.set(number.get() + 10);
            if (seen.size() == 2) loop.remove_reader(pipe.reader.get());
        });
        number.set(2);
        pipe.put();
        const bool called = co_await becomes([&] { return seen.size() == 2; });
        EXPECT_TRUE(called);
        EXPECT_EQ(seen, (std::vector<int>{1, 11}));
        EXPECT_EQ(number.get(), 2);
    });
}

// --- The end of the loop -------------------------------------------------------------------------

TEST(add_reader, the_close_of_the_loop_removes_the_callbacks) {
    const support::LogCapture log;
    const RealPipe waiting;
    const RealPipe ready;
    bool waiting_gone = false;
    bool ready_gone = false;
    support::TestLoop loop;
    loop->run_until_complete([&]() -> Coro<> {
        loop->add_reader(waiting.reader.get(), [witness = Witness(waiting_gone)] {});
        loop->add_writer(ready.writer.get(), [witness = Witness(ready_gone)] {});
        co_await sleep(0ms);
    }());
    loop->close();
    EXPECT_TRUE(waiting_gone);
    EXPECT_TRUE(ready_gone);
    EXPECT_THROW(loop->add_reader(waiting.reader.get(), [] {}), RuntimeError);
    EXPECT_THROW(loop->add_writer(waiting.writer.get(), [] {}), RuntimeError);
    EXPECT_FALSE(loop->remove_reader(waiting.reader.get()));
    EXPECT_FALSE(loop->remove_writer(waiting.writer.get()));
}

TEST(add_reader, a_capture_that_asks_for_a_reader_at_the_end_is_served) {
    const support::LogCapture log;
    const RealPipe pipe;
    bool removed = true;
    support::TestLoop loop;
    struct Asks {
        EventLoop& loop;
        int fd;
        bool& removed;
        ~Asks() { removed = loop.remove_reader(fd); }
    };
    auto asks = std::shared_ptr<Asks>(new Asks{*loop, pipe.reader.get(), removed});
    loop->add_reader(pipe.reader.get(), [asks = std::move(asks)] {});
    loop->close();
    EXPECT_FALSE(removed);
}

TEST(add_reader, can_be_used_before_the_loop_runs) {
    const support::LogCapture log;
    const RealPipe pipe;
    support::TestLoop loop;
    int calls = 0;
    loop->add_reader(pipe.reader.get(), [&] {
        ++calls;
        loop->remove_reader(pipe.reader.get());
        loop->stop();
    });
    pipe.put();
    loop->run_forever();
    EXPECT_EQ(calls, 1);
    loop->close();
}

TEST(add_reader, another_thread_is_refused_in_debug_mode) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        loop.set_debug(true);
        const RealPipe pipe;
        std::string what;
        std::thread([&] {
            try {
                loop.add_reader(pipe.reader.get(), [] {});
            } catch (const RuntimeError& error) {
                what = error.what();
            }
        }).join();
        EXPECT_NE(what, "");
        EXPECT_FALSE(loop.remove_reader(pipe.reader.get()));
        loop.set_debug(false);
        co_return;
    });
}

}  // namespace
