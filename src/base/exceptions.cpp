// The exceptions of the library: their messages, and the questions that the library asks of an
// error without knowing its type.
//
// Messages are made in the constructors. `what()` is `noexcept` and returns a pointer, so it could
// neither allocate nor own a text that it makes. An exception that has its text from the beginning
// can be described where memory is short. The price is that an error pays for its text even if it
// is caught and dropped.
//
// An error travels as `std::exception_ptr`: through outcomes, groups and other threads it keeps its
// type and its identity, and the same object can be thrown in several places. The standard offers
// only one way to ask such a pointer for its type, which is to throw and catch; this costs
// microseconds. The library asks "is this a cancellation?" for every error that ends a task, so
// this question is answered without a throw if the C++ library can tell the type.
//
// `CancelledError`, `KeyboardInterrupt` and `Terminated` are no `std::exception`s (RATIONALE.md
// says why). A function that looks at every error therefore needs a `catch` of its own for each of
// them.

#include <asyncio/exceptions.h>

#include <asyncio/signal_set.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <typeinfo>

#include <cxxabi.h>
#include <netdb.h>

namespace asyncio {
namespace {

/// `expected` is 0 for a read until a separator, which has no number of bytes to reach.
std::string incomplete_message(std::size_t had, std::size_t expected) {
    std::string message = "the stream ended after " + std::to_string(had) + " bytes";
    if (expected != 0) message += " of " + std::to_string(expected);
    return message;
}

/// A group's text names each of its errors: a log shows `what()` alone, and "3 errors" would not
/// help. A null pointer is described, too, although the constructor then refuses the group: the
/// members are made before its body runs.
std::string group_message(std::string_view message, const std::vector<std::exception_ptr>& errors) {
    std::string text(message);
    text +=
        " (" + std::to_string(errors.size()) + (errors.size() == 1 ? " error): " : " errors): ");
    bool first = true;
    for (const std::exception_ptr& error : errors) {
        if (!first) text += "; ";
        first = false;
        text += describe(error);
    }
    return text;
}

/// The readable name of the exception being handled, for one that has no `what()`: a program may
/// throw an `int`.
std::string current_exception_type() {
    const std::type_info* type = abi::__cxa_current_exception_type();
    if (type == nullptr) return "unknown exception";
    int status = 0;
    char* readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
    std::string name = status == 0 ? readable : type->name();
    std::free(readable);
    return name;
}

/// The numbers of getaddrinfo(3), which are no errnos: ENOENT and EAI_NONAME are the same number
/// with opposite signs.
class GaiCategory final : public std::error_category {
public:
    const char* name() const noexcept override { return "getaddrinfo"; }
    std::string message(int error) const override { return ::gai_strerror(error); }
};

/// A template, because only in a template may `requires` ask what the C++ library offers and leave
/// out code that would not compile.
template <class Pointer>
bool holds_cancellation(const Pointer& error) noexcept {
    if constexpr (requires { error.__cxa_exception_type(); }) {
        // The library of g++ tells the type without a throw. Comparing for the exact type is
        // enough, because the class is final.
        return *error.__cxa_exception_type() == typeid(CancelledError);
    } else {
        try {
            std::rethrow_exception(error);
        } catch (const CancelledError&) {
            return true;
        } catch (...) {
            return false;
        }
    }
}

}  // namespace

// The base class is initialised first, so the size of `partial` is read before `partial` is moved.
IncompleteReadError::IncompleteReadError(std::string partial, std::size_t expected)
    : std::runtime_error(incomplete_message(partial.size(), expected)),
      partial_(std::move(partial)),
      expected_(expected) {}

// `generic_category`, whose codes are errno values: `error.code() == std::errc::broken_pipe` works
// then.
OsError::OsError(int error, std::string_view operation)
    : std::system_error(error, std::generic_category(), std::string(operation)) {}

OsError::OsError(std::error_code code, std::string_view operation)
    : std::system_error(code, std::string(operation)) {}

GaiError::GaiError(int error, std::string_view operation, std::string host)
    : OsError(std::error_code(error, gai_category()), operation), host_(std::move(host)) {}

/// A category in a union is never destroyed: an error may be printed after the static objects are
/// gone.
const std::error_category& gai_category() noexcept {
    union Lasting {
        GaiCategory category{};
        ~Lasting() {}
    };
    static const Lasting lasting;
    return lasting.category;
}

/// An empty group would be an error that nothing caused, and a null pointer in it could not be
/// thrown. Both are mistakes of the caller.
ExceptionGroup::ExceptionGroup(std::string_view message, std::vector<std::exception_ptr> errors)
    : message_(message), errors_(std::move(errors)), what_(group_message(message_, errors_)) {
    if (errors_.empty() || std::ranges::find(errors_, nullptr) != errors_.end())
        throw std::invalid_argument(
            "an ExceptionGroup needs at least one error, and no error may be null");
}

ExceptionGroup::Split
ExceptionGroup::split_by(bool (*matches)(const std::exception_ptr& error)) const {
    std::vector<std::exception_ptr> match;
    std::vector<std::exception_ptr> rest;
    for (const std::exception_ptr& error : errors_) {
        try {
            std::rethrow_exception(error);
        } catch (const ExceptionGroup& group) {
            const Split inner = group.split_by(matches);
            if (inner.match) match.push_back(std::make_exception_ptr(*inner.match));
            if (inner.rest) rest.push_back(std::make_exception_ptr(*inner.rest));
        } catch (...) {
            (matches(error) ? match : rest).push_back(error);
        }
    }
    Split split;
    if (!match.empty()) split.match.emplace(message_, std::move(match));
    if (!rest.empty()) split.rest.emplace(message_, std::move(rest));
    return split;
}

/// Recursive like `split_by`. The depth is that of groups inside groups, which nested scopes make.
std::vector<std::exception_ptr> ExceptionGroup::flatten() const {
    std::vector<std::exception_ptr> leaves;
    for (const std::exception_ptr& error : errors_) {
        try {
            std::rethrow_exception(error);
        } catch (const ExceptionGroup& group) {
            for (std::exception_ptr& leaf : group.flatten()) leaves.push_back(std::move(leaf));
        } catch (...) {
            leaves.push_back(error);
        }
    }
    return leaves;
}

/// A null pointer is no error, so it is no cancellation.
bool internal::is_cancellation(const std::exception_ptr& error) noexcept {
    return error != nullptr && holds_cancellation(error);
}

/// The order matters little: the types have no base in common. `std::exception` comes first because
/// it is by far the most frequent.
std::string describe(const std::exception_ptr& error) {
    if (error == nullptr) return "no error";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& known) {
        return known.what();
    } catch (const CancelledError& cancelled) {
        return cancelled.message().empty() ? "cancelled" : "cancelled: " + cancelled.message();
    } catch (const KeyboardInterrupt&) {
        return "keyboard interrupt";
    } catch (const Terminated& terminated) {
        return "terminated by " + signal_name(terminated.signal());
    } catch (...) {
        return current_exception_type();
    }
}

void internal::throw_runtime_error(const char* what) { throw RuntimeError(what); }

void internal::throw_null_exception(const char* function) {
    throw RuntimeError(std::string(function) + ": the exception_ptr is null; give an exception");
}

void internal::throw_empty(const char* type) {
    throw RuntimeError(std::string("this ") + type +
                       " is empty: it was default-constructed or moved from");
}

}  // namespace asyncio
