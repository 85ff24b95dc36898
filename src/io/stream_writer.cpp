// `StreamWriter`: the handle, and the wait for what its state does by itself.

#include <asyncio/exceptions.h>
#include <asyncio/streams.h>

#include "io/writer_state.h"

#include <utility>

namespace asyncio {
namespace internal {

WriterAwaiter::WriterAwaiter(Ref<WriterState> writer, WriterEvent event,
                             std::uint64_t mark) noexcept
    : writer_(std::move(writer)), mark_(mark), event_(event) {
    place_.awaiter = this;
}

WriterAwaiter::~WriterAwaiter() = default;

bool WriterAwaiter::await_ready() {
    if (!writer_->has_come(*this)) return false;
    yields_ = lowlevel::turn_is_over();
    return !yields_;
}

void WriterAwaiter::stand_in_line() {
    constexpr auto function = "StreamWriter::drain(), send() or wait_closed()";
    writer_->require_loop_of(task(function), function);
    writer_->line().push_back(place_);
}

lowlevel::Waiter::Abort WriterAwaiter::abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
    auto& self = static_cast<WriterAwaiter&>(waiter);
    if (!self.place_.linked()) return Abort::too_late;
    self.place_.unlink();
    return Abort::removed;
}

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

internal::WriterAwaiter WriterWait::operator co_await() const {
    return internal::WriterAwaiter(writer_, event_, mark_);
}

// --- The handle ---------------------------------------------------------------------------------

StreamWriter::StreamWriter() noexcept = default;

StreamWriter::StreamWriter(EventLoop& loop, lowlevel::Fd fd, StreamOptions options)
    : StreamWriter(internal::make_stream<internal::WriterState>(
          loop, internal::StreamFd(std::move(fd)), options, internal::Access::non_blocking)) {}

StreamWriter::StreamWriter(internal::Ref<internal::WriterState> state) noexcept
    : state_(std::move(state)) {}

StreamWriter::StreamWriter(StreamWriter&& other) noexcept = default;

StreamWriter& StreamWriter::operator=(StreamWriter&& other) noexcept {
    if (this == &other) return *this;
    drop();
    state_ = std::move(other.state_);
    is_alias_ = other.is_alias_;
    return *this;
}

StreamWriter::~StreamWriter() { drop(); }

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

WriterWait StreamWriter::send(std::string_view data) const {
    write(data);
    return all_sent();
}

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

bool StreamWriter::is_closing() const { return state().closing(); }

std::size_t StreamWriter::get_write_buffer_size() const { return state().buffered_bytes(); }

void StreamWriter::set_write_buffer_limits(std::size_t high, std::size_t low) const {
    state().set_limits(high, low);
}

}  // namespace asyncio
