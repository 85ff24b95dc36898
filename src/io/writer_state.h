#pragma once
// The writing end of a stream: a buffer in front of the kernel that empties itself.
//
// Two strings. `outgoing_` is what the operation in flight writes; it does not change until that is
// reported. What is written meanwhile gathers in `waiting_`, and becomes the next `outgoing_` in
// one piece: many small writes make few system calls.
//
//     write ──► waiting_ ──► outgoing_ ──► the kernel
//
// Places in which the pump can stand; in each but the first, somebody brings it back:
//   empty      nothing is buffered
//   in flight  the operation will be reported; it holds a reference to the state
//   resting    it wrote so much without waiting that it is others' turn; `again_` is in the loop's
//              ready queue, and holds a reference, too
//
// How it ends: `close` lets the pump run dry and closes the descriptor; an error, `abort` and the
// loop's end drop what is buffered and close it as soon as nothing is in flight.
//
// Thread-safety: none.

#include "io/stream_state.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace asyncio::internal {

class WriterState final : public StreamState {
public:
    WriterState(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access);

    void write(std::string_view data);
    void write_string(std::string&& data);
    void close() noexcept;
    void abort() noexcept;
    /// The handle is gone.
    void drop() noexcept;

    void set_limits(std::size_t high, std::size_t low);
    std::size_t buffered_bytes() const noexcept {
        return outgoing_.size() - outgoing_sent_ + waiting_.size();
    }
    /// How many bytes were ever given to `write`, also those it refused.
    std::uint64_t written() const noexcept { return written_; }

    bool has_come(const WriterAwaiter& awaiter) const noexcept;
    /// What somebody who awaited the event is to be told. `waited`: it had not come at once.
    void throw_if_lost(const WriterAwaiter& awaiter) const;

    IntrusiveList<WriterAwaiter::Place>& line() noexcept { return line_; }

private:
    struct WriteOperation : lowlevel::Operation {
        WriterState* writer = nullptr;
    };
    struct Again : Ready {
        WriterState* writer = nullptr;
    };

    void shut() noexcept override { abort(); }
    void closed(int error) noexcept override;

    bool accepts(std::size_t bytes) noexcept;
    void pump() noexcept;
    void prepare() noexcept;
    void take_over(int result) noexcept;
    void rest() noexcept;
    void next_piece() noexcept;
    void give_up(int error) noexcept;
    void note_progress() noexcept;
    void wake_those_who_may_go() noexcept;
    bool pump_stands() const noexcept { return in_flight_ || again_.linked(); }

    static void reported(lowlevel::Operation& operation) noexcept;
    static void go_on(Ready& node) noexcept;

    std::string outgoing_;
    std::size_t outgoing_sent_ = 0;
    std::string waiting_;

    WriteOperation operation_;
    Again again_;
    IntrusiveList<WriterAwaiter::Place> line_;

    std::uint64_t written_ = 0;
    std::uint64_t sent_ = 0;
    std::size_t high_ = 64 * 1024;
    std::size_t low_ = 16 * 1024;
    int error_ = 0;
    bool in_flight_ = false;
    /// More than the high mark was buffered, and not less than the low one since.
    bool paused_ = false;
    /// The wait for readiness is over; only where the descriptor is shared.
    bool ready_ = false;
    /// Something was given to `write` after `close`.
    bool refused_ = false;
    bool aborted_ = false;
    bool closed_ = false;
};

}  // namespace asyncio::internal
