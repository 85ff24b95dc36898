// Goal: what has finished is served soon, however long the steps beside it take, and neither side
// can starve the other. Method: a real pipe into which the very step writes that then computes for
// a while; counted is how many steps begin before the one who waits for the pipe is told. So a busy
// machine changes nothing.

#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/sleep.h>
#include <asyncio/streams.h>
#include <asyncio/task.h>

#include "support/run_test.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace {

using asyncio::Clock;
using asyncio::Coro;
using asyncio::Task;
using asyncio::lowlevel::Fd;
using asyncio::lowlevel::OperationKind;
using support::TestLoop;
using namespace std::chrono_literals;

/// Longer than what the back-ends take for short.
void compute_a_little() {
    const asyncio::TimePoint end = Clock::now() + 300us;
    while (Clock::now() < end) {
    }
}

struct Scene {
    Scene() {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
        reading = Fd(ends[0]);
        writing = Fd(ends[1]);
    }
    void write() {
        EXPECT_EQ(::write(writing.get(), "x", 1), 1);
        written_at = steps;
    }

    Fd reading;
    Fd writing;
    int steps = 0;
    int written_at = -1;
    std::vector<int> waited;
    bool end = false;
};

Coro<> reader(Scene& scene) {
    while (!scene.end) {
        char byte = 0;
        const int count = co_await asyncio::lowlevel::perform(
            {.kind = OperationKind::read, .fd = scene.reading.get(), .buffer = &byte, .size = 1});
        EXPECT_EQ(count, 1);
        scene.waited.push_back(scene.steps - scene.written_at);
    }
}

Coro<> slices(Scene& scene, bool writes) {
    for (int i = 0; i < 100; ++i) {
        ++scene.steps;
        const bool time_to_write = writes && i % 20 == 10;
        if (i == 90) scene.end = true;
        if (time_to_write) scene.write();
        compute_a_little();
        co_await asyncio::sleep(0s);
    }
}

constexpr const char* nothing_takes_long = "in simulated time no step takes long";

void expect_served_within_a_slice(const Scene& scene, std::size_t writes) {
    EXPECT_EQ(scene.waited.size(), writes);
    for (const int waited : scene.waited) EXPECT_EQ(waited, 0) << "further steps";
}

TEST(fairness, a_descriptor_is_served_within_one_slice_of_one_task) {
    TestLoop loop;
    if (loop.simulated()) GTEST_SKIP() << nothing_takes_long;
    Scene scene;
    loop->run_until_complete([](Scene& scene) -> Coro<> {
        auto reading = asyncio::create_task(reader(scene));
        co_await asyncio::sleep(1ms);
        co_await slices(scene, true);
        co_await reading;
    }(scene));
    expect_served_within_a_slice(scene, 5);
    loop.expect_idle();
}

TEST(fairness, LOOP_30_a_descriptor_is_served_within_one_slice_of_ten_tasks) {
    for (const int writer : {0, 4, 9}) {
        TestLoop loop;
        if (loop.simulated()) GTEST_SKIP() << nothing_takes_long;
        Scene scene;
        loop->run_until_complete([](Scene& scene, int writer) -> Coro<> {
            auto reading = asyncio::create_task(reader(scene));
            co_await asyncio::sleep(1ms);
            std::vector<Task<>> tasks;
            for (int i = 0; i < 10; ++i)
                tasks.push_back(asyncio::create_task(slices(scene, i == writer)));
            for (Task<>& task : tasks) co_await task;
            co_await reading;
        }(scene, writer));
        expect_served_within_a_slice(scene, 5);
        loop.expect_idle();
    }
}

