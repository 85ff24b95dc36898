// A server on several threads.
//
// All listening sockets are made on the thread of the program, before the first thread exists. So
// names are looked up once, port 0 gives one port for all, and an address that cannot be used is an
// error of the call. A part is then given its sockets, its handler, and the ends of three promises,
// and runs a loop on a thread of its own:
//
//     program  ──── how it ends ────→  part: `run(serve_part(…))`
//              ──── at once ────────→
//              ←─── it accepts ─────
//
// Promises of threads, because giving an order must allocate nothing, must not depend on whether
// the loop of the part still runs, and must work in a destructor.
//
// Every part has a pool of one thread. A pool for all would queue a part for which no thread can be
// started, and that part would begin when another one ends; here the start fails.
//
// The program waits for the parts through futures of its own loop, and never blocks. The destructor
// is the exception: there is nothing else to wait with.

#include <asyncio/thread_server.h>

#include <asyncio/executor.h>
#include <asyncio/finally.h>
#include <asyncio/run.h>
#include <asyncio/thread_future.h>
#include <asyncio/wait.h>

#include "net/listener.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>

namespace asyncio {
namespace internal {
namespace {

/// How a server ends.
struct HowToEnd {
    Duration grace = Duration::zero();
    /// Whether connections are closed at the beginning of the grace, and not in its middle.
    bool closes_clients = false;
};

/// A socket on its way to another thread.
struct SocketOnTheWay {
    lowlevel::Fd fd;
    Address address;
};

/// The needs of a part. They belong to the thread of the part from its start on, so no mutex guards
/// them.
struct Part {
    ClientHandler handler;
    std::vector<SocketOnTheWay> sockets;
    ServerOptions options;
    RunOptions run;
    /// The order to end. The part waits for it as long as it serves.
    ThreadFuture<HowToEnd> end;
    /// The order to end at once, also in the middle of an ordinary end.
    ThreadFuture<void> force;
    /// Tells the program that the part accepts, or why it cannot.
    ThreadPromise<void> accepts;
    /// From here on an error is the result of the thread and not of `accepts`.
    bool has_begun = false;
};

/// The task is either waiting for its order, or ending.
Coro<void> cancel_when(ThreadFuture<void> force, TaskRef task) {
    co_await wrap_future(std::move(force));
    task.cancel();
}

/// The main coroutine of a part. Returns whether everything has ended by itself. An order to end at
/// once cancels it: a server that waits for its order ends with the destructor then.
Coro<bool> serve_part(Part& part) {
    EventLoop& loop = running_loop("asyncio::serve_on_threads()");
    std::vector<Listener> listeners;
    listeners.reserve(part.sockets.size());
    for (SocketOnTheWay& socket : part.sockets)
        listeners.push_back({Socket(std::move(socket.fd)), socket.address, {}});
    const Server server =
        serve_listening(loop, std::move(part.handler), std::move(listeners), part.options);
    const Task<void> watch = loop.create_task(cancel_when(std::move(part.force), current_task()));
    Future<HowToEnd> order = wrap_future(std::move(part.end));
    part.has_begun = true;
    part.accepts.set_result();
    const HowToEnd how = co_await std::move(order);
    server.close();
    if (how.closes_clients) server.close_clients();
    co_return co_await server.shutdown(how.grace);
}

/// The body of a thread. While the part has not begun to accept, the program waits for that promise
/// and not for the result.
bool run_part(std::unique_ptr<Part> part) {
    try {
        return run(serve_part(*part), part->run);
    } catch (const CancelledError&) {
        return false;
    } catch (...) {
        if (part->has_begun) throw;
        part->accepts.set_exception(std::current_exception());
        return false;
    }
}

/// The other side of a part, on the thread of the program.
class PartHandle {
public:
    explicit PartHandle(std::string_view thread_name)
        : thread_({.max_workers = 1, .thread_name_prefix = thread_name}) {}

    /// Starts the thread. The future is done when the part accepts, or cannot. The promises of the
    /// orders exist before the thread, so an order can be given at any time.
    Future<void> start(EventLoop& loop, ClientHandler handler, std::vector<SocketOnTheWay> sockets,
                       const ServerOptions& options, const RunOptions& run) {
        ThreadPromise<void> accepts;
        Future<void> accepting = wrap_future(accepts.future());
        auto part = std::make_unique<Part>(Part{.handler = std::move(handler),
                                                .sockets = std::move(sockets),
                                                .options = options,
                                                .run = run,
                                                .end = end_.future(),
                                                .force = force_.future(),
                                                .accepts = std::move(accepts)});
        ended_ = loop.run_in_executor(thread_, &run_part, std::move(part));
        return accepting;
    }

