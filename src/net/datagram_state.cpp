// Receiving, sending, and the end of an endpoint.
//
// The functions that wait are coroutines. A plain awaiter would save the allocation of a frame,
// which costs a tenth of the system call. But it could not look, wait and look again, as a receive
// has to: when a poll says that a datagram is there, another task may take it, or the kernel may
// find its checksum wrong.
//
// What a cancellation can hit. A task waits at three kinds of places: for a poll, for a change, and
// for its own send. The first two have no effect. The third returns its result if it had one. So a
// datagram is in the kernel, in `arrived_`, or with the task that returns it, and nowhere else.
//
// Fairness. A task that always finds a datagram, or always has room to send, would never let
// another task run. So each await counts itself (`must_yield`), before it has taken anything: a
// cancellation that comes with the yield then has nothing to lose.
//
// Errors. A receive throws what the kernel says of the endpoint, and a send what it says of the
// datagram. An error of a datagram that no task waits for (a refused one, a kept one) is news. The
// first news is kept, and the next receive or `drain` throws it.

#include "net/datagram_state.h"

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/perform_now.h>
#include <asyncio/sleep.h>

#include "net/receive_room.h"
#include "streams/socket_facts.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

namespace asyncio::internal {

using lowlevel::OperationKind;
using lowlevel::OperationRequest;

namespace {

/// What a kept datagram costs beside its bytes.
constexpr std::size_t kept_overhead_bytes = 200;

/// The errors that the network sends back some time after a datagram, as Linux translates them.
constexpr bool is_late_error(int error) noexcept {
    switch (error) {
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EHOSTDOWN:
        case ENONET:
        case ENOPROTOOPT:
        case EPROTO:
        case EACCES: return true;
        default: return false;
    }
}

/// The errors with which the kernel refuses a series, and not its datagrams: a datagram that is too
/// long for the network without being cut, or a device that cannot do its part.
constexpr bool may_concern_series(int error) noexcept {
    return error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP;
}

// Options of UDP are set and asked for by operations: a socket of the simulated world is known to
// its back-end alone. A kernel that does not know the option answers an error, and so does a
// socket that is none of UDP.

/// Returns whether the kernel has set the option.
bool set_udp_option(EventLoop& loop, int fd, int option) {
    int on = 1;
    return lowlevel::perform_now(loop, {.kind = OperationKind::setsockopt,
                                        .fd = fd,
                                        .second_fd = option,
                                        .flags = SOL_UDP,
                                        .buffer = &on,
                                        .size = sizeof on}) == 0;
}

/// The value of the option; nothing if the kernel does not know it.
std::optional<int> udp_option(EventLoop& loop, int fd, int option) {
    int value = 0;
    const int result = lowlevel::perform_now(loop, {.kind = OperationKind::getsockopt,
                                                    .fd = fd,
                                                    .second_fd = option,
                                                    .flags = SOL_UDP,
                                                    .buffer = &value,
                                                    .size = sizeof value});
    return result == 0 ? std::optional(value) : std::nullopt;
}

}  // namespace

// --- Waiting ------------------------------------------------------------------------------------

/// One poll operation. The state ends it when there is something else to see: news, or the end.
class DatagramState::Arrival final : public lowlevel::OperationAwaiter, public ListNode {
public:
    explicit Arrival(DatagramState& state) noexcept : state_(state) {
        operation_.kind = OperationKind::poll;
        operation_.fd = state.fd();
        operation_.blocking = lowlevel::Blocking::owned;
        operation_.events = POLLIN;
    }
    ~Arrival() {
        if (linked()) unlink();
    }

    /// The poll finishes at once if the socket is readable.
    bool await_ready() { return start("Datagram::receive()"); }
    /// The state knows the wait as long as the task is suspended.
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        state_.arrivals_.push_back(*this);
        OperationAwaiter::await_suspend(coroutine);
    }
    /// Returns if the socket is readable, or if the state has ended the wait. Throws: OsError if
    /// the descriptor cannot be polled, or was closed behind the back of the endpoint.
    void await_resume() {
        const int outcome = result();
        const bool was_ended = was_ended_ && outcome == -ECANCELED;
        if (outcome < 0 && !was_ended) state_.throw_unreceived(-outcome);
    }

