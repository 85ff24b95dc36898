#pragma once
// The writing end of a stream: a buffer in front of the kernel that empties itself.
// writer_state.cpp says how.
//
// Two strings. `outgoing_` holds the bytes that the operation in flight writes, and does not change
// until it is reported. Bytes that are written meanwhile gather in `waiting_`, which becomes the
// next `outgoing_` as a whole: many small writes make few system calls.
//
//     write ──► waiting_ ──► outgoing_ ──► the channel
//       └────────────────────────────────────┘  nothing is buffered, and it goes at once
//
// The states of the pump; in each except the first, an event makes it continue:
//   empty      nothing is buffered
//   in flight  the operation will be reported; it holds a reference to the state
//   resting    it has written much without waiting, and other tasks run first; `again_` is in the
//              loop's ready queue, and holds a reference, too
//
// The end: `close` lets the pump send the rest and then closes. An error, `abort` and the loop's
// end drop what is buffered, and the writer closes as soon as nothing is in flight. A connection
// can end in two steps (`Ending`): `write_eof`, or an error of a write, closes the writing side
// alone, and the program can still read what the other end sends.
//
// A file is sent in front of what is written meanwhile (`begin_file`). The kernel sends it past
// this buffer, or it comes in pieces, which take the place of `outgoing_` one after the other. New
// bytes gather in `waiting_` until `end_file`, and a close waits for it. The bytes of the file do
// not count in `sent_`: the marks of the tasks that wait know nothing of them.
//
// Thread-safety: none.

#include "streams/stream_state.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace asyncio::internal {

class WriterState : public StreamState {
public:
    WriterState(EventLoop& loop, ChannelPtr channel, const StreamOptions& options);

    void write(std::string_view data);
    void write_string(std::string&& data);
    void write_eof() noexcept;
    void close() noexcept;
    void abort() noexcept;
    /// The handle is destroyed.
    void drop() noexcept;
    /// From now on a dropped handle closes and does not abort. For a server, which waits for its
    /// connections.
    void send_rest_when_dropped() noexcept { sends_rest_when_dropped_ = true; }

    /// Whether everything is sent and the stream has not ended.
    bool can_detach() const noexcept { return buffered_bytes() == 0 && !closing() && !sends_file_; }
    ChannelPtr detach() noexcept;

    /// Whether the whole stream is ending: not after `write_eof` alone.
    bool is_ending() const noexcept { return wanted_ == Ending::everything || error_ != 0; }

    /// Whether no more bytes can be sent, also of a file.
    bool is_ending_at_once() const noexcept { return aborted_ || closed_ || error_ != 0; }

    /// Throws: RuntimeError if a file is being sent already.
    void require_no_file() const;
    /// Nothing may be buffered, and no file be sent.
    void begin_file() noexcept { sends_file_ = true; }
    /// The piece before must be sent.
    void send_piece(std::string&& piece) noexcept;
    /// How many bytes of the last piece the kernel has taken.
    std::size_t sent_of_piece() const noexcept { return sent_of_piece_; }
    void end_file() noexcept;

    void set_limits(std::size_t high, std::size_t low);
    std::size_t high() const noexcept { return high_; }
    std::size_t low() const noexcept { return low_; }
    std::size_t buffered_bytes() const noexcept {
        return outgoing_.size() - outgoing_sent_ + waiting_.size();
    }
    /// How many bytes were ever given to `write`, the refused ones included.
    std::uint64_t written() const noexcept { return written_; }

    /// Whether the event for which the awaiter waits has come.
    bool has_come(const WriterAwaiter& awaiter) const noexcept;
    /// Throws what the task that awaited the event has to know; returns if its bytes are sent.
    void throw_if_lost(const WriterAwaiter& awaiter) const;

    lowlevel::Line& line() noexcept { return line_; }

private:
    /// The pump's own entry in the ready queue, for `rest`.
    struct Again : Ready {
        WriterState* writer = nullptr;
    };

    /// How much of the channel is to be closed, or is closed.
    enum class Ending : std::uint8_t {
        none,
        writing,     ///< The peer sees the end of the stream; reading goes on.
        everything,  ///< The whole connection; of any other channel, its writing side.
    };

    void shut() noexcept override { abort(); }
    void closed(int error) noexcept override;

    bool accepts(std::size_t bytes);
    std::size_t write_through(std::string_view data) noexcept;
    void end_without_memory() noexcept;
    std::string& room_for_more() noexcept;
    void count_sent(std::size_t bytes) noexcept;
    void pump() noexcept;
    void prepare() noexcept;
    void take_over(int result) noexcept;
    void rest() noexcept;
    void next_piece() noexcept;
    void fail(int error) noexcept;
    void give_up(int error) noexcept;
    void note_progress() noexcept;
    void end(Ending how) noexcept;
    void close_what_is_due() noexcept;
    void wake_those_who_may_go() noexcept;
    bool pump_stands() const noexcept { return in_flight_ || again_.linked(); }

    static void reported(lowlevel::Operation& operation) noexcept;
    static void go_on(Ready& node) noexcept;

    // First what a write looks at that goes through without the buffer.

    /// The errno with which writing, or the close, failed; 0 while there is none.
    int error_ = 0;
    Ending wanted_ = Ending::none;
    Ending begun_ = Ending::none;
    /// `operation_` is with the channel.
    bool in_flight_ = false;
    /// More than the high mark was buffered, and since then never as little as the low mark.
    bool paused_ = false;
    /// Something was given to `write` after `close`.
    bool refused_ = false;
    bool aborted_ = false;
    bool sends_file_ = false;
    bool sends_rest_when_dropped_ = false;
    bool closed_ = false;
    std::uint64_t written_ = 0;
    /// How many bytes the kernel has taken.
    std::uint64_t sent_ = 0;
    /// The back-end may read it; see the top.
    std::string outgoing_;

    // What a buffer needs.

    /// How many bytes at the front of `outgoing_` are sent. They are not removed, which would move
    /// the rest.
    std::size_t outgoing_sent_ = 0;
    /// Bytes for later. Empty if `outgoing_` is, except while a file is sent.
    std::string waiting_;
    Again again_;
    /// The tasks that wait for an event of this writer, whichever it is.
    lowlevel::Line line_;
    /// How much of `outgoing_` is a piece of a file and not sent, and how much of it is sent.
    std::size_t left_of_piece_ = 0;
    std::size_t sent_of_piece_ = 0;
    std::size_t high_ = 64 * 1024;
    std::size_t low_ = 16 * 1024;
};

}  // namespace asyncio::internal
