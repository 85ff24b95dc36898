#pragma once
// Datagrams by callbacks, as Python has them: an object whose methods the loop calls.
//
//     class Echo : public DatagramProtocol {
//         void connection_made(Datagram& endpoint) override { endpoint_ = &endpoint; }
//         void datagram_received(std::string data, const Address& address) override {
//             endpoint_->send_nowait(data, address);
//         }
//         Datagram* endpoint_ = nullptr;
//     };
//     …
//     Datagram endpoint = co_await loop.create_datagram_endpoint(
//         std::make_shared<Echo>(), {.local_addr = Address::ip("127.0.0.1", 9999)});
//
// A task that awaits `Datagram::receive` (datagram.h) usually reads better. This form is for
// programs that come from Python, and for code that reacts to single datagrams and never waits.
//
// The order of the calls, which is Python's
//  1. `connection_made` comes first, before `create_datagram_endpoint` returns.
//  2. `datagram_received` and `error_received` follow, in the order in which the kernel reports.
//     Neither comes after `close` or `abort`.
//  3. `connection_lost` comes last and once, when the socket is closed. So `close` in a callback
//     does not call it before that callback has returned.
// The calls come from a task of the endpoint's own, one after the other. They run in a copy of the
// context in which `create_datagram_endpoint` was awaited. An exception that leaves one goes to the
// loop's exception handler, and the endpoint goes on.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/datagram.h>
#include <asyncio/exceptions.h>

#include <exception>
#include <string>

namespace asyncio {

/// The methods that an endpoint calls. Derive a class from it, and override what is needed.
///
/// The endpoint holds the protocol until `connection_lost` has returned.
/// Python: `asyncio.DatagramProtocol`. `pause_writing` and `resume_writing` do not exist:
/// `Datagram::send_nowait` tells by its result when there is no room.
class [[gnu::visibility("default")]] DatagramProtocol {
public:
    DatagramProtocol() = default;
    DatagramProtocol(const DatagramProtocol&) = delete;
    DatagramProtocol& operator=(const DatagramProtocol&) = delete;
    virtual ~DatagramProtocol() = default;

    /// The endpoint is open. The reference is valid until `connection_lost` returns. A program that
    /// awaits `receive` on it takes datagrams away from the protocol.
    virtual void connection_made([[maybe_unused]] Datagram& endpoint) {}

    /// A datagram has come from `address`.
    // NOLINTNEXTLINE(performance-unnecessary-value-param): a protocol may keep the data.
    virtual void datagram_received([[maybe_unused]] std::string data,
                                   [[maybe_unused]] const Address& address) {}

    /// A datagram could not be sent, or the peer has refused an earlier one. The endpoint stays
    /// open.
    virtual void error_received([[maybe_unused]] const OsError& error) {}

    /// The endpoint is closed. `error` is null if the program has closed it, and if its loop has.
    // NOLINTNEXTLINE(performance-unnecessary-value-param): a protocol may keep the error.
    virtual void connection_lost([[maybe_unused]] std::exception_ptr error) {}
};

}  // namespace asyncio
