// The connected channels. A wire is one direction: bytes on their way, and at most one operation
// that waits at each of its ends. Both ends own both wires, so an end may go before the other one.
//
// An operation finishes within `submit` if it can. Otherwise it waits at the wire until the other
// end reads, writes or closes. Its report then goes through `ChannelReports`, because a channel
// must not call back in the middle of a call. No time and no dice take part, so the order of all
// reports follows from the program alone.
//
// A pair of sockets was rejected: the kernel would decide how much it holds, and a test could not
// choose at which byte a write waits.

#include <asyncio/testing/memory_stream.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::testing {
namespace {

using lowlevel::Channel;
using lowlevel::ChannelReports;
using lowlevel::Operation;
using lowlevel::OperationKind;

/// An operation that waits at a wire, and the reports of the end that it belongs to. That end lives
/// as long as the operation is in flight.
struct Waiting {
    Operation* operation = nullptr;
    ChannelReports* reports = nullptr;

    void finish(int result) noexcept { reports->add(*std::exchange(operation, nullptr), result); }
};

/// A direction of the connection. An end that closes clears its flag, and the operation of the
/// other end that waits is served again.
struct MemoryWire {
    explicit MemoryWire(std::size_t capacity) : capacity_bytes(capacity) {}

    /// The result of a read or write now; nothing if it has to wait.
    std::optional<int> read(Operation& operation) noexcept;
    std::optional<int> write(Operation& operation) noexcept;
    /// The state has changed: an operation that waits may be able to finish. A read makes room for
    /// a write, which makes bytes for a read; at most one of them waits.
    void serve() noexcept;

    /// The most that `bytes` holds: a write beyond it waits.
    const std::size_t capacity_bytes;
    std::string bytes;
    Waiting reader;
    Waiting writer;
    bool has_reader = true;
    bool has_writer = true;
};

/// As read(2): what is there, or the end, or a wait. The end comes behind the last byte, also if
/// the writer has gone long before.
std::optional<int> MemoryWire::read(Operation& operation) noexcept {
    const std::size_t count = std::min(operation.size, bytes.size());
    if (count == 0) return has_writer ? std::nullopt : std::optional(0);
    lowlevel::deliver(operation, std::span(bytes.data(), count));
    bytes.erase(0, count);
    return static_cast<int>(count);
}

/// As write(2) to a socket that does not block: as much as there is room for. Without a reader no
/// byte is taken, even if there is room: a write that succeeds here would hide from the program
/// that its bytes are lost.
std::optional<int> MemoryWire::write(Operation& operation) noexcept {
    if (!has_reader) return -EPIPE;
    const std::size_t count = std::min(operation.size, capacity_bytes - bytes.size());
    if (count == 0) return std::nullopt;
    bytes.append(static_cast<const char*>(operation.buffer), count);
    return static_cast<int>(count);
}

/// The writer comes first, because its bytes may be what the reader waits for.
void MemoryWire::serve() noexcept {
    if (writer.operation != nullptr) {
        if (const auto result = write(*writer.operation)) writer.finish(*result);
    }
    if (reader.operation != nullptr) {
        if (const auto result = read(*reader.operation)) reader.finish(*result);
    }
}

/// One end: reads from one wire, and writes to the other one.
class MemoryEnd final : public Channel {
public:
    using Wire = std::shared_ptr<MemoryWire>;

    MemoryEnd(EventLoop& loop, Wire incoming, Wire outgoing) noexcept
        : reports_(loop), incoming_(std::move(incoming)), outgoing_(std::move(outgoing)) {}
    /// The other end must not wait for an end that has gone.
    ~MemoryEnd() override {
        incoming_->has_reader = false;
        outgoing_->has_writer = false;
        incoming_->serve();
        outgoing_->serve();
    }

    std::string name() const override { return "memory"; }
    bool is_connection() const noexcept override { return true; }

    /// A closed side gives the results that the contract of a channel demands: 0 for a read, −EPIPE
    /// for a write. An operation that has moved bytes may let the other end go on, so the wire is
    /// served before the answer.
    Submitted submit(Operation& operation) noexcept override {
        const bool reads = operation.kind == OperationKind::read;
        if (reads ? !incoming_->has_reader : !outgoing_->has_writer)
            return finish(operation, reads ? 0 : -EPIPE);
        MemoryWire& wire = reads ? *incoming_ : *outgoing_;
        if (const auto result = reads ? wire.read(operation) : wire.write(operation)) {
            wire.serve();
            return finish(operation, *result);
        }
        (reads ? wire.reader : wire.writer) = {&operation, &reports_};
        operation.state = Operation::State::in_flight;
        return Submitted::in_flight;
    }

    /// An operation that is being reported has left its place, and the request comes too late.
    void cancel(Operation& operation) noexcept override {
        for (Waiting* waiting : {&incoming_->reader, &outgoing_->writer})
            if (waiting->operation == &operation) waiting->finish(-ECANCELED);
    }

    /// Bytes that were not read are lost, and a writer at the other end that waits for room learns
    /// that there is no reader any more. What was written stays readable for the other end.
    Submitted close(Side side, Operation& operation) noexcept override {
        if (side != Side::writing) {
            incoming_->has_reader = false;
            incoming_->bytes.clear();
            if (incoming_->reader.operation != nullptr) incoming_->reader.finish(0);
            incoming_->serve();
        }
        if (side != Side::reading) {
            outgoing_->has_writer = false;
            outgoing_->serve();
        }
        return finish(operation, 0);
    }

private:
    /// For results within the call: nothing is reported then.
    static Submitted finish(Operation& operation, int result) noexcept {
        operation.result = result;
        operation.state = Operation::State::finished;
        return Submitted::finished;
    }

    ChannelReports reports_;
    Wire incoming_;
    Wire outgoing_;
};

}  // namespace

/// Without room no write could ever finish.
MemoryChannels memory_channels(EventLoop& loop, MemoryOptions options) {
    if (options.capacity_bytes == 0)
        throw std::invalid_argument("memory_channels: the capacity must be positive");
    const auto there = std::make_shared<MemoryWire>(options.capacity_bytes);
    const auto back = std::make_shared<MemoryWire>(options.capacity_bytes);
    return {std::make_shared<MemoryEnd>(loop, back, there),
            std::make_shared<MemoryEnd>(loop, there, back)};
}

}  // namespace asyncio::testing
