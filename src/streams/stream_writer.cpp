// `StreamWriter`: the handle, and the wait for what its state does by itself.
//
// Writing never waits. `write` gives the bytes to the state, which sends them without any task
// (writer_state.cpp). So there is nothing to await in a write. A task waits for an *event* of the
// writer instead: the buffer is short enough again (`drain`), everything up to a mark is with the
// kernel (`send`), the side is closed (`wait_closed`). All three use the same class of awaiter. The
// awaiters of a writer wait in one list, the writer's line.
//
// The wait, step by step
//
//  1. `await_ready` asks the state whether the event has come. If so, the task continues, except
//     that it yields when it has had its share. Otherwise a task that writes and drains in a loop,
//     and never finds the buffer full, would keep every other task waiting.
//  2. The awaiter puts itself into the writer's line, and the task parks.
//  3. The state looks through the line after every progress, removes the awaiters whose event has
//     come, and makes their tasks ready.
//  4. `await_resume` throws if the task was cancelled, or if the bytes for which it waited are
//     lost.
//
// A cancellation takes the awaiter out of the line at once. It has no effect on the bytes: the
// state goes on sending them.

#include <asyncio/exceptions.h>
#include <asyncio/streams.h>

#include "streams/writer_state.h"

#include <utility>

namespace asyncio {
namespace internal {

WriterAwaiter::WriterAwaiter(Ref<WriterState> writer, WriterEvent event,
                             std::uint64_t mark) noexcept
    : writer_(std::move(writer)), mark_(mark), event_(event) {}

WriterAwaiter::~WriterAwaiter() = default;

bool WriterAwaiter::await_ready() {
    if (!writer_->has_come(*this)) return false;
    yields_ = lowlevel::must_yield();
    return !yields_;
}

/// Called before the task parks. A task of another loop is refused: the state would make it ready
/// on the wrong thread.
lowlevel::Line& WriterAwaiter::line() {
    constexpr auto function = "StreamWriter::drain(), send() or wait_closed()";
    writer_->require_loop_of(task(function), function);
    return writer_->line();
}

/// A cancellation comes before an error: the task asked to stop, and need not learn how the write
/// ended.
void WriterAwaiter::await_resume() {
    resumed();
    writer_->throw_if_lost(*this);
}

}  // namespace internal

// --- What is awaited ----------------------------------------------------------------------------

WriterWait::WriterWait(internal::Ref<internal::WriterState> writer, internal::WriterEvent event,
                       std::uint64_t mark) noexcept
    : writer_(std::move(writer)), mark_(mark), event_(event) {}
WriterWait::WriterWait(const WriterWait&) noexcept = default;
WriterWait::~WriterWait() = default;

/// An awaiter for each `co_await`, so the same wait can be awaited twice.
internal::WriterAwaiter WriterWait::operator co_await() const {
    return internal::WriterAwaiter(writer_, event_, mark_);
}

// --- The handle ---------------------------------------------------------------------------------

StreamWriter::StreamWriter() noexcept = default;

StreamWriter::StreamWriter(EventLoop& loop, lowlevel::Fd fd, StreamOptions options)
    : StreamWriter(internal::make_stream<internal::WriterState>(
          loop, internal::StreamFd(std::move(fd)), options, internal::Access::non_blocking)) {}

StreamWriter::StreamWriter(EventLoop& loop, std::shared_ptr<lowlevel::Channel> channel,
                           StreamOptions options)
    : StreamWriter(
          internal::make_stream<internal::WriterState>(loop, std::move(channel), options)) {}

StreamWriter::StreamWriter(internal::Ref<internal::WriterState> state) noexcept
    : state_(std::move(state)) {}

StreamWriter::StreamWriter(StreamWriter&& other) noexcept = default;

/// The stream that the handle referred to is aborted, as if the handle had been destroyed.
StreamWriter& StreamWriter::operator=(StreamWriter&& other) noexcept {
    if (this == &other) return *this;
    drop();
    state_ = std::move(other.state_);
    is_alias_ = other.is_alias_;
    return *this;
}

StreamWriter::~StreamWriter() { drop(); }

/// An alias is a second handle that does not own: its end leaves the stream open.
void StreamWriter::drop() const noexcept {
    if (state_ && !is_alias_) state_->drop();
}

StreamWriter StreamWriter::alias() const noexcept {
    StreamWriter second(state_);
    second.is_alias_ = true;
    return second;
}

StreamWriter::operator bool() const noexcept { return static_cast<bool>(state_); }

internal::WriterState& StreamWriter::state() const {
    if (!state_) internal::throw_empty("StreamWriter");
    return *state_;
}

internal::Ref<internal::WriterState> StreamWriter::shared_state() const {
    return internal::Ref<internal::WriterState>::share(&state());
}

void StreamWriter::write(std::string_view data) const { state().write(data); }

void StreamWriter::write_string(std::string&& data) const { state().write_string(std::move(data)); }

WriterWait StreamWriter::drain() const {
    return WriterWait(shared_state(), internal::WriterEvent::drained);
}

/// Writes at once and not when the result is awaited. So the bytes of two calls keep their order,
/// in whatever order the results are awaited.
WriterWait StreamWriter::send(std::string_view data) const {
    write(data);
    return all_sent();
}

/// The mark counts the bytes of the whole stream, so later writes do not make this wait longer.
WriterWait StreamWriter::all_sent() const {
    return WriterWait(shared_state(), internal::WriterEvent::sent, state().written());
}

WriterWait StreamWriter::wait_closed() const {
    return WriterWait(shared_state(), internal::WriterEvent::closed);
}

void StreamWriter::close() const noexcept {
    if (state_) state_->close();
}

void StreamWriter::abort() const noexcept {
    if (state_) state_->abort();
}

void StreamWriter::write_eof() const noexcept {
    if (state_) state_->write_eof();
}

bool StreamWriter::can_write_eof() const { return state().channel().is_connection(); }

bool StreamWriter::is_closing() const { return state().is_ending(); }

Address StreamWriter::peer() const { return state().channel().peer(); }

Address StreamWriter::local() const { return state().channel().local(); }

int StreamWriter::fd() const { return state().channel().fd(); }

lowlevel::Channel& StreamWriter::channel() const { return state().channel(); }

std::size_t StreamWriter::get_write_buffer_size() const { return state().buffered_bytes(); }

void StreamWriter::set_write_buffer_limits(std::size_t high, std::size_t low) const {
    state().set_limits(high, low);
}

WriteBufferLimits StreamWriter::get_write_buffer_limits() const {
    return {.high = state().high(), .low = state().low()};
}

}  // namespace asyncio
