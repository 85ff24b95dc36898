#pragma once
// Every exception that the library throws on its own, in one place, like Python's
// `asyncio.exceptions`.
//
// Errors and requests have different base classes. `CancelledError`, `GeneratorExit`,
// `KeyboardInterrupt` and `Terminated` are requests to stop, not failures. They do not derive from
// `std::exception`, so `catch (const std::exception&)` around an await lets them pass. (Python
// moved its `CancelledError` out of `Exception` in 3.8 for the same reason.) `catch (...)` does
// catch them, and should throw them again.
//
// All types are visible to the linker by name, also where a program hides its own symbols
// (-fvisibility=hidden). If the library lies in a shared object, a type that it throws must be the
// same type that the program catches.

#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace asyncio {

/// Thrown at the await of a task that was asked to stop. A task may catch it to clean up, and then
/// throws it again (`throw;`). A task that swallows it cannot be cancelled.
/// Python: `asyncio.CancelledError`.
class [[gnu::visibility("default")]] CancelledError final {
public:
    CancelledError() = default;
    explicit CancelledError(std::string message) : message_(std::move(message)) {}

    /// The message that was given to `cancel(message)`; empty if there was none.
    const std::string& message() const noexcept { return message_; }

private:
    std::string message_;
};

/// Thrown at the `co_yield` of an asynchronous generator that is being closed. The generator may
/// catch it to clean up, and then throws it again or returns. Not a `std::exception`, as in Python.
class [[gnu::visibility("default")]] GeneratorExit final {};

/// Thrown by `run()` when Ctrl-C has ended the main task. Not a `std::exception`, as in Python.
class [[gnu::visibility("default")]] KeyboardInterrupt final {};

/// Thrown by `run()` when a signal of `RunOptions::terminate_on` has ended the main task. If no
/// code catches it, the program ends by that signal. Not a `std::exception`, like
/// `KeyboardInterrupt`.
/// Python: none; there a handler of the program cancels the main task.
class [[gnu::visibility("default")]] Terminated final {
public:
    explicit Terminated(int signal) noexcept : signal_(signal) {}

    /// The number of the signal.
    int signal() const noexcept { return signal_; }

private:
    int signal_;
};

/// The library was used against its rules: for example, a loop is run inside a running loop, or a
/// closed loop is used again.
/// Python: `RuntimeError`.
class [[gnu::visibility("default")]] RuntimeError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A time limit has passed. The operating system's ETIMEDOUT is an `OsError`, not this.
/// Python: `TimeoutError`.
class [[gnu::visibility("default")]] TimeoutError : public std::runtime_error {
public:
    TimeoutError() : std::runtime_error("the time limit has passed") {}
    using std::runtime_error::runtime_error;
};

/// The result of a future was asked for before the future was done, or was set a second time.
/// Python: `asyncio.InvalidStateError`.
class [[gnu::visibility("default")]] InvalidStateError : public std::logic_error {
    using std::logic_error::logic_error;
};

/// No task can run any more, and at least one still waits: it would wait for ever. The message is
/// the await tree. Only the simulated back-end leads to this error, since only there the library
/// knows everything that could still happen.
class [[gnu::visibility("default")]] DeadlockError : public RuntimeError {
    using RuntimeError::RuntimeError;
};

/// `sendfile` cannot be done by the kernel, and the caller has forbidden to read and send instead.
/// Python: `asyncio.SendfileNotAvailableError`.
class [[gnu::visibility("default")]] SendfileNotAvailableError : public RuntimeError {
    using RuntimeError::RuntimeError;
};

/// A barrier was reset or aborted while a task waited at it, or a task came to a barrier that is
/// broken.
/// Python: `asyncio.BrokenBarrierError`.
class [[gnu::visibility("default")]] BrokenBarrierError : public RuntimeError {
    using RuntimeError::RuntimeError;
};

