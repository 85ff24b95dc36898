#pragma once
// The event loop as Python knows it: callbacks, futures and tasks, executors, errors, and the end.
//
// `lowlevel/loop.h` describes how the loop runs, with the rules of an iteration. This file adds
// what a program calls, under Python's names. Most of it is defined where the returned type is:
// futures in future.h, tasks in task.h, executors in executor.h.
//
// The face is a class of its own because it grows with every service of the loop, and because
// awaitables need none of it. It keeps a few things for floors that it does not know
// (`internal::LoopBelongings`): each floor finds them by the loop, and needs no table.
//
// Thread-safety: a loop belongs to the thread that runs it. The exceptions are
// `call_soon_threadsafe` and the handle it returns, and the exceptions that `lowlevel::Loop` has.

#include <asyncio/address_info.h>
#include <asyncio/delay.h>
#include <asyncio/exceptions.h>
#include <asyncio/internal/base/bind.h>
#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/internal/base/unique_function.h>
#include <asyncio/internal/loop/step.h>
#include <asyncio/lowlevel/backend.h>
#include <asyncio/lowlevel/loop.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

class EventLoop;
template <class T>
class Coro;
template <class T>
class Future;
template <class T>
class Task;
struct Accepted;
class Datagram;
struct DatagramOptions;
class DatagramProtocol;
class NameCache;
struct ReceivedFrom;
struct ReceivedIntoFrom;
struct SendfileOptions;
class Socket;
class Stream;
struct StreamOptions;
struct TaskOptions;
class ThreadPoolExecutor;

namespace internal {

/// The asynchronous generators that have begun and not ended. The loop only keeps the lists;
/// `core/generator.cpp` brings the generators to an end.
struct AsyncGenerators {
    IntrusiveList<Resident> live;
    /// The generators whose owners have dropped them, until the loop closes them.
    IntrusiveList<Resident> orphans;
    /// `shutdown_asyncgens` was called. A generator that begins after that is logged.
    bool shut_down = false;
};

/// A listener in the orderly end of `run`. It is called when the tasks have ended and the loop can
/// still run, in the order of registration, and the coroutine that it returns is awaited. The loop
/// takes it off the list before it calls it. `limit` is how long the coroutine may take.
struct AtShutdown : ListNode {
    Coro<void> (*run)(AtShutdown& listener, Duration limit) = nullptr;
};

class CallbackNode;
class LoopDescriptors;
class LoopNames;
class LoopSignals;
class LoopThreads;

/// The things that other floors keep with a loop. The loop does not know what they are.
struct LoopBelongings {
    AsyncGenerators asyncgens;
    IntrusiveList<AtShutdown> at_shutdown;
    /// Made by `executor.h` when it is needed, and destroyed at `close`.
    LoopThreads* threads = nullptr;
    /// Made by `signals.h` when it is needed, and destroyed at `close`.
    LoopSignals* signals = nullptr;
    /// Made by `streams/loop_descriptors.h` when it is needed, and destroyed at `close`.
    LoopDescriptors* descriptors = nullptr;
    /// Made by `net/loop_names.h` with the first lookup of a name, and destroyed at `close`.
    LoopNames* names = nullptr;
};

/// The loop calls these functions to end all tasks and all generators. `core/residents.cpp` and
/// `core/generator.cpp` define them.
void wind_up_residents(EventLoop& loop);
void wind_up_asyncgens(EventLoop& loop);

}  // namespace internal

