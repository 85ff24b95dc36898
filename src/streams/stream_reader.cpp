// `StreamReader`: the reads, and how they await what they need.
//
// `read(n)` is a plain awaiter, because it needs one operation at most. The others are loops,
// "receive until the wanted bytes are there", and therefore coroutines. Each is one
// reading for as long as it runs, and takes nothing out of the buffer before all of it is there. So
// a read that is cancelled half-way leaves every byte in the stream, in order.
//
// A receive, step by step (`ReceiveAwaiter`)
//
//  1. `await_ready` finds the end of the stream, or submits the operation. If it finishes at once,
//     the task continues without a suspension, except that it yields when it has had its share
//     (`must_yield`).
//  2. Otherwise the task parks. The buffer, if it is empty, frees its memory for the time of the
//     wait.
//  3. The channel calls `received` with the bytes, and then `reported`, which wakes the task.
//  4. `await_resume` throws if the task's cancellation ended the operation.
//
// A cancellation does not take the awaiter away from the channel: the task stays parked until the
// report. If bytes were faster than the cancellation, they are in the buffer by then, and the
// request stays with the task until its next wait.
//
// The state is held by a reference in every coroutine and awaiter here, because the handle may be
// destroyed, or moved, during a read.

#include <asyncio/exceptions.h>
#include <asyncio/streams.h>

#include "streams/reader_state.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace asyncio {
namespace internal {

// --- Awaiting bytes -----------------------------------------------------------------------------

ReceiveAwaiter::ReceiveAwaiter(Ref<ReaderState> reader) noexcept : reader_(std::move(reader)) {}

ReceiveAwaiter::~ReceiveAwaiter() = default;

bool ReceiveAwaiter::await_ready() { return receive({}); }

/// The check for the loop comes before the submission: an operation of another loop must not be put
/// into this one's back-end.
bool ReceiveAwaiter::receive(std::span<char> room) {
    if (reader_->ended()) return true;
    reader_->require_loop_of(task("a read of a StreamReader"), "a read of a StreamReader");
    operation_.on_finished = &reported;
    operation_.receive = room.empty() ? &received : nullptr;
    operation_.buffer = room.data();
    if (!reader_->ask(operation_, room.empty() ? ReaderState::most_bytes_at_once : room.size()))
        return false;
    return !lowlevel::must_yield();
}

lowlevel::Waiter::Abort ReceiveAwaiter::abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
    auto& self = static_cast<ReceiveAwaiter&>(waiter);
    if (self.wants_early_end()) self.reader_->channel().cancel(self.operation_);
    return Abort::too_late;
}

/// Called inside the channel, so it only copies.
void ReceiveAwaiter::received(lowlevel::Operation& operation,
                              std::span<const char> bytes) noexcept {
    auto& self = static_cast<ReceiveAwaiter&>(*static_cast<OwnOperation&>(operation).awaiter);
    self.reader_->received(bytes);
}

/// A static function, because an operation knows its callback and no object.
void ReceiveAwaiter::reported(lowlevel::Operation& operation) noexcept {
    auto& self = static_cast<ReceiveAwaiter&>(*static_cast<OwnOperation&>(operation).awaiter);
    self.reader_->take_over(operation);
    self.wake();
}

ReadAwaiter::ReadAwaiter(Ref<ReaderState> reader, std::size_t most_bytes) noexcept
    : ReceiveAwaiter(std::move(reader)), most_bytes_(most_bytes) {}

ReadAwaiter::~ReadAwaiter() { end_reading(); }

/// Also called by the destructor: a task that ends while it waits must end its reading.
void ReadAwaiter::end_reading() noexcept {
    if (std::exchange(is_reading_, false)) reader_->end_reading();
}

/// The reading begins first: with bytes in the buffer, too, a second read at the same time is a
/// mistake. The mistake is thrown in `await_resume`, as every error of a read.
bool ReadAwaiter::await_ready() {
    is_reading_ = reader_->begin_reading();
    if (!is_reading_ || most_bytes_ == 0 || !reader_->buffer.empty()) return true;
    return ReceiveAwaiter::await_ready();
}

std::string ReadAwaiter::await_resume() {
    if (!is_reading_) reader_->throw_busy();
    // The awaiter lives until the end of the whole expression, in which there may be another read.
    // So the reading ends here and not only in the destructor.
    end_reading();
    result();
    reader_->throw_error();
    return reader_->buffer.take(std::min(most_bytes_, reader_->buffer.size()));
}