TEST(fairness, a_descriptor_is_served_within_one_slice_of_callbacks_and_of_timers) {
    for (const bool by_timer : {false, true}) {
        TestLoop loop;
        if (loop.simulated()) GTEST_SKIP() << nothing_takes_long;
        Scene scene;
        auto task = loop->create_task(reader(scene));
        int left = 100;
        std::function<void()> again = [&] {
            ++scene.steps;
            if (--left == 5) scene.end = true;
            if (left % 20 == 10) scene.write();
            if (left == 5) scene.write();
            compute_a_little();
            if (left == 0) return loop->stop();
            by_timer ? void(loop->call_later(0s, again)) : void(loop->call_soon(again));
        };
        loop->call_later(1ms, again);
        loop->run_forever();
        loop->run_until_complete(std::move(task));
        expect_served_within_a_slice(scene, 6);
        loop.expect_idle();
    }
}

// --- The other side -----------------------------------------------------------------------------

constexpr int most_rounds = 400;

/// Hands a byte on, and computes each time. Two of them keep each other busy.
Coro<> bounce(Scene& from, Scene& to, int& rounds) {
    bool last = false;
    while (!last) {
        char byte = 0;
        co_await asyncio::lowlevel::perform(
            {.kind = OperationKind::read, .fd = from.reading.get(), .buffer = &byte, .size = 1});
        last = ++rounds >= most_rounds;
        compute_a_little();
        to.write();
    }
}

TEST(fairness, LOOP_30_descriptors_that_are_always_ready_do_not_starve_a_task) {
    TestLoop loop;
    Scene there;
    Scene back;
    int rounds = 0;
    int rounds_meanwhile = 0;
    loop->run_until_complete(
        [](Scene& there, Scene& back, int& rounds, int& rounds_meanwhile) -> Coro<> {
            auto one = asyncio::create_task(bounce(there, back, rounds));
            auto other = asyncio::create_task(bounce(back, there, rounds));
            co_await asyncio::sleep(1ms);
            there.write();
            for (int i = 0; i < 40; ++i) {
                compute_a_little();
                co_await asyncio::sleep(0s);
            }
            rounds_meanwhile = rounds;
            co_await one;
            co_await other;
        }(there, back, rounds, rounds_meanwhile));
    EXPECT_LT(rounds_meanwhile, most_rounds / 2);
    loop.expect_idle();
}

/// Reads one byte and says so.
Coro<> read_and_note(Scene& scene, std::string& order) {
    char byte = 0;
    co_await asyncio::lowlevel::perform(
        {.kind = OperationKind::read, .fd = scene.reading.get(), .buffer = &byte, .size = 1});
    order += 'r';
}

TEST(fairness, the_rest_of_what_has_finished_comes_before_what_the_others_have_scheduled) {
    TestLoop loop;
    if (!loop.simulated()) GTEST_SKIP() << "when the loop looks depends on the time";
    constexpr int reader_count = 100;
    constexpr int callback_count = 130;
    // Behind it a look at the back-end is due before the callbacks end, and fewer of them are left
    // then than there are readers.
    constexpr int writes_at = 60;
    std::vector<Scene> scenes(reader_count);
    std::vector<Task<>> readers;
    std::string order;
    for (Scene& scene : scenes) readers.push_back(loop->create_task(read_and_note(scene, order)));
    loop->call_later(1ms, [&] {
        for (int i = 0; i < callback_count; ++i) {
            loop->call_soon([&, i] {
                order += '1';
                loop->call_soon([&] { order += '2'; });
                if (i != writes_at) return;
                for (Scene& scene : scenes) scene.write();
            });
        }
    });
    for (Task<>& task : readers) loop->run_until_complete(task);
    const std::size_t last_first = order.rfind('1');
    ASSERT_LT(last_first + 1, order.size());
    EXPECT_EQ(order[last_first + 1], 'r') << order;
    loop.expect_idle();
}

// --- What waits for its task --------------------------------------------------------------------

/// Whether what was written has left the pipe.
bool is_received(const Scene& scene) {
    int left = 0;
    EXPECT_EQ(::ioctl(scene.reading.get(), FIONREAD, &left), 0);
    return left == 0;
}