    /// The task may be on its way already, and looks in any case.
    void end() noexcept {
        was_ended_ = true;
        if (operation_.state == lowlevel::Operation::State::in_flight)
            state_.loop_.cancel(operation_);
    }

private:
    DatagramState& state_;
    bool was_ended_ = false;
};

/// One event for everything that a task may wait for beside a datagram. Such tasks are few, so each
/// may look for itself.
class DatagramState::Change final : public lowlevel::LineWaiter {
public:
    explicit Change(DatagramState& state) noexcept : state_(state) {}

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(state_.changes_, coroutine);
    }
    void await_resume() { resumed(); }

private:
    DatagramState& state_;
};

// Awaiters are made in the frame of the coroutine that awaits (lowlevel/awaiting.h).

lowlevel::Awaiting<DatagramState::Arrival, DatagramState&> DatagramState::arrival() {
    return lowlevel::Awaiting<Arrival, DatagramState&>(*this);
}

lowlevel::Awaiting<DatagramState::Change, DatagramState&> DatagramState::change() {
    return lowlevel::Awaiting<Change, DatagramState&>(*this);
}

/// The back-end reports each wait in one of the next iterations. The list is not empty until then.
void DatagramState::end_arrivals() noexcept {
    arrivals_.for_each([](Arrival& arrival) { arrival.end(); });
}

/// Each task that is woken looks for itself whether its time has come.
void DatagramState::note_change() noexcept {
    while (!changes_.empty()) changes_.front().wake();
}

// --- Making -------------------------------------------------------------------------------------

/// The simulated world and old kernels know no series, which is no error. Whether the kernel takes
/// series is asked without changing anything: with the option set, every datagram would be cut.
/// The program may have switched the receiving of series on itself.
/// Registration comes last, because a constructor that throws runs no destructor.
DatagramState::DatagramState(EventLoop& loop, lowlevel::LoopFd socket, const Address& peer,
                             const Limits& limits)
    : loop_(loop),
      socket_(std::move(socket)),
      peer_(peer),
      send_buffer_limit_(limits.send_buffer),
      kept_alarm_(*this) {
    kept_operation_.state = this;
    kept_operation_.on_finished = &kept_reported;
    if (local().is_ip()) {
        receives_series_ = udp_option(loop, fd(), UDP_GRO).value_or(0) != 0;
        if (limits.offload) {
            if (set_udp_option(loop, fd(), UDP_GRO)) receives_series_ = true;
            sends_series_ = udp_option(loop, fd(), UDP_SEGMENT).has_value();
        }
    }
    run = &loop_closes;
    loop.at_close().push_back(*this);
}

DatagramState::~DatagramState() {
    if (AtClose::linked()) AtClose::unlink();
}

/// A task of another loop would put its operation into a back-end that does not know the socket.
void DatagramState::require_usable(const char* function) const {
    if (&running_task(function).loop() != &loop_)
        throw RuntimeError(std::string(function) + ": the endpoint belongs to another event loop");
}

Address DatagramState::local() const { return socket_ ? local_address_of(loop_, fd()) : Address(); }

// --- Receiving ----------------------------------------------------------------------------------

/// An endpoint that was closed says so before anything else, also to a task of another loop: its
/// own loop may be gone.
Coro<ReceivedFrom> DatagramState::receive(Ref<DatagramState> self) {
    if (self->closing_) self->throw_unreceived(EBADF);
    self->require_usable("Datagram::receive()");
    if (lowlevel::must_yield()) co_await sleep(Duration::zero());
    while (!self->look(1)) co_await self->arrival();
    co_return self->pop();
}

