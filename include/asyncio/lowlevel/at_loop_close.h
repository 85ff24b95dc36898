#pragma once
// A listener that is called when its loop closes.
//
// An object that keeps an operation in flight without a task that awaits it must end the operation
// when the loop closes. No task runs any more at that moment, and no timer fires: the loop calls
// its listeners, and then waits until every operation is reported. An operation that nothing ends
// would keep it waiting for ever.
//
// The listener is a base class of its owner, as `Alarm` is. The way back to the owner is a cast,
// and nothing is allocated.
//
// Thread-safety: loop thread only.

#include <asyncio/lowlevel/loop.h>

namespace asyncio::lowlevel {

/// The base class of an object that must know when its loop closes. `Owner` derives from
/// `AtLoopClose<Owner>`, has `void loop_closes() noexcept`, and makes `AtLoopClose<Owner>` its
/// friend, so that both can be private.
///
/// `loop_closes` is called once, may start operations, and may destroy the owner. The loop must not
/// be used after every operation of the owner is reported: it may be gone while the owner lives.
template <class Owner>
class AtLoopClose : internal::AtClose {
public:
    AtLoopClose(const AtLoopClose&) = delete;
    AtLoopClose& operator=(const AtLoopClose&) = delete;

protected:
    explicit AtLoopClose(Loop& loop) noexcept {
        run = [](internal::AtClose& node) noexcept {
            static_cast<Owner&>(static_cast<AtLoopClose&>(node)).loop_closes();
        };
        loop.at_close().push_back(*this);
    }
    ~AtLoopClose() {
        if (internal::AtClose::linked()) internal::AtClose::unlink();
    }
};

}  // namespace asyncio::lowlevel
