#pragma once
// The signals of one loop: a source for each signal that a part of the program wants in this loop,
// and the subscribers of each source.
//
// A source is the only thing that a signal handler touches. It is a listener of the process's
// handler (`base/signal_handler.h`) and a node of the loop in one object. The handler adds one to
// the count and posts the node if the count was zero. The turn of the node in the loop delivers one
// signal, takes one off the count, and makes the node ready again if some are left. So the node is
// in one list at most, whatever the handlers do meanwhile:
//   count 0      the node is in no list; the next handler posts it
//   count n > 0  the node is in the inbox, in the ready queue, or having its turn; handlers only
//                count
//
// Removal is the difficult part, because a node in the inbox cannot be taken out. Therefore a
// source lives until its loop closes, also without subscribers: it stops listening with the last of
// them, and listens again with the next. At the close it stops listening, so it is not posted any
// more. If it lies in the inbox then, it deletes itself when the closing loop gives every node its
// last turn.
//
// Thread-safety: the loop's thread, except the count, which handlers change.

#include <asyncio/event_loop.h>
#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/signal_set.h>
#include <asyncio/signals.h>

#include "base/signal_handler.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace asyncio::internal {

class SignalSource;

/// A receiver of one signal in one loop. The owner unsubscribes it before it is destroyed.
struct SignalSubscriber : ListNode {
    /// Called for each signal, in the loop. May unsubscribe any subscriber, and destroy it.
    void (*deliver)(SignalSubscriber& subscriber) noexcept = nullptr;
    /// Called when the loop closes, after the subscription has ended. May destroy it.
    void (*loop_closed)(SignalSubscriber& subscriber) noexcept = nullptr;
    /// Null if it is not subscribed.
    SignalSource* source = nullptr;

    /// No effect if it is not subscribed.
    void unsubscribe() noexcept;
};

/// One signal in one loop.
class SignalSource final : Ready, SignalListener {
public:
    SignalSource(EventLoop& loop, int signal) noexcept;

    EventLoop& loop() const noexcept { return loop_; }
    using SignalListener::signal;

    /// Throws: OsError if the kernel refuses the handler.
    void add(SignalSubscriber& subscriber);
    void remove(SignalSubscriber& subscriber) noexcept;

    /// The callback of `add_signal_handler`.
    SignalSubscription handler;

    /// The loop closes: ends all subscriptions, and destroys this now or at its last turn.
    void close() noexcept;

private:
    static void hear(SignalListener& listener) noexcept;
    static void take_turn(Ready& node) noexcept;
    void deliver() noexcept;

    EventLoop& loop_;
    IntrusiveList<SignalSubscriber> subscribers_;
    std::size_t subscriber_count_ = 0;
    /// The signals that were handled and not yet delivered.
    std::atomic<std::uint32_t> count_{0};
    static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "signal handlers use it");
};

/// All sources of a loop. Made with the first of them: most loops have none. Destroys itself when
/// the loop closes.
class LoopSignals final : AtClose {
public:
    static LoopSignals& of(EventLoop& loop);

    /// The source of `signal`, which is made if there was none. Throws: as `require_catchable`.
    SignalSource& source_of(int signal);
    /// The same; null if there is none. Throws: `std::invalid_argument` if `signal` is no signal.
    SignalSource* find(int signal) const;

private:
    explicit LoopSignals(EventLoop& loop) noexcept;

    static void loop_closes(AtClose& listener) noexcept;

    EventLoop& loop_;
    /// By their numbers; null for a signal that was never wanted.
    std::array<SignalSource*, SignalSet::highest + 1> sources_{};
};

}  // namespace asyncio::internal