/// All that have arrived go out without being moved one by one, if as many are wanted.
Coro<std::vector<ReceivedFrom>> DatagramState::receive_many(Ref<DatagramState> self,
                                                            std::size_t most) {
    if (most == 0) throw std::invalid_argument("receive_many: at least one must be wanted");
    if (self->closing_) self->throw_unreceived(EBADF);
    self->require_usable("Datagram::receive_many()");
    if (lowlevel::must_yield()) co_await sleep(Duration::zero());
    while (!self->look(most)) co_await self->arrival();
    std::vector<ReceivedFrom>& arrived = self->arrived_;
    if (self->next_arrived_ == 0 && arrived.size() <= most) co_return std::exchange(arrived, {});
    std::vector<ReceivedFrom> some;
    some.reserve(std::min(most, arrived.size() - self->next_arrived_));
    while (!arrived.empty() && some.size() < most) some.push_back(self->pop());
    co_return some;
}

/// Whether a datagram is there. Throws: news; OsError if the endpoint was closed meanwhile.
bool DatagramState::look(std::size_t most) {
    if (closing_) throw_unreceived(ECANCELED);
    if (news_ != 0) throw_unreceived(std::exchange(news_, 0));
    return !arrived_.empty() || fetch(most);
}

/// Receives what is there. Throws: OsError; `std::bad_alloc`. A message that had to be dropped is
/// an error that comes behind the datagrams of the same look.
bool DatagramState::fetch(std::size_t most) {
    ReceiveRoom& room = ReceiveRoom::of_thread();
    const int result = lowlevel::perform_now(loop_, room.request(fd(), most, receives_series_));
    if (result == -EAGAIN) return false;
    if (result < 0) throw_unreceived(-result);
    const std::size_t dropped = room.take(static_cast<std::size_t>(result), arrived_);
    if (dropped > 0 && arrived_.empty()) throw_unreceived(ENOBUFS);
    if (dropped > 0) note_news(ENOBUFS);
    return !arrived_.empty();
}

/// The vector keeps its memory for the next datagrams, unless a burst has made it large.
ReceivedFrom DatagramState::pop() {
    constexpr std::size_t kept_capacity = 64;
    ReceivedFrom first = std::move(arrived_[next_arrived_]);
    if (++next_arrived_ == arrived_.size()) {
        next_arrived_ = 0;
        arrived_.clear();
        if (arrived_.capacity() > kept_capacity) std::vector<ReceivedFrom>().swap(arrived_);
    }
    return first;
}

/// The address is asked for when it is needed: most endpoints never fail.
void DatagramState::throw_unreceived(int error) const {
    const Address& here = socket_ ? local() : closed_at_;
    throw OsError(error, "receive " + (peer_.is_empty() ? "at " + here.to_string()
                                                        : "from " + peer_.to_string()));
}

// --- Sending ------------------------------------------------------------------------------------

/// The kernel would send to any address, connected or not. Python refuses it, and so does this:
/// the answer of another address would never be received.
void DatagramState::check_address(const Address& address) const {
    if (peer_.is_empty() || address.is_empty() || address == peer_) return;
    throw std::invalid_argument("the endpoint is connected to " + peer_.to_string() +
                                " and cannot send to " + address.to_string());
}

void DatagramState::throw_unsent(int error, const Address& address) const {
    const Address& to = address.is_empty() ? peer_ : address;
    throw OsError(error, "send a datagram to " + to.to_string());
}

/// For a task that has waited.
void DatagramState::require_open(const Address& address) const {
    if (closing_) throw_unsent(ECANCELED, address);
}

/// A Unix socket asks its peer within the call, so its errors belong to the call.
bool DatagramState::may_be_late(int result) const noexcept {
    return peer_.is_ip() && is_late_error(-result) && !closing_;
}

/// The first error stays: the later ones are often its consequences.
void DatagramState::note_news(int error) noexcept {
    if (news_ == 0) news_ = error;
    end_arrivals();
}

/// The second attempt of a send that has failed with `before`.
Coro<int> DatagramState::send_again(Ref<DatagramState> self, OperationRequest request, int before) {
    const int result = co_await lowlevel::perform(request);
    if (result != before) self->note_news(-before);
    co_return result;
}

/// Whether no event tells when the receiver at the address has room.
bool DatagramState::sends_by_attempts(const Address& address) const noexcept {
    return peer_.is_empty() && address.is_local();
}

