// The states of a Unix stream socket, and what each of them answers.
//
// There is no state for "the peer is gone": the pointer to it is null then, and the flags say that
// nothing more can be read or written. A socket stays connected in this sense until it is closed,
// since unix(7) knows no way back.

#include "backend/simulated/sockets/unix_stream.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include <poll.h>

namespace asyncio::lowlevel::simulated {

namespace {

/// net.core.somaxconn.
constexpr std::size_t longest_unix_queue = 4096;

}  // namespace

UnixStream::~UnixStream() {
    if (peer_ != nullptr) peer_->peer_ = nullptr;
}

std::size_t UnixStream::pending() const noexcept {
    return peer_ == nullptr ? 0 : peer_->bytes_.size();
}

std::size_t UnixStream::room() const noexcept {
    const std::size_t limit = buffer_bytes(SO_SNDBUF);
    return limit - std::min(limit, pending());
}

/// As unix_poll. A socket is writable while three quarters of its buffer are free.
int UnixStream::events(int) const noexcept {
    int events = 0;
    if (error_ != 0) events |= POLLERR;
    if (shut_reading_) events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if ((shut_reading_ && shut_writing_) || state_ == State::fresh) events |= POLLHUP;
    if (bytes_.size() > 0 || !queue_.empty()) events |= POLLIN | POLLRDNORM;
    if (!is_listening() && 4 * pending() <= buffer_bytes(SO_SNDBUF))
        events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return events;
}

// --- Beginning ----------------------------------------------------------------------------------

/// A listener needs a name, since nothing else leads to it.
int UnixStream::listen(int backlog, Surroundings& around) {
    if (state_ == State::connected || name_.empty()) return -EINVAL;
    backlog_ = backlog < 0 ? longest_unix_queue
                           : std::min(static_cast<std::size_t>(backlog), longest_unix_queue);
    state_ = State::listening;
    around.changes.add(*this);
    return 0;
}

int UnixStream::can_accept() const noexcept {
    if (!is_listening()) return -EINVAL;
    if (!queue_.empty()) return 0;
    return shut_reading_ ? -EINVAL : would_block;
}

int UnixStream::accept(Operation& operation, Surroundings& around) {
    const int number = around.descriptors.open(queue_.front(), 0);
    const std::shared_ptr<UnixStream> accepted = std::move(queue_.front());
    queue_.pop_front();
    if (operation.buffer != nullptr)
        operation.size =
            copy_out(address_of_name(accepted->peer_name_), operation.buffer, operation.size);
    return number;
}

/// Both ends exist at once. A full queue is answered as `attempt_connect` answers it.
int UnixStream::connect(const Operation& operation, Surroundings& around) {
    UnixSocket* found = nullptr;
    if (const int error = find_peer(operation.buffer, operation.size, found); error != 0)
        return error;
    auto& listener = static_cast<UnixStream&>(*found);
    if (!listener.is_listening() || listener.shut_reading_) return -ECONNREFUSED;
    if (listener.queue_.size() > listener.backlog_) return -EBUSY;
    if (state_ != State::fresh) return state_ == State::connected ? -EISCONN : -EINVAL;
    auto server = std::make_shared<UnixStream>(host());
    std::string name_of_listener = listener.name_;
    server->inherit_options(listener);
    // The accepted socket shows the name of the listener. The name still means the listener alone.
    server->name_ = listener.name_;
    server->peer_name_ = name_;
    listener.queue_.push_back(server);
    peer_name_ = std::move(name_of_listener);
    server->peer_ = this;
    peer_ = server.get();
    state_ = server->state_ = State::connected;
    around.changes.add(listener);
    return 0;
}

// --- Bytes --------------------------------------------------------------------------------------

int UnixStream::can_receive(const Transfer& transfer) const noexcept {
    if ((transfer.flags & MSG_OOB) != 0) return -EINVAL;
    if (state_ != State::connected) return -EINVAL;
    if (bytes_.size() > 0 || error_ != 0 || shut_reading_) return 0;
    return would_block;
}

/// The bytes come first, then the error, then the end of the stream.
int UnixStream::receive(const Transfer& transfer, Surroundings& around) {
    if (bytes_.size() == 0) {
        if (transfer.header != nullptr) transfer.header->msg_controllen = 0;
        transfer.answer_address({});
        transfer.answer_flags(0);
        return take_error();
    }
    std::size_t count = around.plan.shortened(std::min(transfer.size, bytes_.size()));
    const bool reaches = !messages_.empty() && messages_.front().begin < place_ + count;
    if (reaches) count = std::min<std::size_t>(count, messages_.front().end - place_);
    const bool peeks = (transfer.flags & MSG_PEEK) != 0;
    int answered = 0;
    if (reaches) {
        answered = alight(messages_.front().passengers, transfer, around);
    } else if (transfer.header != nullptr) {
        transfer.header->msg_controllen = 0;
    }
    if (const int error = transfer.deliver({bytes_.data(), count}, around); error != 0)
        return error;
    transfer.answer_address(peer_name_.empty() ? Address() : address_of_name(peer_name_));
    transfer.answer_flags(answered);
    if (peeks) return static_cast<int>(count);
    bytes_.drop(count);
    place_ += count;
    if (peer_ != nullptr) around.changes.add(*peer_);
    if (!reaches) return static_cast<int>(count);
    // The descriptors are handed over with the first byte. The entry stays until the last one, as
    // the end of the message.
    dismiss(std::exchange(messages_.front().passengers, {}), around);
    if (messages_.front().end <= place_) messages_.pop_front();
    if (messages_.empty()) note_no_passengers();
    return static_cast<int>(count);
}

bool UnixStream::cannot_write() const noexcept { return shut_writing_ || peer_ == nullptr; }

/// The order is that of unix_stream_sendmsg. An address in the message is an error of its own.
int UnixStream::can_send(const Transfer& transfer) const noexcept {
    if ((transfer.flags & MSG_OOB) != 0) return -EOPNOTSUPP;
    const bool is_connected = state_ == State::connected;
    if (transfer.header != nullptr && transfer.header->msg_namelen > 0)
        return is_connected ? -EISCONN : -EOPNOTSUPP;
    if (!is_connected) return -ENOTCONN;
    if (cannot_write()) return -EPIPE;
    return transfer.size == 0 || room() > 0 ? 0 : would_block;
}

/// The passengers go with the first byte. If the message is sent in parts, the caller sends the
/// rest without them.
int UnixStream::send(const Transfer& transfer, Surroundings& around) {
    Passengers passengers;
    if (const int error = board_all(transfer, passengers, around); error != 0) return error;
    if (transfer.size == 0) return 0;
    const std::size_t count = around.plan.shortened(std::min(transfer.size, room()));
    const int depth = depth_of(passengers);
    peer_->put(transfer, count, std::move(passengers));
    peer_->note_depth(depth);
    around.changes.add(*peer_);
    return static_cast<int>(count);
}

/// What the peer sends. Throws: `std::bad_alloc`; nothing was put then.
void UnixStream::put(const Transfer& transfer, std::size_t count, Passengers passengers) {
    const std::uint64_t begin = place_ + bytes_.size();
    const bool carries = !passengers.empty();
    if (carries) messages_.push_back({begin, begin + count, std::move(passengers)});
    try {
        transfer.collect(count, bytes_);
    } catch (...) {
        if (carries) messages_.pop_back();
        throw;
    }
}

// --- The end ------------------------------------------------------------------------------------

/// Unlike TCP, a Unix socket tells its peer at once that it does not read any more.
int UnixStream::shutdown(int how, Surroundings& around) {
    if (how != SHUT_WR) {
        shut_reading_ = true;
        if (peer_ != nullptr) peer_->shut_writing_ = true;
    }
    if (how != SHUT_RD) {
        shut_writing_ = true;
        if (peer_ != nullptr) peer_->shut_reading_ = true;
    }
    around.changes.add(*this);
    if (peer_ != nullptr) around.changes.add(*peer_);
    return 0;
}

int UnixStream::peer_address(Address& address) const noexcept {
    if (state_ != State::connected) return -ENOTCONN;
    address = address_of_name(peer_name_);
    return 0;
}

void UnixStream::stop_listening(Surroundings& around) noexcept {
    for (const auto& waiting_connection : std::exchange(queue_, {})) {
        waiting_connection->leave_peer(true, around);
        waiting_connection->close(0, around);
    }
}

/// The peer sees the end in both directions at once. It gets an error as well if bytes of its own
/// were never read.
void UnixStream::leave_peer(bool loses_bytes, Surroundings& around) noexcept {
    if (peer_ == nullptr) return;
    UnixStream& peer = *std::exchange(peer_, nullptr);
    peer.peer_ = nullptr;
    peer.shut_reading_ = peer.shut_writing_ = true;
    if (loses_bytes) peer.error_ = ECONNRESET;
    around.changes.add(peer);
}

/// The peer has lost its power, too. A path stays, as the other files on the disk of the host.
void UnixStream::lose_power(Surroundings& around) noexcept {
    Socket::lose_power(around);
    close(0, around);
}

/// A socket that listens, one that is connected and one that is neither all end here: what one does
/// not have is empty.
void UnixStream::close(int, Surroundings& around) noexcept {
    stop_listening(around);
    leave_peer(bytes_.size() > 0, around);
    leave_name();
    name_.clear();
    for (Message& message : std::exchange(messages_, {}))
        dismiss(std::move(message.passengers), around);
}

void UnixStream::surrender(Passengers& all) {
    for (Message& message : messages_)
        all.insert(all.end(), std::make_move_iterator(message.passengers.begin()),
                   std::make_move_iterator(message.passengers.end()));
}

}  // namespace asyncio::lowlevel::simulated
