// The tasks of a server.
//
// An accepting task, one for each listener
//
//  1. It waits while the server has as many connections as it may have.
//  2. It accepts. Connections that are there already are accepted one after the other without a
//     wait; the budget of operations (`must_yield`) lets other tasks run in between.
//  3. It starts the task of the connection, whose first step runs at once. So from the accept on
//     the server knows the connection, and whatever ends the server reaches it. If the server was
//     closed in the meantime, the new connection is closed.
//  4. Without descriptors or memory it reports the reason and waits: until a connection ends, or
//     for a second. The connections in the kernel's queue are not lost.
//  5. Without memory for the task of a connection, this connection is lost. The server reports that
//     and goes on.
//  6. It ends when the listener is closed: the close ends its operation.
//
// The tasks are not children of the program's task: a server outlives the function that has started
// it, and ends with its handle. Each task holds a reference to the state, so the order of the ends
// does not matter.
//
// A connection that the kernel has handed out belongs to the server, whatever happens to the task
// in the same iteration: the result of the operation has an owner before the task can throw.
//
// A task of a connection (`serve_client`) awaits the handler, and then waits until the connection
// is closed. The handler has the stream. When it returns, the stream goes with its frame. It closes
// then, and does not abort (`send_rest_when_dropped`): what the handler has written is sent. A
// handler that has moved its stream to another place decides itself when the connection ends. The
// task has a second handle, so that the server can close the connection at any time. If the handler
// puts another stream over the channel, the server ends the connection below it
// (served_channel.h).
//
// A server may have an upgrade, which makes another stream of the plain one before the handler gets
// it. Until then there is no stream that the server could close, so it cancels the task instead.
//
// A task that is cancelled aborts the connection and waits for nothing: a peer that does not read
// would keep the end of the program waiting.

#include "net/server_state.h"

#include <asyncio/event_loop.h>
#include <asyncio/finally.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/lowlevel/perform_now.h>
#include <asyncio/sleep.h>
#include <asyncio/timeout.h>

