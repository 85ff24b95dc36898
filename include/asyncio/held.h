#pragma once
// What `acquire` returns: a lock or a permit, held for as long as this object lives.
//
// Releasing wakes others and waits for nobody, so a destructor can do it; that is why C++ needs no
// scope with a body here, unlike for what must await at its end.
//
// Thread-safety: loop thread only.

#include <asyncio/exceptions.h>

#include <utility>

namespace asyncio {

/// Holds a `Lock`, or one permit of a `Semaphore`, and releases it at the end of its life.
///
/// Lifetime: what is held must outlive this. Move it to hand the ownership on.
/// Python: the scope of `async with lock:`.
template <class Source>
class [[nodiscard]] Held {
public:
    /// Holds nothing.
    Held() noexcept = default;
    explicit Held(Source& source) noexcept : source_(&source), since_(source) {}
    Held(Held&& other) noexcept
        : source_(std::exchange(other.source_, nullptr)), since_(other.since_) {}
    Held& operator=(Held&& other) noexcept {
        Held taken(std::move(other));
        std::swap(source_, taken.source_);
        std::swap(since_, taken.since_);
        return *this;
    }
    ~Held() {
        if (source_ != nullptr) source_->release_held(since_);
    }

    explicit operator bool() const noexcept { return source_ != nullptr; }

    /// Releases before the end of the scope. Throws: RuntimeError if this holds nothing.
    void release() {
        if (source_ == nullptr) internal::throw_empty("Held");
        std::exchange(source_, nullptr)->release_held({});
    }

    /// Leaves it acquired: from now on it is somebody's duty to call the source's own `release`.
    void keep() noexcept {
        if (source_ != nullptr) std::exchange(source_, nullptr)->keep_held();
    }

private:
    Source* source_ = nullptr;
    /// What the source wants to know about the beginning.
    [[no_unique_address]] typename Source::HeldSince since_;
};

}  // namespace asyncio
