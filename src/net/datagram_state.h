#pragma once
// An endpoint for datagrams: its socket, the datagrams that were received and not yet asked for,
// and those that still have to be sent.
//
// Receiving. A task looks: at the datagrams that are there already, then into the kernel. If there
// is nothing, it waits until the socket is readable, and looks again. The wait is a poll, which has
// no effect, so a task that is cancelled takes no datagram with it. What one look has brought
// beyond the need of the task (a series comes as a whole) is there for the next.
//
// A look at an empty socket usually costs no system call: the back-ends of the kernel remember that
// nothing was there (`Blocking::owned`).
//
// Sending. `send` is one operation, which waits for room in the kernel. `send_nowait` makes a
// system call that does not wait. If there is no room, the datagram stands in `kept_`, and an
// operation of the state's own sends the first of them. `send` waits behind them all.
//
// An unconnected Unix socket is writable also while the receiver is full, so there is no event to
// wait for. Its datagrams are sent by attempts that do not wait, with pauses in between
// (`sends_by_attempts`).
//
// Late news. The kernel reports the refusal of an earlier datagram to whatever call comes next. A
// send that fails with such an error is made once more. If it works then, the error belonged to the
// past, and `news_` keeps it for the next receive.
//
// The end. `close` waits for `kept_`, `abort` does not. A receive that waits is ended in both
// cases. When the socket is closed the back-end ends every operation on it. The state lives until
// the last coroutine has left it, and the operation of its own is reported.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/datagram.h>
#include <asyncio/event_loop.h>
#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/internal/base/ref.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/lowlevel/loop_fd.h>
#include <asyncio/lowlevel/operation.h>
#include <asyncio/lowlevel/operation_awaiter.h>

#include "net/growing_pause.h"
#include "net/message.h"
#include "net/send_batch.h"
#include "streams/claimed_fd.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::internal {

class DatagramState final : AtClose {
public:
    /// What an endpoint needs to know of its options.
    struct Limits {
        std::size_t send_buffer;
        bool offload;
    };

    /// Takes over a socket for datagrams. `peer` is empty if it is not connected.
    DatagramState(EventLoop& loop, lowlevel::LoopFd socket, const Address& peer,
                  const Limits& limits);
    DatagramState(const DatagramState&) = delete;
    DatagramState& operator=(const DatagramState&) = delete;

    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) delete this;
    }

    // The functions of `Datagram` with these names. A coroutine holds the state, because the handle
    // may be destroyed while it waits.

    static Coro<ReceivedFrom> receive(Ref<DatagramState> self);
    static Coro<std::vector<ReceivedFrom>> receive_many(Ref<DatagramState> self, std::size_t most);
    static Coro<void> send(Ref<DatagramState> self, std::string_view data, Address address);
    static Coro<void> send_many(Ref<DatagramState> self, std::vector<OutgoingDatagram> datagrams,
                                Address address);
    bool send_nowait(std::string_view data, const Address& address);
    static Coro<void> drain(Ref<DatagramState> self);
    static Coro<void> wait_closed(Ref<DatagramState> self);
    void close() noexcept;
    void abort() noexcept;

    bool is_closing() const noexcept { return closing_; }
    std::size_t kept_bytes() const noexcept { return kept_bytes_; }
    const Address& peer() const noexcept { return peer_; }
    Address local() const;
    int fd() const noexcept { return socket_.get(); }

    /// Throws: RuntimeError, which names `function`, outside a task of the endpoint's loop.
    void require_usable(const char* function) const;

private:
    /// A datagram that waits for room in the kernel.
    struct Kept {
        std::string data;
        Address address;
    };

    /// The wait until the socket is readable.
    class Arrival;
    /// The wait until `kept_` is empty, or the socket closed.
    class Change;
    lowlevel::Awaiting<Arrival, DatagramState&> arrival();
    lowlevel::Awaiting<Change, DatagramState&> change();
    /// Lets the callback, which knows the operation alone, find the state.
    struct KeptOperation : lowlevel::Operation {
        DatagramState* state = nullptr;
    };

    /// The end of a pause between two attempts to send the first kept datagram.
    class KeptAlarm : public lowlevel::Alarm<KeptAlarm> {
    public:
        explicit KeptAlarm(DatagramState& state) noexcept : Alarm(state.loop_), state_(state) {}
        using Alarm::ring_after;
        using Alarm::stop_alarm;

    private:
        friend Alarm;
        void alarm_rings() noexcept { state_.send_kept(); }

        DatagramState& state_;
    };

    ~DatagramState();

    [[noreturn]] void throw_unreceived(int error) const;
    [[noreturn]] void throw_unsent(int error, const Address& address) const;

    bool look(std::size_t most);
    bool fetch(std::size_t most);
    ReceivedFrom pop();

    void check_address(const Address& address) const;
    void require_open(const Address& address) const;
    bool may_be_late(int result) const noexcept;
    void note_news(int error) noexcept;
    static Coro<int> send_again(Ref<DatagramState> self, lowlevel::OperationRequest request,
                                int before);
    int send_now(std::string_view data, const Address& address);
    bool sends_by_attempts(const Address& address) const noexcept;
    static Coro<int> send_by_attempts(Ref<DatagramState> self, lowlevel::OperationRequest request);

    void send_kept() noexcept;
    bool pause_before_kept() noexcept;
    void take_result_of_kept(int result) noexcept;
    static void kept_reported(lowlevel::Operation& operation) noexcept;

    void end_arrivals() noexcept;
    void note_change() noexcept;
    void close_socket() noexcept;
    static void loop_closes(AtClose& listener) noexcept;

    EventLoop& loop_;
    ClaimedFd socket_;
    Address peer_;
    /// For error messages, after the close.
    Address closed_at_;
    std::size_t send_buffer_limit_;

    /// From `next_arrived_` on: received, and not asked for yet.
    std::vector<ReceivedFrom> arrived_;
    std::size_t next_arrived_ = 0;
    IntrusiveList<Arrival> arrivals_;

    /// While there are any, `kept_operation_` is in flight and sends the first, which
    /// `kept_message_` describes. A deque, because they must stay where they are.
    std::deque<Kept> kept_;
    std::size_t kept_bytes_ = 0;
    std::optional<Message> kept_message_;
    KeptOperation kept_operation_;
    /// Set while the first kept datagram waits for the next attempt, and not for an operation.
    KeptAlarm kept_alarm_;
    GrowingPause kept_pause_;

    lowlevel::Line changes_;
    /// The errno of a refusal, or of a kept datagram that could not be sent; 0 for none.
    int news_ = 0;
    std::uint32_t references_ = 1;
    /// The kernel may be given series of datagrams.
    bool sends_series_ = false;
    /// The kernel may hand over series of datagrams.
    bool receives_series_ = false;
    /// An error of the kept datagram came once already, so it is no late news.
    bool kept_was_tried_ = false;
    /// Kept datagrams were dropped.
    bool has_lost_ = false;
    bool closing_ = false;
};

}  // namespace asyncio::internal
