#pragma once
// `Outcome<T>`: how something ended: with a value, with an error, or cancelled.
//
// An outcome is a value, so it can be kept, passed on and looked at. The alternative is an
// exception, which has to be thrown and caught to be passed on, and costs hundreds of nanoseconds
// for each frame that it passes. The scopes of the library (`timeout`, `task_group`, `finally_`, …)
// await their bodies as outcomes: a CancelledError that goes through five of them is thrown once,
// in the program's own code.
//
// The state `cancelled` is separate from `error`, because every scope asks for it. A look at a byte
// costs less than finding out whether an `exception_ptr` holds a CancelledError.

#include <asyncio/exceptions.h>
#include <asyncio/internal/machine/rethrow.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace asyncio {

/// Stands for the result of a coroutine that returns nothing, where a value is needed: in a tuple,
/// in a vector.
/// Python: `None`.
using None = std::monostate;

namespace internal {

/// The error of an outcome that was given a null pointer as its error: a RuntimeError that says so.
[[gnu::cold]] std::exception_ptr no_failure() noexcept;

/// How a result of type T is stored: `void` as `None`, a reference as a pointer.
template <class T>
using Stored = std::conditional_t<
    std::is_void_v<T>, None,
    std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<std::remove_reference_t<T>>, T>>;

template <class T>
struct Copies;

}  // namespace internal

/// Whether a result of type T is copied when it is read while other handles of the future exist. If
/// not, the first reader gets the value moved out.
///
/// For the containers, tuples, pairs, arrays, optionals and variants of the standard library the
/// elements decide. A class may claim to be copyable and fail to compile when it is copied: for
/// example, a class that has a `std::vector<std::unique_ptr<X>>` as a member and leaves copying to
/// the compiler. Set this to false for such a class: `template <> inline constexpr bool
/// asyncio::copyable_result<Page> = false;`
template <class T>
inline constexpr bool copyable_result = internal::Copies<T>::value;

namespace internal {

/// The trait behind `copyable_result`. A standard container claims to be copyable whatever its
/// elements are, and fails to compile when it is copied. The same holds for a type that holds a
/// container. So the specialisations below ask the elements, too.
template <class T>
struct Copies : std::is_copy_constructible<T> {};

template <class T>
using CopiesElement = std::bool_constant<copyable_result<std::remove_cv_t<T>>>;

/// A container, or an optional.
template <class T>
concept HoldsValues = requires { typename T::value_type; } &&
                      !std::is_same_v<std::remove_cv_t<typename T::value_type>, T> &&
                      (requires { typename T::allocator_type; } || requires(const T& perhaps) {
                          { perhaps.has_value() } -> std::same_as<bool>;
                      });

template <HoldsValues T>
struct Copies<T>
    : std::conjunction<std::is_copy_constructible<T>, CopiesElement<typename T::value_type>> {};

template <class... Elements>
struct Copies<std::tuple<Elements...>>
    : std::conjunction<std::is_copy_constructible<Elements>..., CopiesElement<Elements>...> {};
template <class First, class Second>
struct Copies<std::pair<First, Second>> : Copies<std::tuple<First, Second>> {};
template <class T, std::size_t size>
struct Copies<std::array<T, size>> : CopiesElement<T> {};
template <class... Alternatives>
struct Copies<std::variant<Alternatives...>> : std::conjunction<CopiesElement<Alternatives>...> {};

}  // namespace internal

