#include <asyncio/exceptions.h>

#include <asyncio/outcome.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <typeinfo>

#include <cxxabi.h>

namespace asyncio {
namespace {

std::string incomplete_message(std::size_t had, std::size_t expected) {
    std::string message = "the stream ended after " + std::to_string(had) + " bytes";
    if (expected != 0) message += " of " + std::to_string(expected);
    return message;
}

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

/// The readable name of the exception being handled, for one that has no `what()`.
std::string current_exception_type() {
    const std::type_info* type = abi::__cxa_current_exception_type();
    if (type == nullptr) return "unknown exception";
    int status = 0;
    char* readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
    std::string name = status == 0 ? readable : type->name();
    std::free(readable);
    return name;
}

/// A template, so that it may ask what the C++ library has.
template <class Pointer>
bool holds_cancellation(const Pointer& error) noexcept {
    if constexpr (requires { error.__cxa_exception_type(); }) {
        // The library of g++ can tell the type without throwing, which matters: this is asked for
        // every error.
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

IncompleteReadError::IncompleteReadError(std::string partial, std::size_t expected)
    : std::runtime_error(incomplete_message(partial.size(), expected)),
      partial_(std::move(partial)),
      expected_(expected) {}

OsError::OsError(int error, std::string_view operation)
    : std::system_error(error, std::generic_category(), std::string(operation)) {}

ExceptionGroup::ExceptionGroup(std::string_view message, std::vector<std::exception_ptr> errors)
    : message_(message), errors_(std::move(errors)), what_(group_message(message_, errors_)) {
    if (errors_.empty() || std::ranges::find(errors_, nullptr) != errors_.end())
        throw std::invalid_argument("an ExceptionGroup holds at least one error, and none is null");
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

std::exception_ptr internal::no_failure() noexcept {
    return error_with<RuntimeError>("an Outcome that failed without an error: the exception_ptr is "
                                    "null; give an exception");
}

bool internal::is_cancellation(const std::exception_ptr& error) noexcept {
    return error != nullptr && holds_cancellation(error);
}

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
    } catch (...) {
        return current_exception_type();
    }
}

void internal::throw_null_exception(const char* function) {
    throw RuntimeError(std::string(function) + ": the exception_ptr is null; give an exception");
}

void internal::throw_empty(const char* type) {
    throw RuntimeError(std::string("this ") + type +
                       " is empty: it was default-constructed or moved from");
}

}  // namespace asyncio