    /// The first order counts.
    void end(HowToEnd how) {
        if (!std::exchange(told_to_end_, true)) end_.set_result(how);
    }
    void force() {
        if (!std::exchange(forced_, true)) force_.set_result();
    }
    /// Blocks until the thread has ended.
    void join() {
        if (!std::exchange(joined_, true)) thread_.shutdown();
    }
    /// Done when the thread has done its work.
    const Future<bool>& ended() const noexcept { return ended_; }

private:
    ThreadPoolExecutor thread_;
    ThreadPromise<HowToEnd> end_;
    ThreadPromise<void> force_;
    Future<bool> ended_;
    bool told_to_end_ = false;
    bool forced_ = false;
    bool joined_ = false;
};

}  // namespace

/// In a simulated world `alone` is the server, and there are no parts. Shared by the handle and by
/// the coroutines that wait for the end.
struct ThreadServerState {
    /// Ends the patience of all parts.
    void force() {
        for (const auto& part : parts) part->force();
    }
    /// The handle is gone. All parts are told before the first is waited for, so that they end
    /// beside each other.
    void drop() {
        alone = Server();
        force();
        for (const auto& part : parts) part->join();
    }

    Server alone;
    std::vector<std::unique_ptr<PartHandle>> parts;
    std::vector<Address> addresses;
    Duration grace{};
};

using ThreadServerRef = std::shared_ptr<ThreadServerState>;

namespace {

/// One part's sockets. Their descriptors leave this loop.
std::vector<SocketOnTheWay> hand_over(std::vector<Listener>& listeners) {
    std::vector<SocketOnTheWay> sockets;
    sockets.reserve(listeners.size());
    for (Listener& listener : listeners)
        sockets.push_back({listener.socket.detach(), listener.address});
    return sockets;
}

/// Sockets on the addresses that the first part has got.
std::vector<Listener> listen_on_same(const std::vector<Address>& addresses,
                                     const ServerOptions& options) {
    std::vector<Listener> listeners;
    listeners.reserve(addresses.size());
    for (const Address& address : addresses)
        listeners.push_back(
            listen_on(address, {options.backlog, options.reuse_address, options.reuse_port}));
    return listeners;
}

/// The system may not know the number of processors, and says 0 then.
std::size_t thread_count_of(const ThreadServerOptions& options) {
    if (options.threads != 0) return options.threads;
    return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

/// The threads use the back-end of this loop. Signals belong to the program.
RunOptions run_options_of(const EventLoop& loop) {
    const bool rings = std::string_view(loop.backend_name()) == "io_uring";
    return {.debug = loop.get_debug(),
            .backend = rings ? lowlevel::BackendKind::io_uring : lowlevel::BackendKind::epoll,
            .sigint = Sigint::ignore};
}

/// All sockets listen before the first thread starts.
void start_parts(ThreadServerState& server, EventLoop& loop, HandlerFactory& handlers,
                 std::vector<Listener> first, const ThreadServerOptions& options,
                 std::vector<Future<void>>& accepting) {
    const std::size_t count = thread_count_of(options);
    std::vector<std::vector<Listener>> all;
    all.push_back(std::move(first));
    while (all.size() < count) all.push_back(listen_on_same(server.addresses, options.server));
    for (std::vector<Listener>& listeners : all) {
        const std::string name = "serve" + std::to_string(server.parts.size());
        server.parts.push_back(std::make_unique<PartHandle>(name));
        accepting.push_back(server.parts.back()->start(loop, handlers(), hand_over(listeners),
                                                       options.server, run_options_of(loop)));
    }
}

/// Every part is asked, so that no error counts as unseen. Throws: the first error.
Coro<void> until_accepting(std::vector<Future<void>> parts) {
    std::exception_ptr error;
    for (const Future<void>& part : parts) {
        const Outcome<void> outcome = co_await settle(part);
        if (outcome.failed() && error == nullptr) error = outcome.error();
    }
    if (error != nullptr) std::rethrow_exception(error);
}

}  // namespace

/// The state exists before the first thread. So an error, or a cancellation, ends what has begun.
Coro<ThreadServer> serve_threads(HandlerFactory handlers, std::string host, int port,
                                 ThreadServerOptions options) {
    EventLoop& loop = running_loop("asyncio::start_server_on_threads()");
    options.server.reuse_port = true;
    options.server.start_serving = true;
    std::vector<std::string> hosts;
    hosts.push_back(std::move(host));
    std::vector<Listener> first = co_await listen_on_hosts(std::move(hosts), port, options.server);
    const auto state = std::make_shared<ThreadServerState>();
    ThreadServer handle(state);
    ThreadServerState& server = *state;
    server.grace = options.server.grace;
    for (const Listener& listener : first) server.addresses.push_back(listener.address);
    if (std::string_view(loop.backend_name()) == "simulated") {
        server.alone = serve_listening(loop, handlers(), std::move(first), options.server);
        co_return handle;
    }
    std::vector<Future<void>> accepting;
    start_parts(server, loop, handlers, std::move(first), options, accepting);
    co_await until_accepting(std::move(accepting));
    co_return handle;
}

namespace {

/// Waits for one part, or for all of them. Never cancels one: a part ends by an order.
Coro<void> until_ended(ThreadServerRef server, ReturnWhen when) {
    std::vector<Future<bool>> ended;
    for (const auto& part : server->parts) ended.push_back(part->ended());
    const WaitOptions options{.return_when = when};
    co_await wait(std::move(ended), options);
}

/// Every part is asked, so that no error counts as unseen. Throws: the first error.
bool have_ended_by_themselves(const ThreadServerState& server) {
    std::exception_ptr error;
    bool all = true;
    for (const auto& part : server.parts) {
        try {
            all = part->ended().result() && all;
        } catch (...) {
            if (error == nullptr) error = std::current_exception();
        }
    }
    if (error != nullptr) std::rethrow_exception(error);
    return all;
}

/// All parts get the order before the first is waited for, so that their graces run beside each
/// other. A cancellation ends the patience and not the wait: a part that ran on would use objects
/// of the program that are gone.
Coro<bool> end_parts(ThreadServerRef server, HowToEnd how) {
    for (const auto& part : server->parts) part->end(how);
    const auto wait = [&]() -> Coro<void> { co_await until_ended(server, ALL_COMPLETED); };
    const auto force = [&]() -> Coro<void> {
        server->force();
        co_await until_ended(server, ALL_COMPLETED);
    };
    co_await finally_(wait, force);
    co_return have_ended_by_themselves(*server);
}

/// A part that ends without an order has failed. The others end with it, and its error is thrown.
Coro<void> serve_until_the_end_on_threads(ThreadServerRef server) {
    if (server->alone) {
        co_await server->alone.serve_forever();
        co_return;
    }
    const auto serve = [&]() -> Coro<void> { co_await until_ended(server, FIRST_COMPLETED); };
    const auto end = [&]() -> Coro<void> {
        co_await end_parts(server, {.grace = server->grace, .closes_clients = true});
    };
    co_await finally_(serve, end);
}

/// In a simulated world, the end of the one server is the end of all.
Coro<bool> shut_down_parts(ThreadServerRef server, Duration grace) {
    if (server->alone) co_return co_await server->alone.shutdown(grace);
    co_return co_await end_parts(server, {.grace = grace});
}

}  // namespace

Coro<void> serve_threads_forever(HandlerFactory handlers, std::string host, int port,
                                 ThreadServerOptions options) {
    const ThreadServer server =
        co_await serve_threads(std::move(handlers), std::move(host), port, options);
    co_await server.serve_forever();
}

}  // namespace internal

// --- The handle ---------------------------------------------------------------------------------

ThreadServer::ThreadServer() noexcept = default;
ThreadServer::ThreadServer(std::shared_ptr<internal::ThreadServerState> state) noexcept
    : state_(std::move(state)) {}
ThreadServer::ThreadServer(ThreadServer&& other) noexcept = default;

/// The server that the handle referred to ends, as if the handle had been destroyed.
ThreadServer& ThreadServer::operator=(ThreadServer&& other) noexcept {
    if (this == &other) return *this;
    if (state_ != nullptr) state_->drop();
    state_ = std::move(other.state_);
    return *this;
}

ThreadServer::~ThreadServer() {
    if (state_ != nullptr) state_->drop();
}

const std::shared_ptr<internal::ThreadServerState>& ThreadServer::state() const {
    if (state_ == nullptr) internal::throw_empty("ThreadServer");
    return state_;
}

const std::vector<Address>& ThreadServer::addresses() const { return state()->addresses; }

std::uint16_t ThreadServer::port() const {
    return state()->addresses.empty() ? 0 : state()->addresses.front().port();
}

std::size_t ThreadServer::threads() const { return state()->alone ? 1 : state()->parts.size(); }

Coro<void> ThreadServer::serve_forever() const {
    return internal::serve_until_the_end_on_threads(state());
}

Coro<bool> ThreadServer::shutdown(Delay grace) const {
    return internal::shut_down_parts(state(), grace);
}

}  // namespace asyncio