/// The end of a coroutine or a future with a result of type T. Empty until there is an end.
///
/// Thread-safety: none; one thread at a time.
/// Python: what `gather(return_exceptions=True)` returns for each child.
template <class T>
class Outcome {
    using Stored = internal::Stored<T>;

public:
    /// An empty outcome.
    Outcome() noexcept {}
    Outcome(Outcome&& other) noexcept(std::is_nothrow_move_constructible_v<Stored>) { take(other); }
    Outcome(const Outcome& other)
        requires copyable_result<Stored>
    {
        copy(other);
    }
    Outcome& operator=(Outcome&& other) noexcept(std::is_nothrow_move_constructible_v<Stored>) {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    Outcome& operator=(const Outcome& other)
        requires copyable_result<Stored>
    {
        if (this != &other) {
            reset();
            copy(other);
        }
        return *this;
    }
    ~Outcome() { reset(); }

    /// An outcome that holds `error`. A null pointer becomes a RuntimeError that says so.
    static Outcome failure(std::exception_ptr error) noexcept {
        Outcome outcome;
        outcome.fail(std::move(error));
        return outcome;
    }

    /// Whether there is no end yet.
    bool empty() const noexcept { return state_ == State::empty; }
    /// Whether it ended with a value.
    bool has_value() const noexcept { return state_ == State::value; }
    /// Whether it ended with an error or was cancelled.
    bool failed() const noexcept { return state_ >= State::error; }
    /// Whether the error is a `CancelledError`.
    bool cancelled() const noexcept { return state_ == State::cancelled; }

    /// The error or the CancelledError; null if there is none.
    std::exception_ptr error() const noexcept { return failed() ? error_ : nullptr; }

    /// The value. The outcome must not be empty. Throws: the error, if there is one.
    decltype(auto) value() const& {
        rethrow_failure();
        return read();
    }
    /// The same, moved out.
    T value() && {
        rethrow_failure();
        return move_out();
    }
    /// The same for the last reader: the error moves into the throw instead of being shared with
    /// it, which saves two changes of a count.
    [[gnu::always_inline]] T last_value() {
        if (failed()) [[unlikely]]
            internal::rethrow(error_);
        return move_out();
    }

    /// Ends with a value, made of `arguments`. Replaces what was there. If the constructor throws,
    /// the outcome is empty.
    template <class... Arguments>
    void emplace(Arguments&&... arguments) {
        reset();
        if constexpr (std::is_reference_v<T>) {
            value_ = std::addressof(arguments...);
        } else {
            std::construct_at(std::addressof(value_), std::forward<Arguments>(arguments)...);
        }
        state_ = State::value;
    }

    /// Ends with an error, or as cancelled if the error is a `CancelledError`. Replaces what was
    /// there.
    void fail(std::exception_ptr error) noexcept {
        reset();
        if (error == nullptr) [[unlikely]]
            error = internal::no_failure();
        const bool cancellation = internal::is_cancellation(error);
        std::construct_at(std::addressof(error_), std::move(error));
        state_ = cancellation ? State::cancelled : State::error;
    }

    /// Makes the outcome empty.
    void reset() noexcept {
        if (state_ == State::value) {
            std::destroy_at(std::addressof(value_));
        } else if (failed()) {
            std::destroy_at(std::addressof(error_));
        }
        state_ = State::empty;
    }

private:
    enum class State : unsigned char { empty, value, error, cancelled };

    // Inlined into the reader, like `last_value`: a throw is quick if it stands in the coroutine
    // that catches it (`internal/machine/rethrow.h`).
    [[gnu::always_inline]] void rethrow_failure() const {
        if (failed()) [[unlikely]]
            internal::rethrow(internal::to_throw(error_));
    }

    decltype(auto) read() const noexcept {
        if constexpr (std::is_void_v<T>) {
            return;
        } else if constexpr (std::is_reference_v<T>) {
            return static_cast<T>(*value_);
        } else {
            return static_cast<const T&>(value_);
        }
    }

    T move_out() {
        if constexpr (std::is_reference_v<T>) {
            return *value_;
        } else if constexpr (!std::is_void_v<T>) {
            return std::move(value_);
        }
    }

    /// Moves or copies what `other` holds into this, which is empty.
    void take(Outcome& other) {
        if (other.state_ == State::value) {
            std::construct_at(std::addressof(value_), std::move(other.value_));
        } else if (other.failed()) {
            std::construct_at(std::addressof(error_), std::move(other.error_));
        }
        state_ = other.state_;
        other.reset();
    }

    void copy(const Outcome& other) {
        if (other.state_ == State::value) {
            std::construct_at(std::addressof(value_), other.value_);
        } else if (other.failed()) {
            std::construct_at(std::addressof(error_), other.error_);
        }
        state_ = other.state_;
    }

    // A union, not a variant: every coroutine frame has an outcome, and making an empty one must
    // not cost more than one store of one byte.
    union {
        Stored value_;
        std::exception_ptr error_;
    };
    State state_ = State::empty;
};

namespace internal {

/// How a wait without a value has ended: as cancelled, unless `cancellation` is null.
inline Outcome<void> outcome_of_wait(std::exception_ptr cancellation) noexcept {
    Outcome<void> outcome;
    outcome.emplace();
    if (cancellation != nullptr) outcome.fail(std::move(cancellation));
    return outcome;
}

}  // namespace internal
}  // namespace asyncio
