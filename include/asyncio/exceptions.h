#pragma once
// Every exception the library throws of its own, in one place, as Python's `asyncio.exceptions`.
//
// What is an error and what is not decides the base class. `CancelledError`, `GeneratorExit` and
// `KeyboardInterrupt` are requests to stop, not failures: they do not derive from `std::exception`,
// so `catch (const std::exception&)` around an await lets them pass. (Python moved its
// `CancelledError` out of `Exception` in 3.8 for the same reason.)
//
// The types are visible by name also where the program hides its own (-fvisibility=hidden): one
// that the library throws from a shared object is then the type that the program catches.

#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace asyncio {

/// Thrown at the await of a task that was asked to stop. Catch it to clean up, then let it go on
/// (`throw;`): a task that swallows it is a task that cannot be cancelled.
/// Python: `asyncio.CancelledError`.
class [[gnu::visibility("default")]] CancelledError final {
public:
    CancelledError() = default;
    explicit CancelledError(std::string message) : message_(std::move(message)) {}

    /// What was given to `cancel(message)`; empty if nothing was.
    const std::string& message() const noexcept { return message_; }

private:
    std::string message_;
};

/// Thrown at the `co_yield` of an asynchronous generator that is closed. Catch it to clean up; then
/// let it go on, or return. Not a `std::exception`, as in Python.
class [[gnu::visibility("default")]] GeneratorExit final {};

/// Leaves `run()` when Ctrl-C ended the main task. Not a `std::exception`, as in Python.
class [[gnu::visibility("default")]] KeyboardInterrupt final {};

/// The library was used against its rules: a loop run inside a running loop, a closed loop used
/// again, …
/// Python: `RuntimeError`.
class [[gnu::visibility("default")]] RuntimeError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A time limit passed. Distinct from the operating system's ETIMEDOUT, which is an `OsError`.
/// Python: `TimeoutError`.
class [[gnu::visibility("default")]] TimeoutError : public std::runtime_error {
public:
    TimeoutError() : std::runtime_error("the time limit passed") {}
    using std::runtime_error::runtime_error;
};

/// The result of a future was asked for before there was one, or set twice.
/// Python: `asyncio.InvalidStateError`.
class [[gnu::visibility("default")]] InvalidStateError : public std::logic_error {
    using std::logic_error::logic_error;
};

/// Nothing is left to run and something still waits, so it would wait for ever. The message is the
/// await tree. Thrown by the simulated back-end only, which is the only one that can know.
class [[gnu::visibility("default")]] DeadlockError : public RuntimeError {
    using RuntimeError::RuntimeError;
};

/// A barrier was reset or aborted while a task waited at it, or is broken.
/// Python: `asyncio.BrokenBarrierError`.
class [[gnu::visibility("default")]] BrokenBarrierError : public RuntimeError {
    using RuntimeError::RuntimeError;
};

/// `get_nowait` found nothing. Python: `asyncio.QueueEmpty`.
class [[gnu::visibility("default")]] QueueEmpty : public std::runtime_error {
public:
    QueueEmpty() : std::runtime_error("the queue is empty") {}
};

/// `put_nowait` found no room. Python: `asyncio.QueueFull`.
class [[gnu::visibility("default")]] QueueFull : public std::runtime_error {
public:
    QueueFull() : std::runtime_error("the queue is full") {}
};

/// The queue was shut down: nothing can be put into it, and what was in it is gone.
/// Python: `asyncio.QueueShutDown`.
class [[gnu::visibility("default")]] QueueShutDown : public std::runtime_error {
public:
    QueueShutDown() : std::runtime_error("the queue was shut down") {}
};

/// A worker process ended while it had a job: the job is lost, its pool is not.
/// Python: `concurrent.futures.process.BrokenProcessPool`, after which the pool takes no jobs; here
/// it replaces the process.
class [[gnu::visibility("default")]] BrokenProcessPool : public RuntimeError {
    using RuntimeError::RuntimeError;
};

