#pragma once
// A simulated world and the few words in which the tests of this folder speak to it.
//
// The tests use the back-end as the loop does, but step by step: nothing here waits unless a test
// says so.

#include <asyncio/lowlevel/backend.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace simulation {

using asyncio::Duration;
using asyncio::TimePoint;
using asyncio::internal::at_once;
using asyncio::internal::never;
using asyncio::lowlevel::Backend;
using asyncio::lowlevel::Operation;
using asyncio::lowlevel::OperationKind;
using asyncio::lowlevel::OperationList;

struct Read : Operation {
    Read() : Read(-1, nullptr, 0) {}
    Read(int number, void* bytes, std::size_t count) {
        kind = OperationKind::read;
        fd = number;
        buffer = bytes;
        size = count;
    }
};

struct Write : Operation {
    Write(int number, const void* bytes, std::size_t count) {
        kind = OperationKind::write;
        fd = number;
        buffer = const_cast<void*>(bytes);
        size = count;
    }
};

struct Poll : Operation {
    Poll(int number, int wanted) {
        kind = OperationKind::poll;
        fd = number;
        events = static_cast<std::int16_t>(wanted);
    }
};

struct MakePipe : Operation {
    explicit MakePipe(std::array<int, 2>& ends) {
        kind = OperationKind::pipe;
        buffer = ends.data();
    }
};

struct Close : Operation {
    explicit Close(int number) {
        kind = OperationKind::close;
        fd = number;
    }
};

inline bool finished(const Operation& operation) {
    return operation.state == Operation::State::finished;
}

inline bool in_flight(const Operation& operation) {
    return operation.state == Operation::State::in_flight;
}

struct Pipe {
    int read_end = -1;
    int write_end = -1;
};

class World {
public:
    explicit World(std::uint64_t seed = 0, std::uint64_t disk_size_bytes = 1 << 30)
        : backend_(asyncio::lowlevel::make_simulated_backend(
              {.seed = seed, .disk_size_bytes = disk_size_bytes})) {}

    Backend* operator->() { return backend_.get(); }

    /// Submits and tells whether the operation finished inside `submit`.
    bool submit(Operation& operation) {
        return backend_->submit(operation) == Backend::Submitted::finished;
    }

    /// One wait. What it reported, in order.
    std::vector<Operation*> wait(TimePoint deadline) {
        OperationList list;
        last_ = backend_->wait(deadline, list);
        std::vector<Operation*> reported;
        while (!list.empty()) {
            Operation& operation = list.pop_front();
            EXPECT_TRUE(finished(operation));
            reported.push_back(&operation);
        }
        return reported;
    }
    std::vector<Operation*> look() { return wait(at_once); }

    /// Whether the last wait was answered `deadlock`.
    bool deadlocked() const { return last_ == Backend::Waited::deadlock; }

    /// Waits until the operation, already submitted, is reported. Gives up, with a test failure,
    /// where nothing could ever finish it.
    int finish(Operation& operation) {
        while (!finished(operation)) {
            wait(never);
            if (!deadlocked()) continue;
            ADD_FAILURE() << "the operation can never finish";
            return -1;
        }
        return operation.result;
    }

    int run(Operation& operation) {
        submit(operation);
        return finish(operation);
    }

    Pipe pipe() {
        std::array<int, 2> ends{};
        MakePipe request(ends);
        EXPECT_EQ(run(request), 0);
        return {ends[0], ends[1]};
    }

    int write(int number, const std::string& bytes) {
        Write request(number, bytes.data(), bytes.size());
        return run(request);
    }

    /// One read of at most `most` bytes; an error shows as "error N".
    std::string read(int number, std::size_t most) {
        std::string bytes(most, '?');
        Read request(number, bytes.data(), most);
        const int count = run(request);
        if (count < 0) return "error " + std::to_string(-count);
        bytes.resize(static_cast<std::size_t>(count));
        return bytes;
    }

    int close(int number) {
        Close request(number);
        return run(request);
    }

    /// The events that hold now, or 0.
    int poll_now(int number, int events) {
        Poll request(number, events);
        if (!submit(request)) {
            backend_->cancel(request);
            finish(request);
        }
        return request.result == -ECANCELED ? 0 : request.result;
    }

private:
    std::unique_ptr<Backend> backend_;
    Backend::Waited last_ = Backend::Waited::ok;
};

}  // namespace simulation