/// The endpoint may be closed during a pause, and the number of its descriptor may belong to
/// another file then.
Coro<int> DatagramState::send_by_attempts(Ref<DatagramState> self, OperationRequest request) {
    GrowingPause pause;
    request.flags |= MSG_DONTWAIT;
    while (!self->closing_) {
        const int result = co_await lowlevel::perform(request);
        if (result != -EAGAIN) co_return result;
        co_await sleep(pause.next());
    }
    co_return -ECANCELED;
}

/// The memory of the message lies in the frame, so nothing is copied. A connected socket is given
/// no address: the kernel then needs no look at its routes.
Coro<void> DatagramState::send(Ref<DatagramState> self, std::string_view data, Address address) {
    if (self->closing_) self->throw_unsent(EBADF, address);
    self->require_usable("Datagram::send()");
    self->check_address(address);
    if (lowlevel::must_yield()) co_await sleep(Duration::zero());
    while (!self->kept_.empty()) co_await self->change();
    self->require_open(address);
    Message message(data);
    if (self->peer_.is_empty()) message.to(address);
    OperationRequest& request = message.as(OperationKind::sendmsg);
    request.fd = self->fd();
    int result = self->sends_by_attempts(address) ? co_await send_by_attempts(self, request)
                                                  : co_await lowlevel::perform(request);
    if (self->may_be_late(result)) result = co_await send_again(self, request, result);
    if (result < 0) self->throw_unsent(-result, address);
}

/// Every round sends as much as the kernel takes at once. All addresses are checked before the
/// first datagram leaves.
///
/// When the kernel refuses a series, it is sent again, datagram by datagram. If there is an error
/// then, it belongs to a datagram.
Coro<void> DatagramState::send_many(Ref<DatagramState> self,
                                    std::vector<OutgoingDatagram> datagrams, Address address) {
    if (self->closing_) self->throw_unsent(EBADF, address);
    self->require_usable("Datagram::send_many()");
    self->check_address(address);
    for (const OutgoingDatagram& datagram : datagrams) {
        if (datagram.address != nullptr) self->check_address(*datagram.address);
    }
    SendBatch batch(datagrams, address);
    while (!batch.is_sent()) {
        if (lowlevel::must_yield()) co_await sleep(Duration::zero());
        while (!self->kept_.empty()) co_await self->change();
        self->require_open(batch.address());
        const OperationRequest request = batch.request(self->fd(), self->sends_series_);
        int result = self->sends_by_attempts(batch.address())
                         ? co_await send_by_attempts(self, request)
                         : co_await lowlevel::perform(request);
        if (self->may_be_late(result)) result = co_await send_again(self, request, result);
        if (result >= 0) {
            batch.note_sent(static_cast<std::size_t>(result));
        } else if (batch.begins_with_series() && may_concern_series(-result)) {
            self->sends_series_ = false;
        } else {
            self->throw_unsent(-result, batch.address());
        }
    }
}

// --- Sending without waiting --------------------------------------------------------------------

/// One attempt, which does not wait.
int DatagramState::send_now(std::string_view data, const Address& address) {
    Message message(data);
    if (peer_.is_empty()) message.to(address);
    OperationRequest& request = message.as(OperationKind::sendmsg);
    request.fd = fd();
    request.flags = MSG_DONTWAIT;
    return lowlevel::perform_now(loop_, request);
}

/// The usual case is one system call without a copy. A datagram is copied only when it has to be
/// kept, and then waits for its turn behind the earlier ones, although there may be room by now.
bool DatagramState::send_nowait(std::string_view data, const Address& address) {
    check_address(address);
    if (closing_) return false;
    loop_.check_thread();
    if (kept_.empty()) {
        const int first = send_now(data, address);
        const int result = may_be_late(first) ? send_now(data, address) : first;
        if (result != first) note_news(-first);
        if (result >= 0) return true;
        if (result != -EAGAIN) throw_unsent(-result, address);
    }
    const std::size_t cost = data.size() + kept_overhead_bytes;
    if (kept_bytes_ + cost > send_buffer_limit_) return false;
    kept_.push_back({std::string(data), address});
    kept_bytes_ += cost;
    if (kept_.size() == 1) send_kept();
    return true;
}