/// An error in a worker process whose type means nothing here. `what()` is the original's.
class [[gnu::visibility("default")]] RemoteError : public std::runtime_error {
public:
    RemoteError(std::string type, const std::string& what)
        : std::runtime_error(what), type_(std::move(type)) {}

    /// The name of the original's type, readable.
    const std::string& type() const noexcept { return type_; }

private:
    std::string type_;
};

/// Bytes that do not describe what is read from them.
class [[gnu::visibility("default")]] SerializationError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A stream ended before the bytes that were asked for had come.
/// Python: `asyncio.IncompleteReadError`.
class [[gnu::visibility("default")]] IncompleteReadError : public std::runtime_error {
public:
    /// `expected` is 0 where a separator, not a count, was waited for.
    IncompleteReadError(std::string partial, std::size_t expected);

    /// What did come. It has left the stream's buffer.
    const std::string& partial() const noexcept { return partial_; }
    /// How many bytes were asked for.
    std::size_t expected() const noexcept { return expected_; }

private:
    std::string partial_;
    std::size_t expected_;
};

/// A separator was not found within the stream's limit. The data stays in the buffer.
/// Python: `asyncio.LimitOverrunError`.
class [[gnu::visibility("default")]] LimitOverrunError : public std::runtime_error {
public:
    LimitOverrunError(const std::string& message, std::size_t consumed)
        : std::runtime_error(message), consumed_(consumed) {}

    /// How many buffered bytes hold no separator and may be read away.
    std::size_t consumed() const noexcept { return consumed_; }

private:
    std::size_t consumed_;
};

/// The operating system refused something. `what()` names the operation, the object and the reason:
/// "spawn /bin/nosuch: No such file or directory".
/// Python: `OSError` and its family; compare `code()` with `std::errc` where Python has a class per
/// errno.
class [[gnu::visibility("default")]] OsError : public std::system_error {
public:
    /// `error` is a positive errno. `operation` reads like a verb with its object.
    OsError(int error, std::string_view operation);

    /// The positive errno.
    int error() const noexcept { return code().value(); }
};

/// Several errors at once: what a `TaskGroup` throws, so that none is lost.
/// Python: `BaseExceptionGroup`.
class [[gnu::visibility("default")]] ExceptionGroup : public std::exception {
public:
    /// An element may hold an `ExceptionGroup` in turn.
    /// Throws: `std::invalid_argument` if `errors` is empty, or an element is null.
    ExceptionGroup(std::string_view message, std::vector<std::exception_ptr> errors);

    /// "message (2 errors): first; second".
    const char* what() const noexcept override { return what_.c_str(); }
    const std::string& message() const noexcept { return message_; }
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

    /// Every error that is not itself a group, in order.
    std::vector<std::exception_ptr> flatten() const;

    /// The errors of type `Error`, and the others, each in groups like this one; nothing where
    /// there are none. Python: `split`.
    struct Split;
    template <class Error>
    Split split() const;

private:
    Split split_by(bool (*matches)(const std::exception_ptr& error)) const;

    std::string message_;
    std::vector<std::exception_ptr> errors_;
    std::string what_;
};

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

/// What an exception has to say, whatever its type: `what()`, or the type's name.
std::string describe(const std::exception_ptr& error);

namespace internal {

/// An error for where nothing may be thrown. Where there is no memory for it, it is a `bad_alloc`.
template <class Error>
std::exception_ptr error_with(const char* what) noexcept {
    try {
        return std::make_exception_ptr(Error(what));
    } catch (...) {
        return std::current_exception();
    }
}

/// For a handle that refers to nothing: RuntimeError "this Task is empty: …".
[[noreturn, gnu::cold]] void throw_empty(const char* type);

/// For an error that is a null pointer: RuntimeError "set_exception(): the exception_ptr is null".
[[noreturn, gnu::cold]] void throw_null_exception(const char* function);

}  // namespace internal
}  // namespace asyncio
