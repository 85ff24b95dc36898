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
/// Lifetime: what is held must outlive this. Move it to hand the ownership on. If somebody else has
/// released behind its back, the destructor has nothing to release, which ends the program.
/// Python: the scope of `async with lock:`.
template <class Source>
class [[nodiscard]] Held {
public:
    /// Holds nothing.
    Held() noexcept = default;
    explicit Held(Source& source) noexcept : source_(&source) {}
    Held(Held&& other) noexcept : source_(std::exchange(other.source_, nullptr)) {}
    Held& operator=(Held&& other) noexcept {
        Held taken(std::move(other));
        std::swap(source_, taken.source_);
        return *this;
    }
    ~Held() {
        if (source_ != nullptr) source_->release();
    }

    explicit operator bool() const noexcept { return source_ != nullptr; }

    /// Releases before the end of the scope. Throws: RuntimeError if this holds nothing.
    void release() {
        if (source_ == nullptr) throw RuntimeError("nothing is held that could be released");
        std::exchange(source_, nullptr)->release();
    }

    /// Leaves it acquired: from now on it is somebody's duty to call the source's own `release`.
    void keep() noexcept { source_ = nullptr; }

private:
    Source* source_ = nullptr;
};

}  // namespace asyncio
