// `StreamReader`: the reads, and how they await what they need.
//
// `read(n)` is a plain awaiter, for it needs one operation at most. The others are loops, "receive
// until what is wanted is there", and therefore coroutines; each holds the reader's turn for as
// long as it runs, and gives nothing away before it has all of it.

#include <asyncio/exceptions.h>
#include <asyncio/streams.h>

#include "io/reader_state.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace asyncio {
namespace internal {

// --- Awaiting bytes -----------------------------------------------------------------------------

ReceiveAwaiter::ReceiveAwaiter(Ref<ReaderState> reader) noexcept : reader_(std::move(reader)) {}

ReceiveAwaiter::~ReceiveAwaiter() = default;

bool ReceiveAwaiter::await_ready() {
    if (reader_->ended()) return true;
    reader_->require_loop_of(task("a read of a StreamReader"), "a read of a StreamReader");
    reader_->prepare(operation_);
    operation_.on_finished = &reported;
    operation_.receive = &received;
    if (!submit_until_over()) return false;
    return !lowlevel::turn_is_over();
}

/// True if nothing is in flight any more. Goes round twice at most: for readiness, and to read.
bool ReceiveAwaiter::submit_until_over() noexcept {
    do {
        const auto submitted = reader_->loop().submit(operation_);
        if (submitted == lowlevel::Backend::Submitted::in_flight) {
            reader_->buffer.forget_if_empty();
            return false;
        }
    } while (!reader_->take_over(operation_));
    return true;
}

void ReceiveAwaiter::received(lowlevel::Operation& operation,
                              std::span<const char> bytes) noexcept {
    auto& self = static_cast<ReceiveAwaiter&>(*static_cast<OwnOperation&>(operation).awaiter);
    self.reader_->received(bytes);
}

void ReceiveAwaiter::reported(lowlevel::Operation& operation) noexcept {
    auto& self = static_cast<ReceiveAwaiter&>(*static_cast<OwnOperation&>(operation).awaiter);
    if (self.reader_->take_over(operation) || self.submit_until_over()) self.wake();
}

ReadAwaiter::ReadAwaiter(Ref<ReaderState> reader, std::size_t most_bytes) noexcept
    : ReceiveAwaiter(std::move(reader)), most_bytes_(most_bytes) {}

ReadAwaiter::~ReadAwaiter() { end_turn(); }

void ReadAwaiter::end_turn() noexcept {
    if (std::exchange(has_turn_, false)) reader_->end_turn();
}

bool ReadAwaiter::await_ready() {
    has_turn_ = reader_->begin_turn();
    if (!has_turn_ || most_bytes_ == 0 || !reader_->buffer.empty()) return true;
    return ReceiveAwaiter::await_ready();
}

std::string ReadAwaiter::await_resume() {
    if (!has_turn_) reader_->throw_busy();
    // The awaiter lives until the end of the whole expression, in which there may be another read.
    end_turn();
    result();
    reader_->throw_error();
    return reader_->buffer.take(std::min(most_bytes_, reader_->buffer.size()));
}

namespace {

struct Receive {
    Ref<ReaderState> reader;

    explicit Receive(Ref<ReaderState> from) noexcept : reader(std::move(from)) {}
    ReceiveAwaiter operator co_await() const { return ReceiveAwaiter(reader); }
};

// --- The reads that take several operations -----------------------------------------------------

Coro<std::string> read_to_end(Ref<ReaderState> reader) {
    const ReaderState::Turn turn(*reader);
    while (!reader->ended()) co_await Receive(reader);
    reader->throw_error();
    co_return reader->buffer.take_all();
}

Coro<std::string> read_exactly(Ref<ReaderState> reader, std::size_t bytes) {
    const ReaderState::Turn turn(*reader);
    while (reader->buffer.size() < bytes && !reader->ended()) co_await Receive(reader);
    reader->throw_error();
    if (reader->buffer.size() < bytes) throw IncompleteReadError(reader->buffer.take_all(), bytes);
    co_return reader->buffer.take(bytes);
}

/// Where, among what is buffered, a chunk ends that one of several separators closes.
class SeparatorSearch {
public:
    explicit SeparatorSearch(std::vector<std::string> separators)
        : separators_(std::move(separators)) {
        for (const std::string& separator : separators_)
            longest_ = std::max(longest_, separator.size());
    }

    struct Match {
        std::size_t begin;  ///< Of the separator.
        std::size_t end;
    };

    /// The separator that ends first. `bytes` are those of the call before, and more.
    std::optional<Match> find(std::string_view bytes) {
        std::optional<Match> first;
        for (const std::string& separator : separators_) {
            const std::size_t begin = bytes.find(separator, searched_);
            if (begin == std::string_view::npos) continue;
            const std::size_t end = begin + separator.size();
            if (!first || end < first->end) first = Match{begin, end};
        }
        // Not found: what is left may be the beginning of a separator, and is looked at again.
        if (!first && bytes.size() + 1 > longest_) searched_ = bytes.size() + 1 - longest_;
        return first;
    }

