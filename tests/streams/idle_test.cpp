// Goal: a reader that waits holds no buffer, whatever it has received before. Method: many of them
// on real pipes; what the allocator has given out is compared before and after.

#include "streams/stream_help.h"
#include "support/sanitizer.h"

#include <malloc.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;

constexpr std::size_t readers = 100;

double allocated_per_reader(std::size_t before) {
    const std::size_t now = ::mallinfo2().uordblks;
    return static_cast<double>(now - std::min(now, before)) / readers;
}

Coro<> count(StreamReader reader, std::size_t& bytes) {
    for (;;) {
        const std::string part = co_await reader.read(65536);
        if (part.empty()) break;
        bytes += part.size();
    }
}

Coro<> count_lines(StreamReader reader, std::size_t& bytes) {
    for (;;) {
        const std::string line = co_await reader.readline();
        if (line.empty()) break;
        bytes += line.size();
    }
}

/// Feeds `readers` readers twice, and looks at the memory while all of them wait.
template <class Read>
Coro<> feed_and_weigh(Read read, const std::string& text) {
    std::size_t bytes = 0;
    std::vector<lowlevel::Fd> writers;
    std::vector<Task<>> tasks;
    writers.reserve(readers);
    tasks.reserve(readers);
    const std::size_t before = ::mallinfo2().uordblks;
    for (std::size_t i = 0; i < readers; ++i) {
        RealPipe ends;
        writers.push_back(std::move(ends.writing));
        tasks.push_back(create_task(read(connect_read_pipe(std::move(ends.reading)), bytes)));
    }
    co_await sleep(1ms);
    constexpr double most_bytes = 3000;
    EXPECT_LT(allocated_per_reader(before), most_bytes) << "fresh";
    for (std::size_t round = 1; round <= 2; ++round) {
        for (const lowlevel::Fd& writer : writers) {
            EXPECT_EQ(::write(writer.get(), text.data(), text.size()),
                      static_cast<ssize_t>(text.size()));
        }
        while (bytes < round * readers * text.size()) co_await sleep(1ms);
        co_await sleep(1ms);
        EXPECT_LT(allocated_per_reader(before), most_bytes) << "after " << bytes << " bytes";
    }
    writers.clear();
    for (Task<>& task : tasks) co_await task;
}

TEST(idle, a_reader_that_waits_holds_no_buffer) {
    if (support::under_address_sanitizer || support::under_thread_sanitizer)
        GTEST_SKIP() << "the sanitizer's allocator is not asked";
    support::run_test([]() -> Coro<> { co_await feed_and_weigh(count, std::string(60'000, 'x')); });
    std::string lines;
    while (lines.size() < 60'000) lines += "a line of text\n";
    support::run_test([&]() -> Coro<> { co_await feed_and_weigh(count_lines, lines); });
}

}  // namespace
