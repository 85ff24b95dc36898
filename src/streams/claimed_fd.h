#pragma once
// A descriptor of a loop that belongs to an object of the library, for as long as the object has
// it: `add_reader` refuses its number (loop_descriptors.h).
//
// Thread-safety: loop thread only, as long as the loop exists.

#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/loop_fd.h>

#include "streams/loop_descriptors.h"

#include <utility>

namespace asyncio::internal {

/// As `LoopFd`, with a claim. Neither copied nor moved: it is a member of the owner, and costs no
/// more memory than a `LoopFd`.
class ClaimedFd : private lowlevel::LoopFd {
public:
    explicit ClaimedFd(LoopFd fd) noexcept : LoopFd(std::move(fd)) {
        claim_descriptor(face_of(*loop()), get());
    }
    ClaimedFd(const ClaimedFd&) = delete;
    ClaimedFd& operator=(const ClaimedFd&) = delete;
    ~ClaimedFd() { disclaim(); }

    using LoopFd::get;
    using LoopFd::loop;
    using LoopFd::operator bool;

    [[nodiscard]] int release() noexcept {
        disclaim();
        return LoopFd::release();
    }
    void reset() noexcept {
        disclaim();
        LoopFd::reset();
    }

private:
    void disclaim() noexcept {
        if (*this && has_loop()) disclaim_descriptor(face_of(*loop()), get());
    }
};

}  // namespace asyncio::internal