/// Sends until the kernel has no room, or everything is sent. `send_buffer_limit` bounds the number
/// of rounds.
void DatagramState::send_kept() noexcept {
    while (!kept_.empty()) {
        const Kept& first = kept_.front();
        Message& message = kept_message_.emplace(first.data);
        if (peer_.is_empty()) message.to(first.address);
        static_cast<OperationRequest&>(kept_operation_) = message.as(OperationKind::sendmsg);
        kept_operation_.fd = fd();
        if (sends_by_attempts(first.address)) kept_operation_.flags = MSG_DONTWAIT;
        if (loop_.submit(kept_operation_) == lowlevel::Backend::Submitted::in_flight)
            return retain();
        if (kept_operation_.result == -EAGAIN && pause_before_kept()) return;
        kept_pause_.reset();
        take_result_of_kept(kept_operation_.result);
    }
    note_change();
    if (closing_) close_socket();
}

/// Returns false if there is no memory for the timer. The datagram is lost then, which is news.
bool DatagramState::pause_before_kept() noexcept {
    try {
        kept_alarm_.ring_after(kept_pause_.next());
        return true;
    } catch (const std::bad_alloc&) {
        kept_operation_.result = -ENOMEM;
        return false;
    }
}

/// After an abort the operation has ended with the socket, and the rest is dropped. Late news keep
/// the datagram for a second attempt, once.
void DatagramState::take_result_of_kept(int result) noexcept {
    if (!socket_) {
        kept_.clear();
        kept_bytes_ = 0;
        return;
    }
    if (result < 0) note_news(-result);
    if (may_be_late(result) && !std::exchange(kept_was_tried_, true)) return;
    kept_was_tried_ = false;
    kept_bytes_ -= kept_.front().data.size() + kept_overhead_bytes;
    kept_.pop_front();
}

/// The release may destroy the state, so it comes last.
void DatagramState::kept_reported(lowlevel::Operation& operation) noexcept {
    DatagramState& self = *static_cast<KeptOperation&>(operation).state;
    self.take_result_of_kept(operation.result);
    self.send_kept();
    self.release();
}

/// Nothing is waited for in the usual case, and then any loop may ask.
Coro<void> DatagramState::drain(Ref<DatagramState> self) {
    if (!self->kept_.empty()) self->require_usable("Datagram::drain()");
    while (!self->kept_.empty()) co_await self->change();
    const int error = self->has_lost_ ? ECANCELED : std::exchange(self->news_, 0);
    if (error != 0) throw OsError(error, "send a datagram that was kept");
}

// --- The end ------------------------------------------------------------------------------------

/// Without kept datagrams the socket closes at once, and the back-end ends all waits.
void DatagramState::close() noexcept {
    if (std::exchange(closing_, true)) return;
    end_arrivals();
    if (kept_.empty()) close_socket();
}

/// The operation that sends a kept datagram ends with the socket.
void DatagramState::abort() noexcept {
    closing_ = true;
    if (!socket_) return;
    if (!kept_.empty()) has_lost_ = true;
    end_arrivals();
    close_socket();
}

/// Datagrams that no task has asked for are dropped.
void DatagramState::close_socket() noexcept {
    if (!socket_) return;
    closed_at_ = local();
    socket_.reset();
    if (kept_alarm_.stop_alarm()) take_result_of_kept(-ECANCELED);
    std::vector<ReceivedFrom>().swap(arrived_);
    next_arrived_ = 0;
    note_change();
}

/// The close of a datagram socket cannot fail and does not block, so its report is not awaited.
Coro<void> DatagramState::wait_closed(Ref<DatagramState> self) {
    if (self->socket_) self->require_usable("Datagram::wait_closed()");
    while (self->socket_) co_await self->change();
}

/// The reference keeps the state alive until `abort` returns.
void DatagramState::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<DatagramState&>(listener);
    self.retain();
    self.abort();
    self.release();
}

}  // namespace asyncio::internal
