#pragma once
// How something ended: with a value, with an error, or cancelled. A value, so that it can be kept,
// passed on and looked at without a throw, which costs hundreds of nanoseconds for every frame it
// passes.

#include <asyncio/internal/rethrow.h>

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

/// The value of what returns nothing, where a value has to stand: in a tuple, in a vector.
/// Python: `None`.
using None = std::monostate;

namespace internal {

/// Whether `error` holds a `CancelledError`. Costs no throw.
bool is_cancellation(const std::exception_ptr& error) noexcept;

/// For an outcome that was to fail with a null pointer.
[[gnu::cold]] std::exception_ptr no_failure() noexcept;

/// How a result of type T is stored: nothing as `None`, a reference as a pointer.
template <class T>
using Stored = std::conditional_t<
    std::is_void_v<T>, None,
    std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<std::remove_reference_t<T>>, T>>;

template <class T>
struct Copies;

}  // namespace internal

/// Whether a result of type T is copied for whoever asks for it while others may still ask. One
/// that is not is moved out to the first.
///
/// The containers, tuples, pairs, arrays, optionals and variants of the standard library are looked
/// into. Set it to false for a class that says it can be copied and cannot, as one does that has a
/// `std::vector<std::unique_ptr<X>>` as a member and leaves copying to the compiler:
/// `template <> inline constexpr bool asyncio::copyable_result<Page> = false;`
template <class T>
inline constexpr bool copyable_result = internal::Copies<T>::value;

namespace internal {

/// A container says that it can be copied whatever it holds, and fails to compile when it is told
/// to; so does whatever holds a container. So the elements are asked, too.
template <class T>
struct Copies : std::is_copy_constructible<T> {};

template <class T>
using CopiesElement = std::bool_constant<copyable_result<std::remove_cv_t<T>>>;

/// A container, or an optional value.
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

/// The end of a coroutine or a future of type T. Empty until it is there.
///
/// Thread-safety: none. Python: what `gather(return_exceptions=True)` returns for each child.
template <class T>
class Outcome {
    using Stored = internal::Stored<T>;

public:
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

    /// An outcome that is `error`; for a null pointer, a RuntimeError that says so.
    static Outcome failure(std::exception_ptr error) noexcept {
        Outcome outcome;
        outcome.fail(std::move(error));
        return outcome;
    }

    bool empty() const noexcept { return state_ == State::empty; }
    bool has_value() const noexcept { return state_ == State::value; }
    bool failed() const noexcept { return state_ >= State::error; }
    /// Whether the error is a `CancelledError`.
    bool cancelled() const noexcept { return state_ == State::cancelled; }

    /// The error; null where there is a value.
    std::exception_ptr error() const noexcept { return failed() ? error_ : nullptr; }

    /// The value. Throws the error if there is one. Must not be empty.
    decltype(auto) value() const& {
        rethrow_failure();
        return read();
    }
    /// The same, moved out.
    T value() && {
        rethrow_failure();
        return move_out();
    }
    /// The same for the last who asks: the error is handed on to the throw, not shared with it.
    [[gnu::always_inline]] T last_value() {
        if (failed()) [[unlikely]]
            internal::rethrow(error_);
        return move_out();
    }

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

    void fail(std::exception_ptr error) noexcept {
        reset();
        if (error == nullptr) [[unlikely]]
            error = internal::no_failure();
        const bool cancellation = internal::is_cancellation(error);
        std::construct_at(std::addressof(error_), std::move(error));
        state_ = cancellation ? State::cancelled : State::error;
    }

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

    // Inlined, as is the other that throws: the throw is quick where it is the coroutine's own.
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

    // A union, not a variant: this stands in every coroutine frame, and empty must cost one byte
    // and one store.
    union {
        Stored value_;
        std::exception_ptr error_;
    };
    State state_ = State::empty;
};

}  // namespace asyncio
