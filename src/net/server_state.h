#pragma once
// A server: its listening sockets, a task for each of them, and a task for each connection.
//
// The state is shared by the handle of the program and by the tasks, so each may end before the
// others. A task of a connection (`serve_client` in server_state.cpp) counts itself as a client
// from its begin to its end, and the end comes when the handler has returned and the connection is
// closed. So "no client is left" means that nothing of the server runs any more.
//
// Everything that a waiting task may wait for (a client ends, the server closes) is one event,
// `changed`. The tasks look again whether what they wait for has come. There are few such tasks:
// the ones of the listeners, and those that wait for the end.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/internal/core/task_core.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/server.h>
#include <asyncio/task.h>

#include "net/listener.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace asyncio::internal {

/// What a server needs to know of its options while it runs.
struct ServerLimits {
    std::size_t stream_limit;
    std::size_t max_connections;
    Duration grace;
    bool no_delay;
    bool keep_alive;
};

class ServedChannel;

/// A connection, in the frame of its task.
struct ServerClient : ListNode {
    ServerClient(ServerState& to, TaskCore& runs_in, ServedChannel& through);
    ~ServerClient();
    /// Keeps a second handle of the stream of the connection.
    void watch(const StreamWriter& of);
    /// Whether the handler has put another stream over the channel.
    bool is_detached() const noexcept;
    void close() noexcept;
    void abort() noexcept;
    /// Called by the channel.
    void note_channel_ended() noexcept;

    ServerState& server;
    TaskCore& task;
    /// Null when the connection is over.
    ServedChannel* channel;
    /// The second handle. Empty before `watch`.
    StreamWriter writer;
};

class ServerState {
public:
    ServerState(EventLoop& loop, ClientHandler handler, const ServerLimits& limits)
        : loop_(loop), loop_number_(loop.number()), handler_(std::move(handler)), limits_(limits) {}
    ServerState(const ServerState&) = delete;
    ServerState& operator=(const ServerState&) = delete;

    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) delete this;
    }

    /// Takes over a socket that listens. Before `start`.
    void add(Listener listener);
    /// Starts to accept on every listener. Throws: RuntimeError if the server is closed.
    void start();
    void close() noexcept;
    void close_clients() noexcept;
    void abort_clients() noexcept;
    void cancel_handlers() noexcept;
    /// The handle of the program is gone.
    void drop() noexcept;

    EventLoop& loop() const noexcept { return loop_; }
    ClientHandler& handler() noexcept { return handler_; }
    const ServerLimits& limits() const noexcept { return limits_; }
    const std::deque<Listener>& listeners() const noexcept { return listeners_; }
    bool is_serving() const noexcept { return serving_; }
    bool is_closed() const noexcept { return closed_; }
    bool has_room() const noexcept { return count_ < limits_.max_connections; }
    std::size_t count() const noexcept { return count_; }
    /// Whether nothing of the server runs any more.
    bool has_ended() const noexcept { return closed_ && count_ == 0 && accepting_ == 0; }
    /// `serve_forever` was called.
    bool is_awaited = false;

    class ChangeAwaiter;
    using Change = lowlevel::Awaiting<ChangeAwaiter, ServerState&>;
    /// `co_await server.changed()` returns when a client has ended, or the server has been closed,
    /// or an accepting task has ended.
    Change changed() noexcept { return Change(*this); }

private:
    friend struct ServerClient;
    friend class CountedConnection;
    friend class AcceptingTask;

    ~ServerState() = default;
    void note_change() noexcept;
    void remove_files() noexcept;

    EventLoop& loop_;
    std::uint32_t loop_number_;
    ClientHandler handler_;
    ServerLimits limits_;
    /// A deque, because the accepting tasks refer to its elements.
    std::deque<Listener> listeners_;
    std::vector<Task<void>> accepting_tasks_;
    IntrusiveList<ServerClient> clients_;
    lowlevel::Line waiting_;
    std::size_t count_ = 0;
    /// How many accepting tasks run.
    int accepting_ = 0;
    std::uint32_t references_ = 1;
    bool serving_ = false;
    bool closed_ = false;
};

/// Counts a connection from the moment in which it was accepted, before its task runs, so that
/// the limit holds for many that come at once. Keeps the state alive.
class CountedConnection {
public:
    explicit CountedConnection(ServerState& server) noexcept
        : server_(Ref<ServerState>::share(&server)) {
        ++server.count_;
    }
    CountedConnection(CountedConnection&&) noexcept = default;
    CountedConnection& operator=(CountedConnection&&) = delete;
    ~CountedConnection() {
        if (!server_) return;
        --server_->count_;
        server_->note_change();
    }
    ServerState& operator*() const noexcept { return *server_; }

private:
    Ref<ServerState> server_;
};

/// Counts an accepting task, from before its first step until it has ended. So a task that
/// could not be made, or was cancelled before it began, is not waited for.
class AcceptingTask {
public:
    explicit AcceptingTask(ServerState& server) noexcept
        : server_(Ref<ServerState>::share(&server)) {
        ++server.accepting_;
    }
    AcceptingTask(AcceptingTask&&) noexcept = default;
    AcceptingTask& operator=(AcceptingTask&&) = delete;
    ~AcceptingTask() {
        if (!server_) return;
        --server_->accepting_;
        server_->note_change();
    }
    ServerState& operator*() const noexcept { return *server_; }

private:
    Ref<ServerState> server_;
};

/// The awaiter of `changed`.
class ServerState::ChangeAwaiter : public lowlevel::LineWaiter {
public:
    explicit ChangeAwaiter(ServerState& server) noexcept : server_(server) {}

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(server_.waiting_, coroutine);
    }
    void await_resume() { resumed(); }

private:
    ServerState& server_;
};

}  // namespace asyncio::internal
