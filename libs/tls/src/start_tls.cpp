// Makes connections: the handshake with its limit, and the end of a handshake that fails.

#include <asyncio/event_loop.h>
#include <asyncio/exceptions.h>
#include <asyncio/stream.h>
#include <asyncio/timeout.h>
#include <asyncio/tls/channel.h>
#include <asyncio/tls/stream.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::tls {
namespace {

using ChannelPtr = std::shared_ptr<TlsChannel>;

/// Aborts the connection unless the handshake has succeeded. A guard, because a handshake can end
/// in many ways, a cancellation included, and none of them may leave the inner channel open.
class Abandoned {
public:
    explicit Abandoned(TlsChannel& channel) noexcept : channel_(&channel) {}
    Abandoned(const Abandoned&) = delete;
    Abandoned& operator=(const Abandoned&) = delete;
    ~Abandoned() {
        if (channel_ != nullptr) channel_->abort();
    }
    /// The connection is the caller's from now on.
    void succeeded() noexcept { channel_ = nullptr; }

private:
    TlsChannel* channel_;
};

/// A limit without a name says nothing to a program that has many connections.
Coro<ChannelPtr> shake_hands(ChannelPtr channel, Delay limit) {
    Abandoned guard(*channel);
    bool is_late = false;
    try {
        co_await timeout(limit, [&]() -> Coro<> { co_await channel->handshake(); });
    } catch (const TimeoutError&) {
        is_late = true;
    }
    if (is_late) throw TimeoutError("the handshake of " + channel->name() + " took too long");
    guard.succeeded();
    co_return channel;
}

/// The streams are of the loop on which the handshake was made.
Coro<Stream> stream_after_handshake(Coro<ChannelPtr> handshake, std::string name,
                                    StreamOptions options) {
    ChannelPtr channel = co_await std::move(handshake);
    options.name = name;
    co_return Stream(get_running_loop(), std::move(channel), options);
}

}  // namespace

/// No coroutine: the options are views, and are used before the caller can change what they see.
Coro<ChannelPtr> start_tls(std::shared_ptr<lowlevel::Channel> inner, const Context& context,
                           const TlsOptions& options, std::string_view unread) {
    if (options.handshake_timeout <= Delay())
        throw std::invalid_argument("tls: handshake_timeout must be positive");
    auto channel = std::make_shared<TlsChannel>(get_running_loop(), std::move(inner), context,
                                                options, unread);
    return shake_hands(std::move(channel), options.handshake_timeout);
}

/// The plain stream is taken apart before anything can fail later, so a failure closes the
/// connection in every case.
Coro<Stream> start_tls(Stream stream, const Context& context, const TlsOptions& options,
                       const StreamOptions& stream_options) {
    DetachedStream plain = std::move(stream).detach();
    return stream_after_handshake(
        start_tls(std::move(plain.channel), context, options, plain.unread),
        std::string(stream_options.name), stream_options);
}

/// There is one class of TLS channels, and it is final, so the cast is a comparison.
const TlsChannel* channel_of(const Stream& stream) {
    return dynamic_cast<const TlsChannel*>(&stream.writer.channel());
}

}  // namespace asyncio::tls