/// `get_nowait` was called on an empty queue. Python: `asyncio.QueueEmpty`.
class [[gnu::visibility("default")]] QueueEmpty : public std::runtime_error {
public:
    QueueEmpty() : std::runtime_error("the queue is empty") {}
};

/// `put_nowait` was called on a full queue. Python: `asyncio.QueueFull`.
class [[gnu::visibility("default")]] QueueFull : public std::runtime_error {
public:
    QueueFull() : std::runtime_error("the queue is full") {}
};

/// The queue was shut down. No item can be put into it, and no item is left in it.
/// Python: `asyncio.QueueShutDown`.
class [[gnu::visibility("default")]] QueueShutDown : public std::runtime_error {
public:
    QueueShutDown() : std::runtime_error("the queue was shut down") {}
};

/// A worker process ended while it ran a job. The job is lost; the pool replaces the process and
/// continues.
/// Python: `concurrent.futures.process.BrokenProcessPool`, after which the pool takes no jobs.
class [[gnu::visibility("default")]] BrokenProcessPool : public RuntimeError {
    using RuntimeError::RuntimeError;
};

/// An error from a worker process that cannot be thrown here with its own type. `what()` is the
/// text of the original.
class [[gnu::visibility("default")]] RemoteError : public std::runtime_error {
public:
    RemoteError(std::string type, const std::string& what)
        : std::runtime_error(what), type_(std::move(type)) {}

    /// The readable name of the type of the original.
    const std::string& type() const noexcept { return type_; }

private:
    std::string type_;
};

/// Bytes do not describe a value of the type that is read from them.
class [[gnu::visibility("default")]] SerializationError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A stream ended before all the bytes had come that a read asked for.
/// Python: `asyncio.IncompleteReadError`.
class [[gnu::visibility("default")]] IncompleteReadError : public std::runtime_error {
public:
    /// `expected` is 0 if the read waited for a separator and not for a number of bytes.
    IncompleteReadError(std::string partial, std::size_t expected);

    /// The bytes that did come. They have been taken out of the stream's buffer.
    const std::string& partial() const noexcept { return partial_; }
    /// How many bytes the read asked for.
    std::size_t expected() const noexcept { return expected_; }

private:
    std::string partial_;
    std::size_t expected_;
};

/// A read found no separator within the stream's limit. The data stays in the buffer.
/// Python: `asyncio.LimitOverrunError`.
class [[gnu::visibility("default")]] LimitOverrunError : public std::runtime_error {
public:
    LimitOverrunError(const std::string& message, std::size_t consumed)
        : std::runtime_error(message), consumed_(consumed) {}

    /// How many bytes at the front of the buffer hold no separator. A program may read and drop
    /// them, and try again.
    std::size_t consumed() const noexcept { return consumed_; }

private:
    std::size_t consumed_;
};

/// The operating system refused an operation. `what()` names the operation, its object and the
/// reason: "spawn /bin/nosuch: No such file or directory".
/// Python: `OSError` and its family; compare `code()` with `std::errc` where Python has a class per
/// errno.
class [[gnu::visibility("default")]] OsError : public std::system_error {
public:
    /// `error` is a positive errno. `operation` is a verb with its object: "read from standard
    /// input".
    OsError(int error, std::string_view operation);

    /// The errno, a positive number. Of a `GaiError`, the number that it has instead.
    int error() const noexcept { return code().value(); }

protected:
    /// For errors that have numbers of their own.
    OsError(std::error_code code, std::string_view operation);
};

/// A name has no address, an address has no name, or the lookup has failed. `what()` names the host
/// and the port: "look up "example.invalid", port 80: Name or service not known".
/// Python: `socket.gaierror`, which is an `OSError`, too.
class [[gnu::visibility("default")]] GaiError : public OsError {
public:
    /// `error` is an EAI_ number of <netdb.h>. `operation` is a verb with its object. `host` is the
    /// name or the address that the question was about.
    GaiError(int error, std::string_view operation, std::string host);

