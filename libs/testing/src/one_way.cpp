// One direction of a connection, as a pipe.
//
// A stream over a connection closes both directions together, because the two belong to one
// program. The suite of streams has the reader in one hand and the writer in the other, and closes
// them one by one. So each end gets a channel that says that it is no connection, and that closes
// everything when its one side is closed.
//
// A wrapper and not an option of the streams: what a connection is belongs to its channel, and only
// tests want to see half of it.

#include <asyncio/lowlevel/channel.h>
#include <asyncio/testing/check_stream.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::testing {
namespace {

using lowlevel::Channel;
using lowlevel::Operation;

/// Passes everything on. The operations are the stream's own, so nothing is copied or kept.
/// `is_connection` is not passed on: the answer of the base class, no, is the purpose of this
/// class.
class OneWay final : public Channel {
public:
    explicit OneWay(std::shared_ptr<Channel> inner) : inner_(std::move(inner)) {}

    std::string name() const override { return inner_->name(); }
    Submitted submit(Operation& operation) noexcept override { return inner_->submit(operation); }
    void cancel(Operation& operation) noexcept override { inner_->cancel(operation); }
    /// No other stream uses this end, so its other side would never be closed.
    Submitted close(Side, Operation& operation) noexcept override {
        return inner_->close(Side::both, operation);
    }
    void abort() noexcept override { inner_->abort(); }
    void note_write_error(int error) noexcept override { inner_->note_write_error(error); }
    int error_at_end() const noexcept override { return inner_->error_at_end(); }
    bool means_end(int error) const noexcept override { return inner_->means_end(error); }

private:
    std::shared_ptr<Channel> inner_;
};

/// The stream has just been made. Bytes that it has read already would be lost.
std::shared_ptr<Channel> one_way_of(Stream stream) {
    DetachedStream detached = std::move(stream).detach();
    if (!detached.unread.empty()) throw std::invalid_argument("one_way(): bytes have come already");
    return std::make_shared<OneWay>(std::move(detached.channel));
}

}  // namespace

/// The bytes go from the writer at `from` to the reader at `to`.
Pipe one_way(Stream from, Stream to, std::size_t limit_bytes) {
    EventLoop& loop = get_running_loop();
    StreamReader reader(loop, one_way_of(std::move(to)), {.limit = limit_bytes});
    return {std::move(reader), StreamWriter(loop, one_way_of(std::move(from)))};
}

}  // namespace asyncio::testing
