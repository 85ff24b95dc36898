#pragma once
// What context variables are set to: the part that the loop carries from step to step.
//
// Every task, callback and thread has a `ContextRef`. Most have nothing in it, for most programs
// set no variable: then a new task inherits a null pointer, and costs nothing. Where there are
// values, they lie in a list that is never changed. Setting a variable makes a new list, and an
// heir gets the old one by reference, so inheriting is cheap and what one of them sets the others
// do not see. A list is searched from its beginning; a program that has dozens of variables set at
// once is not what this is made for.
//
// Which context applies is a pointer in `here`: the loop sets it before each step and callback, and
// `Context::run` for the time of a call.
//
// Thread-safety: a context belongs to one thread at a time, but references to it may be dropped on
// any, so the count is atomic.

#include <asyncio/internal/ref.h>
#include <asyncio/internal/step.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace asyncio::internal {

struct ContextEntry {
    /// Of the variable.
    std::uint64_t id;
    std::shared_ptr<const void> value;
};

using ContextEntries = std::vector<ContextEntry>;

class ContextState {
public:
    explicit ContextState(std::shared_ptr<const ContextEntries> entries) noexcept
        : entries_(std::move(entries)) {}

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }

    const std::shared_ptr<const ContextEntries>& entries() const noexcept { return entries_; }
    /// Null if the variable is not set.
    std::shared_ptr<const void> find(std::uint64_t id) const noexcept;
    /// Sets a variable; null takes its value away.
    void assign(std::uint64_t id, std::shared_ptr<const void> value);

    /// `Context::run` is using it.
    bool entered = false;

private:
    std::atomic<std::uint32_t> references_{1};
    std::shared_ptr<const ContextEntries> entries_;
};

/// A reference to a context. Null: one in which nothing is set.
class ContextRef : public Ref<ContextState> {
public:
    /// One that there is.
    ContextState& made() {
        if (state_ == nullptr) state_ = new ContextState(nullptr);
        return *state_;
    }
    /// A context of its own with the same values.
    ContextRef copy() const {
        ContextRef result;
        if (state_ != nullptr && state_->entries() != nullptr) [[unlikely]]
            result.state_ = new ContextState(state_->entries());
        return result;
    }
};

/// A thread's own context: of code that no loop runs.
ContextRef& thread_context() noexcept;

/// The context of the code that runs now on this thread.
inline ContextRef& current_context() noexcept {
    return here.context != nullptr ? *here.context : thread_context();
}

}  // namespace asyncio::internal
