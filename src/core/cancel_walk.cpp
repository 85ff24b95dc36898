#include <asyncio/internal/cancel_walk.h>

#include <asyncio/internal/future_base.h>

namespace asyncio::internal {

CancelWalk::~CancelWalk() {
    while (left_last_ != nullptr) {
        CancelRelay& relay = *left_last_;
        left_last_ = reinterpret_cast<CancelRelay*>(relay.walk_link & ~left);
        relay.walk_link = 0;
    }
}

bool CancelWalk::ask(FutureBase& future) noexcept { return walk(&future); }

bool CancelWalk::ask_for(CancelRelay& asker, FutureBase& future) noexcept {
    enter(asker);
    base_ = &asker;
    const bool answer = walk(&future);
    base_ = nullptr;
    top_ = nullptr;
    leave(asker);
    return answer;
}

void CancelWalk::pass_on(CancelRelay& relay, FutureBase& first) noexcept {
    enter(relay);
    walk(&first);
}

/// Down to what really waits, and back up with the answer to who asks somebody else next; until the
/// one at which the walk began has its last answer.
bool CancelWalk::walk(FutureBase* asked) noexcept {
    bool answer = false;
    for (;;) {
        while (asked != nullptr) asked = arrive(*asked, answer);
        if (top_ == base_) return answer;
        asked = top_->answered(answer, message_);
        if (asked != nullptr) continue;
        CancelRelay& relay = *top_;
        answer = relay.answer();
        top_ = asker_of(relay);
        leave(relay);
    }
}

/// Returns who is to be asked before `asked` can answer; null if it has.
FutureBase* CancelWalk::arrive(FutureBase& asked, bool& answer) noexcept {
    CancelRelay* const relay = asked.relay();
    if (relay == nullptr) {
        answer = asked.cancel(message_);
        return nullptr;
    }
    if (relay->walk_link == 0) {
        if (FutureBase* const first = relay->receive(message_)) {
            enter(*relay);
            return first;
        }
        leave(*relay);
    } else if ((relay->walk_link & left) == 0) {
        break_circle();
    }
    answer = relay->answer();
    return nullptr;
}

void CancelWalk::enter(CancelRelay& relay) noexcept {
    relay.walk_link = reinterpret_cast<std::uintptr_t>(top_ != nullptr ? top_ : &relay);
    top_ = &relay;
}

void CancelWalk::leave(CancelRelay& relay) noexcept {
    relay.walk_link = reinterpret_cast<std::uintptr_t>(left_last_) | left;
    left_last_ = &relay;
}

/// Null at the beginning of the path.
CancelRelay* CancelWalk::asker_of(const CancelRelay& relay) const noexcept {
    auto* const asker = reinterpret_cast<CancelRelay*>(relay.walk_link);
    return asker != &relay ? asker : nullptr;
}

/// Every circle has a task in it, for a gather's parts were there before the gather was.
void CancelWalk::break_circle() noexcept {
    for (CancelRelay* relay = top_; relay != nullptr; relay = asker_of(*relay)) {
        if (relay->break_wait()) return;
    }
}

}  // namespace asyncio::internal