#include "loop/live_loop.h"
#include "net/served_channel.h"
#include "streams/loop_descriptors.h"
#include "streams/writer_state.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace asyncio::internal {
namespace {

/// For how long the server does not try again when there are no descriptors. Python's number.
constexpr Duration pause_without_descriptors = std::chrono::seconds(1);

void report(EventLoop& loop, std::string_view message, std::exception_ptr error) noexcept {
    loop.call_exception_handler({.message = message, .exception = std::move(error)});
}

/// A failure says that the peer is gone already. The handler will see that.
void set_option(lowlevel::Loop& loop, int fd, int level, int option) {
    int on = 1;
    lowlevel::perform_now(loop, {.kind = lowlevel::OperationKind::setsockopt,
                                 .fd = fd,
                                 .second_fd = option,
                                 .flags = level,
                                 .buffer = &on,
                                 .size = sizeof on});
}

/// For a connection with another stream over its channel, which the server does not know.
Coro<void> wait_for_channel(ServerClient& client) {
    while (client.channel != nullptr) co_await client.server.changed();
}

/// The stream for the handler. Empty if the upgrade has refused the connection, or failed.
Coro<Stream> upgraded(ServerState& server, Stream plain) {
    const auto upgrade = [&] { return server.handler().upgrade(std::move(plain)); };
    Outcome<Stream> made = co_await settled_call(upgrade);
    if (made.failed() && !made.cancelled())
        report(server.loop(), "the upgrade of a connection has failed", made.error());
    if (made.failed()) co_return Stream();
    co_return std::move(made).value();
}

/// The handler has ended. What it has written is sent, and the connection closes.
Coro<void> until_closed(ServerClient& client) {
    Outcome<void> end = co_await settle(client.writer.wait_closed());
    if (client.is_detached() && !end.cancelled()) end = co_await settle(wait_for_channel(client));
    if (end.cancelled()) client.abort();
}

/// The error of a handler goes to the exception handler. A cancellation is an order of the server
/// or of the program, and no error. An error of the connection itself, at its end, concerns bytes
/// that the handler did not wait for.
///
/// This frame lives as long as the connection, and there may be very many. So what is needed at the
/// begin or at the end alone has frames of its own.
Coro<void> serve_client(CountedConnection counted, std::shared_ptr<ServedChannel> channel) {
    ServerState& server = *counted;
    ServerClient client(server, running_task("asyncio::Server"), *channel);
    Stream stream(server.loop(), std::move(channel), {.limit = server.limits().stream_limit});
    if (server.handler().upgrade) {
        stream = co_await upgraded(server, std::move(stream));
        if (!stream) co_return;
    }
    client.watch(stream.writer);
    const auto handle = [&] { return server.handler().handle(std::move(stream)); };
    const Outcome<void> outcome = co_await settled_call(handle);
    if (outcome.failed()) client.close();
    if (outcome.cancelled()) client.abort();
    if (outcome.failed() && !outcome.cancelled())
        report(server.loop(), "the handler of a connection has failed", outcome.error());
    co_await until_closed(client);
}

/// Waits until a connection has ended, at most for `limit`. The end of a connection gives back the
/// descriptor that is missing. Other parts of the program give theirs back without a sign, and
/// for these there is the limit.
Coro<void> pause(ServerState& server, Duration limit) {
    const auto change = [&]() -> Coro<void> { co_await server.changed(); };
    co_await move_on_after(limit, change);
}

/// The result of the operation gets its owner here, before anything can throw. The address of the
/// peer goes into the channel and not into the frame of the task: the frame would need the room for
/// the longest address of all families, in every connection.
void take(ServerState& server, const Listener& listener, int fd, const sockaddr_storage& storage,
          std::size_t size) {
    EventLoop& loop = server.loop();
    lowlevel::LoopFd socket(loop, lowlevel::Fd(fd));
    if (!server.is_serving()) return;
    const auto length = static_cast<std::uint32_t>(std::min(size, sizeof storage));
    const Address peer =
        Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
    if (peer.is_ip() && server.limits().no_delay) set_option(loop, fd, IPPROTO_TCP, TCP_NODELAY);
    if (peer.is_ip() && server.limits().keep_alive) set_option(loop, fd, SOL_SOCKET, SO_KEEPALIVE);
    auto channel = std::make_shared<ServedChannel>(std::move(socket), peer, listener.is_tcp);
    loop.create_task(serve_client(CountedConnection(server), std::move(channel)),
                     {.eager_start = true});
}

/// A reason that ends with the end of another connection, or by itself.
/// Any other error concerns this server alone: a firewall that forbids the accept, for example.
/// Errors of one connection do not come here, because the back-ends skip them (socket_calls.cpp).
constexpr bool is_shortage(int error) noexcept {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// The same shortage is reported once, until a connection was accepted again. A server under a
/// flood of connections would otherwise fill the log at the moment in which the machine is short of
/// everything.
Coro<void> recover(ServerState& server, const Listener& listener, int error, bool& reported) {
    if (!std::exchange(reported, true)) {
        const std::string what = "accept on " + listener.address.to_string();
        report(server.loop(),
               is_shortage(error)
                   ? "a server cannot accept connections for the moment, and will try again"
                   : "a server could not accept a connection, and will try again",
               std::make_exception_ptr(OsError(error, what)));
    }
    co_await pause(server, pause_without_descriptors);
}

/// The operation and the address stand in this frame, so an accept allocates nothing, and the
/// memory that a connection needs is asked for when the connection is there.
Coro<void> accept_on(ServerState& server, const Listener& listener) {
    bool reported = false;
    while (server.is_serving()) {
        if (!server.has_room()) {
            co_await server.changed();
            continue;
        }
        sockaddr_storage storage{};
        lowlevel::OperationRequest request{.kind = lowlevel::OperationKind::accept,
                                           .fd = listener.socket.fileno(),
                                           .blocking = lowlevel::Blocking::owned,
                                           .buffer = &storage,
                                           .size = sizeof storage};
        const int result = co_await lowlevel::perform_in_place(request);
        if (result >= 0) {
            take(server, listener, result, storage, request.size);
            reported = false;
        } else if (server.is_serving()) {
            co_await recover(server, listener, -result, reported);
        }
    }
}

}  // namespace

// --- The state ----------------------------------------------------------------------------------

void ServerState::add(Listener listener) {
    listeners_.push_back(std::move(listener));
    claim_descriptor(loop_, listeners_.back().socket.fileno());
}

ServerClient::ServerClient(ServerState& to, TaskCore& runs_in, ServedChannel& through)
    : server(to), task(runs_in), channel(&through) {
    channel->belong_to(this);
    server.clients_.push_back(*this);
}

ServerClient::~ServerClient() {
    unlink();
    if (channel != nullptr) channel->belong_to(nullptr);
}

/// From here on the server can close and abort the connection, whatever the handler does with it.
/// The stream of an upgrade has a channel of its own, which may not ask the one below.
void ServerClient::watch(const StreamWriter& of) {
    writer = of.alias();
    of.state().send_rest_when_dropped();
    if (channel != nullptr) channel->send_rest_when_dropped();
}

bool ServerClient::is_detached() const noexcept { return writer && writer.state().is_detached(); }

/// What the stream above the channel has buffered, it sends: only its reads end here.
void ServerClient::close() noexcept {
    if (!is_detached()) return writer.close();
    if (channel != nullptr) channel->shut_down(lowlevel::Channel::Side::reading);
}

void ServerClient::abort() noexcept {
    if (!is_detached()) return writer.abort();
    if (channel != nullptr) channel->shut_down(lowlevel::Channel::Side::both);
}

/// A task that waits for the stream itself is woken by the stream.
void ServerClient::note_channel_ended() noexcept {
    channel = nullptr;
    if (is_detached()) server.note_change();
}

/// Wakes every task that waits for a change. Each looks for itself whether its time has come.
void ServerState::note_change() noexcept {
    while (!waiting_.empty()) waiting_.front().wake();
}

namespace {

/// Requests to cancel the task are held back meanwhile.
Coro<void> remove_file_of([[maybe_unused]] AcceptingTask accepting, SocketFile file) {
    const CancelMask mask(running_task("asyncio::Server"));
    co_await remove_socket_file(std::move(file));
}

/// An accepting task: accepts until the server does not serve any more, and then removes the file
/// of a Unix socket, also after a cancellation. A failed allocation costs a connection, and not the
/// server. So everything that may need memory stands inside a `try`. The sleep keeps the task from
/// trying without a wait: the next frame may fail as well.
Coro<void> run_listener(AcceptingTask accepting, const Listener& listener) {
    ServerState& server = *accepting;
    std::exception_ptr cancellation;
    bool needs_pause = false;
    while (server.is_serving() && cancellation == nullptr) {
        try {
            if (std::exchange(needs_pause, false)) co_await sleep(pause_without_descriptors);
            co_await accept_on(server, listener);
        } catch (const CancelledError&) {
            cancellation = std::current_exception();
        } catch (const std::bad_alloc&) {
            needs_pause = true;
            report(server.loop(), "a server has lost a connection for lack of memory",
                   std::current_exception());
        }
    }
    if (!listener.file.path.empty()) co_await remove_file_of(std::move(accepting), listener.file);
    if (cancellation != nullptr) std::rethrow_exception(cancellation);
}

}  // namespace

/// Without memory for a later task the server is left with the earlier ones, and its owner, who
/// gets the exception, destroys it. The list has its room before the first task is made, so each
/// task that accepts is in it.
void ServerState::start() {
    if (closed_) throw RuntimeError("the server is closed");
    if (std::exchange(serving_, true)) return;
    accepting_tasks_.reserve(listeners_.size());
    for (const Listener& listener : listeners_)
        accepting_tasks_.push_back(loop_.create_task(run_listener(AcceptingTask(*this), listener)));
}

/// For a server that has never served, and has no accepting tasks to do it. On a loop that is
/// closed, or without memory, the files stay, as those of a program that was killed.
void ServerState::remove_files() noexcept {
    if (loop_.is_closed()) return;
    for (const Listener& listener : listeners_) {
        if (listener.file.path.empty()) continue;
        try {
            loop_.create_task(remove_file_of(AcceptingTask(*this), listener.file));
        } catch (const std::bad_alloc&) {
            continue;
        }
    }
}

/// The close of a socket ends the accept in flight on it. An accepting task that waits for
/// something else is woken by the change, and finds that the server does not serve any more.
void ServerState::close() noexcept {
    if (std::exchange(closed_, true)) return;
    serving_ = false;
    const bool has_loop = loop_exists(loop_number_);
    for (Listener& listener : listeners_) {
        if (has_loop) disclaim_descriptor(loop_, listener.socket.fileno());
        listener.socket.close();
    }
    if (has_loop && accepting_tasks_.empty()) remove_files();
    note_change();
}

/// The tasks of the clients end later, so the list does not change during the walk.
void ServerState::close_clients() noexcept {
    clients_.for_each([](ServerClient& client) {
        if (!client.writer) client.task.cancel("the server closes its connections");
        client.close();
    });
}

void ServerState::abort_clients() noexcept {
    clients_.for_each([](ServerClient& client) {
        if (!client.writer) client.task.cancel("the server closes its connections");
        client.abort();
    });
}

void ServerState::cancel_handlers() noexcept {
    clients_.for_each([](ServerClient& client) { client.task.cancel("the server has ended"); });
}

void ServerState::drop() noexcept {
    close();
    abort_clients();
    cancel_handlers();
}

}  // namespace asyncio::internal