/// A callback that was given to `call_soon`, `call_later` or `call_at`. Copies refer to the same
/// callback. Dropping the handle does not cancel the callback. An empty handle refers to no
/// callback, and its `cancel` has no effect.
///
/// Thread-safety: loop thread only. A callback from `call_soon_threadsafe` may be cancelled from
/// any thread.
/// Python: `asyncio.Handle`.
class Handle {
public:
    Handle() noexcept = default;
    explicit Handle(internal::CallbackNode* node) noexcept;
    Handle(const Handle& other) noexcept;
    Handle(Handle&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    Handle& operator=(Handle other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~Handle();

    /// Cancels the callback: it will not run, and the objects that it captured are destroyed at
    /// once. No effect if it has run. If it is running on another thread, this call and `cancelled`
    /// wait until it has returned. In every case the program may destroy afterwards what the
    /// callback uses.
    void cancel() noexcept;
    /// Whether the callback was cancelled before it ran.
    bool cancelled() const noexcept;

protected:
    internal::CallbackNode* node_ = nullptr;
};

/// The handle of a callback with a deadline. Python: `asyncio.TimerHandle`.
class TimerHandle : public Handle {
public:
    using Handle::Handle;
    /// The deadline, also after it has passed. Throws: RuntimeError if the handle is empty.
    TimePoint when() const;
};

/// The argument of the exception handler. The views are valid during the call.
/// Python: the `context` dictionary of `loop.call_exception_handler`.
struct ErrorContext {
    std::string_view message;           ///< A sentence that says what happened.
    std::exception_ptr exception = {};  ///< Null if there was no exception.
    std::string_view task_name = {};    ///< The name of the task; empty if it is not about a task.
};

/// The exception handler of a loop: any callable, also a closure with a state. An empty one stands
/// for the default, which logs.
using ExceptionHandler = std::function<void(EventLoop& loop, const ErrorContext& context)>;

/// How a loop is made.
struct LoopOptions {
    /// How the loop reaches the kernel.
    lowlevel::BackendKind backend = lowlevel::BackendKind::automatic;
    /// Whether the loop runs in debug mode. Without a value, `ASYNCIO_DEBUG` decides.
    std::optional<bool> debug = std::nullopt;
    /// As `set_eager_tasks`.
    bool eager_tasks = false;
};

/// An event loop. Most programs need none of its functions: `run()` makes a loop, runs it, and ends
/// it in order. Inside a coroutine, `get_running_loop()` gives the loop.
/// Python: `asyncio.AbstractEventLoop`.
class EventLoop : public lowlevel::Loop {
public:
    /// A loop on the back-end that the options name. Throws: what `lowlevel::make_backend` throws.
    explicit EventLoop(LoopOptions options = {});
    /// A loop on a given back-end, for tests. `options.backend` is ignored.
    explicit EventLoop(std::unique_ptr<lowlevel::Backend> backend, LoopOptions options = {});
    /// `close()`.
    ~EventLoop();

    // Running.

    /// Runs the loop until `awaitable` (a Coro, Task, Future, …) is done. Returns its value or
    /// throws its error.
    /// Throws also: RuntimeError if `stop()` ended the run before that (the awaitable continues at
    /// the next run). Defined in task.h.
    template <class Awaitable>
    decltype(auto) run_until_complete(Awaitable&& awaitable);

    /// Closes the loop. Tasks that have not ended are named in the log, cancelled, and run to their
    /// end, because a frame is never destroyed in the middle. Callbacks that are scheduled are
    /// dropped. Closing twice is allowed. Closing a loop inside another loop that runs is allowed,
    /// and blocks that one.
    /// Throws: RuntimeError while the loop runs.
    void close();

    // Callbacks.

    /// Runs `callback()` in the next iteration, in a copy of the current context. An exception that
    /// leaves the callback goes to the exception handler.
    /// Throws: RuntimeError if the loop is closed. Cost: allocates. Python: `loop.call_soon`.
    Handle call_soon(internal::UniqueFunction<void()> callback);
    /// Runs `callback()` when `delay` has passed. Zero or less: in the next iteration, behind the
    /// callbacks that are ready. Throws: as `call_soon`. Python: `loop.call_later`.
    TimerHandle call_later(Delay delay, internal::UniqueFunction<void()> callback);
    /// Runs `callback()` at the time `when` of this loop's clock (see `time()`). Throws: as
    /// `call_soon`. Python: `loop.call_at`.
    TimerHandle call_at(Deadline when, internal::UniqueFunction<void()> callback);
    /// As `call_soon`, for other threads: wakes the loop if it waits. Not for signal handlers,
    /// since it allocates.
    ///
    /// Lifetime: the loop must exist when the call begins. The callback may end the loop, since the
    /// destruction of the loop waits until this call has stopped using it. Where the loop may be
    /// gone already, use a `LoopHandle` (loop_handle.h).
    /// Throws: RuntimeError if the loop is closed; the callback is then destroyed and never runs.
    Handle call_soon_threadsafe(internal::UniqueFunction<void()> callback);

    // The same for a function with arguments: `call_later(1s, print, "text")`. Function and
    // arguments are copied or moved. Wrap an argument in `std::ref` to share it.

    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 && internal::CallableWith<Function, Arguments...>)
    Handle call_soon(Function&& function, Arguments&&... arguments) {
        return call_soon(internal::bind_arguments(std::forward<Function>(function),
                                                  std::forward<Arguments>(arguments)...));
    }
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 && internal::CallableWith<Function, Arguments...>)
    TimerHandle call_later(Delay delay, Function&& function, Arguments&&... arguments) {
        return call_later(delay, internal::bind_arguments(std::forward<Function>(function),
                                                          std::forward<Arguments>(arguments)...));
    }
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 && internal::CallableWith<Function, Arguments...>)
    TimerHandle call_at(Deadline when, Function&& function, Arguments&&... arguments) {
        return call_at(when, internal::bind_arguments(std::forward<Function>(function),
                                                      std::forward<Arguments>(arguments)...));
    }
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 && internal::CallableWith<Function, Arguments...>)
    Handle call_soon_threadsafe(Function&& function, Arguments&&... arguments) {
        return call_soon_threadsafe(internal::bind_arguments(
            std::forward<Function>(function), std::forward<Arguments>(arguments)...));
    }

    // Futures and tasks (defined in future.h and task.h).

    /// A new future of this loop. Python: `loop.create_future`.
    template <class T = void>
    Future<T> create_future();
    /// Schedules `coroutine` as a task of this loop, which need not run yet. Otherwise as the free
    /// function `create_task`. Throws: RuntimeError if the loop is closed. There are two functions
    /// instead of a default argument, because `TaskOptions` is not complete in this header.
    template <class T>
    Task<T> create_task(Coro<T> coroutine, const TaskOptions& options);
    template <class T>
    Task<T> create_task(Coro<T> coroutine);
    /// The same for a function that returns a coroutine, and for anything else that can be awaited.
    /// See the free function `create_task`.
    template <class Given>
    auto create_task(Given&& given, const TaskOptions& options);
    template <class Given>
    auto create_task(Given&& given);

    /// Whether tasks run up to their first wait before `create_task` returns, unless
    /// `TaskOptions::eager_start` says otherwise. Eager tasks save an iteration where tasks often
    /// end at once, and change the order of events. Python: `set_task_factory(eager_task_factory)`.
    void set_eager_tasks(bool enabled) noexcept { eager_tasks_ = enabled; }
    bool get_eager_tasks() const noexcept { return eager_tasks_; }

    // Threads (defined in executor.h).

    /// Calls `function(arguments...)` on a thread of `executor`, and returns a future of the
    /// result. `executor` is a ThreadPoolExecutor, a ProcessPoolExecutor, an executor of the
    /// program's own, or a null pointer for the default executor. Described in executor.h.
    template <class Pool, class Function, class... Arguments>
    auto run_in_executor(Pool&& executor, Function&& function, Arguments&&... arguments);
    /// Sets the executor that gets the jobs of `run_in_executor(nullptr, …)` and `to_thread` from
    /// now on.
    /// Throws: `std::invalid_argument` if it is null; RuntimeError if the loop is closed.
    void set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor);
    /// The same for an executor that the loop takes over:
    /// `set_default_executor(ThreadPoolExecutor({.max_workers = 4}))`.
    void set_default_executor(ThreadPoolExecutor&& executor);
    /// Ends the default executor: it takes no further jobs, and this waits until its jobs have
    /// ended, at most for `limit`. The loop runs in the meantime. Threads that are still busy after
    /// `limit` are named in the log and left to themselves. `Runner` does this at the end of a run.
    /// Python: `loop.shutdown_default_executor`.
    Coro<void> shutdown_default_executor(std::optional<Delay> limit = std::nullopt);

    // Signals (defined with signals.h, which has more).

    /// Calls `callback()` in the loop whenever `signal` has come, as a callback of its own. A
    /// program that uses other loops, or libraries that want the same signal, better subscribes
    /// with `on_signal`: every subscriber gets the signal, this handler among them.
    ///
    /// A second call for the same signal replaces the handler of this loop. The close of the loop
    /// removes it. The callback runs in a copy of the current context; an exception that leaves it
    /// goes to the exception handler.
    /// Throws: RuntimeError if the loop is closed or the signal cannot be caught; the message names
    /// the signal. `std::invalid_argument` if `signal` is not the number of a signal. Nothing has
    /// changed then.
    /// Cost: allocates.
    /// Python: `loop.add_signal_handler`, which only the main thread may call, and which takes the
    /// signal away from all other loops.
    void add_signal_handler(int signal, internal::UniqueFunction<void()> callback);
    /// The same for a function with arguments. Function and arguments are copied or moved, and
    /// every call gets the same copies.
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 &&
                 internal::RepeatedlyCallableWith<Function, Arguments...>)
    void add_signal_handler(int signal, Function&& function, Arguments&&... arguments) {
        add_signal_handler(
            signal, internal::bind_for_repeated_calls(std::forward<Function>(function),
                                                      std::forward<Arguments>(arguments)...));
    }
    /// Removes the handler of `add_signal_handler`. Returns whether there was one. If it was the
    /// last that listens to the signal in the process, the signal has the disposition that it had
    /// before the first one.
    /// Throws: `std::invalid_argument` as above.
    /// Python: `loop.remove_signal_handler`, which sets the default disposition.
    bool remove_signal_handler(int signal);

    // Descriptors (defined with standard_streams.h, which has `readable` and `writable`).

    /// Calls `callback()` in the loop whenever a read of `fd` would not block: data, the end, or an
    /// error is there. It is called once in an iteration, again and again as long as that holds.
    ///
    /// The descriptor stays the caller's. `remove_reader` comes before its close; a callback that
    /// was forgotten is not called for another file that gets the same number. A descriptor has one
    /// callback for each direction, and a second call replaces the first. The callback may remove
    /// or replace itself, and others. It runs in a copy of the current context; an exception that
    /// leaves it goes to the exception handler. The close of the loop removes it.
    /// Throws: RuntimeError if the loop is closed, or if the descriptor belongs to a stream, a
    /// server or a datagram endpoint of this loop; a plain `Socket` is allowed. OsError if `fd` is
    /// no open descriptor (EBADF), or a file, which is always ready (EPERM). Nothing has changed
    /// then.
    /// Cost: allocates; four system calls for each call of the callback.
    /// Python: `loop.add_reader`.
    void add_reader(int fd, internal::UniqueFunction<void()> callback);
    /// The same for writing. Python: `loop.add_writer`.
    void add_writer(int fd, internal::UniqueFunction<void()> callback);
    /// The same for a function with arguments. Function and arguments are copied or moved, and
    /// every call gets the same copies.
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 &&
                 internal::RepeatedlyCallableWith<Function, Arguments...>)
    void add_reader(int fd, Function&& function, Arguments&&... arguments) {
        add_reader(fd, internal::bind_for_repeated_calls(std::forward<Function>(function),
                                                         std::forward<Arguments>(arguments)...));
    }
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 &&
                 internal::RepeatedlyCallableWith<Function, Arguments...>)
    void add_writer(int fd, Function&& function, Arguments&&... arguments) {
        add_writer(fd, internal::bind_for_repeated_calls(std::forward<Function>(function),
                                                         std::forward<Arguments>(arguments)...));
    }
    /// Removes the callback of `add_reader`. It is not called any more, also if the descriptor is
    /// ready already. Returns whether there was one; false on a closed loop.
    /// Python: `loop.remove_reader`.
    bool remove_reader(int fd);
    bool remove_writer(int fd);

    // Sockets, call by call (defined with socket.h). Each is the function of `Socket` whose name
    // stands behind it, under Python's name. Socket and memory must live until the await returns.
    // Throws also: RuntimeError if the loop is closed, or if it is not awaited in a task of this
    // loop.

    /// `Socket::recv`. Python: `loop.sock_recv`.
    Coro<std::string> sock_recv(const Socket& socket, std::size_t most_bytes);
    /// `Socket::recv_into`. Python: `loop.sock_recv_into`.
    Coro<std::size_t> sock_recv_into(const Socket& socket, std::span<char> room);
    /// `Socket::recvfrom`. Python: `loop.sock_recvfrom`.
    Coro<ReceivedFrom> sock_recvfrom(const Socket& socket, std::size_t most_bytes);
    /// `Socket::recvfrom_into`. Python: `loop.sock_recvfrom_into`.
    Coro<ReceivedIntoFrom> sock_recvfrom_into(const Socket& socket, std::span<char> room);
    /// The same for the first `most_bytes` of `room`; zero means all of it.
    /// Throws: `std::invalid_argument` if `most_bytes` is larger than `room`.
    Coro<ReceivedIntoFrom> sock_recvfrom_into(const Socket& socket, std::span<char> room,
                                              std::size_t most_bytes);
    /// `Socket::sendall`. Python: `loop.sock_sendall`.
    Coro<void> sock_sendall(const Socket& socket, std::string_view data);
    /// `Socket::sendto`. Python: `loop.sock_sendto`.
    Coro<std::size_t> sock_sendto(const Socket& socket, std::string_view data, Address address);
    /// `Socket::connect`. Python: `loop.sock_connect`.
    Coro<void> sock_connect(const Socket& socket, Address address);
    /// Looks for the address of `host` that fits the socket, and connects to it. Throws also: as
    /// `getaddrinfo`.
    Coro<void> sock_connect(const Socket& socket, std::string host, int port);
    /// `Socket::accept`. Python: `loop.sock_accept`.
    Coro<Accepted> sock_accept(const Socket& socket);
    /// `Socket::sendfile`. Python: `loop.sock_sendfile`.
    Coro<std::uint64_t> sock_sendfile(const Socket& socket, int file);
    Coro<std::uint64_t> sock_sendfile(const Socket& socket, int file,
                                      const SendfileOptions& options);

    /// As the free function `connect_accepted_socket` (connection.h).
    /// Python: `loop.connect_accepted_socket`.
    Stream connect_accepted_socket(Socket socket);
    Stream connect_accepted_socket(Socket socket, const StreamOptions& options);

    /// Opens an endpoint whose datagrams are given to `protocol`. Returns when `connection_made`
    /// has been called. Described in datagram_protocol.h.
    ///
    /// The endpoint lives as long as the returned object: its destruction is an `abort`.
    /// Throws: `std::invalid_argument` if `protocol` is null; as `open_datagram`; RuntimeError as
    /// above.
    /// Cancellation: nothing is left open. If `connection_made` was called, `connection_lost` is.
    /// Python: `loop.create_datagram_endpoint`, with a function that makes the protocol.
    Coro<Datagram> create_datagram_endpoint(std::shared_ptr<DatagramProtocol> protocol,
                                            const DatagramOptions& options);
    /// The same for an endpoint that is open: one that was opened by the name of a host, or made of
    /// a socket. Throws: RuntimeError also if it is empty, or belongs to another loop.
    Coro<Datagram> create_datagram_endpoint(std::shared_ptr<DatagramProtocol> protocol,
                                            Datagram endpoint);

    // Names (defined in names.h).

    /// As the free function `getaddrinfo`. Must be awaited in a task of this loop.
    /// Throws: RuntimeError if the loop is closed.
    /// Python: `loop.getaddrinfo`.
    Coro<std::vector<AddressInfo>> getaddrinfo(std::string host, std::string service,
                                               AddressHints hints = {});
    Coro<std::vector<AddressInfo>> getaddrinfo(std::string host, int port, AddressHints hints = {});
    /// As the free function `getnameinfo`. Must be awaited in a task of this loop.
    /// Throws: RuntimeError if the loop is closed.
    /// Python: `loop.getnameinfo`.
    Coro<NameInfo> getnameinfo(Address address, int flags = 0);
    /// The answers that the loop keeps. Described in names.h.
    /// Throws: RuntimeError if the loop is closed.
    NameCache name_cache();

    /// Closes all asynchronous generators that have begun and not ended. A generator that begins
    /// after that is logged. Errors go to the exception handler. `Runner` and `close` do this at
    /// the end.
    /// Python: `loop.shutdown_asyncgens`.
    Coro<void> shutdown_asyncgens();

    // Errors.

    /// Sets the handler for errors that no part of the program awaits. `nullptr` restores the
    /// default, which logs. A handler may replace itself. Python: `loop.set_exception_handler`.
    void set_exception_handler(ExceptionHandler handler);
    /// The handler; empty if none was set.
    ExceptionHandler get_exception_handler() const;
    /// The default handler: logs the error. A handler of the program may call it.
    void default_exception_handler(const ErrorContext& context) noexcept;
    /// Reports an error that no part of the program awaits. If the handler throws, both errors go
    /// to the default handler.
    void call_exception_handler(const ErrorContext& context) noexcept;

    /// For the library.
    internal::LoopBelongings& belongings() noexcept { return belongings_; }