TEST(fairness, no_look_comes_before_the_tasks_that_the_last_one_woke_have_run) {
    TestLoop loop;
    if (!loop.simulated()) GTEST_SKIP() << "when the loop looks depends on the time";
    constexpr std::size_t reader_count = 100;
    constexpr int callback_count = 300;
    std::vector<Scene> scenes(reader_count);
    Scene later;
    std::string order;
    std::vector<Task<>> readers;
    const auto read_and_look_at_later = [&](Scene& scene) -> Coro<> {
        co_await read_and_note(scene, order);
        if (order.size() == 1) later.write();
        EXPECT_FALSE(is_received(later)) << "when " << order.size() << " have run";
    };
    for (Scene& scene : scenes) readers.push_back(loop->create_task(read_and_look_at_later(scene)));
    auto last = loop->create_task(read_and_note(later, order));
    loop->call_later(1ms, [&] {
        for (Scene& scene : scenes) scene.write();
        for (int i = 0; i < callback_count; ++i) loop->call_soon([] {});
    });
    for (Task<>& task : readers) loop->run_until_complete(task);
    loop->run_until_complete(last);
    EXPECT_EQ(order.size(), reader_count + 1);
    loop.expect_idle();
}

TEST(fairness, a_single_iteration_looks_also_after_a_look_that_has_brought_much) {
    TestLoop loop;
    constexpr std::size_t reader_count = 100;
    std::vector<Scene> scenes(reader_count);
    Scene later;
    std::string order;
    std::vector<Task<>> readers;
    for (Scene& scene : scenes) readers.push_back(loop->create_task(read_and_note(scene, order)));
    auto last = loop->create_task(read_and_note(later, order));
    const auto run_once = [&] {
        loop->call_soon([] {});
        loop->stop();
        loop->run_forever();
    };
    run_once();
    for (Scene& scene : scenes) scene.write();
    // The ring may report them in a few pieces.
    for (int i = 0; i < 10; ++i) run_once();
    EXPECT_EQ(order.size(), reader_count);
    later.write();
    run_once();
    run_once();
    EXPECT_TRUE(last.done());
    loop->run_until_complete(last);
    for (Task<>& task : readers) loop->run_until_complete(task);
    loop.expect_idle();
}

constexpr std::size_t message_bytes = 16 * 1024;

/// A reader whose client sends the next message as soon as it has been handled.
struct Served {
    Served(asyncio::EventLoop& loop, Scene& scene)
        : scene(scene), reader(loop, Fd(::fcntl(scene.reading.get(), F_DUPFD_CLOEXEC, 3))) {}

    void send() {
        const std::string message(message_bytes, 'x');
        EXPECT_EQ(::write(scene.writing.get(), message.data(), message.size()),
                  static_cast<ssize_t>(message.size()));
    }

    Scene& scene;
    asyncio::StreamReader reader;
};

TEST(fairness, no_more_is_received_than_the_tasks_can_take) {
    TestLoop loop;
    if (loop.simulated()) GTEST_SKIP() << nothing_takes_long;
    constexpr int count = 200;
    constexpr int messages_in_all = 5 * count;
    std::vector<Scene> scenes(count);
    std::vector<Served> all;
    for (Scene& scene : scenes) all.emplace_back(*loop, scene);
    int handled = 0;
    std::ptrdiff_t most_received = 0;
    const auto serve = [&](Served& served) -> Coro<> {
        while (handled < messages_in_all) {
            EXPECT_EQ((co_await served.reader.readexactly(message_bytes)).size(), message_bytes);
            most_received = std::max(most_received, std::ranges::count_if(scenes, is_received));
            compute_a_little();
            ++handled;
            served.send();
        }
    };
    std::vector<Task<>> tasks;
    for (Served& served : all) tasks.push_back(loop->create_task(serve(served)));
    loop->call_later(1ms, [&] { std::ranges::for_each(all, &Served::send); });
    for (Task<>& task : tasks) loop->run_until_complete(task);
    EXPECT_LT(most_received, count / 4);
    all.clear();
    loop.expect_idle();
}

}  // namespace
