#pragma once
// A counted reference to an object that counts its references itself.
//
// The count lies in the state. So a reference is one pointer, and a state that only has its `this`
// can make another reference. `std::shared_ptr` has two pointers, and its count is atomic, which
// futures do not need. `State` has `retain()` and `release()`. It begins with one reference, which
// its maker gives to `adopt`, and deletes itself with its last one.
//
// Thread-safety: that of the state's count; one `Ref` belongs to one thread at a time.

#include <utility>

namespace asyncio::internal {

template <class State>
class Ref {
public:
    Ref() noexcept = default;
    /// Takes over the reference the caller has.
    static Ref adopt(State* state) noexcept {
        Ref ref;
        ref.state_ = state;
        return ref;
    }
    /// Adds a reference.
    static Ref share(State* state) noexcept {
        if (state != nullptr) state->retain();
        return adopt(state);
    }
    Ref(const Ref& other) noexcept : state_(other.state_) {
        if (state_ != nullptr) state_->retain();
    }
    Ref(Ref&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    Ref& operator=(Ref other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~Ref() {
        if (state_ != nullptr) state_->release();
    }

    /// Gives the reference up without dropping it: the caller passes the pointer to `adopt`.
    State* leak() noexcept { return std::exchange(state_, nullptr); }

    State* get() const noexcept { return state_; }
    State* operator->() const noexcept { return state_; }
    State& operator*() const noexcept { return *state_; }
    explicit operator bool() const noexcept { return state_ != nullptr; }

protected:
    State* state_ = nullptr;
};

}  // namespace asyncio::internal