private:
    internal::LoopBelongings belongings_;
    bool eager_tasks_;
    /// Shared, so that a handler that is running stays alive when it replaces itself.
    std::shared_ptr<const ExceptionHandler> exception_handler_;
};

/// The loop that runs on this thread. Throws: RuntimeError if no loop runs on it.
/// Python: `asyncio.get_running_loop`.
EventLoop& get_running_loop();

/// The loop that runs on this thread. While no loop runs, the thread's current loop: the one that
/// was given to `set_event_loop`.
///
/// On the process's first thread, the first call makes a loop if none was set. The loop exists
/// until the program ends.
/// Throws: RuntimeError if there is no such loop.
/// Python: `asyncio.get_event_loop`, as it is up to 3.13. 3.14 makes no loop.
EventLoop& get_event_loop();

/// Makes `loop` the thread's current loop. `get_event_loop`, `ensure_future` and `gather` use it
/// while no loop runs. A loop that is destroyed is no longer the current loop of any thread.
///
/// Python: `asyncio.set_event_loop`. Python's `run` takes the current loop away; this library's
/// `run` does not.
void set_event_loop(EventLoop& loop);
/// The thread has no current loop after this.
void set_event_loop(std::nullptr_t) noexcept;
/// Refuses a temporary, which would be destroyed at the end of the line: keep the loop in a
/// variable.
void set_event_loop(EventLoop&&) = delete;

/// Makes a new loop: `auto loop = new_event_loop();`.
/// Python: `asyncio.new_event_loop`.
inline EventLoop new_event_loop(LoopOptions options = {}) { return EventLoop(options); }

namespace internal {

/// The event loop that `loop` is a part of: there are no others.
inline EventLoop& face_of(lowlevel::Loop& loop) noexcept { return static_cast<EventLoop&>(loop); }

/// As `get_event_loop`, but makes no loop. The message of the RuntimeError names `function`, the
/// function that the program called.
EventLoop& running_or_current_loop(const char* function);

[[noreturn, gnu::cold]] void throw_no_loop(const char* function);

/// As `get_running_loop`. The message of the RuntimeError names `function`:
/// "asyncio::create_task()", for example.
inline EventLoop& running_loop(const char* function) {
    if (here.loop == nullptr) [[unlikely]]
        throw_no_loop(function);
    return face_of(*here.loop);
}

}  // namespace internal

inline EventLoop& get_running_loop() {
    return internal::running_loop("asyncio::get_running_loop()");
}

}  // namespace asyncio
