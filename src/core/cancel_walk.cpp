// The walk of a request to cancel: down a chain of awaits to the object that really waits, and back
// up with the answers. `cancel_walk.h` says what it is for; here is how the path is kept without
// memory of its own.
//
// A recursion would be four lines: ask what the relay waits for, and let that ask in turn. Its
// depth would be the length of the program's chain, so a chain of a hundred thousand tasks would
// overflow the stack. A stack of the walk's own would have to grow on the heap, and a request to
// cancel must not fail. So the path is kept in the relays, as in the pointer reversal of Schorr and
// Waite (1967): each relay on the path stores who asked it.
//
// `walk_link` of a relay has three kinds of values:
//   0              the walk has not come here
//   a pointer      the relay is on the path; the pointer leads to its asker, and at the beginning
//                  of the path to the relay itself
//   a pointer | 1  the walk has left the relay; the pointer leads to the relay that was left before
//                  it
//
// The third kind makes a list of all relays that were left. It serves two purposes. A relay in it
// is not asked again: with tasks that share what they wait for there can be exponentially many
// paths, and each relay must be visited once. And the destructor of the walk finds by it which
// links must be set back to 0. The tag fits into the lowest bit, because relays are aligned.
//
// A relay that is met while it is still on the path closes a circle. Every member of the circle
// waits for another member, so the request would end none of them. `break_circle` ends the wait of
// the innermost task on the path; its end wakes the next one, and the circle unwinds from there. A
// request that is passed on with an asker (`ask_for`) has that asker at the beginning of the path:
// it is asked nothing, but it can be found there.

#include <asyncio/internal/core/cancel_walk.h>

#include <asyncio/internal/core/future_base.h>

namespace asyncio::internal {

/// Sets the links of all visited relays back. All of them still exist: a request to cancel makes
/// tasks ready, and destroys nothing that waits.
CancelWalk::~CancelWalk() {
    while (left_last_ != nullptr) {
        CancelRelay& relay = *left_last_;
        left_last_ = reinterpret_cast<CancelRelay*>(relay.walk_link & ~left);
        relay.walk_link = 0;
    }
}

bool CancelWalk::ask(FutureBase& future) noexcept { return walk(&future); }

/// `base_` marks the asker as the place at which the walk up ends: the asker has no answer to give.
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

/// The loop. The inner line goes down: `arrive` returns the future that must be asked before this
/// one can answer. The rest goes up: the relay at the top is given the answer of the part it has
/// asked, and names the next part or answers itself. The walk ends when the relay at which it began
/// has its last answer.
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

/// Hands the request to `asked`. Returns the future that must be asked before `asked` can answer;
/// null if `answer` has been set.
///
/// A future that is no relay ends at once (`FutureBase::cancel`). A relay that was left before
/// answers without being asked again.
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

/// The first relay of a path points to itself, because null would mean that the walk has not been
/// there.
void CancelWalk::enter(CancelRelay& relay) noexcept {
    relay.walk_link = reinterpret_cast<std::uintptr_t>(top_ != nullptr ? top_ : &relay);
    top_ = &relay;
}

void CancelWalk::leave(CancelRelay& relay) noexcept {
    relay.walk_link = reinterpret_cast<std::uintptr_t>(left_last_) | left;
    left_last_ = &relay;
}

/// The relay that asked `relay`; null at the beginning of the path.
CancelRelay* CancelWalk::asker_of(const CancelRelay& relay) const noexcept {
    auto* const asker = reinterpret_cast<CancelRelay*>(relay.walk_link);
    return asker != &relay ? asker : nullptr;
}

/// Every circle contains a task: the parts of a gather exist before the gather does, so gathers
/// alone cannot form one.
void CancelWalk::break_circle() noexcept {
    for (CancelRelay* relay = top_; relay != nullptr; relay = asker_of(*relay)) {
        if (relay->break_wait()) return;
    }
}

}  // namespace asyncio::internal
