#pragma once
// The values of context variables: the part that the loop carries from step to step.
//
// Every task, callback and thread has a `ContextRef`. Most of them are null, since most programs
// set no variable: a new task then inherits a null pointer, which costs nothing. Where there are
// values, they are in a list that is never changed. Setting a variable makes a new list. A new task
// gets the old list by reference, so inheriting is cheap, and what one task sets is not seen by the
// others. A list is searched from its beginning; it is not made for programs that have dozens of
// variables set at once.
//
// A pointer in `here` says which context applies: the loop sets it before each step and callback,
// and `Context::run` for the time of a call.
//
// Thread-safety: a context belongs to one thread at a time, but references to it may be dropped on
// any thread, so the count is atomic.

#include <asyncio/internal/base/ref.h>
#include <asyncio/internal/loop/step.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace asyncio::internal {

struct ContextEntry {
    /// The number of the variable (`context.cpp`).
    std::uint64_t id;
    std::shared_ptr<const void> value;
};

using ContextEntries = std::vector<ContextEntry>;

/// A context: a replaceable pointer to a list that is never changed.
class ContextState {
public:
    explicit ContextState(std::shared_ptr<const ContextEntries> entries) noexcept
        : entries_(std::move(entries)) {}

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }

    const std::shared_ptr<const ContextEntries>& entries() const noexcept { return entries_; }
    /// The value of a variable; null if the variable is not set. The pointer is shared, because the
    /// program may set the variable while it uses the value.
    std::shared_ptr<const void> find(std::uint64_t id) const noexcept;
    /// Sets a variable; null takes its value away.
    void assign(std::uint64_t id, std::shared_ptr<const void> value);

    /// `Context::run` is using the context: it may not be entered twice, as in Python.
    bool entered = false;

private:
    std::atomic<std::uint32_t> references_{1};
    std::shared_ptr<const ContextEntries> entries_;
};

/// A reference to a context. Null: one in which nothing is set.
class ContextRef : public Ref<ContextState> {
public:
    /// The context, which is made if there was none.
    ContextState& made() {
        if (state_ == nullptr) state_ = new ContextState(nullptr);
        return *state_;
    }
    /// A new context with the same values. Without values it is null again.
    ContextRef copy() const {
        ContextRef result;
        if (state_ != nullptr && state_->entries() != nullptr) [[unlikely]]
            result.state_ = new ContextState(state_->entries());
        return result;
    }
};

/// The context of code that no loop runs: one for each thread.
ContextRef& thread_context() noexcept;

/// The context of the code that is running on this thread.
inline ContextRef& current_context() noexcept {
    return here.context != nullptr ? *here.context : thread_context();
}

}  // namespace asyncio::internal
