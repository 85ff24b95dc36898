#pragma once
// The return type of `acquire`: a lock or a permit that is held for as long as this object lives.
//
// Releasing wakes other tasks and waits for none, so a destructor can do it. Therefore the locks
// need no scope with a body, unlike everything that has to await at its end.
//
// Thread-safety: loop thread only.

#include <asyncio/exceptions.h>

#include <utility>

namespace asyncio {

/// Holds a `Lock`, or one permit of a `Semaphore`, and releases it in its destructor.
///
/// The object can be moved, which hands the ownership on, and not copied.
/// Lifetime: the lock or semaphore must outlive this object.
/// Python: the scope of `async with lock:`.
template <class Source>
class [[nodiscard]] Held {
public:
    /// Holds nothing.
    Held() noexcept = default;
    /// For `acquire`: takes over what the caller has acquired.
    explicit Held(Source& source) noexcept : source_(&source), since_(source) {}
    Held(Held&& other) noexcept
        : source_(std::exchange(other.source_, nullptr)), since_(other.since_) {}
    Held& operator=(Held&& other) noexcept {
        // `taken` releases what this object held before, when it is destroyed. An assignment of an
        // object to itself changes nothing.
        Held taken(std::move(other));
        std::swap(source_, taken.source_);
        std::swap(since_, taken.since_);
        return *this;
    }
    ~Held() {
        if (source_ != nullptr) source_->release_held(since_);
    }

    /// Whether this object holds something.
    explicit operator bool() const noexcept { return source_ != nullptr; }

    /// Releases before the end of the scope. Throws: RuntimeError if this holds nothing.
    void release() {
        if (source_ == nullptr) internal::throw_empty("Held");
        std::exchange(source_, nullptr)->release_held({});
    }

    /// Leaves the lock or permit acquired; this object holds nothing after that. The program has to
    /// call `release` of the lock or semaphore itself.
    void keep() noexcept {
        if (source_ != nullptr) std::exchange(source_, nullptr)->keep_held();
    }

private:
    Source* source_ = nullptr;
    /// A note of the source about the beginning of the hold. Empty for a lock.
    [[no_unique_address]] typename Source::HeldSince since_;
};

}  // namespace asyncio