    /// The EAI_ number. EAI_NONAME is the most frequent one; EAI_AGAIN means that the same question
    /// may have an answer later. `code()` has the same number, in `gai_category()`.
    int error() const noexcept { return code().value(); }
    /// The name or the address that the question was about.
    const std::string& host() const noexcept { return host_; }

private:
    std::string host_;
};

/// The category of the codes in a `GaiError`.
const std::error_category& gai_category() noexcept;

/// Several errors at once. A `TaskGroup` throws it, for example, so that no error of a task is
/// lost.
/// Python: `BaseExceptionGroup`.
class [[gnu::visibility("default")]] ExceptionGroup : public std::exception {
public:
    /// An element may hold an `ExceptionGroup`, too.
    /// Throws: `std::invalid_argument` if `errors` is empty, or an element is null.
    ExceptionGroup(std::string_view message, std::vector<std::exception_ptr> errors);

    /// "message (2 errors): first; second".
    const char* what() const noexcept override { return what_.c_str(); }
    const std::string& message() const noexcept { return message_; }
    /// The elements of the group, in the order given. An element may be a group itself.
    std::span<const std::exception_ptr> exceptions() const noexcept { return errors_; }

    /// Calls `visit(error)` for every error of type `Error` in this group and the groups inside it,
    /// in order.
    /// Returns how many there were. Python: what `except* Error` catches.
    template <class Error, class Visit>
    std::size_t for_each(Visit&& visit) const {
        std::size_t found = 0;
        for (const std::exception_ptr& error : flatten()) {
            try {
                std::rethrow_exception(error);
            } catch (const Error& match) {
                ++found;
                visit(match);
            } catch (...) {
            }
        }
        return found;
    }

    /// Every error of this group and the groups inside it that is not a group itself, in order.
    std::vector<std::exception_ptr> flatten() const;

    /// Splits the group into the errors of type `Error` and the others. Both parts keep the
    /// structure of nested groups. A part without errors is an empty optional. Python: `split`.
    struct Split;
    template <class Error>
    Split split() const;

private:
    Split split_by(bool (*matches)(const std::exception_ptr& error)) const;

    std::string message_;
    std::vector<std::exception_ptr> errors_;
    std::string what_;
};

/// The two parts of `ExceptionGroup::split`. Python: a tuple of the same two.
struct ExceptionGroup::Split {
    std::optional<ExceptionGroup> match;
    std::optional<ExceptionGroup> rest;
};

template <class Error>
ExceptionGroup::Split ExceptionGroup::split() const {
    return split_by([](const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const Error&) {
            return true;
        } catch (...) {
            return false;
        }
    });
}

/// A text for any exception: its `what()`; for the library's requests to stop a few words
/// ("cancelled"); for any other type its name.
std::string describe(const std::exception_ptr& error);

namespace internal {

/// Makes an error without throwing. If there is no memory for it, the result is a `bad_alloc`.
template <class Error>
std::exception_ptr error_with(const char* what) noexcept {
    try {
        return std::make_exception_ptr(Error(what));
    } catch (...) {
        return std::current_exception();
    }
}

/// Whether `error` holds a `CancelledError`. Reads the type of the exception, without a throw.
bool is_cancellation(const std::exception_ptr& error) noexcept;

/// Throws a RuntimeError. Kept out of line, so that the code around the call stays small.
[[noreturn, gnu::cold]] void throw_runtime_error(const char* what);

/// Refuses to use a handle that refers to no object. Throws: RuntimeError "this Task is empty: …".
[[noreturn, gnu::cold]] void throw_empty(const char* type);

/// Refuses an error that is a null pointer. Throws: RuntimeError "set_exception(): the
/// exception_ptr is null".
[[noreturn, gnu::cold]] void throw_null_exception(const char* function);

}  // namespace internal
}  // namespace asyncio
