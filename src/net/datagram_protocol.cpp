// The task that turns an endpoint into calls.
//
// It is an ordinary user of the endpoint: it awaits datagrams and calls the protocol. So everything
// that holds for a task that receives holds for callbacks, too. It has a handle of its own to the
// endpoint. The handle of the program is another one, and its destruction aborts the endpoint,
// which ends the wait of this task.
//
// Python calls the protocol from the callback of a descriptor, without a task. A task costs a
// switch for each round of datagrams, and brings three things without code of their own: a context,
// a name in the table of tasks, and an end with the run. A run that ends cancels it, and the
// protocol learns of that by `connection_lost`.

#include <asyncio/datagram_protocol.h>

#include <asyncio/event_loop.h>
#include <asyncio/future.h>
#include <asyncio/internal/core/awaitable.h>
#include <asyncio/task.h>

#include "net/datagram_state.h"

#include <cerrno>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

namespace asyncio {

namespace {

/// How many datagrams are received for one round of calls. Other tasks run between two rounds.
constexpr std::size_t datagrams_per_round = 16;

/// Calls the protocol. An exception is reported, as that of any callback.
template <class Call>
void call_protocol(EventLoop& loop, Call call) {
    try {
        call();
    } catch (...) {
        loop.call_exception_handler({.message = "a method of a DatagramProtocol threw an exception",
                                     .exception = std::current_exception()});
    }
}

/// A descriptor that the program has closed behind the back of the endpoint fails at every call.
constexpr bool ends_endpoint(int error) noexcept {
    return error == EBADF || error == ENOTSOCK || error == ECANCELED;
}

/// The life of an endpoint with callbacks.
///
/// The calls are grouped here, so that the coroutine below shows their order and nothing else.
class ProtocolCalls {
public:
    ProtocolCalls(EventLoop& loop, std::shared_ptr<DatagramProtocol> protocol, Datagram endpoint)
        : loop_(loop), protocol_(std::move(protocol)), endpoint_(std::move(endpoint)) {}

    void begin() {
        call_protocol(loop_, [&] { protocol_->connection_made(endpoint_); });
    }
    Coro<void> receive_until_closed();
    /// `error` is told by `connection_lost`. Null: the end was wanted.
    void abort(std::exception_ptr error) noexcept {
        if (lost_by_ == nullptr) lost_by_ = std::move(error);
        endpoint_.abort();
    }
    void end() {
        call_protocol(loop_, [&] { protocol_->connection_lost(lost_by_); });
    }
    const Datagram& endpoint() const noexcept { return endpoint_; }

private:
    void deliver(std::vector<ReceivedFrom> datagrams);
    void note(const std::exception_ptr& error);

    EventLoop& loop_;
    std::shared_ptr<DatagramProtocol> protocol_;
    Datagram endpoint_;
    std::exception_ptr lost_by_;
};

/// The endpoint may be closed by a callback, by the program, and by its loop. All of them are seen
/// here: the wait ends, with an error that is no news then.
Coro<void> ProtocolCalls::receive_until_closed() {
    while (!endpoint_.is_closing()) {
        auto received = co_await internal::settle(endpoint_.receive_many(datagrams_per_round));
        if (endpoint_.is_closing()) break;
        if (received.has_value()) {
            deliver(std::move(received).value());
        } else if (received.cancelled()) {
            abort(nullptr);
        } else {
            note(received.error());
        }
    }
}

/// A callback may close the endpoint. No datagram comes after that.
void ProtocolCalls::deliver(std::vector<ReceivedFrom> datagrams) {
    for (ReceivedFrom& datagram : datagrams) {
        if (endpoint_.is_closing()) return;
        call_protocol(loop_, [&] {
            protocol_->datagram_received(std::move(datagram.data), datagram.address);
        });
    }
}

/// An error of the system is told, and the endpoint goes on. Without memory it ends.
void ProtocolCalls::note(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const OsError& failed) {
        if (!ends_endpoint(failed.error()))
            return call_protocol(loop_, [&] { protocol_->error_received(failed); });
    } catch (...) {
        // Told by `connection_lost`.
    }
    abort(error);
}

/// The task. `connection_lost` comes when what `send_nowait` has kept is sent, or was dropped.
///
/// When it is cancelled, it aborts the endpoint and ends as usual: what it does is over. The same
/// holds if there is no memory for what it waits by: a protocol that was told of its beginning is
/// told of its end.
Coro<void> call_until_closed(EventLoop& loop, std::shared_ptr<DatagramProtocol> protocol,
                             Datagram endpoint, Future<void> begun) {
    ProtocolCalls calls(loop, std::move(protocol), std::move(endpoint));
    calls.begin();
    if (!begun.done()) begun.set_result();
    try {
        co_await calls.receive_until_closed();
        co_await calls.endpoint().wait_closed();
    } catch (const CancelledError&) {
        calls.abort(nullptr);
    } catch (...) {
        calls.abort(std::current_exception());
    }
    calls.end();
}

void require_task_of(EventLoop& loop) {
    if (&internal::running_task("EventLoop::create_datagram_endpoint()").loop() != &loop)
        throw RuntimeError("EventLoop::create_datagram_endpoint() must be awaited in a task of "
                           "that loop");
}

/// Waits until `connection_made` has been called, as in Python. If this is cancelled, the handle is
/// destroyed with its frame, and ends what there is.
Coro<Datagram> begin_calls(EventLoop& loop, std::shared_ptr<DatagramProtocol> protocol,
                           Datagram endpoint) {
    require_task_of(loop);
    endpoint.state().require_usable("EventLoop::create_datagram_endpoint()");
    Datagram of_task(internal::Ref<internal::DatagramState>::share(&endpoint.state()));
    Future<void> begun(loop);
    loop.create_task(call_until_closed(loop, std::move(protocol), std::move(of_task), begun));
    co_await begun;
    co_return endpoint;
}

Coro<Datagram> open_with_calls(EventLoop& loop, std::shared_ptr<DatagramProtocol> protocol,
                               DatagramOptions options) {
    require_task_of(loop);
    Datagram endpoint = co_await open_datagram(options);
    co_return co_await begin_calls(loop, std::move(protocol), std::move(endpoint));
}

/// Before anything is opened.
void require(const std::shared_ptr<DatagramProtocol>& protocol) {
    if (protocol == nullptr)
        throw std::invalid_argument("create_datagram_endpoint: there is no protocol");
}

}  // namespace

Coro<Datagram> EventLoop::create_datagram_endpoint(std::shared_ptr<DatagramProtocol> protocol,
                                                   const DatagramOptions& options) {
    check_open("EventLoop::create_datagram_endpoint()");
    require(protocol);
    return open_with_calls(*this, std::move(protocol), options);
}

Coro<Datagram> EventLoop::create_datagram_endpoint(std::shared_ptr<DatagramProtocol> protocol,
                                                   Datagram endpoint) {
    check_open("EventLoop::create_datagram_endpoint()");
    require(protocol);
    return begin_calls(*this, std::move(protocol), std::move(endpoint));
}

}  // namespace asyncio