ReadIntoAwaiter::ReadIntoAwaiter(Ref<ReaderState> reader, std::span<char> room) noexcept
    : ReceiveAwaiter(std::move(reader)), room_(room) {}

ReadIntoAwaiter::~ReadIntoAwaiter() { end_reading(); }

void ReadIntoAwaiter::end_reading() noexcept {
    if (std::exchange(is_reading_, false)) reader_->end_reading();
}

bool ReadIntoAwaiter::await_ready() {
    is_reading_ = reader_->begin_reading();
    if (!is_reading_ || room_.empty() || !reader_->buffer.empty()) return true;
    return receive(room_);
}

/// Bytes that were read ahead come first. A reader that was closed meanwhile has dropped what came.
std::size_t ReadIntoAwaiter::await_resume() {
    if (!is_reading_) reader_->throw_busy();
    end_reading();
    const int received = result();
    reader_->throw_error();
    if (reader_->buffer.empty()) {
        const bool has_come = received > 0 && !reader_->closing();
        return has_come ? static_cast<std::size_t>(received) : 0;
    }
    const std::size_t count = std::min(room_.size(), reader_->buffer.size());
    std::memcpy(room_.data(), reader_->buffer.bytes().data(), count);
    reader_->buffer.drop(count);
    return count;
}

namespace {

/// `co_await Receive(reader)` returns when more bytes have come or the stream has ended.
struct Receive {
    Ref<ReaderState> reader;

    explicit Receive(Ref<ReaderState> from) noexcept : reader(std::move(from)) {}
    ReceiveAwaiter operator co_await() const { return ReceiveAwaiter(reader); }
};

// --- The reads that take several operations -----------------------------------------------------

/// When the stream ends with an error, this throws it. The bytes that came before the error stay in
/// the buffer, and `take_buffered` returns them.
Coro<std::string> read_to_end(Ref<ReaderState> reader) {
    const ReaderState::Reading reading(*reader);
    while (!reader->ended()) co_await Receive(reader);
    reader->throw_error();
    co_return reader->buffer.take_all();
}

/// At an early end the exception carries the bytes, and they leave the stream, as in Python.
Coro<std::string> read_exactly(Ref<ReaderState> reader, std::size_t bytes) {
    const ReaderState::Reading reading(*reader);
    while (reader->buffer.size() < bytes && !reader->ended()) co_await Receive(reader);
    reader->throw_error();
    if (reader->buffer.size() < bytes) throw IncompleteReadError(reader->buffer.take_all(), bytes);
    co_return reader->buffer.take(bytes);
}

/// Searches the buffered bytes for the end of a chunk, which is any of several separators. The
/// object remembers how far it has searched: so a long line that comes in many pieces is searched
/// once, and not from its beginning each time.
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

    /// The separator that ends first, which gives the shortest chunk, as in Python. `bytes` begins
    /// with the bytes of the previous call, and more may follow.
    std::optional<Match> find(std::string_view bytes) {
        std::optional<Match> first;
        for (const std::string& separator : separators_) {
            const std::size_t begin = bytes.find(separator, searched_);
            if (begin == std::string_view::npos) continue;
            const std::size_t end = begin + separator.size();
            if (!first || end < first->end) first = Match{begin, end};
        }
        // Not found. The last bytes may be the beginning of a separator, so the next search begins
        // there.
        if (!first && bytes.size() + 1 > longest_) searched_ = bytes.size() + 1 - longest_;
        return first;
    }

    /// The number of bytes at the front that hold neither a separator nor a part of one.
    std::size_t searched() const noexcept { return searched_; }

private:
    std::vector<std::string> separators_;
    std::size_t longest_ = 0;
    std::size_t searched_ = 0;
};

/// Receives until a separator is there and returns where it ends; nothing if the stream ended
/// before. The limit is checked in both cases, found and not found: a chunk that is too long is an
/// error even if it arrives all at once. The bytes stay in the buffer then, so the caller can read
/// them in another way.
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
    const ReaderState::Reading reading(*reader);
    const std::optional<std::size_t> end = co_await find_chunk(reader, std::move(separators));
    if (!end) throw IncompleteReadError(reader->buffer.take_all(), 0);
    co_return reader->buffer.take(*end);
}

/// A last line without its newline is a line. The result is "" only if the stream has ended and no
/// bytes are left.
Coro<std::string> read_line(Ref<ReaderState> reader) {
    const ReaderState::Reading reading(*reader);
    std::vector<std::string> newline(1, "\n");
    const std::optional<std::size_t> end = co_await find_chunk(reader, std::move(newline));
    co_return end ? reader->buffer.take(*end) : reader->buffer.take_all();
}

