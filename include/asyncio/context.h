#pragma once
// Context variables: values that follow a task through everything it awaits, without being passed.
//
// Examples are the number of a request for the log, a user, a time zone: a task sets the variable
// once, and every function that it calls can read it. Each task has a context of its own, which
// begins as a copy of its creator's context. A callback runs in a copy of the context in which it
// was registered. So a value that is set in one task is not seen in another task.
//
// A copy is cheap. The values of a context lie in a list that is never changed: setting a variable
// makes a new list, and a copy of the context shares the old one. A program that sets no variable
// pays for a null pointer in each task.
//
// Thread-safety: a variable may be used on any thread, and each thread and each task see their own
// value. A `Context` belongs to one thread at a time.

#include <asyncio/exceptions.h>
#include <asyncio/internal/loop/context_state.h>
#include <asyncio/internal/loop/step.h>
#include <asyncio/task.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {

/// Thrown by `ContextVar::get`: the variable has no value in this context and no default. Python:
/// `LookupError`.
class [[gnu::visibility("default")]] LookupError : public std::out_of_range {
public:
    using std::out_of_range::out_of_range;
};

/// A set of values of context variables. Copies of the object refer to the same context;
/// `copy_context` makes a new one.
/// Python: `contextvars.Context`.
class Context {
public:
    /// A new context in which no variable is set.
    Context() { state_.made(); }
    /// For the library: a context that exists already.
    explicit Context(internal::ContextRef state) : state_(std::move(state)) { state_.made(); }

    /// Calls `function(arguments…)` in this context. The variables that the function sets are set
    /// in this context, and stay set.
    /// Returns the result of `function`.
    /// Throws: what `function` throws; RuntimeError if a `run` of this context is in progress
    /// already.
    template <class Function, class... Arguments>
    decltype(auto) run(Function&& function, Arguments&&... arguments) const {
        const Entry entry(state_);
        return std::invoke(std::forward<Function>(function), std::forward<Arguments>(arguments)...);
    }

    /// For the library.
    const internal::ContextRef& state() const noexcept { return state_; }

private:
    /// Makes the context the current one for as long as this object lives.
    class Entry {
    public:
        explicit Entry(const internal::ContextRef& context) : context_(context) {
            if (!context_) [[unlikely]]
                internal::throw_empty("Context");
            if (std::exchange(context_.get()->entered, true))
                throw RuntimeError("Context::run(): a run of this context is in progress already");
            outer_ = std::exchange(internal::here.context, &context_);
        }
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        ~Entry() {
            internal::here.context = outer_;
            context_.get()->entered = false;
        }

    private:
        internal::ContextRef context_;
        internal::ContextRef* outer_ = nullptr;
    };

    internal::ContextRef state_;
};

/// A new context with the values of the current one. Cost: one allocation; the values are shared,
/// not copied.
/// Python: `contextvars.copy_context`.
inline Context copy_context() { return Context(internal::current_context().copy()); }

/// The return type of `ContextVar::set`, for `reset`. Python: `contextvars.Token`.
template <class T>
class ContextToken {
public:
    /// The value before the `set`; empty if there was none.
    std::optional<T> old_value() const {
        return old_ != nullptr ? std::optional<T>(*static_cast<const T*>(old_.get()))
                               : std::nullopt;
    }

private:
    template <class>
    friend class ContextVar;

    std::uint64_t id_ = 0;
    internal::ContextRef context_;
    std::shared_ptr<const void> old_;
    bool used_ = false;
};

namespace internal {

/// A number that no other variable of the process has or had.
std::uint64_t next_context_variable() noexcept;
[[noreturn]] void throw_not_set(const std::string& name);

}  // namespace internal

/// A variable that has one value in each context. Usually a global object:
/// `ContextVar<std::string> request_id("request_id", "-");`.
///
/// T must be copyable. `get` returns a copy, since a reference would be invalid after the next
/// `set`.
/// Python: `contextvars.ContextVar`.
template <class T>
class ContextVar {
public:
    /// `name` appears in messages. Without a default, `get` throws where the variable is not set.
    explicit ContextVar(std::string_view name) : name_(name) {}
    ContextVar(std::string_view name, T default_value)
        : name_(name), default_(std::move(default_value)) {}
    ContextVar(const ContextVar&) = delete;
    ContextVar& operator=(const ContextVar&) = delete;

    /// The name that was given.
    const std::string& name() const noexcept { return name_; }

    /// The value in the current context, or the default. Throws: LookupError if there is neither.
    T get() const {
        if (const auto value = find()) return *static_cast<const T*>(value.get());
        if (!default_) internal::throw_not_set(name_);
        return *default_;
    }
    /// The value in the current context, or `fallback` if there is none. The default is not used.
    T get(T fallback) const {
        const auto value = find();
        return value != nullptr ? *static_cast<const T*>(value.get()) : std::move(fallback);
    }

    /// Sets the value in the current context. Returns a token that `reset` takes. Cost: O(variables
    /// set), and allocates.
    ContextToken<T> set(T value) const {
        internal::ContextRef& context = internal::current_context();
        ContextToken<T> token;
        token.old_ = find();
        token.id_ = id_;
        context.made().assign(id_, std::make_shared<const T>(std::move(value)));
        // After `assign`, which makes the context if there was none.
        token.context_ = context;
        return token;
    }

    /// Restores the value that the variable had before the `set` that returned `token`. A token can
    /// be used once.
    /// Throws: RuntimeError if the token has been used; `std::invalid_argument` if the token
    /// belongs to another variable or another context.
    void reset(ContextToken<T>& token) const {
        if (token.used_) throw RuntimeError("the token has been used already");
        if (token.id_ != id_) throw std::invalid_argument("the token belongs to another variable");
        internal::ContextRef& context = internal::current_context();
        if (token.context_.get() != context.get())
            throw std::invalid_argument("the token was made in another context");
        context.made().assign(id_, token.old_);
        token.used_ = true;
    }

private:
    /// The value in the current context; null if there is none.
    std::shared_ptr<const void> find() const noexcept {
        const internal::ContextState* state = internal::current_context().get();
        return state != nullptr ? state->find(id_) : nullptr;
    }

    std::string name_;
    std::optional<T> default_;
    /// The key of the variable in a context. The address cannot be the key: another variable may
    /// later have the address that this one had.
    std::uint64_t id_ = internal::next_context_variable();
};

namespace internal {

inline Context context_of(TaskCore& task) {
    task.context().made();
    return Context(task.context());
}

}  // namespace internal

inline Context TaskRef::get_context() const { return internal::context_of(existing_core()); }

template <class T>
Context Task<T>::get_context() const {
    return internal::context_of(existing_core());
}

}  // namespace asyncio
