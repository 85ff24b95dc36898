// The way of a signal from the handler to the subscribers of a loop, and the end of a source.
//
// The list of subscribers changes while it is walked: a callback may end any subscription, its own
// included, and make new ones. So `deliver` moves the list into two local lists, the subscribers
// that still have to be called and those that were. A subscriber leaves whichever list it is in. A
// new one comes into the list of the source, which is empty meanwhile, so it does not get the
// signal that is being delivered. At the end the three parts are put together in their old order.

#include "signals/loop_signals.h"

#include <asyncio/exceptions.h>

#include <string>

namespace asyncio::internal {

// A signal.

SignalSource::SignalSource(EventLoop& loop, int signal) noexcept
    : SignalListener(signal, &hear), loop_(loop) {
    run = &take_turn;
}

/// In the signal handler. The post cannot fail: the source stops listening before the gate of the
/// loop shuts.
void SignalSource::hear(SignalListener& listener) noexcept {
    auto& self = static_cast<SignalSource&>(listener);
    if (self.count_.fetch_add(1, std::memory_order_acq_rel) == 0) self.loop_.post(self);
}

/// In the loop. One signal for each turn: a burst of real-time signals leaves turns to others.
void SignalSource::take_turn(Ready& node) noexcept {
    auto& self = static_cast<SignalSource&>(node);
    if (self.loop_.is_closed()) {
        delete &self;
        return;
    }
    self.deliver();
    if (self.count_.fetch_sub(1, std::memory_order_acq_rel) > 1) self.loop_.schedule(self);
}

void SignalSource::deliver() noexcept {
    IntrusiveList<SignalSubscriber> waiting;
    IntrusiveList<SignalSubscriber> served;
    waiting.append(subscribers_);
    while (!waiting.empty()) {
        SignalSubscriber& subscriber = waiting.pop_front();
        served.push_back(subscriber);
        subscriber.deliver(subscriber);
    }
    served.append(subscribers_);
    subscribers_.append(served);
}

// Subscribers.

/// The subscriber is on the list when this returns, and the loop delivers in a later iteration. So
/// a signal that comes in between is not missed.
void SignalSource::add(SignalSubscriber& subscriber) {
    if (subscriber_count_ == 0) {
        if (const int error = listen_to_signal(*this))
            throw OsError(error, "install a handler of " + signal_name(signal()));
    }
    subscribers_.push_back(subscriber);
    subscriber.source = this;
    ++subscriber_count_;
}

void SignalSource::remove(SignalSubscriber& subscriber) noexcept {
    subscriber.unlink();
    subscriber.source = nullptr;
    if (--subscriber_count_ == 0) stop_listening(*this);
}

void SignalSubscriber::unsubscribe() noexcept {
    if (source != nullptr) source->remove(*this);
}

// The end.

/// Destructors of the program's callbacks run here, and may end other subscriptions.
void SignalSource::close() noexcept {
    while (!subscribers_.empty()) {
        SignalSubscriber& subscriber = subscribers_.front();
        remove(subscriber);
        subscriber.loop_closed(subscriber);
    }
    handler.remove();
    if (count_.load(std::memory_order_acquire) == 0) delete this;
}

LoopSignals& LoopSignals::of(EventLoop& loop) {
    LoopSignals*& signals = loop.belongings().signals;
    if (signals == nullptr) signals = new LoopSignals(loop);
    return *signals;
}

LoopSignals::LoopSignals(EventLoop& loop) noexcept : loop_(loop) {
    run = &loop_closes;
    loop.at_close().push_back(*this);
}

SignalSource& LoopSignals::source_of(int signal) {
    require_catchable(signal);
    SignalSource*& source = sources_[static_cast<std::size_t>(signal)];
    if (source == nullptr) source = new SignalSource(loop_, signal);
    return *source;
}

SignalSource* LoopSignals::find(int signal) const {
    return sources_[static_cast<std::size_t>(signal)];
}

/// The loop forgets this object first: a destructor of the program may ask for a handler.
void LoopSignals::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<LoopSignals&>(listener);
    self.loop_.belongings().signals = nullptr;
    for (SignalSource* const source : self.sources_)
        if (source != nullptr) source->close();
    delete &self;
}

}  // namespace asyncio::internal
