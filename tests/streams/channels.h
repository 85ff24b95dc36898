#pragma once
// Channels for tests: bytes in memory, and a channel that makes another one behave badly within the
// contract (lowlevel/channel.h), or fail.

#include <asyncio/lowlevel/channel.h>

#include "support/random.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace streams_test {

using asyncio::lowlevel::Channel;
using asyncio::lowlevel::Operation;
using asyncio::lowlevel::OperationKind;

inline Channel::Submitted finish_at_once(Operation& operation, int result) noexcept {
    operation.result = result;
    operation.state = Operation::State::finished;
    return Channel::Submitted::finished;
}

inline Channel::Submitted keep(Operation& operation) noexcept {
    operation.state = Operation::State::in_flight;
    return Channel::Submitted::in_flight;
}

/// A pipe without descriptors: the reading side gets what the writing side was given.
class MemoryChannel final : public Channel {
public:
    explicit MemoryChannel(asyncio::EventLoop& loop, std::size_t capacity_bytes = 64 * 1024)
        : reports_(loop), capacity_bytes_(capacity_bytes) {}

    std::string name() const override { return "memory"; }

    Submitted submit(Operation& operation) noexcept override {
        const bool reads = operation.kind == OperationKind::read;
        const std::optional<int> result = reads ? read(operation) : write(operation);
        if (result) {
            serve_other_side(reads);
            return finish_at_once(operation, *result);
        }
        (reads ? waiting_read_ : waiting_write_) = &operation;
        return keep(operation);
    }

    /// An operation that is reported already has left its place, and the request comes too late.
    void cancel(Operation& operation) noexcept override {
        for (Operation** place : {&waiting_read_, &waiting_write_}) {
            if (*place == &operation) reports_.add(*std::exchange(*place, nullptr), -ECANCELED);
        }
    }

    Submitted close(Side side, Operation& operation) noexcept override {
        ++closes;
        if (side != Side::writing) has_reader_ = false;
        if (side != Side::reading) has_writer_ = false;
        if (side != Side::writing) serve_other_side(true);
        if (side != Side::reading) serve_other_side(false);
        return finish_at_once(operation, 0);
    }

    int closes = 0;

private:
    std::optional<int> read(Operation& operation) noexcept {
        const std::size_t count = std::min(operation.size, bytes_.size());
        if (count == 0) return has_writer_ ? std::nullopt : std::optional(0);
        operation.receive(operation, std::span(bytes_.data(), count));
        bytes_.erase(0, count);
        return static_cast<int>(count);
    }

    std::optional<int> write(Operation& operation) noexcept {
        if (!has_reader_) return -EPIPE;
        const std::size_t count = std::min(operation.size, capacity_bytes_ - bytes_.size());
        if (count == 0) return std::nullopt;
        bytes_.append(static_cast<const char*>(operation.buffer), count);
        return static_cast<int>(count);
    }

    /// After a read a write may have room, and after a write a read has bytes.
    void serve_other_side(bool after_read) noexcept {
        Operation*& waiting = after_read ? waiting_write_ : waiting_read_;
        if (waiting == nullptr) return;
        const std::optional<int> result = after_read ? write(*waiting) : read(*waiting);
        if (result) reports_.add(*std::exchange(waiting, nullptr), *result);
    }

    asyncio::lowlevel::ChannelReports reports_;
    std::string bytes_;
    std::size_t capacity_bytes_;
    Operation* waiting_read_ = nullptr;
    Operation* waiting_write_ = nullptr;
    bool has_reader_ = true;
    bool has_writer_ = true;
};

/// What a `FaultyChannel` does.
struct Faults {
    /// Decides how often the legal ones happen: short transfers, and results that come an iteration
    /// late. 0: never.
    std::uint64_t seed = 0;
    /// A read or write that begins when so many bytes have passed fails.
    std::size_t fails_after_bytes = SIZE_MAX;
    int error = 0;
    /// This error of a read is the end of the stream.
    int means_end = 0;
    /// Requests to cancel have no effect.
    bool loses_cancels = false;
};

/// Stands between a stream and another channel, and carries out each operation by one of its own.
class FaultyChannel final : public Channel {
public:
    FaultyChannel(asyncio::EventLoop& loop, std::shared_ptr<Channel> inner, Faults faults)
        : reports_(loop), inner_(std::move(inner)), faults_(faults), random_(faults.seed) {
        for (Relay* relay : {&read_, &write_}) {
            relay->channel = this;
            relay->on_finished = &reported;
        }
        read_.kind = OperationKind::read;
        read_.receive = [](Operation& operation, std::span<const char> bytes) noexcept {
            Operation& wanted = *static_cast<Relay&>(operation).wanted;
            wanted.receive(wanted, bytes);
        };
        write_.kind = OperationKind::write;
    }

    std::string name() const override { return "faulty " + inner_->name(); }

    Submitted submit(Operation& operation) noexcept override {
        if (passed_bytes_ >= faults_.fails_after_bytes) {
            if (!delays()) return finish_at_once(operation, -faults_.error);
            keep(operation);
            reports_.add(operation, -faults_.error);
            return Submitted::in_flight;
        }
        Relay& relay = of(operation);
        relay.wanted = &operation;
        relay.buffer = operation.buffer;
        relay.size = shortened(operation.size);
        if (inner_->submit(relay) == Submitted::in_flight) return keep(operation);
        passed_bytes_ += static_cast<std::size_t>(std::max(relay.result, 0));
        if (!delays()) return finish_at_once(operation, relay.result);
        keep(operation);
        reports_.add(operation, relay.result);
        return Submitted::in_flight;
    }

    /// An operation whose result is only held back is over: the request comes too late.
    void cancel(Operation& operation) noexcept override {
        ++cancels;
        Relay& relay = of(operation);
        const bool is_over = relay.state != Operation::State::in_flight;
        if (!faults_.loses_cancels && !is_over) inner_->cancel(relay);
    }

    Submitted close(Side side, Operation& operation) noexcept override {
        return inner_->close(side, operation);
    }

    void abort() noexcept override { inner_->abort(); }

    bool means_end(int error) const noexcept override {
        return error == faults_.means_end || inner_->means_end(error);
    }

    int cancels = 0;

private:
    struct Relay : Operation {
        FaultyChannel* channel = nullptr;
        Operation* wanted = nullptr;
    };

    Relay& of(const Operation& operation) noexcept {
        return operation.kind == OperationKind::read ? read_ : write_;
    }
    bool delays() noexcept { return faults_.seed != 0 && random_.one_in(3); }
    std::size_t shortened(std::size_t bytes) noexcept {
        return faults_.seed != 0 && random_.one_in(2) ? 1 + random_.below(bytes) : bytes;
    }

    /// Called by the loop, so the stream may be told at once.
    static void reported(Operation& operation) noexcept {
        auto& relay = static_cast<Relay&>(operation);
        FaultyChannel& self = *relay.channel;
        Operation& wanted = *relay.wanted;
        self.passed_bytes_ += static_cast<std::size_t>(std::max(relay.result, 0));
        if (self.delays()) return self.reports_.add(wanted, relay.result);
        finish_at_once(wanted, relay.result);
        wanted.on_finished(wanted);
    }

    asyncio::lowlevel::ChannelReports reports_;
    std::shared_ptr<Channel> inner_;
    Faults faults_;
    support::Random random_;
    std::size_t passed_bytes_ = 0;
    Relay read_;
    Relay write_;
};

}  // namespace streams_test
