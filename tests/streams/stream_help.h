#pragma once
// What the tests of streams have in common: ways to feed a pipe, and a back-end that watches over
// descriptors.

#include <asyncio.h>

#include "support/run_test.h"

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace streams_test {

/// Sends the pieces one by one, with a little time between them, then closes. That nobody reads
/// them is no error.
inline asyncio::Coro<> feed(asyncio::StreamWriter writer, std::vector<std::string> pieces) {
    try {
        for (const std::string& piece : pieces) {
            co_await writer.send(piece);
            co_await asyncio::sleep(std::chrono::microseconds(100));
        }
        writer.close();
        co_await writer.wait_closed();
    } catch (const asyncio::OsError& error) {
        EXPECT_EQ(error.error(), EPIPE);
    }
}

inline asyncio::Coro<> cancel_the_others() {
    for (;;) {
        const auto tasks = asyncio::all_tasks();
        if (tasks.size() == 1) break;
        for (const asyncio::TaskRef& task : tasks) {
            if (task != asyncio::current_task()) task.cancel();
        }
        co_await asyncio::sleep(std::chrono::milliseconds(1));
    }
}

/// `run_test` for bodies that leave feeders behind.
template <class Body>
void run_fed_test(Body body) {
    support::run_test([&]() -> asyncio::Coro<> {
        co_await body();
        co_await cancel_the_others();
    });
}

/// Runs `feed` beside the test; the pipe's reader is what the test reads from.
inline asyncio::Coro<asyncio::StreamReader> fed_reader(std::size_t limit,
                                                       std::vector<std::string> pieces) {
    asyncio::Pipe pipe = co_await asyncio::open_pipe({.limit = limit});
    asyncio::create_task(feed(std::move(pipe.writer), std::move(pieces)));
    co_return std::move(pipe.reader);
}

/// Arguments one by one, for g++ 12 takes no braced lists next to a `co_await`.
template <class... Pieces>
asyncio::Coro<asyncio::StreamReader> limited_reader_of(std::size_t limit, Pieces... pieces) {
    return fed_reader(limit, std::vector<std::string>{std::string(pieces)...});
}
template <class... Pieces>
asyncio::Coro<asyncio::StreamReader> reader_of(Pieces... pieces) {
    return limited_reader_of(asyncio::default_stream_limit_bytes, pieces...);
}

/// A text in which every place looks different.
inline std::string numbered_text(std::size_t bytes) {
    std::string text;
    text.reserve(bytes + 8);
    for (std::size_t number = 0; text.size() < bytes; ++number)
        text += std::to_string(number) + ' ';
    text.resize(bytes);
    return text;
}

/// The errno of what `awaitable` throws; 0 if it throws nothing.
template <class Awaitable>
asyncio::Coro<int> error_of(Awaitable awaitable) {
    const auto outcome = co_await asyncio::internal::settle(std::move(awaitable));
    if (!outcome.failed()) co_return 0;
    try {
        std::rethrow_exception(outcome.error());
    } catch (const asyncio::OsError& error) {
        co_return error.error();
    }
}

/// Writes until somebody notices that nobody reads; the errno. On the simulated back-end closing
/// the other end may take a while.
inline asyncio::Coro<int> eventual_error_of(const asyncio::StreamWriter& writer) {
    for (int round = 0; round < 1000; ++round) {
        const int error = co_await error_of(writer.send("x"));
        if (error != 0) co_return error;
        co_await asyncio::sleep(std::chrono::milliseconds(1));
    }
    co_return 0;
}

/// The two ends of a real pipe, blocking.
struct RealPipe {
    RealPipe() {
        int numbers[2];
        EXPECT_EQ(::pipe2(numbers, O_CLOEXEC), 0);
        reading = asyncio::lowlevel::Fd(numbers[0]);
        writing = asyncio::lowlevel::Fd(numbers[1]);
    }
    asyncio::lowlevel::Fd reading;
    asyncio::lowlevel::Fd writing;
};

/// Lets nobody close a descriptor on which an operation is in flight, nor close one twice.
class WatchingBackend final : public asyncio::lowlevel::Backend {
public:
    explicit WatchingBackend(std::unique_ptr<Backend> real) : real_(std::move(real)) {}

    const char* name() const noexcept override { return real_->name(); }
    Submitted submit(asyncio::lowlevel::Operation& operation) noexcept override {
        using asyncio::lowlevel::OperationKind;
        if (operation.kind == OperationKind::close) {
            EXPECT_EQ(in_flight_[operation.fd], 0) << "closed while an operation is in flight";
        }
        const Submitted submitted = real_->submit(operation);
        if (submitted == Submitted::in_flight) {
            ++in_flight_[operation.fd];
        } else if (operation.kind == OperationKind::close) {
            note_close(operation);
        }
        return submitted;
    }
    void cancel(asyncio::lowlevel::Operation& operation) noexcept override {
        real_->cancel(operation);
    }
    Waited wait(asyncio::TimePoint deadline,
                asyncio::lowlevel::OperationList& finished) noexcept override {
        asyncio::lowlevel::OperationList fresh;
        const Waited waited = real_->wait(deadline, fresh);
        fresh.for_each([&](asyncio::lowlevel::Operation& operation) {
            --in_flight_[operation.fd];
            if (operation.kind == asyncio::lowlevel::OperationKind::close) note_close(operation);
        });
        finished.append(fresh);
        return waited;
    }
    void wake() noexcept override { real_->wake(); }
    asyncio::TimePoint now() noexcept override { return real_->now(); }

    int closes = 0;

private:
    void note_close(const asyncio::lowlevel::Operation& operation) {
        ++closes;
        EXPECT_EQ(operation.result, 0) << "closed twice: " << operation.fd;
    }

    std::unique_ptr<Backend> real_;
    std::map<int, int> in_flight_;
};

}  // namespace streams_test
