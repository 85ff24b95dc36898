// What a program subscribes with: callbacks, the handlers that the loop keeps, and streams.

#include <asyncio/signals.h>

#include <asyncio/internal/loop/context_state.h>

#include "loop/callback.h"
#include "signals/loop_signals.h"

#include <cstdint>
#include <limits>
#include <list>

namespace asyncio {
namespace internal {

// Callbacks.

/// A subscriber that calls a function. Its `SignalSubscription` owns it.
class SignalCallback final : public SignalSubscriber {
public:
    /// Throws: as `on_signal`.
    static SignalSubscription subscribe(EventLoop& loop, int signal,
                                        UniqueFunction<void()> function);

    /// The owner's last call.
    void drop() noexcept;

private:
    explicit SignalCallback(UniqueFunction<void()> function)
        : function_(std::move(function)), context_(current_context().copy()) {
        SignalSubscriber::deliver = &call;
        SignalSubscriber::loop_closed = &let_go;
    }

    static void call(SignalSubscriber& subscriber) noexcept;
    static void let_go(SignalSubscriber& subscriber) noexcept;

    UniqueFunction<void()> function_;
    ContextRef context_;
    /// The function is being called, so it must not be destroyed.
    bool running_ = false;
    /// The owner has dropped this in the meantime.
    bool dropped_ = false;
};

/// The subscription owns the callback before the source is asked, which may throw.
SignalSubscription SignalCallback::subscribe(EventLoop& loop, int signal,
                                             UniqueFunction<void()> function) {
    auto* const callback = new SignalCallback(std::move(function));
    SignalSubscription subscription(callback);
    LoopSignals::of(loop).source_of(signal).add(*callback);
    return subscription;
}

void SignalCallback::call(SignalSubscriber& subscriber) noexcept {
    auto& self = static_cast<SignalCallback&>(subscriber);
    self.running_ = true;
    call_in_loop(self.source->loop(), self.context_, self.function_);
    self.running_ = false;
    if (self.dropped_) delete &self;
}

void SignalCallback::drop() noexcept {
    unsubscribe();
    if (running_) {
        dropped_ = true;
    } else {
        delete this;
    }
}

/// The captures are destroyed on the loop's thread, as those of every callback. They may own the
/// subscription, and then destroy this object.
void SignalCallback::let_go(SignalSubscriber& subscriber) noexcept {
    const UniqueFunction<void()> function =
        std::move(static_cast<SignalCallback&>(subscriber).function_);
}

}  // namespace internal

void SignalSubscription::remove() noexcept {
    if (auto* const callback = std::exchange(callback_, nullptr)) callback->drop();
}

SignalSubscription::operator bool() const noexcept {
    return callback_ != nullptr && callback_->source != nullptr;
}

SignalSubscription on_signal(int signal, internal::UniqueFunction<void()> callback) {
    return internal::SignalCallback::subscribe(internal::running_loop("asyncio::on_signal()"),
                                               signal, std::move(callback));
}

// The handlers of the loop, as Python has them.

/// The new handler is subscribed before the old one leaves, so the disposition does not change in
/// between, and an error changes nothing.
void EventLoop::add_signal_handler(int signal, internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::add_signal_handler()");
    check_thread();
    SignalSubscription subscription =
        internal::SignalCallback::subscribe(*this, signal, std::move(callback));
    internal::LoopSignals::of(*this).source_of(signal).handler = std::move(subscription);
}

bool EventLoop::remove_signal_handler(int signal) {
    check_thread();
    static_cast<void>(SignalSet(signal));  // throws if this is no signal
    internal::LoopSignals* const signals = belongings().signals;
    internal::SignalSource* const source = signals != nullptr ? signals->find(signal) : nullptr;
    if (source == nullptr || !source->handler) return false;
    source->handler.remove();
    return true;
}

namespace internal {

// Streams.

/// The links of the signals of a stream that have come, in the order of their arrival.
struct SignalArrival : ListNode {};

/// The stream's subscription to one signal.
struct SignalInStream : SignalSubscriber, SignalArrival {
    SignalInStream(SignalStreamState& of, int number) noexcept : stream(of), signal(number) {}

    SignalStreamState& stream;
    int signal;
    /// How many have come and were not taken. The arrival is linked if there are any.
    std::uint32_t count = 0;
};

/// What a stream shares with the tasks that wait in it.
class SignalStreamState {
public:
    explicit SignalStreamState(EventLoop& loop) noexcept : loop_(&loop) {}
    SignalStreamState(const SignalStreamState&) = delete;
    SignalStreamState& operator=(const SignalStreamState&) = delete;
    ~SignalStreamState() { close(); }