    /// As many bytes at the front hold no separator, nor a part of one.
    std::size_t searched() const noexcept { return searched_; }

private:
    std::vector<std::string> separators_;
    std::size_t longest_ = 0;
    std::size_t searched_ = 0;
};

/// Receives until a separator is there; nothing if the stream ended before.
Coro<std::optional<std::size_t>> find_chunk(Ref<ReaderState> reader,
                                            std::vector<std::string> separators) {
    SeparatorSearch search(std::move(separators));
    for (;;) {
        const auto match = search.find(reader->buffer.bytes());
        if (match && match->begin > reader->limit)
            throw LimitOverrunError("the separator is beyond the limit", match->begin);
        if (match) co_return match->end;
        if (search.searched() > reader->limit)
            throw LimitOverrunError("no separator within the limit", search.searched());
        if (reader->ended()) break;
        co_await Receive(reader);
    }
    reader->throw_error();
    co_return std::nullopt;
}

Coro<std::string> read_until(Ref<ReaderState> reader, std::vector<std::string> separators) {
    const ReaderState::Turn turn(*reader);
    const std::optional<std::size_t> end = co_await find_chunk(reader, std::move(separators));
    if (!end) throw IncompleteReadError(reader->buffer.take_all(), 0);
    co_return reader->buffer.take(*end);
}

Coro<std::string> read_line(Ref<ReaderState> reader) {
    const ReaderState::Turn turn(*reader);
    std::vector<std::string> newline(1, "\n");
    const std::optional<std::size_t> end = co_await find_chunk(reader, std::move(newline));
    co_return end ? reader->buffer.take(*end) : reader->buffer.take_all();
}

void require_count(std::size_t bytes, const char* what) {
    if (bytes > PTRDIFF_MAX) throw std::invalid_argument(what);
}

}  // namespace
}  // namespace internal

// --- The handle ---------------------------------------------------------------------------------

Read::Read(internal::Ref<internal::ReaderState> reader, std::size_t most_bytes) noexcept
    : reader_(std::move(reader)), most_bytes_(most_bytes) {}
Read::Read(const Read&) noexcept = default;
Read::~Read() = default;

internal::ReadAwaiter Read::operator co_await() const {
    return internal::ReadAwaiter(reader_, most_bytes_);
}

StreamReader::StreamReader() noexcept = default;

StreamReader::StreamReader(EventLoop& loop, lowlevel::Fd fd, StreamOptions options)
    : StreamReader(internal::make_stream<internal::ReaderState>(
          loop, internal::StreamFd(std::move(fd)), options, internal::Access::non_blocking)) {}

StreamReader::StreamReader(internal::Ref<internal::ReaderState> state) noexcept
    : state_(std::move(state)) {}

StreamReader::StreamReader(StreamReader&& other) noexcept = default;

StreamReader& StreamReader::operator=(StreamReader&& other) noexcept {
    if (this == &other) return *this;
    drop();
    state_ = std::move(other.state_);
    is_alias_ = other.is_alias_;
    return *this;
}

StreamReader::~StreamReader() { drop(); }

void StreamReader::drop() const noexcept {
    if (!is_alias_) close();
}

StreamReader StreamReader::alias() const noexcept {
    StreamReader second(state_);
    second.is_alias_ = true;
    return second;
}

StreamReader::operator bool() const noexcept { return static_cast<bool>(state_); }

internal::ReaderState& StreamReader::state() const {
    if (!state_) internal::throw_empty("StreamReader");
    return *state_;
}

internal::Ref<internal::ReaderState> StreamReader::shared_state() const {
    return internal::Ref<internal::ReaderState>::share(&state());
}

Read StreamReader::read(std::size_t most_bytes) const {
    internal::require_count(most_bytes, "read: a negative count; read() reads until the end");
    return Read(shared_state(), most_bytes);
}

Coro<std::string> StreamReader::read() const { return internal::read_to_end(shared_state()); }

Coro<std::string> StreamReader::readline() const { return internal::read_line(shared_state()); }

Coro<std::string> StreamReader::readexactly(std::size_t bytes) const {
    internal::require_count(bytes, "readexactly: a negative count");
    return internal::read_exactly(shared_state(), bytes);
}

Coro<std::string> StreamReader::readuntil(std::string_view separator) const {
    return readuntil(std::span(&separator, 1));
}

Coro<std::string> StreamReader::readuntil(std::span<const std::string_view> separators) const {
    std::vector<std::string> copies(separators.begin(), separators.end());
    const auto is_empty = [](const std::string& separator) { return separator.empty(); };
    if (copies.empty() || std::any_of(copies.begin(), copies.end(), is_empty))
        throw std::invalid_argument("readuntil: a separator has at least one byte");
    return internal::read_until(shared_state(), std::move(copies));
}

std::string StreamReader::take_buffered() const { return state().buffer.take_all(); }

bool StreamReader::at_eof() const { return state().ended() && state().buffer.empty(); }

void StreamReader::close() const noexcept {
    if (state_) state_->close();
}

bool StreamReader::is_closing() const { return state().closing(); }

}  // namespace asyncio
