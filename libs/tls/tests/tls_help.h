#pragma once
// What the tests of TLS have in common: contexts, and two connected ends with a channel in between
// that behaves badly within its rules.

#include <asyncio.h>
#include <asyncio/testing/memory_stream.h>
#include <asyncio/tls.h>

#include "certificates.h"
#include "streams/channels.h"
#include "streams/stream_help.h"
#include "support/random.h"
#include "support/run_test.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace tls_test {

using namespace asyncio;
using namespace std::chrono_literals;
using asyncio::testing::memory_channels;
using asyncio::testing::MemoryChannels;
using lowlevel::Channel;
using support::run_simulated;
using tls::ContextOptions;
using tls::TlsChannel;
using tls::TlsOptions;
using ChannelPtr = std::shared_ptr<Channel>;
using TlsPtr = std::shared_ptr<TlsChannel>;

inline tls::Context server_of(const Issued& issued, ContextOptions options = {}) {
    const std::string chain = issued.chain_pem();
    const std::string key = issued.key_pem();
    options.certificate_pem = chain;
    options.key_pem = key;
    return tls::server_context(options);
}

/// A client that trusts the root of the tests.
inline tls::Context client_of(ContextOptions options = {}) {
    const std::string trusted = root().certificate_pem();
    options.ca_pem = trusted;
    return tls::client_context(options);
}

inline tls::Context good_server_context(ContextOptions options = {}) {
    return server_of(good_server(), options);
}

inline constexpr TlsOptions to_example{.server_hostname = "example.test"};

/// The two ends of a TLS connection.
struct Ends {
    TlsPtr client;
    TlsPtr server;
};

/// What stands between the two ends.
struct Between {
    /// Decides short transfers and delays; 0: none.
    std::uint64_t seed = 0;
    std::size_t capacity_bytes = 64 * 1024;
    /// The first end reads no more than this at a time. 0: as much as it likes.
    std::size_t most_read_bytes = 0;
};

/// Passes everything on, and reads little at a time.
class DripChannel final : public Channel {
public:
    DripChannel(ChannelPtr inner, std::size_t most_read_bytes)
        : inner_(std::move(inner)), most_read_bytes_(most_read_bytes) {}

    std::string name() const override { return inner_->name(); }
    Submitted submit(lowlevel::Operation& operation) noexcept override {
        if (operation.kind == lowlevel::OperationKind::read)
            operation.size = std::min(operation.size, most_read_bytes_);
        return inner_->submit(operation);
    }
    void cancel(lowlevel::Operation& operation) noexcept override { inner_->cancel(operation); }
    Submitted close(Side side, lowlevel::Operation& operation) noexcept override {
        return inner_->close(side, operation);
    }
    void abort() noexcept override { inner_->abort(); }

private:
    ChannelPtr inner_;
    std::size_t most_read_bytes_;
};

inline ChannelPtr badly_behaved(ChannelPtr inner, std::uint64_t seed) {
    if (seed == 0) return inner;
    return std::make_shared<streams_test::FaultyChannel>(get_running_loop(), std::move(inner),
                                                         streams_test::Faults{.seed = seed});
}

inline MemoryChannels channels_between(const Between& between) {
    MemoryChannels ends =
        memory_channels(get_running_loop(), {.capacity_bytes = between.capacity_bytes});
    ends.first = badly_behaved(std::move(ends.first), between.seed);
    if (between.most_read_bytes != 0)
        ends.first = std::make_shared<DripChannel>(std::move(ends.first), between.most_read_bytes);
    ends.second = badly_behaved(std::move(ends.second), between.seed == 0 ? 0 : between.seed + 1);
    return ends;
}

/// Both handshakes over two connected channels.
inline Coro<Ends> connect_over(MemoryChannels channels, tls::Context client, tls::Context server,
                               TlsOptions client_options = to_example,
                               TlsOptions server_options = {}) {
    Task<TlsPtr> accepting =
        create_task(tls::start_tls(std::move(channels.second), server, server_options));
    Outcome<TlsPtr> connected = co_await internal::settle(
        tls::start_tls(std::move(channels.first), client, client_options));
    Outcome<TlsPtr> accepted = co_await internal::settle(std::move(accepting));
    // The error of the client is the one that the tests look at.
    co_return Ends{std::move(connected).value(), std::move(accepted).value()};
}

inline Coro<Ends> connect(Between between = {}) {
    return connect_over(channels_between(between), client_of(), good_server_context());
}

/// Streams over a channel.
struct Streams {
    explicit Streams(ChannelPtr channel, std::size_t limit = default_stream_limit_bytes)
        : reader(get_running_loop(), channel, {.limit = limit}),
          writer(get_running_loop(), std::move(channel)) {}

    StreamReader reader;
    StreamWriter writer;
};

inline Coro<> close(Streams& streams) {
    streams.writer.close();
    streams.reader.close();
    co_await streams.writer.wait_closed();
}

/// Closes both ends at the same time, so that neither waits for a limit.
inline Coro<> close_both(Streams& one, Streams& other) {
    Task<> closing = create_task(close(one));
    co_await close(other);
    co_await closing;
}

/// The text of what `awaitable` throws, with its type in front; "" if it throws nothing.
template <class Awaitable>
Coro<std::string> said_by(Awaitable awaitable) {
    std::string said;
    try {
        co_await std::move(awaitable);
    } catch (const tls::CertificateError& error) {
        said = std::string("CertificateError: ") + error.what();
    } catch (const tls::TlsError& error) {
        said = std::string("TlsError: ") + error.what();
    } catch (const TimeoutError& error) {
        said = std::string("TimeoutError: ") + error.what();
    } catch (const OsError& error) {
        said = std::string("OsError: ") + error.what();
    } catch (const std::exception& error) {
        said = std::string("exception: ") + error.what();
    } catch (const CancelledError&) {
        said = "cancelled";
    }
    co_return said;
}

}  // namespace tls_test