    void subscribe(SignalSet signals);
    void close() noexcept;

    /// Throws: RuntimeError if a task of `loop` cannot wait here.
    void require_loop(const lowlevel::Loop& loop) const;
    /// The signal that came first; 0 if there is none.
    int take() noexcept;
    std::size_t pending() const noexcept;
    lowlevel::Line& line() noexcept { return line_; }

private:
    static void arrive(SignalSubscriber& subscriber) noexcept;
    static void loop_closes(SignalSubscriber& subscriber) noexcept;

    /// Null when the loop has closed.
    EventLoop* loop_;
    /// A list, because subscribers cannot be moved.
    std::list<SignalInStream> signals_;
    IntrusiveList<SignalArrival> arrivals_;
    /// The tasks in `next`. Empty while there are arrivals.
    lowlevel::Line line_;
};

void SignalStreamState::subscribe(SignalSet signals) {
    signals.for_each([this](int signal) {
        SignalInStream& one = signals_.emplace_back(*this, signal);
        one.deliver = &arrive;
        one.loop_closed = &loop_closes;
        LoopSignals::of(*loop_).source_of(signal).add(one);
    });
}

void SignalStreamState::close() noexcept {
    for (SignalInStream& one : signals_) {
        one.unsubscribe();
        if (one.SignalArrival::linked()) one.SignalArrival::unlink();
        one.count = 0;
    }
}

void SignalStreamState::require_loop(const lowlevel::Loop& loop) const {
    if (loop_ == nullptr)
        throw RuntimeError(
            "the event loop is closed: SignalStream::next() needs an open event loop");
    if (loop_ != &loop)
        throw RuntimeError("SignalStream::next(): the stream belongs to another event loop");
}

/// A signal goes to the task that has waited longest. If no task waits, it is kept.
void SignalStreamState::arrive(SignalSubscriber& subscriber) noexcept {
    auto& one = static_cast<SignalInStream&>(subscriber);
    SignalStreamState& self = one.stream;
    if (!self.line_.empty()) {
        auto& waiter = static_cast<SignalWaiter&>(self.line_.front());
        waiter.signal_ = one.signal;
        return waiter.wake();
    }
    if (one.count == 0) self.arrivals_.push_back(one);
    if (one.count != std::numeric_limits<std::uint32_t>::max()) ++one.count;
}

/// A signal of which more have come goes to the end of the line: of A, B, A this makes A, B, A.
int SignalStreamState::take() noexcept {
    if (arrivals_.empty()) return 0;
    auto& one = static_cast<SignalInStream&>(arrivals_.pop_front());
    if (--one.count != 0) arrivals_.push_back(one);
    return one.signal;
}

std::size_t SignalStreamState::pending() const noexcept {
    std::size_t count = 0;
    for (const SignalInStream& one : signals_) count += one.count;
    return count;
}

void SignalStreamState::loop_closes(SignalSubscriber& subscriber) noexcept {
    static_cast<SignalInStream&>(subscriber).stream.loop_ = nullptr;
}

SignalWaiter::SignalWaiter(std::shared_ptr<SignalStreamState> stream) noexcept
    : stream_(std::move(stream)) {}
SignalWaiter::~SignalWaiter() = default;

/// The task is asked for first: outside a task a signal must not be taken by chance.
bool SignalWaiter::await_ready() {
    stream_->require_loop(task("SignalStream::next()").loop());
    signal_ = stream_->take();
    return signal_ != 0;
}

lowlevel::Line& SignalWaiter::line() noexcept { return stream_->line(); }

}  // namespace internal

SignalNext::SignalNext(std::shared_ptr<internal::SignalStreamState> stream) noexcept
    : stream_(std::move(stream)) {}
SignalNext::SignalNext(const SignalNext&) = default;
SignalNext::~SignalNext() = default;
internal::SignalWaiter SignalNext::operator co_await() const {
    return internal::SignalWaiter(stream_);
}

SignalStream::SignalStream(SignalSet signals)
    : state_(std::make_shared<internal::SignalStreamState>(
          internal::running_loop("SignalStream::SignalStream()"))) {
    state_->subscribe(signals);
}

namespace {

SignalSet set_of(std::initializer_list<int> signals) {
    SignalSet set;
    for (const int signal : signals) set = set | signal;
    return set;
}

}  // namespace

SignalStream::SignalStream(std::initializer_list<int> signals) : SignalStream(set_of(signals)) {}

/// The state lives on while tasks wait in it.
SignalStream::~SignalStream() { state_->close(); }

SignalNext SignalStream::next() const { return SignalNext(state_); }

std::size_t SignalStream::pending() const noexcept { return state_->pending(); }

}  // namespace asyncio