Coro<std::optional<std::string>> next_line(Ref<ReaderState> reader) {
    std::string line = co_await read_line(std::move(reader));
    if (line.empty()) co_return std::nullopt;
    co_return line;
}

/// A negative number that was converted to `size_t` is larger than any buffer can be.
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

/// An awaiter for each `co_await`; a read that is never awaited reads nothing.
internal::ReadAwaiter Read::operator co_await() const {
    return internal::ReadAwaiter(reader_, most_bytes_);
}

ReadInto::ReadInto(internal::Ref<internal::ReaderState> reader, std::span<char> room) noexcept
    : reader_(std::move(reader)), room_(room) {}
ReadInto::ReadInto(const ReadInto&) noexcept = default;
ReadInto::~ReadInto() = default;

internal::ReadIntoAwaiter ReadInto::operator co_await() const {
    return internal::ReadIntoAwaiter(reader_, room_);
}

Lines::Lines(internal::Ref<internal::ReaderState> reader) noexcept : reader_(std::move(reader)) {}
Lines::Lines(const Lines&) noexcept = default;
Lines::~Lines() = default;

Coro<std::optional<std::string>> Lines::next() const { return internal::next_line(reader_); }

StreamReader::StreamReader() noexcept = default;

StreamReader::StreamReader(EventLoop& loop, lowlevel::Fd fd, StreamOptions options)
    : StreamReader(internal::make_stream<internal::ReaderState>(
          loop, internal::StreamFd(std::move(fd)), options, internal::Access::non_blocking)) {}

StreamReader::StreamReader(EventLoop& loop, std::shared_ptr<lowlevel::Channel> channel,
                           StreamOptions options)
    : StreamReader(
          internal::make_stream<internal::ReaderState>(loop, std::move(channel), options)) {}

StreamReader::StreamReader(internal::Ref<internal::ReaderState> state) noexcept
    : state_(std::move(state)) {}

StreamReader::StreamReader(StreamReader&& other) noexcept = default;

/// The stream that the handle referred to is closed, as if the handle had been destroyed.
StreamReader& StreamReader::operator=(StreamReader&& other) noexcept {
    if (this == &other) return *this;
    drop();
    state_ = std::move(other.state_);
    is_alias_ = other.is_alias_;
    return *this;
}

StreamReader::~StreamReader() { drop(); }

/// An alias is a second handle that does not own: its end leaves the stream open.
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

/// Every read takes a reference of its own: what it returns may be awaited after the handle was
/// destroyed.
Read StreamReader::read(std::size_t most_bytes) const {
    internal::require_count(
        most_bytes, "read: the count is negative; read() without a count reads until the end");
    return Read(shared_state(), most_bytes);
}

Coro<std::string> StreamReader::read() const { return internal::read_to_end(shared_state()); }

ReadInto StreamReader::read_into(std::span<char> room) const {
    return ReadInto(shared_state(), room);
}

Lines StreamReader::lines() const { return Lines(shared_state()); }

Coro<std::string> StreamReader::readline() const { return internal::read_line(shared_state()); }

Coro<std::string> StreamReader::readexactly(std::size_t bytes) const {
    internal::require_count(bytes, "readexactly: the count is negative");
    return internal::read_exactly(shared_state(), bytes);
}

Coro<std::string> StreamReader::readuntil(std::string_view separator) const {
    return readuntil(std::span(&separator, 1));
}

/// The separators are copied: the coroutine starts later, when the caller's text may be gone.
Coro<std::string> StreamReader::readuntil(std::span<const std::string_view> separators) const {
    std::vector<std::string> copies(separators.begin(), separators.end());
    const auto is_empty = [](const std::string& separator) { return separator.empty(); };
    if (copies.empty() || std::any_of(copies.begin(), copies.end(), is_empty))
        throw std::invalid_argument(
            "readuntil: there must be a separator, and no separator may be empty");
    return internal::read_until(shared_state(), std::move(copies));
}

std::string StreamReader::take_buffered() const { return state().buffer.take_all(); }

/// As in Python, the end counts only when the program has taken everything that came before it.
std::exception_ptr StreamReader::exception() const {
    try {
        state().throw_error();
        return nullptr;
    } catch (const OsError&) {
        return std::current_exception();
    }
}

bool StreamReader::at_eof() const { return state().ended() && state().buffer.empty(); }

void StreamReader::close() const noexcept {
    if (state_) state_->close();
}

bool StreamReader::is_closing() const { return state().closing(); }

}  // namespace asyncio
