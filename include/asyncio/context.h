#pragma once
// Context variables: values that follow a task through everything it awaits, without being passed.
//
// A request's number for the log, a user, a time zone: set once at the top of a task, read at the
// bottom. Each task has a context of its own, which begins as a copy of its creator's; callbacks
// run in a copy of the context in which they were registered. So what is set in one is not seen in
// another.
//
// Thread-safety: a variable may be used on any thread; each thread and each task see their own
// value. A context belongs to one thread at a time.

#include <asyncio/exceptions.h>
#include <asyncio/internal/context_state.h>
#include <asyncio/internal/step.h>
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

/// A context variable has no value here, and no default. Python: `LookupError`.
class [[gnu::visibility("default")]] LookupError : public std::out_of_range {
public:
    using std::out_of_range::out_of_range;
};

/// What variables are set to. Copies of the object are the same context; `copy_context` makes
/// another.
/// Python: `contextvars.Context`.
class Context {
public:
    /// One in which nothing is set.
    Context() { state_.made(); }
    explicit Context(internal::ContextRef state) : state_(std::move(state)) { state_.made(); }

    /// Calls `function(arguments…)` in this context: what it sets stays here.
    /// Throws: what it throws; RuntimeError if the context is in use, by this very function or
    /// further up.
    template <class Function, class... Arguments>
    decltype(auto) run(Function&& function, Arguments&&... arguments) const {
        const Entry entry(state_);
        return std::invoke(std::forward<Function>(function), std::forward<Arguments>(arguments)...);
    }

    const internal::ContextRef& state() const noexcept { return state_; }

private:
    /// While it lives, the context applies.
    class Entry {
    public:
        explicit Entry(const internal::ContextRef& context) : context_(context) {
            if (!context_) [[unlikely]]
                internal::throw_empty("Context");
            if (std::exchange(context_.get()->entered, true))
                throw RuntimeError("the context is in use already");
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

/// A context with the values that apply now. Python: `contextvars.copy_context`.
inline Context copy_context() { return Context(internal::current_context().copy()); }

/// What `ContextVar::set` returns: the way back. Python: `contextvars.Token`.
template <class T>
class ContextToken {
public:
    /// The value before; nothing if there was none.
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

std::uint64_t next_context_variable() noexcept;
[[noreturn]] void throw_not_set(const std::string& name);

}  // namespace internal

/// A variable with a value per context. Usually a global:
/// `ContextVar<std::string> request_id("request_id", "-");`.
///
/// T must be copyable: `get` copies, for a reference would not survive the next `set`.
/// Python: `contextvars.ContextVar`.
template <class T>
class ContextVar {
public:
    explicit ContextVar(std::string_view name) : name_(name) {}
    ContextVar(std::string_view name, T default_value)
        : name_(name), default_(std::move(default_value)) {}
    ContextVar(const ContextVar&) = delete;
    ContextVar& operator=(const ContextVar&) = delete;

    const std::string& name() const noexcept { return name_; }

    /// The value in the current context, or the default. Throws: LookupError if there is neither.
    T get() const {
        if (const auto value = find()) return *static_cast<const T*>(value.get());
        if (!default_) internal::throw_not_set(name_);
        return *default_;
    }
    /// The value in the current context, or `fallback`; the default does not count.
    T get(T fallback) const {
        const auto value = find();
        return value != nullptr ? *static_cast<const T*>(value.get()) : std::move(fallback);
    }

    /// Sets the value for the rest of this context.
    ContextToken<T> set(T value) const {
        internal::ContextRef& context = internal::current_context();
        ContextToken<T> token;
        token.old_ = find();
        token.id_ = id_;
        context.made().assign(id_, std::make_shared<const T>(std::move(value)));
        token.context_ = context;
        return token;
    }

    /// Brings back what was before the `set` that returned `token`.
    /// Throws: RuntimeError if that was done already; `std::invalid_argument` for the token of
    /// another variable, or in another context.
    void reset(ContextToken<T>& token) const {
        if (token.used_) throw RuntimeError("the token has been used already");
        if (token.id_ != id_) throw std::invalid_argument("the token is another variable's");
        internal::ContextRef& context = internal::current_context();
        if (token.context_.get() != context.get())
            throw std::invalid_argument("the token was made in another context");
        context.made().assign(id_, token.old_);
        token.used_ = true;
    }

private:
    std::shared_ptr<const void> find() const noexcept {
        const internal::ContextState* state = internal::current_context().get();
        return state != nullptr ? state->find(id_) : nullptr;
    }

    std::string name_;
    std::optional<T> default_;
    /// Not the address: another variable may come to lie where this one was.
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
